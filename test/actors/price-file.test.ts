/** Price files, one of them with the prices of the design document. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadPrices } from '../../actors/price-file.ts';
import { costOf } from '../../src/core/costs.ts';
import { priceTable } from '../../src/core/prices.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-prices-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const design = new URL('../fixtures/prices/design-2025.json', import.meta.url).pathname;

function file(content: string): string {
  const path = join(folder, 'prices.json');
  writeFileSync(path, content);
  return path;
}

test('a file is its own source, unless it names another', async () => {
  const path = file('{"date": "2026-11", "models": {"m": {"inputUsd": 0, "outputUsd": 0.5}}}');
  const list = await loadPrices(path);
  expect(list).toEqual({ date: '2026-11', source: path, models: { m: { inputUsd: 0, outputUsd: 0.5 } } });
  expect((await loadPrices(design)).source).toBe('the design document');
});

test.each([
  ['no file', () => join(folder, 'none.json'), 'none.json cannot be read: ENOENT'],
  ['no JSON', () => file('{"key": "sk-canary"'), 'prices.json is no valid JSON.'],
  ['no price list', () => file('[]'), 'prices.json: `date`, `models` must be given.'],
])('%s', async (_what, path, says) => {
  await expect(loadPrices(path())).rejects.toThrow(says);
  await expect(loadPrices(path())).rejects.toMatchObject({
    code: 'TROUPE_ERR_OPTION_INVALID',
    message: expect.not.stringContaining('canary'),
  });
});

describe('by the prices of the design document', () => {
  const tokens = (inputTokens: number, outputTokens: number) => ({
    ...{ inputTokens, outputTokens, cacheReadTokens: undefined, cacheWriteTokens: undefined },
  });
  const haiku = 'claude-haiku-3-5-20241022';
  const sonnet = 'claude-sonnet-4-20250514';

  test.each([
    ['one agent of 50,000 tokens', sonnet, tokens(50_000, 0), 0.15],
    ['one of five experts of 5,000', sonnet, tokens(5000, 0), 0.015],
    ['an analysis', sonnet, tokens(50, 500), 0.00765],
    ['raw JSON instead', sonnet, tokens(30, 50), 0.00084],
    ['raw JSON by Haiku', haiku, tokens(30, 50), 0.000224],
    ['a synthesis', 'claude-opus-4-20250514', tokens(10_000, 1000), 0.225],
    // It names no prices of the cache: what was cached costs as much as what was not.
    ['what was cached', sonnet, { ...tokens(1000, 0), cacheReadTokens: 900 }, 0.003],
  ])('%s, on %s', async (_what, model, usage, usd) => {
    const prices = priceTable(await loadPrices(design));
    expect(costOf(usage, { price: prices.priceOf(model) })).toBeCloseTo(usd, 12);
  });

  test('Haiku is 3.75 times cheaper than Sonnet, "about four"; five experts cost half', async () => {
    const prices = priceTable(await loadPrices(design));
    const cost = (model: string, usage = tokens(1000, 1000)) => costOf(usage, { price: prices.priceOf(model) }) ?? 0;
    expect(cost(sonnet) / cost(haiku)).toBeCloseTo(3.75, 12);
    expect((5 * cost(sonnet, tokens(5000, 0))) / cost(sonnet, tokens(50_000, 0))).toBeCloseTo(0.5, 12);
  });
});
