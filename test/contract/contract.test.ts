/** Every backend against one contract, on real servers and real processes. */
import { afterAll, describe, expect, it } from 'vitest';
import { contractCases } from './cases.ts';
import { worlds } from './worlds.ts';

interface Tally {
  met: number;
  run: number;
  readonly cannot: Map<string, string[]>;
}

const tallies = new Map<string, Tally>();

describe.each(worlds.map((world) => [world.name, world] as const))('%s', (_, world) => {
  const tally: Tally = { met: 0, run: 0, cannot: new Map() };
  tallies.set(world.name, tally);
  const cases = contractCases(world);
  for (const { name, cannot } of cases) {
    if (cannot !== undefined) tally.cannot.set(cannot, [...(tally.cannot.get(cannot) ?? []), name]);
  }

  const possible = cases.filter(({ cannot }) => cannot === undefined).map(({ name, run }) => [name, run] as const);
  // Processes take their time to start; what waits for one lets another case go on.
  const concurrent = world.lacks.process === undefined;
  it.each(possible)('%s', { timeout: world.timeoutMs, concurrent }, async (_name, run) => {
    tally.run += 1;
    await run();
    tally.met += 1;
  });
});

it('every case was run in every world or has a reason why it cannot be, and all that was run was met', () => {
  const counted = [...tallies.values()].map(({ run, cannot }) => run + [...cannot.values()].flat().length);
  expect(counted).toEqual(worlds.map((world) => contractCases(world).length));
  expect(new Set(counted).size).toBe(1);
  expect([...tallies].filter(([, { met, run }]) => met !== run).map(([name]) => name)).toEqual([]);
});

afterAll(() => {
  const lines = [...tallies].flatMap(([name, { met, run, cannot }]) => {
    const reasons = [...cannot].map(([reason, names]) => `  cannot: ${reason} (${names.length}: ${names.join('; ')})`);
    return [`${name}: met ${met} / run ${run}, cannot ${[...cannot.values()].flat().length}`, ...reasons];
  });
  const sum = (of: 'met' | 'run') => [...tallies.values()].reduce((total, tally) => total + tally[of], 0);
  process.stdout.write(`${[...lines, `total: met ${sum('met')} / run ${sum('run')}`].join('\n')}\n`);
});
