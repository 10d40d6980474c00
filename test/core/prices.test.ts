import { describe, expect, test } from 'vitest';
import { costOf } from '../../src/core/costs.ts';
import { modelCatalog } from '../../src/core/models.ts';
import { checkPrices, freePrice, type PriceList, priceTable } from '../../src/core/prices.ts';

const date = '2026-11-24';
const free = { price: 'free' } as const;
const paid = { price: 'per-token' } as const;

/** A price that is told from others by its input. */
const at = (inputUsd: number) => ({ inputUsd, outputUsd: 1 });

describe('a price is', () => {
  const models = {
    haiku: at(1),
    'qwen2.5': at(2),
    'qwen2.5:72b': at(3),
    'my-model': at(4),
    'vendor/my-model': at(5),
    'claude-sonnet-4': { ...at(6), date: '2025-01', source: 'an old bill' },
  };
  const table = priceTable({ date, models });
  const own = { date, source: 'your own prices' };

  test.each([
    ['of an alias', 'haiku', { ...at(1), ...own }],
    ['of the id whose alias has one', 'claude-haiku-5-5', { ...at(1), ...own }],
    ['of the same with a date', 'anthropic/claude-haiku-5-5-20260901', { ...at(1), ...own }],
    ['of any version', 'qwen2.5:7b', { ...at(2), ...own }],
    ['of the version that has its own', 'qwen2.5:72b', { ...at(3), ...own }],
    ['of another model of the kin', 'qwen2.5-coder:7b', undefined],
    ['of a model that nobody else knows', 'other/my-model', { ...at(4), ...own }],
    ['of one vendor', 'vendor/my-model', { ...at(5), ...own }],
    ['of an old bill', 'claude-sonnet-4-20250514', { ...at(6), date: '2025-01', source: 'an old bill' }],
    ['not known', 'constructor', undefined],
    ['not known', '', undefined],
  ])('yours: %s, %s', (_what, model, price) => {
    expect(table.priceOf(model)).toEqual(price);
  });

  test('else none at a backend that is free, else the catalog’s, dated and with its source', () => {
    const sonnet = { inputUsd: 2, outputUsd: 10, cacheReadUsd: 0.1, cacheWriteUsd: 2.5 };
    const catalog = { ...sonnet, date: '2026-11', source: 'Claude Code 2.1' };
    expect([table.priceOf('sonnet'), table.priceOf('sonnet', paid), table.priceOf('sonnet', free)]).toEqual([
      ...[catalog, catalog, freePrice],
    ]);
    expect(table.priceOf('qwen2.5', free)).toEqual({ ...at(2), ...own });
    expect([table.priceOf('llama3', free), table.priceOf('llama3', paid)]).toEqual([freePrice, undefined]);
    expect(priceTable().priceOf('sonnet')).toEqual(catalog);
  });
});

test('every price of the catalog has its date and its source', () => {
  const bare = modelCatalog.filter(({ price }) => price !== undefined && !(price.date && price.source));
  expect(bare).toEqual([]);
});

test('a machine by the hour: 0.36 USD at 100 tokens a second is 1 USD for a million', () => {
  const machine = { usdPerHour: 0.36, inputTokensPerSecond: 2000, outputTokensPerSecond: 100 };
  const table = priceTable({ date, source: 'the lease', models: { 'llama3.1': machine } });
  const price = table.priceOf('llama3.1:8b', free);
  expect(price).toEqual({ date, source: 'the lease', inputUsd: 0.05, outputUsd: 1 });
  const usage = { inputTokens: 1e6, outputTokens: 1e6, cacheReadTokens: undefined, cacheWriteTokens: undefined };
  expect(costOf(usage, { price })).toBe(1.05);
});

test('free is 0, also of what was cached', () => {
  const usage = { inputTokens: 100, outputTokens: 10, cacheReadTokens: 50, cacheWriteTokens: 50 };
  expect(costOf(usage, { price: freePrice })).toBe(0);
});

test('a list says everything that is wrong with it', () => {
  const list = {
    date: 'today',
    modles: {},
    models: {
      a: { inputUsd: '1', outputUsd: -1, cachedUsd: 0.1 },
      b: 'free',
      c: { inputUsd: 1, outputUsd: 1, longPrompt: { aboveTokens: 0.5, inputUsd: 1 } },
      d: { usdPerHour: 1, inputUsd: 1, inputTokensPerSecond: 0 },
    },
  };
  expect(() => checkPrices('prices.json', list)).toThrow(
    [
      'prices.json: `date` must be a date such as "2026-11-24", not "today"; `modles` is no option; there are `date`, `source`, `models`.',
      'prices.json, model "a": `inputUsd` must be a number of USD from 0 to 9000000, not "1"; `outputUsd` must be a number of USD from 0 to 9000000, not -1; `cachedUsd` is no option; there are `inputUsd`, `outputUsd`, `cacheReadUsd`, `cacheWriteUsd`, `longPrompt`, `date`, `source`.',
      'prices.json, model "b": `inputUsd`, `outputUsd` must be given.',
      'prices.json, model "c", `longPrompt`: `outputUsd` must be given. prices.json, model "c", `longPrompt`: `aboveTokens` must be a whole number, 0 or more, not 0.5.',
      'prices.json, model "d": `outputTokensPerSecond` must be given. prices.json, model "d": `inputUsd` is no option; there are `usdPerHour`, `inputTokensPerSecond`, `outputTokensPerSecond`; `inputTokensPerSecond` must be a number of tokens above 0, not 0.',
    ].join(' '),
  );
  for (const nothing of [null, [], 'prices', 1, {}])
    expect(() => checkPrices('prices.json', nothing)).toThrow('prices.json: `date`, `models` must be given.');
  expect(() => priceTable({ date, models: [] } as unknown as PriceList)).toThrow(
    'The price list: `models` must be an object, not an array.',
  );
});
