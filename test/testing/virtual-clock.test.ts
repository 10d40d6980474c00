/** The clock of tests. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { sleep } from '../../actors/clock.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

test('a timer that a timer starts counts from its own due time', async () => {
  const clock = new VirtualClock();
  const fired: number[] = [];
  clock.setTimeout(() => {
    clock.setTimeout(() => fired.push(clock.now()), 100);
    clock.setTimeout(() => fired.push(clock.now()), 0);
  }, 100);
  await clock.advance(250);
  expect({ fired, now: clock.now(), pending: clock.pending }).toEqual({ fired: [100, 200], now: 250, pending: 0 });
});

test('equal due times keep their order, and promises settle in between', async () => {
  const clock = new VirtualClock(1000);
  const log: string[] = [];
  const work = async (name: string) => {
    await sleep(clock, 5);
    log.push(`${name} at ${clock.now()}`);
    await Promise.resolve();
    await sleep(clock, 5);
    log.push(`${name} at ${clock.now()}`);
  };
  const both = Promise.all([work('a'), work('b')]);
  await clock.runUntilIdle();
  await both;
  expect(log).toEqual(['a at 1005', 'b at 1005', 'a at 1010', 'b at 1010']);
});

test('a sleep ends with its signal and leaves no timer', async () => {
  const clock = new VirtualClock();
  const abort = new AbortController();
  const slept = sleep(clock, 1000, abort.signal).catch((reason: unknown) => reason);
  abort.abort('enough');
  await settle();
  expect(await slept).toBe('enough');
  expect(clock.pending).toBe(0);
});

test('an endless repetition is told', async () => {
  const clock = new VirtualClock();
  const again = () => void clock.setTimeout(again, 1);
  again();
  await expect(clock.runUntilIdle(50)).rejects.toThrow('50 timers');
});

test('it never goes back, though several move it', async () => {
  const clock = new VirtualClock();
  await Promise.all([clock.advance(100), clock.advance(10)]);
  expect(clock.now()).toBe(100);
  await expect(clock.advance(-1)).rejects.toThrow('not by -1');
});

test('it sleeps, and says when the next timer is due', async () => {
  const clock = new VirtualClock(50);
  const slept = clock.sleep(20).then(() => clock.now());
  expect(clock.nextDueAt).toBe(70);
  await clock.runUntilIdle();
  expect([await slept, clock.nextDueAt]).toEqual([70, undefined]);
});

test('what is read from a disk is read before time moves', async () => {
  const clock = new VirtualClock();
  const readAt = readFile(import.meta.filename).then(() => clock.now());
  await clock.sleep(0, AbortSignal.abort()).catch(() => {});
  await clock.advance(1000);
  expect(await readAt).toBe(0);
});
