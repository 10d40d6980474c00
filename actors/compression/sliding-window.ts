/** Compression that keeps the newest groups, and summaries if there are any. */
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import { goalOf, keptSummaries, newest } from './newest.ts';
import type { CompressionStrategy } from './strategy.ts';

export interface SlidingWindowOptions {
  /** Messages that are kept at most, rounded down to whole groups. Default: as many as fit into half of the target. */
  readonly messages?: number;
}

/** Makes the strategy that keeps the newest messages. Throws `TROUPE_ERR_OPTION_INVALID`. */
export function slidingWindow(options: SlidingWindowOptions = {}): CompressionStrategy {
  checkOptions('slidingWindow()', options, optionRules);
  const { messages } = options;
  return {
    name: 'sliding-window',
    async compress(input) {
      const { head, tokens } = keptSummaries(input);
      return { head, kept: newest(input, { messages, tokens: goalOf(input) - tokens }) };
    },
  };
}

const optionRules: Record<keyof SlidingWindowOptions, Rule> = { messages: rules.positiveCount };
