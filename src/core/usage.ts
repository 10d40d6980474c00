/** Arithmetic of tokens. Unknown plus a number is that number; unknown plus unknown stays unknown. */
import type { Usage } from './types.ts';

/** Tokens and USD; `costUsd` is undefined when no price is known. */
export interface Spend {
  readonly usage: Usage;
  readonly costUsd: number | undefined;
}

/** A usage of which nothing is known. */
export const unknownUsage: Usage = {
  inputTokens: undefined,
  outputTokens: undefined,
  cacheReadTokens: undefined,
  cacheWriteTokens: undefined,
};

/** The usage of a call that needs no tokens at all. */
export const zeroUsage: Usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0 };

/** Sum of two usages, field by field. */
export function addUsage(a: Usage, b: Usage): Usage {
  return {
    inputTokens: addKnown(a.inputTokens, b.inputTokens),
    outputTokens: addKnown(a.outputTokens, b.outputTokens),
    cacheReadTokens: addKnown(a.cacheReadTokens, b.cacheReadTokens),
    cacheWriteTokens: addKnown(a.cacheWriteTokens, b.cacheWriteTokens),
  };
}

/** Sum of two spends. */
export function addSpend(a: Spend, b: Spend): Spend {
  return { usage: addUsage(a.usage, b.usage), costUsd: addKnown(a.costUsd, b.costUsd) };
}

/** Prompt and answer together; undefined when neither is known. */
export function totalTokens(usage: Usage): number | undefined {
  return addKnown(usage.inputTokens, usage.outputTokens);
}

/** Sum of two figures of which either may be unknown. */
export function addKnown(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : a + b;
}
