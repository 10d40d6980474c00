/** Prices from a JSON file: `{"date": "2026-11-24", "models": {"my-model": {"inputUsd": 0.2, "outputUsd": 0.8}}}`. */
import { readFile } from 'node:fs/promises';
import { reasonOf, TroupeError } from '../src/core/errors.ts';
import { checkPrices, type PriceList } from '../src/core/prices.ts';

/**
 * Reads a price list. USD for a million tokens, or for an hour of a machine; see `PriceList`.
 * Rejects with `TROUPE_ERR_OPTION_INVALID` for a file that is none, and says everything that is wrong with it.
 */
export async function loadPrices(path: string): Promise<PriceList> {
  return { source: path, ...checkPrices(path, await readJson(path)) };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    const problem = error instanceof SyntaxError ? 'is no valid JSON' : `cannot be read: ${reasonOf(error)}`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `The price file ${path} ${problem}.`, { cause: error });
  }
}
