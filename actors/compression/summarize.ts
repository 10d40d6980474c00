/**
 * Compression by a summary: a model writes down what is left out, the newest messages stay as they are.
 * The summary is extended by what is new since it was written, never written again from the whole log.
 */
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import { goalOf, newest } from './newest.ts';
import type { CompressionInput, CompressionStrategy } from './strategy.ts';
import { leastSummaryTokens, type Summary, summariesOf, summarizedGroups, summaryGroup } from './summary.ts';
import { writeSummary } from './write-summary.ts';

/** How summaries are written. */
export interface WritingOptions {
  /** Tokens of a summary at most. Default 1024, and never more than a quarter of the target. */
  readonly maxTokens?: number;
  /** Tokens of one prompt for the model that writes: what its window takes, less the summary. Default: the target, at least 4000. */
  readonly maxInputTokens?: number;
}

export interface SummarizeOptions extends WritingOptions {
  /** Newest messages that are kept as they are, rounded down to whole groups; fewer when they are too long. Default 10. */
  readonly keepMessages?: number;
}

/** Makes the strategy that summarises what is old. Throws `TROUPE_ERR_OPTION_INVALID`. */
export function summarize(options: SummarizeOptions = {}): CompressionStrategy {
  checkOptions('summarize()', options, optionRules);
  return {
    name: 'summarize',
    async compress(input) {
      const maxTokens = summaryTokens(input, options, 4);
      const bounds = { messages: options.keepMessages ?? 10, tokens: goalOf(input) - maxTokens };
      const kept = newest(input, bounds);
      const before = summariesOf(input.previous?.head ?? []);
      const end = kept[0] ?? input.groups.length;
      const summary = await extended(input, before, end, { ...options, maxTokens });
      return { head: summary.map(summaryGroup), kept };
    },
  };
}

/** What the rules of writing options are. */
export const writingRules: Record<keyof WritingOptions, Rule> = {
  maxTokens: rules.positiveCount,
  maxInputTokens: rules.positiveCount,
};

const optionRules: Record<keyof SummarizeOptions, Rule> = { ...writingRules, keepMessages: rules.positiveCount };

/** Tokens that a summary may take: as the options say, and not more than this part of the target. */
export function summaryTokens({ targetTokens }: CompressionInput, { maxTokens = 1024 }: WritingOptions, part: number) {
  return Math.min(maxTokens, Math.floor(targetTokens / part));
}

/** One summary of all groups up to `end`, or those that there are when nothing is new or there is no room for one. */
async function extended(
  input: CompressionInput,
  before: readonly Summary[],
  end: number,
  { maxTokens, maxInputTokens }: WritingOptions & { readonly maxTokens: number },
): Promise<readonly Summary[]> {
  const fresh = input.groups.slice(summarizedGroups(input.groups, before), end);
  if (fresh.length === 0 || maxTokens < leastSummaryTokens) return before;
  const soFar = before.map(({ text }) => text).join('\n\n');
  const task = { form: 'Summary', soFar, groups: fresh, maxTokens, maxInputTokens } as const;
  const text = await writeSummary(input, task);
  return [{ form: 'Summary', from: 1, to: messageCount(input.groups.slice(0, end)), text }];
}

/** How many messages groups hold. */
export function messageCount(groups: CompressionInput['groups']): number {
  return groups.reduce((count, group) => count + group.length, 0);
}
