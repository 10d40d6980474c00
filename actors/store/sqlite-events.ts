/** What a SQLite store tells besides the results of its calls. */
import type { TroupeError } from '../../src/core/errors.ts';

export type SqliteStoreEvent =
  | RecoveredEvent
  /** A process that ended without closing the store had it before. */
  | { readonly type: 'lock-recovered'; readonly pid: number }
  /** The file was of an older version. It is kept as `backup`. */
  | { readonly type: 'migrated'; readonly from: number; readonly to: number; readonly backup: string }
  /** Writes could not be made durable yet. They are kept, and tried again with the next ones and with `barrier()`. */
  | { readonly type: 'write-failed'; readonly error: TroupeError }
  /** Writes are lost: too many waited for the disk, or they are no data. */
  | { readonly type: 'writes-dropped'; readonly count: number; readonly error: TroupeError };

/** The store was not closed; its log was read up to the last commit that is whole. */
interface RecoveredEvent {
  readonly type: 'recovered';
  readonly frames: number;
  /** Frames behind that commit: not committed or torn. */
  readonly droppedFrames: number;
  readonly droppedBytes: number;
  /** Commits among them. Not 0 when the disk lost what it had acknowledged. */
  readonly droppedCommits: number;
  /** Where the log is kept as it was; absent when nothing was dropped. */
  readonly keptAt?: string;
}
