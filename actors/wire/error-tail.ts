/**
 * The last of what a program wrote to stderr, as it may be shown: redacted, without control codes but LF and tab.
 * Twice as much is kept as is shown, since a secret that the cut went through is not recognised.
 */
import { stripVTControlCharacters } from 'node:util';
import type { Redact } from './redact.ts';

const shownLength = 8 * 1024;
const keptBytes = 2 * shownLength;

/** Collects one stream. */
export class ErrorTail {
  #pieces: Uint8Array[] = [];
  #byteCount = 0;
  #isCut = false;

  /** Takes the next bytes. */
  add(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#byteCount += bytes.length;
    // Room for twice as much, so that not every small piece copies all of it.
    if (this.#byteCount > 2 * keptBytes) this.#shrink();
  }

  /** What may be shown by now: at most 8,192 characters. Empty when it cannot be redacted. */
  text(redact: Redact): string {
    if (this.#byteCount > keptBytes) this.#shrink();
    const text = stripVTControlCharacters(new TextDecoder().decode(Buffer.concat(this.#pieces)));
    try {
      const clean = redact(text.replace(/[^\P{Cc}\n\t]/gu, ''));
      // Redacting may have shortened it so much that the cut would be seen: the word it went through goes.
      return (this.#isCut ? clean.replace(/^\S{0,4096}/, '') : clean).slice(-shownLength);
    } catch {
      return '';
    }
  }

  #shrink(): void {
    this.#isCut = true;
    // A copy: a slice would hold on to all it was cut from.
    this.#pieces = [Uint8Array.from(Buffer.concat(this.#pieces).subarray(-keptBytes))];
    this.#byteCount = keptBytes;
  }
}
