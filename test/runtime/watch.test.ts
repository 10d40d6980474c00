/** The timers of a model call when the process itself stood still. */
import { expect, test } from 'vitest';
import { Watch } from '../../src/runtime/watch.ts';

/** A clock whose one timer fires when the test says, and that late. */
function lateClock() {
  let now = 1000;
  let timer: { readonly at: number; readonly callback: () => void } | undefined;
  return {
    now: () => now,
    setTimeout: (callback: () => void, ms: number) => {
      timer = { at: now + ms, callback };
    },
    clearTimeout: () => {
      timer = undefined;
    },
    pass: (ms: number) => {
      now += ms;
    },
    /** How long the timer still has; then it fires, `lateMs` after its time. */
    fire(lateMs: number): number | undefined {
      const due = timer;
      timer = undefined;
      if (due === undefined) return undefined;
      const leftMs = due.at - now;
      now = due.at + lateMs;
      due.callback();
      return leftMs;
    },
  };
}

function watched() {
  const clock = lateClock();
  const said: [what: string, ms: number][] = [];
  const limits = { askMs: 9000, firstEventMs: 400, idleMs: 300, toolMs: 9000 };
  const watch = new Watch(clock, limits, (what, ms) => said.push([what, ms]));
  expect([clock.fire(0), said]).toEqual([300, []]);
  return { clock, watch, said };
}

test('a timer in time says at once that nothing came', () => {
  const { clock, said } = watched();
  expect([clock.fire(50), said]).toEqual([100, [['no content', 400]]]);
});

test('a late one listens once more, for as long as it was late, and what was not read before is heard', () => {
  const { clock, watch, said } = watched();
  clock.fire(51);
  clock.pass(1);
  watch.heard();
  expect([clock.fire(0), clock.fire(0), said]).toEqual([50, 250, [['nothing more', 300]]]);
});

test('but only once, and never for longer than `idleMs`', () => {
  const { clock, said } = watched();
  clock.fire(5000);
  expect(said).toEqual([]);
  expect([clock.fire(5000), said]).toEqual([300, [['no content', 400]]]);
});

test('after each piece anew', () => {
  const { clock, watch, said } = watched();
  clock.fire(100);
  watch.heard();
  clock.fire(300);
  clock.fire(100);
  expect([clock.fire(0), said]).toEqual([undefined, [['nothing more', 300]]]);
});
