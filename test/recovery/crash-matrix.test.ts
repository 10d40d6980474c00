/** A small part of the crash matrix: real processes, ended by SIGKILL. All of it: `npm run test:crashes`. */
import { expect, test } from 'vitest';
import { distFolder } from '../helpers/processes.ts';
import { crashMatrix } from './crash-matrix.mjs';

test('a day is finished and nothing is lost or done twice, wherever its process is ended', async () => {
  const { tried, survived, faults } = await crashMatrix({ dist: distFolder(), seed: 1, random: 4, every: 20 });
  expect(faults).toEqual([]);
  expect(survived).toBe(tried);
  expect(tried).toBeGreaterThan(8);
}, 120_000);
