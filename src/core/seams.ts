/**
 * The seams to the outside world that core and charts must not touch themselves: time, ids, chance.
 * The runtime takes one of each; tests give their own.
 */

/** Time. Production uses the process's monotonic clock, tests a virtual one. */
export interface Clock {
  /** Milliseconds since the epoch. Differences between two calls are durations: it never goes back. */
  now(): number;
  /** Calls `callback` once after `ms` milliseconds; the handle is for `clearTimeout`. */
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** Makes the next id of a kind, unique within its troupe: `ask-1`, `call-7`. */
export type Ids = (kind: string) => string;

/** A number in [0, 1), for jitter. */
export type Random = () => number;
