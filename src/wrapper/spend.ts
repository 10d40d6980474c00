/** What was spent, as the protocol tells it: tokens of a turn, and a table by model. */
import type { Attempt } from '../core/errors.ts';
import type { Usage } from '../core/types.ts';

/** What one model took. */
export interface ModelSpend {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadInputTokens: number;
  readonly cacheCreationInputTokens: number;
  readonly costUSD: number;
  /** `unknown` when some of it has no price, which then counts nothing. */
  readonly costBasis: 'list' | 'unknown';
}

export type ModelSpends = ReadonlyMap<string, ModelSpend>;

/** What these model calls took. Calls of which nothing is known count nothing. */
export function spendOf(attempts: readonly Attempt[]): ModelSpends {
  const calls = attempts.filter(({ error, usage }) => error === undefined || usage.inputTokens !== undefined);
  return addSpends(
    new Map(),
    calls.map(({ model, usage, costUsd }) => [model, modelSpend(usage, costUsd)] as const),
  );
}

/** The sum of a table and more rows. */
export function addSpends(sum: ModelSpends, rows: Iterable<readonly [string, ModelSpend]>): ModelSpends {
  const total = new Map(sum);
  for (const [model, spend] of rows) {
    const known = total.get(model);
    total.set(model, known === undefined ? spend : add(known, spend));
  }
  return total;
}

/** USD over all models. */
export function totalCostUsd(spends: ModelSpends): number {
  return [...spends.values()].reduce((sum, { costUSD }) => sum + costUSD, 0);
}

/** The table as the protocol shows it. */
export function modelUsage(spends: ModelSpends): object {
  const unknown = { webSearchRequests: 0, contextWindow: 0, maxOutputTokens: 0 };
  return Object.fromEntries([...spends].map(([model, spend]) => [model, { ...spend, ...unknown }]));
}

/** The tokens of one or more calls in Anthropic's words, where the input is what no cache had. */
export function tokenUsage(spend: Omit<ModelSpend, 'costUSD' | 'costBasis'>): object {
  return {
    input_tokens: spend.inputTokens,
    cache_creation_input_tokens: spend.cacheCreationInputTokens,
    cache_read_input_tokens: spend.cacheReadInputTokens,
    output_tokens: spend.outputTokens,
  };
}

/** One usage as a row of the table. */
export function modelSpend(usage: Usage, costUsd: number | undefined): ModelSpend {
  const { inputTokens = 0, outputTokens = 0, cacheReadTokens = 0, cacheWriteTokens = 0 } = usage;
  return {
    inputTokens: Math.max(0, inputTokens - cacheReadTokens - cacheWriteTokens),
    outputTokens,
    cacheReadInputTokens: cacheReadTokens,
    cacheCreationInputTokens: cacheWriteTokens,
    costUSD: costUsd ?? 0,
    costBasis: costUsd === undefined ? 'unknown' : 'list',
  };
}

/** The sum of a table's rows. */
export function sumOf(spends: ModelSpends): ModelSpend {
  return [...spends.values()].reduce(add, nothing);
}

const nothing: ModelSpend = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadInputTokens: 0,
  cacheCreationInputTokens: 0,
  costUSD: 0,
  costBasis: 'list',
};

function add(a: ModelSpend, b: ModelSpend): ModelSpend {
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    cacheReadInputTokens: a.cacheReadInputTokens + b.cacheReadInputTokens,
    cacheCreationInputTokens: a.cacheCreationInputTokens + b.cacheCreationInputTokens,
    costUSD: a.costUSD + b.costUSD,
    costBasis: a.costBasis === 'list' ? b.costBasis : 'unknown',
  };
}
