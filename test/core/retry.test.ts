/** When a call is made again, as a table. */
import { expect, test } from 'vitest';
import { type RetryFacts, retryDelayMs } from '../../src/core/retry.ts';

const facts: RetryFacts = {
  class: 'transient',
  retryable: true,
  retryAfterMs: undefined,
  retries: 0,
  remainingMs: 100_000,
  delivered: false,
};

test.each([
  ['first try: up to half a second', {}, 0.5, 250],
  ['it doubles', { retries: 2 }, 0.5, 1000],
  ['it is capped', { retries: 20 }, 0.5, 4000],
  ['not when it cannot help', { retryable: false }, 0.5, null],
  ['not when text was seen', { delivered: true }, 0.5, null],
  ['Retry-After is kept', { retryAfterMs: 3000 }, 0, 3000],
  ['with a little on top', { retryAfterMs: 3000 }, 0.5, 3150],
  ['but not when it is long', { retryAfterMs: 60_001 }, 0, null],
  ['and never past the deadline', { retryAfterMs: 3000, remainingMs: 3000 }, 0, null],
  ['nor does our own wait', { remainingMs: 250 }, 0.5, null],
] as [string, Partial<RetryFacts>, number, number | null][])('%s', (_name, given, random, expected) => {
  expect(retryDelayMs({ ...facts, ...given }, () => random)).toBe(expected);
});
