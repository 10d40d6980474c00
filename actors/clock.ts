/** The process's own clock, and waiting on any clock. */
import type { Clock } from '../src/core/seams.ts';

const startedAt = Date.now() - performance.now();

/** Wall-clock time at start plus monotonic time since: it never jumps. */
export const systemClock: Clock = {
  now: () => startedAt + performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, Math.min(ms, longestTimerMs)),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};

/** Node fires a longer timer at once. */
const longestTimerMs = 2 ** 31 - 1;

/** Resolves after `ms` milliseconds of `clock`; rejects with the signal's reason once it is aborted. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clock.clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
