/**
 * What a result of Claude Code says about tokens and money.
 * `total_cost_usd` and `modelUsage` are sums that a resumed or forked session carries on; only `model_usage_since_last_result`
 * is what one turn took (measured with version 2.1.330).
 */
import type { Usage } from '../../src/core/types.ts';
import { addKnown, addSpend, type Spend, unknownUsage } from '../../src/core/usage.ts';
import { asCount, asFields, type Fields } from './fields.ts';

/** What a turn took; unknown where an older version does not say. */
export function spendOf(result: Fields): Spend {
  const models = Object.values(asFields(result['model_usage_since_last_result']) ?? {}).map(
    (row) => asFields(row) ?? {},
  );
  if (models.length > 0) return models.map(spendOfModel).reduce(addSpend);
  const usage = asFields(result['usage']);
  return { usage: usage === undefined ? unknownUsage : readApiUsage(usage), costUsd: undefined };
}

/** Usage as the Messages API words it; all tokens of the prompt count as input. */
export function readApiUsage(usage: Fields): Usage {
  const cacheReadTokens = asCount(usage['cache_read_input_tokens']);
  const cacheWriteTokens = asCount(usage['cache_creation_input_tokens']);
  return {
    inputTokens: addKnown(addKnown(asCount(usage['input_tokens']), cacheReadTokens), cacheWriteTokens),
    outputTokens: asCount(usage['output_tokens']),
    cacheReadTokens,
    cacheWriteTokens,
  };
}

/** The rest of a spend when part of it was told before; never below zero. */
export function restOf(all: Usage, told: Usage): Usage {
  return {
    inputTokens: less(all.inputTokens, told.inputTokens),
    outputTokens: less(all.outputTokens, told.outputTokens),
    cacheReadTokens: less(all.cacheReadTokens, told.cacheReadTokens),
    cacheWriteTokens: less(all.cacheWriteTokens, told.cacheWriteTokens),
  };
}

function less(all: number | undefined, told: number | undefined): number | undefined {
  return all === undefined ? undefined : Math.max(0, all - (told ?? 0));
}

function spendOfModel(row: Fields): Spend {
  const cacheReadTokens = asCount(row['cacheReadInputTokens']);
  const cacheWriteTokens = asCount(row['cacheCreationInputTokens']);
  const cost = row['costUSD'];
  return {
    usage: {
      inputTokens: addKnown(addKnown(asCount(row['inputTokens']), cacheReadTokens), cacheWriteTokens),
      outputTokens: asCount(row['outputTokens']),
      cacheReadTokens,
      cacheWriteTokens,
    },
    // The price of a model that the command does not know is a guess of its.
    costUsd: typeof cost === 'number' && cost >= 0 && row['costBasis'] !== 'unknown' ? cost : undefined,
  };
}
