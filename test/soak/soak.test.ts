/** A few thousand asks of the soak, on the sources: the figures that need no garbage collector. */
import { expect, test } from 'vitest';
import * as troupe from '../../src/index.ts';
import { faultsOf, soak } from './soak.mjs';

test.each([1, 2, 3])(
  'replies and typed errors are all that was asked, and nothing is left (seed %i)',
  async (seed) => {
    const figures = await soak(troupe, { asks: 1500, agents: 20, seed, gc: undefined });
    expect(faultsOf(figures, false)).toEqual([]);
    expect(figures.replied + figures.failed).toBe(1500);
  },
  60_000,
);
