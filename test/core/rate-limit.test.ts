/** A window of a minute, by examples and at random: it holds, and it does not hold back for longer than it must. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RateLimit } from '../../src/core/rate-limit.ts';

const seed = Number(process.env['MODEL_SEED'] ?? 20_251_107);

test('below the limit nobody waits; then until the oldest is a minute old', () => {
  const limit = new RateLimit(2);
  expect(limit.waitMs(1000)).toBe(0);
  limit.note(1000, 1);
  expect(limit.waitMs(1500)).toBe(0);
  limit.note(1500, 1);
  expect([limit.waitMs(1500), limit.waitMs(60_999), limit.waitMs(61_000)]).toEqual([59_500, 1, 0]);
});

test('an amount that is known afterwards holds back what comes next, until enough of it is over', () => {
  const tokens = new RateLimit(100);
  tokens.note(0, 30);
  tokens.note(10, 90);
  tokens.note(20, 500);
  expect([tokens.waitMs(20), tokens.waitMs(60_010), tokens.waitMs(60_020)]).toEqual([60_000, 10, 0]);
});

test('nothing is nothing', () => {
  const tokens = new RateLimit(1);
  tokens.note(0, 0);
  expect(tokens.waitMs(0)).toBe(0);
});

test('notes within a step count until the last of them is over', () => {
  const tokens = new RateLimit(10, 100);
  tokens.note(0, 5);
  tokens.note(100, 5);
  expect([tokens.waitMs(100), tokens.waitMs(60_099), tokens.waitMs(60_100)]).toEqual([60_000, 1, 0]);
});

test('never more than N in any minute, and none waits without need', () => {
  const gaps = fc.array(
    fc.oneof(fc.constant(0), fc.nat(200), fc.nat(30_000), fc.double({ min: 0, max: 3, noNaN: true })),
  );
  const property = fc.property(fc.integer({ min: 1, max: 8 }), gaps, (perMinute, steps) => {
    const limit = new RateLimit(perMinute);
    const begun: number[] = [];
    let now = 1_700_000_000_000;
    for (const step of steps) {
      now += step;
      const waitMs = limit.waitMs(now);
      const inWindow = begun.filter((at) => at + 60_000 > now).length;
      expect(waitMs === 0).toBe(inWindow < perMinute);
      now += waitMs;
      // A sum of fractions may end a hair short of the minute.
      while (limit.waitMs(now) > 0) now += 1;
      limit.note(now, 1);
      begun.push(now);
    }
    for (const from of begun)
      expect(begun.filter((at) => at >= from && at < from + 60_000).length).toBeLessThanOrEqual(perMinute);
  });
  fc.assert(property, { seed, numRuns: 500 });
});

test('with steps it is never too generous, and late by a step at most', () => {
  const stepMs = 100;
  const notes = fc.array(fc.tuple(fc.nat(2000), fc.nat(50)), { maxLength: 300 });
  const property = fc.property(fc.integer({ min: 1, max: 2000 }), notes, (perMinute, given) => {
    const limit = new RateLimit(perMinute, stepMs);
    const noted: [at: number, amount: number][] = [];
    let now = 0;
    const sumFrom = (from: number) => noted.reduce((sum, [at, amount]) => (at > from ? sum + amount : sum), 0);
    for (const [step, amount] of given) {
      now += step;
      limit.note(now, amount);
      noted.push([now, amount]);
      const waitMs = limit.waitMs(now);
      if (waitMs === 0) expect(sumFrom(now - 60_000)).toBeLessThan(perMinute);
      else expect(sumFrom(now + waitMs - 60_000)).toBeLessThan(perMinute);
      if (waitMs > stepMs) expect(sumFrom(now + waitMs - stepMs - 1 - 60_000)).toBeGreaterThanOrEqual(perMinute);
    }
  });
  fc.assert(property, { seed, numRuns: 300 });
});
