import fc from 'fast-check';
import { expect, test } from 'vitest';
import { costOf } from '../../src/core/costs.ts';
import { type ModelPrice, modelCatalog } from '../../src/core/models.ts';
import { freePrice } from '../../src/core/prices.ts';
import { worstCaseUsd } from '../../src/core/worst-case.ts';

const call = { promptTokens: 10_000, maxOutputTokens: 1000 };

test.each([
  ['input, where nothing is known of the cache', 'gpt-4', call, 0.3 + 0.06],
  ['a write to the cache, the dearest', 'sonnet', call, 0.025 + 0.01],
  ['an alias with a version', 'openai/gpt-4o-mini-2024-07-18', call, 0.0015 + 0.0006],
  ['the longest of short prompts', 'haiku', { ...call, promptTokens: 100_000 }, 0.0125 + 0.0005],
  ['a long prompt', 'haiku', { ...call, promptTokens: 100_001 }, 0.062500625 + 0.0025],
  ['nothing', 'sonnet', { promptTokens: 0, maxOutputTokens: 0 }, 0],
])('%s: %s', (_what, model, bounds, usd) => {
  expect(worstCaseUsd(bounds, model)).toBeCloseTo(usd, 12);
});

test('nothing is said without a price, and 0 where it is free', () => {
  expect([worstCaseUsd(call, 'my-own-model'), worstCaseUsd(call, 'llama3'), worstCaseUsd(call, {})]).toEqual([
    ...[undefined, undefined, undefined],
  ]);
  expect(worstCaseUsd(call, { price: freePrice })).toBe(0);
});

test('no call within its bounds costs more, by the price of any model or by none that makes sense', () => {
  const usd = fc.nat(100_000).map((thousandths) => thousandths / 1000);
  const tier = fc.record({ aboveTokens: fc.nat(200_000), inputUsd: usd, outputUsd: usd });
  const odd: fc.Arbitrary<ModelPrice> = fc.record(
    { inputUsd: usd, outputUsd: usd, cacheReadUsd: usd, cacheWriteUsd: usd, longPrompt: tier },
    { requiredKeys: ['inputUsd', 'outputUsd'] },
  );
  const known = modelCatalog.map(({ price }) => price).filter((price) => price !== undefined);
  const used = fc.record({ input: fc.nat(300_000), output: fc.nat(10_000), read: fc.nat(100), write: fc.nat(100) });
  fc.assert(
    fc.property(
      fc.oneof(fc.constantFrom(...known), odd),
      used,
      fc.nat(1000),
      (price, { input, output, ...cached }, more) => {
        const cacheReadTokens = Math.floor((input * cached.read) / 200);
        const cacheWriteTokens = Math.floor((input * cached.write) / 200);
        const usage = { inputTokens: input, outputTokens: output, cacheReadTokens, cacheWriteTokens };
        const worst = worstCaseUsd({ promptTokens: input + more, maxOutputTokens: output + more }, { price });
        expect(costOf(usage, { price })).toBeLessThanOrEqual((worst ?? 0) * (1 + 1e-12));
      },
    ),
    { numRuns: 3000 },
  );
});
