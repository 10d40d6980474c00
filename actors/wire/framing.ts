/** How a streamed reply is told apart into events: what the readers of all protocols have in common. */
import { TroupeError } from '../../src/core/errors.ts';

export interface FramingOptions {
  /** Takes the data of one event. What it throws comes out of the reader. */
  readonly onEvent: (data: string) => void;
  /** Cap on the length of one event. Default 16 MB. */
  readonly maxEventBytes?: number | undefined;
}

/** Reads one stream. */
export interface FrameReader {
  /** Takes the next bytes. */
  read(bytes: Uint8Array): void;
  /** Takes the end of the stream. */
  end(): void;
}

/** One way to frame events. */
export interface Framing {
  /** The content type of such a stream. */
  readonly contentType: string;
  open(options: FramingOptions): FrameReader;
}

export const defaultMaxEventBytes = 16 * 1024 * 1024;

/** The error for an event that passed the cap. */
export function eventTooLarge(maxEventBytes: number): TroupeError {
  const message = `One event of the answer passed ${maxEventBytes} bytes. Raise \`maxEventBytes\` if such events are wanted.`;
  return new TroupeError('TROUPE_ERR_BACKEND_TOO_LARGE', message);
}
