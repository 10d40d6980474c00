/**
 * Bytes to lines of JSON, one value a line.
 *
 * N1  However the bytes are split, the lines are the same.
 * N2  Blank lines are none. What stands behind the last line feed counts only if it is whole JSON.
 * N3  A line is capped.
 */
import { isJson } from './fields.ts';
import { defaultMaxEventBytes, eventTooLarge, type FrameReader, type Framing, type FramingOptions } from './framing.ts';
import { lineReader } from './lines.ts';

/** Newline-delimited JSON. */
export const ndjsonFraming: Framing = { contentType: 'application/x-ndjson', open: ndjsonReader };

/** Makes a reader of one stream of lines. */
export function ndjsonReader({ onEvent, maxEventBytes = defaultMaxEventBytes }: FramingOptions): FrameReader {
  const lines = lineReader({
    maxLineBytes: maxEventBytes,
    tooLong: () => eventTooLarge(maxEventBytes),
    onLine: (line) => {
      const event = line.trim();
      if (event !== '') onEvent(event);
    },
  });
  return {
    read: lines.read,
    end: () => {
      const event = lines.rest().trim();
      if (isJson(event)) onEvent(event);
    },
  };
}
