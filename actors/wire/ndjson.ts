/**
 * Bytes to lines of JSON, one value a line.
 *
 * N1  However the bytes are split, the lines are the same: they are cut at the byte of the line feed, then decoded.
 * N2  Blank lines are none. What stands behind the last line feed counts only if it is whole JSON.
 * N3  A line is capped, and time is linear however small the pieces are.
 */
import { isJson } from './fields.ts';
import { defaultMaxEventBytes, eventTooLarge, type FrameReader, type Framing, type FramingOptions } from './framing.ts';

/** Newline-delimited JSON. */
export const ndjsonFraming: Framing = { contentType: 'application/x-ndjson', open: ndjsonReader };

/** Makes a reader of one stream of lines. */
export function ndjsonReader({ onEvent, maxEventBytes = defaultMaxEventBytes }: FramingOptions): FrameReader {
  const decoder = new TextDecoder();
  let held: Uint8Array[] = [];
  let heldLength = 0;
  const hold = (bytes: Uint8Array): void => {
    heldLength += bytes.length;
    if (heldLength > maxEventBytes) throw eventTooLarge(maxEventBytes);
    if (bytes.length > 0) held.push(bytes);
  };
  const takeLine = (): string => {
    const line = decoder.decode(held.length === 1 ? held[0] : Buffer.concat(held));
    held = [];
    heldLength = 0;
    return line.trim();
  };
  return {
    read: (bytes) => {
      let start = 0;
      for (let end = bytes.indexOf(lineFeed); end !== -1; end = bytes.indexOf(lineFeed, start)) {
        hold(bytes.subarray(start, end));
        start = end + 1;
        const line = takeLine();
        if (line !== '') onEvent(line);
      }
      hold(bytes.subarray(start));
    },
    end: () => {
      const line = takeLine();
      if (isJson(line)) onEvent(line);
    },
  };
}

const lineFeed = 0x0a;
