import { describe, expect, test } from 'vitest';
import { priceTable } from '../../src/core/prices.ts';
import { unknownUsage } from '../../src/core/usage.ts';
import type { UsageRow } from '../../src/core/usage-report.ts';
import { whatIf } from '../../src/core/what-if.ts';

const row = (model: string, more: Partial<UsageRow> = {}): UsageRow => ({
  ...{ agent: 'a', backend: 'b', model, day: '2026-11-24', calls: 1, unpriced: 0, costUsd: 0 },
  usage: { ...unknownUsage, inputTokens: 1000, outputTokens: 100 },
  ...more,
});

const same = 'The other model is taken to need the same tokens: it may count and answer differently.';

test('the data gateway: a cheap fetcher and a free analyst instead of Sonnet alone', () => {
  const usage = (inputTokens: number, outputTokens: number) => ({ ...unknownUsage, inputTokens, outputTokens });
  const fetcher = row('haiku', { calls: 2, usage: usage(891, 77), costUsd: 0.0001276 });
  const analyst = row('llama3.1', { calls: 4, usage: usage(532, 106) });
  expect(whatIf([fetcher, analyst], 'sonnet')).toEqual({
    model: 'sonnet',
    price: {
      ...{ inputUsd: 2, outputUsd: 10, cacheReadUsd: 0.1, cacheWriteUsd: 2.5 },
      ...{ date: '2026-11', source: 'Claude Code 2.1' },
    },
    compared: { calls: 6, unpriced: 0, usage: usage(1423, 183), costUsd: 0.0001276 },
    leftOut: 0,
    actualUsd: 0.0001276,
    costUsd: 0.004676,
    savedShare: expect.closeTo(0.97271, 5),
    assumptions: [same],
  });
});

describe('unknown is never 0', () => {
  test('rows without tokens or without cost are left out and counted', () => {
    const rows = [
      row('known', { costUsd: 0.001 }),
      row('no price', { costUsd: undefined, unpriced: 3, calls: 3 }),
      row('no input', { usage: { ...unknownUsage, outputTokens: 5 } }),
      row('no output', { usage: { ...unknownUsage, inputTokens: 5 } }),
    ];
    const { compared, leftOut, actualUsd, costUsd, assumptions } = whatIf(rows, 'sonnet') ?? {};
    expect([compared?.calls, leftOut, actualUsd, costUsd]).toEqual([1, 5, 0.001, 0.003]);
    expect(assumptions).toEqual([same, '5 calls left out, of which the tokens or the cost are not known.']);
  });

  test('a row that lacks the price of some call says so', () => {
    const { assumptions, savedShare } = whatIf([row('x', { calls: 2, unpriced: 1, costUsd: 0.0015 })], 'sonnet') ?? {};
    expect(savedShare).toBe(0.5);
    expect(assumptions).toEqual([
      ...[same, '1 call of those compared had no price, so that at least this was paid and at most this saved.'],
    ]);
  });

  test('nothing is said of a model without a price', () => {
    expect([whatIf([row('x')], 'my-own'), whatIf([row('x')], 'llama3')]).toEqual([undefined, undefined]);
  });

  test('nor of a saving where the other model is free, or where nothing can be compared', () => {
    const prices = priceTable({ date: '2026-11', models: { own: { inputUsd: 0, outputUsd: 0 } } });
    const free = whatIf([row('x', { costUsd: 1 })], 'own', prices);
    expect([free?.actualUsd, free?.costUsd, free?.savedShare]).toEqual([1, 0, undefined]);
    const none = whatIf([], 'sonnet');
    expect([none?.compared.costUsd, none?.actualUsd, none?.costUsd, none?.savedShare]).toEqual([
      undefined,
      0,
      0,
      undefined,
    ]);
  });
});

test('a dearer choice saves less than nothing', () => {
  expect(whatIf([row('x', { costUsd: 0.0045 })], 'sonnet')?.savedShare).toBe(-0.5);
});

test('cached tokens are cached there, too', () => {
  const usage = { inputTokens: 1000, outputTokens: 0, cacheReadTokens: 600, cacheWriteTokens: 200 };
  const rows = [row('x', { usage })];
  const sonnet = whatIf(rows, 'sonnet');
  expect(sonnet?.costUsd).toBe(0.00096);
  expect(sonnet?.assumptions).toEqual([
    same,
    'What was cached is taken to be cached there, too: read at $0.10, written at $2.50 a million tokens.',
  ]);
  expect(whatIf(rows, 'gpt-4')?.costUsd).toBe(0.03);
});

test('a sum of many prompts is no long prompt', () => {
  const many = whatIf(
    [row('x', { calls: 500, usage: { ...unknownUsage, inputTokens: 500_000, outputTokens: 0 } })],
    'haiku',
  );
  expect(many?.costUsd).toBe(0.05);
  expect(many?.assumptions).toEqual([
    same,
    'No prompt is taken to have more than 100000 tokens, above which it costs more there.',
  ]);
});
