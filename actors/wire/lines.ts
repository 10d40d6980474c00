/**
 * Bytes to lines, in time that is linear however small the pieces are.
 * However the bytes are split, the lines are the same: they are cut at the byte of the line feed, then decoded.
 */
import type { TroupeError } from '../../src/core/errors.ts';

export interface LineOptions {
  /** Takes one line without its line feed and what stands before that of CRLF. What it throws comes out of `read`. */
  readonly onLine: (line: string) => void;
  /** Cap on the bytes of one line. */
  readonly maxLineBytes: number;
  /** Makes the error for a line that passed the cap. */
  readonly tooLong: () => TroupeError;
}

/** Reads one stream of bytes. */
export interface LineReader {
  /** Takes the next bytes. */
  read(bytes: Uint8Array): void;
  /** Takes away what stands behind the last line feed. */
  rest(): string;
}

/** Makes a reader of one stream of lines. */
export function lineReader({ onLine, maxLineBytes, tooLong }: LineOptions): LineReader {
  const decoder = new TextDecoder();
  let held: Uint8Array[] = [];
  let heldLength = 0;
  const hold = (bytes: Uint8Array): void => {
    heldLength += bytes.length;
    if (heldLength > maxLineBytes) throw tooLong();
    if (bytes.length > 0) held.push(bytes);
  };
  const rest = (): string => {
    const line = decoder.decode(held.length === 1 ? held[0] : Buffer.concat(held));
    held = [];
    heldLength = 0;
    return line.endsWith('\r') ? line.slice(0, -1) : line;
  };
  return {
    read: (bytes) => {
      let start = 0;
      for (let end = bytes.indexOf(lineFeed); end !== -1; end = bytes.indexOf(lineFeed, start)) {
        hold(bytes.subarray(start, end));
        start = end + 1;
        onLine(rest());
      }
      hold(bytes.subarray(start));
    },
    rest,
  };
}

const lineFeed = 0x0a;
