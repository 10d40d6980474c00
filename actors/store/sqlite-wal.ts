/**
 * What a process that did not close its store left in the write-ahead log, read before SQLite reads it: SQLite takes
 * the valid beginning and says nothing of the rest.
 * The format is https://www.sqlite.org/fileformat2.html#walformat.
 */
import { readFileSync } from 'node:fs';

export interface WalContent {
  /** Frames up to the last valid commit: what SQLite takes. */
  readonly frames: number;
  /** Frames of the same log behind them: not committed, torn, or behind a torn one. */
  readonly droppedFrames: number;
  /** Their size, with that of a last one that is cut. */
  readonly droppedBytes: number;
  /** Commits among them: what may have been acknowledged. */
  readonly droppedCommits: number;
  /** The first page of the file as the log has it; undefined when it has none. */
  readonly firstPage: Buffer | undefined;
}

/** Reads the log at `path`; undefined when there is none, or an empty one. */
export function readWal(path: string): WalContent | undefined {
  const bytes = attempt(() => readFileSync(path));
  if (bytes === undefined || bytes.length === 0) return undefined;
  const header = readHeader(bytes);
  if (header === undefined) {
    return { frames: 0, droppedFrames: 0, droppedBytes: bytes.length, droppedCommits: 0, firstPage: undefined };
  }
  return readFrames(bytes, header);
}

interface WalHeader {
  readonly frameSize: number;
  readonly salt: Buffer;
  readonly sum: Checksum;
}

const headerSize = 32;
const frameHeaderSize = 24;

function readHeader(bytes: Buffer): WalHeader | undefined {
  if (bytes.length < headerSize) return undefined;
  const magic = bytes.readUInt32BE(0);
  if (magic !== 0x377f0682 && magic !== 0x377f0683) return undefined;
  const sum = new Checksum(magic === 0x377f0683);
  sum.add(bytes.subarray(0, 24));
  if (!sum.isAt(bytes, 24)) return undefined;
  return { frameSize: frameHeaderSize + bytes.readUInt32BE(8), salt: bytes.subarray(16, 24), sum };
}

function readFrames(bytes: Buffer, { frameSize, salt, sum }: WalHeader): WalContent {
  let isValid = true;
  let frames = 0;
  let droppedFrames = 0;
  let droppedCommits = 0;
  let pending: Buffer | undefined;
  let firstPage: Buffer | undefined;
  let at = headerSize;
  for (; at + frameSize <= bytes.length; at += frameSize) {
    const frame = bytes.subarray(at, at + frameSize);
    // Behind the end of this log stands what is left of an older one.
    if (!frame.subarray(8, 16).equals(salt)) break;
    isValid &&= isSummed(frame, sum);
    const isCommit = frame.readUInt32BE(4) !== 0;
    if (isValid && frame.readUInt32BE(0) === 1) pending = frame.subarray(frameHeaderSize);
    droppedFrames += 1;
    if (isCommit && isValid) {
      frames += droppedFrames;
      droppedFrames = 0;
      firstPage = pending;
    } else if (isCommit) droppedCommits += 1;
  }
  const cut = bytes.subarray(at);
  const isCut = cut.length > 0 && cut.length < frameSize && isOfSalt(cut, salt);
  const droppedBytes = droppedFrames * frameSize + (isCut ? cut.length : 0);
  return { frames, droppedFrames, droppedBytes, droppedCommits, firstPage };
}

function isSummed(frame: Buffer, sum: Checksum): boolean {
  sum.add(frame.subarray(0, 8));
  sum.add(frame.subarray(frameHeaderSize));
  return sum.isAt(frame, 16);
}

function isOfSalt(cut: Buffer, salt: Buffer): boolean {
  return cut.length < 16 || cut.subarray(8, 16).equals(salt);
}

/** SQLite's running checksum over pairs of 32-bit words. */
class Checksum {
  readonly #isBigEndian: boolean;
  #first = 0;
  #second = 0;

  constructor(isBigEndian: boolean) {
    this.#isBigEndian = isBigEndian;
  }

  add(bytes: Buffer): void {
    for (let at = 0; at + 8 <= bytes.length; at += 8) {
      this.#first = (this.#first + this.#word(bytes, at) + this.#second) >>> 0;
      this.#second = (this.#second + this.#word(bytes, at + 4) + this.#first) >>> 0;
    }
  }

  isAt(bytes: Buffer, at: number): boolean {
    return bytes.readUInt32BE(at) === this.#first && bytes.readUInt32BE(at + 4) === this.#second;
  }

  #word(bytes: Buffer, at: number): number {
    return this.#isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at);
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
