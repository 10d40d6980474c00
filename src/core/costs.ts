/** What tokens cost by list prices. One call at a time: a price may depend on how long its prompt was. */
import { type ModelInfo, type ModelPrice, modelInfo } from './models.ts';
import type { Usage } from './types.ts';

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
export function costOf(model: ModelInfo | string, usage: Usage): number | undefined {
  return billOf(model, usage)?.reduce((sum, { costUsd }) => sum + costUsd, 0);
}

/**
 * The same, line by line, without lines of no tokens. Cached tokens whose price is not known are taken as input. Prices of
 * the cache are known for short prompts; for long ones they rise as that of the input does.
 */
export function billOf(model: ModelInfo | string, usage: Usage): BillLine[] | undefined {
  const { price } = (typeof model === 'string' ? modelInfo(model) : model) ?? {};
  const { inputTokens, outputTokens, cacheReadTokens = 0, cacheWriteTokens = 0 } = usage;
  if (price === undefined || inputTokens === undefined || outputTokens === undefined) return undefined;
  const { inputUsd, outputUsd, cacheReadUsd, cacheWriteUsd } = priceFor(price, inputTokens);
  return [
    line('input', Math.max(0, inputTokens - cacheReadTokens - cacheWriteTokens), inputUsd),
    line('cache read', cacheReadTokens, cacheReadUsd),
    line('cache write', cacheWriteTokens, cacheWriteUsd),
    line('output', outputTokens, outputUsd),
  ].filter(({ tokens }) => tokens > 0);
}

/** The prices that hold for a prompt of so many tokens. */
function priceFor(price: ModelPrice, inputTokens: number) {
  const { longPrompt } = price;
  const { inputUsd, outputUsd } = longPrompt !== undefined && inputTokens > longPrompt.aboveTokens ? longPrompt : price;
  const rise = inputUsd / price.inputUsd;
  const { cacheReadUsd = price.inputUsd, cacheWriteUsd = price.inputUsd } = price;
  return { inputUsd, outputUsd, cacheReadUsd: cacheReadUsd * rise, cacheWriteUsd: cacheWriteUsd * rise };
}

function line(what: BillLine['what'], tokens: number, priceUsd: number): BillLine {
  return { what, tokens, priceUsd, costUsd: (tokens * priceUsd) / 1e6 };
}
