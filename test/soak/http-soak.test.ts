/** A few hundred asks of the soak over HTTP, on the sources: all figures but those of time and of the heap. */
import { expect, test } from 'vitest';
import * as troupe from '../../src/index.ts';
import { faultsOfSurvival, survival } from './survival.mjs';
import { faultsOfWalk, walk } from './walk.mjs';

const seed = Number(process.env['SOAK_SEED'] ?? 20_251_124);

test(`backends that fail at random: every ask ends once, with its own whole answer or a typed error (seed ${seed})`, async () => {
  const options = { seed, agents: 20, seconds: 60, asks: 400, rounds: 2, rate: 0.3, gc: undefined };
  const figures = await walk(troupe, options);
  expect([faultsOfWalk(figures, { measuresTime: false, measuresHeap: false }), figures.notes]).toEqual([[], []]);
  expect(figures.replied + figures.failed).toBe(figures.sent);
}, 120_000);

test(`one healthy backend of three: every ask is answered in time (seed ${seed})`, async () => {
  const rows = await survival(troupe, { seed, agents: 10, asks: 40, rate: 0.9 });
  expect(faultsOfSurvival(rows)).toEqual([]);
  expect(rows.map(({ answered, of }) => [answered, of])).toEqual(rows.map(() => [40, 40]));
}, 120_000);
