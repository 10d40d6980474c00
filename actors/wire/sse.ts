/**
 * Bytes to server-sent events.
 * However the bytes are split, the events are the same; comments are no events; one event is capped; time is linear.
 */
import { createParser } from 'eventsource-parser';
import { defaultMaxEventBytes, eventTooLarge, type Framing } from './framing.ts';

export interface SseOptions {
  /** Takes the data of one event, and the event's name when it has one. What it throws comes out of the reader. */
  readonly onEvent: (data: string, name: string | undefined) => void;
  /** Cap on the length of one event. Default 16 MB. */
  readonly maxEventBytes?: number | undefined;
}

/** Server-sent events. */
export const sseFraming: Framing = {
  contentType: 'text/event-stream',
  open: (options) => ({ read: sseReader(options), end: () => {} }),
};

/** Makes a reader of one event stream: call it with the bytes as they come. An event without its blank line is dropped. */
export function sseReader(options: SseOptions): (bytes: Uint8Array) => void {
  const { onEvent, maxEventBytes = defaultMaxEventBytes } = options;
  const decoder = new TextDecoder();
  const parser = createParser({
    maxBufferSize: maxEventBytes,
    onEvent: (event) => onEvent(event.data, event.event),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') throw eventTooLarge(maxEventBytes);
    },
  });
  let endedInCr = false;
  return (bytes) => {
    const decoded = decoder.decode(bytes, { stream: true });
    if (decoded === '') return;
    const text = endedInCr && decoded.startsWith('\n') ? decoded.slice(1) : decoded;
    endedInCr = decoded.endsWith('\r');
    // The parser waits for what follows a CR and looks for line ends twice where there is one, so it gets LF only.
    parser.feed(text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text);
  };
}
