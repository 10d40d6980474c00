/** What tokens cost by list prices. Each call by itself: a price may depend on how long its prompt was. */
import { type ModelPrice, modelInfo } from './models.ts';
import type { Usage } from './types.ts';

/** What has a price, or has none that is known: a `ModelInfo`, `{ price: prices.priceOf(model) }`. */
export interface Priced {
  readonly price?: ModelPrice | undefined;
}

/** One line of a bill: tokens of one kind, at one price. */
export interface BillLine {
  readonly what: 'input' | 'cache read' | 'cache write' | 'output';
  readonly tokens: number;
  /** USD for a million of them. */
  readonly priceUsd: number;
  readonly costUsd: number;
}

/**
 * USD that one call of a model costs by its list price; undefined when the price, the input or the output is not known.
 * Models that whoever runs them pays nothing for have no price: their backend says that they are free.
 */
export function costOf(usage: Usage, model: Priced | string): number | undefined {
  return linesOf(usage, model)?.reduce((sum, { costUsd }) => sum + costUsd, 0);
}

/** What several calls of a model cost, one line for tokens of one kind and price; undefined when one of them is not known. */
export function billOf(usages: readonly Usage[], model: Priced | string): BillLine[] | undefined {
  const bill = new Map<string, BillLine>();
  for (const usage of usages) {
    const lines = linesOf(usage, model);
    if (lines === undefined) return undefined;
    for (const { what, tokens, priceUsd } of lines.filter((line) => line.tokens > 0)) {
      const key = `${what} ${priceUsd}`;
      bill.set(key, lineOf(what, tokens + (bill.get(key)?.tokens ?? 0), priceUsd));
    }
  }
  return [...bill.values()];
}

/**
 * Cached tokens whose price is not known are taken as input. Prices of the cache are known for short prompts; for long ones
 * they rise as that of the input does.
 */
function linesOf(usage: Usage, model: Priced | string): BillLine[] | undefined {
  const { price } = (typeof model === 'string' ? modelInfo(model) : model) ?? {};
  const { inputTokens, outputTokens, cacheReadTokens = 0, cacheWriteTokens = 0 } = usage;
  if (price === undefined || inputTokens === undefined || outputTokens === undefined) return undefined;
  const { inputUsd, outputUsd, cacheReadUsd, cacheWriteUsd } = priceFor(price, inputTokens);
  return [
    lineOf('input', Math.max(0, inputTokens - cacheReadTokens - cacheWriteTokens), inputUsd),
    lineOf('cache read', cacheReadTokens, cacheReadUsd),
    lineOf('cache write', cacheWriteTokens, cacheWriteUsd),
    lineOf('output', outputTokens, outputUsd),
  ];
}

/** The prices that hold for a prompt of so many tokens. */
export function priceFor(price: ModelPrice, inputTokens: number) {
  const { longPrompt } = price;
  const { inputUsd, outputUsd } = longPrompt !== undefined && inputTokens > longPrompt.aboveTokens ? longPrompt : price;
  const rise = price.inputUsd === 0 ? 1 : inputUsd / price.inputUsd;
  const cached = (usd: number | undefined) => (usd === undefined ? inputUsd : usd * rise);
  return { inputUsd, outputUsd, cacheReadUsd: cached(price.cacheReadUsd), cacheWriteUsd: cached(price.cacheWriteUsd) };
}

function lineOf(what: BillLine['what'], tokens: number, priceUsd: number): BillLine {
  return { what, tokens, priceUsd, costUsd: (tokens * priceUsd) / 1e6 };
}
