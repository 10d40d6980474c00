/** The lines that a chat reads: with a prompt and editing on a terminal, as they come elsewhere. */
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';

/** What readline shows of the keyboard. It is silent while an answer is being written. */
class Echo extends Writable {
  silent = false;

  get columns(): number {
    return process.stdout.columns;
  }

  override _write(piece: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (!this.silent) process.stdout.write(piece);
    done();
  }
}

/** Ask for a line at once: lines that nobody waits for are kept only from then on. */
export class ChatLines {
  readonly isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  readonly #echo = new Echo();
  readonly #readline: Interface;
  readonly #onInterrupt: () => void;
  readonly #lines = this.#read();
  /** The line that was asked for and is not taken yet. */
  #coming: Promise<IteratorResult<string, void>> | undefined;
  /** Lines that were typed while an answer was being written, and are not shown yet. */
  #ahead = 0;
  #isOver = false;

  /** `onInterrupt` is called at every Ctrl-C, whether it comes as a key or as a signal. */
  constructor(onInterrupt: () => void) {
    this.#onInterrupt = onInterrupt;
    this.#readline = createInterface({
      input: process.stdin,
      terminal: this.isTerminal,
      crlfDelay: Number.POSITIVE_INFINITY,
      ...(this.isTerminal && { output: this.#echo, historySize: 1000, removeHistoryDuplicates: true }),
    });
    this.#readline.on('SIGINT', onInterrupt);
    this.#readline.on('line', () => {
      if (this.#echo.silent) this.#ahead += 1;
    });
    this.#readline.on('close', () => {
      this.#isOver = true;
    });
    process.on('SIGINT', onInterrupt);
  }

  /** The next line; undefined when there is none, or once `signal` is aborted: whoever asks then gets the line. */
  async next(signal?: AbortSignal): Promise<string | undefined> {
    this.#coming ??= this.#lines.next();
    const given = await (signal === undefined ? this.#coming : Promise.race([this.#coming, aborted(signal)]));
    if (given === undefined) return undefined;
    this.#coming = undefined;
    return given.value ?? undefined;
  }

  async *#read(): AsyncGenerator<string, void, void> {
    for await (const line of this.#readline) {
      if (this.#ahead > 0) {
        this.#ahead -= 1;
        process.stdout.write(`${line}\n`);
      }
      yield line;
    }
  }

  /** Shows the prompt, with what was typed so far. */
  prompt(text: string): void {
    if (!this.isTerminal || this.#isOver) return;
    if (this.#ahead > 0) {
      process.stdout.write(text);
      return;
    }
    this.#echo.silent = false;
    this.#readline.setPrompt(text);
    this.#readline.prompt(true);
  }

  /** Shows nothing of the keyboard until the next prompt. */
  hush(): void {
    this.#echo.silent = this.isTerminal;
  }

  /** Takes back the line that is being typed; false when it is empty. */
  eraseLine(): boolean {
    const wasEmpty = this.#readline.line === '';
    process.stdout.write('\n');
    this.hush();
    this.#readline.write(null, { ctrl: true, name: 'e' });
    this.#readline.write(null, { ctrl: true, name: 'u' });
    return !wasEmpty;
  }

  /** Ends the lines, and gives the terminal and Ctrl-C back. */
  close(): void {
    process.off('SIGINT', this.#onInterrupt);
    this.#readline.close();
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
