/** When a failed call may be made again on the same backend. */
import type { ErrorClass } from './errors.ts';
import type { Random } from './seams.ts';

export interface RetryFacts {
  readonly class: ErrorClass;
  readonly retryable: boolean;
  /** How long the server asked to wait. */
  readonly retryAfterMs: number | undefined;
  /** Repeats made so far. */
  readonly retries: number;
  /** Time that is left for the ask. */
  readonly remainingMs: number;
  /** Whether a caller has seen text of the failed call: then repeating it would show text twice. */
  readonly delivered: boolean;
}

/** The longest wait that a server can make us take. */
const longestRetryAfterMs = 60_000;
const firstWaitMs = 500;
const longestWaitMs = 8_000;

/**
 * Milliseconds to wait before the next try; null = do not try again here.
 * Full jitter: anywhere up to 0.5 s, 1 s, 2 s … 8 s. A server's Retry-After is kept, with up to a tenth on top, when it is
 * at most 60 s; no wait goes past the deadline.
 */
export function retryDelayMs(facts: RetryFacts, random: Random): number | null {
  if (!facts.retryable || facts.delivered) return null;
  const { retryAfterMs } = facts;
  if (retryAfterMs !== undefined && retryAfterMs > longestRetryAfterMs) return null;
  const ownMs = random() * Math.min(longestWaitMs, firstWaitMs * 2 ** facts.retries);
  const waitMs = retryAfterMs === undefined ? ownMs : retryAfterMs * (1 + random() / 10);
  return waitMs < facts.remainingMs ? Math.ceil(waitMs) : null;
}
