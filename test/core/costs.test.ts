/** Costs by the price table, against arithmetic by hand. */
import { describe, expect, test } from 'vitest';
import { billOf, costOf } from '../../src/core/costs.ts';
import { modelInfo } from '../../src/core/models.ts';
import type { Usage } from '../../src/core/types.ts';
import { unknownUsage } from '../../src/core/usage.ts';

const haiku = 'claude-haiku-3-5-20241022';
const sonnet = 'claude-sonnet-4-20250514';
const opus = 'claude-opus-4-20250514';

function tokens(inputTokens: number, outputTokens: number, cache: Partial<Usage> = {}): Usage {
  return { inputTokens, outputTokens, cacheReadTokens: undefined, cacheWriteTokens: undefined, ...cache };
}

describe('costOf', () => {
  test.each([
    ['a million each way', haiku, tokens(1e6, 1e6), 0.8 + 4],
    ['a million each way', sonnet, tokens(1e6, 1e6), 3 + 15],
    ['a million each way', opus, tokens(1e6, 1e6), 15 + 75],
    ['nothing', sonnet, tokens(0, 0), 0],
    ['an alias', 'haiku', tokens(1000, 100), 0.0001 + 0.00005],
    ['a date behind the name', 'gpt-4o-mini-2024-07-18', tokens(1000, 1000), 0.00015 + 0.0006],
    // Of 10,000 tokens 6,000 were read at a tenth of the price, 2,000 written at 5/4 of it, 2,000 are at the full price.
    [
      'a cache',
      sonnet,
      tokens(10_000, 100, { cacheReadTokens: 6000, cacheWriteTokens: 2000 }),
      0.006 + 0.0018 + 0.0075 + 0.0015,
    ],
    ['a cache read of no known price', 'gpt-4', tokens(1000, 0, { cacheReadTokens: 400 }), 0.03],
    ['a cache write that costs nothing more', 'gpt-4o', tokens(1000, 0, { cacheWriteTokens: 400 }), 0.0025],
    ['the longest prompt at the low price', 'haiku', tokens(100_000, 1000), 0.01 + 0.0005],
    ['a long prompt', 'haiku', tokens(100_001, 1000), 0.0500005 + 0.0025],
    [
      'a long prompt from the cache',
      'haiku',
      tokens(200_000, 0, { cacheReadTokens: 100_000, cacheWriteTokens: 80_000 }),
      0.01 + 0.005 + 0.05,
    ],
    ['more cached than sent', sonnet, tokens(100, 0, { cacheReadTokens: 200 }), 0.00006],
  ])('%s, %s', (_what, model, usage, usd) => {
    expect(costOf(usage, model)).toBeCloseTo(usd, 12);
  });

  test.each([
    ['no model that is known', 'my-own-model', tokens(1, 1)],
    ['no model that has a price', 'llama3', tokens(1, 1)],
    ['no usage', sonnet, unknownUsage],
    ['no input', sonnet, { ...unknownUsage, outputTokens: 1 }],
    ['no output', sonnet, { ...unknownUsage, inputTokens: 1 }],
  ])('unknown: %s', (_what, model, usage) => {
    expect(costOf(usage, model)).toBeUndefined();
  });

  test('takes a model as well as its name', () => {
    const model = modelInfo(sonnet);
    expect(model && costOf(tokens(1000, 0), model)).toBe(0.003);
  });
});

test('a bill says which tokens at which price, and is what the calls cost', () => {
  const usage = tokens(10_000, 100, { cacheReadTokens: 6000 });
  expect(billOf([usage], opus)).toEqual([
    { what: 'input', tokens: 4000, priceUsd: 15, costUsd: 0.06 },
    { what: 'cache read', tokens: 6000, priceUsd: 1.5, costUsd: 0.009 },
    { what: 'output', tokens: 100, priceUsd: 75, costUsd: 0.0075 },
  ]);
  expect(costOf(usage, opus)).toBeCloseTo(0.0765, 12);
  const calls = [tokens(1000, 10), tokens(2000, 20), tokens(200_000, 30)];
  expect(billOf(calls, 'haiku')).toEqual([
    { what: 'input', tokens: 3000, priceUsd: 0.1, costUsd: expect.closeTo(0.0003, 12) },
    { what: 'output', tokens: 30, priceUsd: 0.5, costUsd: expect.closeTo(0.000015, 12) },
    { what: 'input', tokens: 200_000, priceUsd: 0.5, costUsd: expect.closeTo(0.1, 12) },
    { what: 'output', tokens: 30, priceUsd: 2.5, costUsd: expect.closeTo(0.000075, 12) },
  ]);
  expect([billOf([], 'haiku'), billOf([unknownUsage, usage], 'haiku'), billOf([usage], 'llama3')]).toEqual([
    ...[[], undefined, undefined],
  ]);
});

describe('what the set-ups save', () => {
  test('five experts of 5,000 tokens cost half of one agent of 50,000', () => {
    const one = costOf(tokens(50_000, 0), sonnet);
    const five = 5 * (costOf(tokens(5000, 0), sonnet) ?? 0);
    expect([one, five]).toEqual([0.15, 0.075]);
  });

  test('a question for raw JSON takes 85 % fewer tokens than one for an analysis', () => {
    const analysis = { input: 50, output: 500 };
    const fetched = { input: 30, output: 50 };
    const sum = ({ input, output }: typeof analysis) => input + output;
    expect([sum(analysis), sum(fetched), 1 - sum(fetched) / sum(analysis)]).toEqual([
      ...[550, 80],
      expect.closeTo(0.8545, 4),
    ]);
    // The price says even more, since what is saved is output: 7.65 thousandths of a dollar to 0.84, a ninth.
    expect(costOf(tokens(50, 500), sonnet)).toBeCloseTo(0.00765, 12);
    expect(costOf(tokens(30, 50), sonnet)).toBeCloseTo(0.00084, 12);
    expect(costOf(tokens(30, 50), haiku)).toBeCloseTo(0.000224, 12);
  });

  test('with Haiku 3.5 as the fetcher 90 % are saved as long as it does at most 3/8 of the work, by price', () => {
    const saving = (share: number) => 1 - (share * (costOf(tokens(1e6, 1e6), haiku) ?? 0)) / 18;
    expect([saving(1), saving(3 / 8), saving(1 / 4)].map((part) => Math.round(part * 1000) / 10)).toEqual([
      ...[73.3, 90, 93.3],
    ]);
  });
});
