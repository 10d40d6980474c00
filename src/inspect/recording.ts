/**
 * Recordings: an inspection as lines of JSON in a file, to be looked at later.
 *
 * The first line holds the snapshot, each further one a message. A file whose writer was killed ends in half a line; it is
 * read up to there.
 */
import { appendFile, closeSync, createReadStream, openSync } from 'node:fs';
import { promisify } from 'node:util';
import { reasonOf, TroupeError } from '../core/errors.ts';
import { checkOptions, rules } from '../core/options.ts';
import type { InspectMessage, InspectSnapshot } from './messages.ts';
import type { Sink } from './sink.ts';

export interface JsonlSinkOptions {
  /** Bytes that the file may have; what would come after them is left out. Default 256 MiB. */
  readonly maxBytes?: number;
}

/** What a recording holds. */
export interface Recording {
  readonly snapshot: InspectSnapshot;
  readonly messages: readonly InspectMessage[];
  /** Lines that are no messages: the cut last one, or damaged ones. They are left out. */
  readonly damagedLines: number;
  /** Messages that the writer left out, since the disk was too slow or the file full, and those of damaged lines. */
  readonly missing: number;
}

interface FirstLine {
  readonly troupeRecording: 1;
  readonly snapshot: InspectSnapshot;
}

/** Bytes that may wait for the disk; messages beyond them are left out. */
const maxWaitingBytes = 16 * 1024 * 1024;
const maxLineLength = 8 * 1024 * 1024;
const append = promisify(appendFile);

/**
 * Records into a file, which is replaced if it is there; only its owner can read it. Throws `TROUPE_ERR_OPTION_INVALID` when
 * it cannot be written. `close` rejects with `TROUPE_ERR_STORE_FAILED` when the disk took not all of it.
 */
export function jsonlSink(path: string, options: JsonlSinkOptions = {}): Sink {
  checkOptions('jsonlSink', { path, ...options }, { path: rules.text, maxBytes: rules.positiveCount });
  const file = openFor(path);
  const maxBytes = options.maxBytes ?? 256 * 1024 * 1024;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let takenBytes = 0;
  let writing: Promise<void> | undefined;
  let failure: TroupeError | undefined;
  let closed: Promise<void> | undefined;

  const put = (value: FirstLine | InspectMessage) => {
    const line = Buffer.from(`${JSON.stringify(value)}\n`);
    if (failure !== undefined || closed !== undefined) return;
    if (takenBytes + line.length > maxBytes || waitingBytes + line.length > maxWaitingBytes) return;
    waiting.push(line);
    waitingBytes += line.length;
    takenBytes += line.length;
    writing ??= Promise.resolve().then(flush);
  };
  const flush = async () => {
    try {
      while (waiting.length > 0) {
        const lines = waiting;
        waiting = [];
        waitingBytes = 0;
        await append(file, Buffer.concat(lines));
      }
    } catch (thrown) {
      const message = `The recording "${path}" could not be written: ${reasonOf(thrown)}`;
      failure = new TroupeError('TROUPE_ERR_STORE_FAILED', message, { cause: thrown });
    } finally {
      writing = undefined;
    }
  };
  return {
    join(feed) {
      feed.want(true);
      put({ troupeRecording: 1, snapshot: feed.snapshot() });
    },
    write: put,
    close() {
      closed ??= Promise.resolve(writing).then(() => {
        closeSync(file);
        if (failure !== undefined) throw failure;
      });
      return closed;
    },
  };
}

/** Reads a recording. Throws `TROUPE_ERR_PATH_REFUSED` when the file cannot be read or is no recording. */
export async function readRecording(path: string): Promise<Recording> {
  checkOptions('readRecording', { path }, { path: rules.text });
  let snapshot: InspectSnapshot | undefined;
  const messages: InspectMessage[] = [];
  let damagedLines = 0;
  try {
    for await (const line of linesOf(path)) {
      const value = parsed(line);
      if (snapshot === undefined) snapshot = snapshotOf(value);
      else if (isMessage(value)) messages.push(value);
      else damagedLines += 1;
      if (snapshot === undefined) break;
    }
  } catch (thrown) {
    throw refused(path, `cannot be read: ${reasonOf(thrown)}`, thrown);
  }
  if (snapshot === undefined) throw refused(path, 'is no recording: its first line holds no snapshot');
  const last = messages.at(-1)?.seq ?? snapshot.seq;
  return { snapshot, messages, damagedLines, missing: last - snapshot.seq - messages.length };
}

/** Gives a recording to a sink at once, message by message; the sink is not closed. */
export function replay(recording: Recording, sink: Pick<Sink, 'write'>): void {
  for (const message of recording.messages) sink.write(message);
}

function openFor(path: string): number {
  try {
    return openSync(path, 'w', 0o600);
  } catch (thrown) {
    const message = `jsonlSink: \`path\` "${path}" cannot be written: ${reasonOf(thrown)}`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message, { cause: thrown });
  }
}

/** The lines of a file, each with a cap: what is longer counts as damaged. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of createReadStream(path, { encoding: 'utf8' })) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield line;
    if (rest.length > maxLineLength) throw new Error(`a line is longer than ${maxLineLength} characters`);
  }
  if (rest !== '') yield rest;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function snapshotOf(value: unknown): InspectSnapshot | undefined {
  const { troupeRecording, snapshot } = (value ?? {}) as Partial<FirstLine>;
  return troupeRecording === 1 && Array.isArray(snapshot?.agents) ? snapshot : undefined;
}

function isMessage(value: unknown): value is InspectMessage {
  const { seq, at, agent, kind } = (value ?? {}) as Partial<InspectMessage>;
  return typeof seq === 'number' && typeof at === 'number' && typeof agent === 'string' && typeof kind === 'string';
}

function refused(path: string, why: string, cause?: unknown): TroupeError {
  return new TroupeError('TROUPE_ERR_PATH_REFUSED', `The recording "${path}" ${why}.`, { cause });
}
