/**
 * The strategy of an agent that names none. What fits the target is never touched: that is the first limit, and it
 * follows the model's window. A conversation that does not fit is cut to a window while it is short; from 8,000 tokens on
 * it is worth a summary.
 */
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import { slidingWindow } from './sliding-window.ts';
import type { CompressionInput, CompressionStrategy } from './strategy.ts';
import { summarize, type WritingOptions, writingRules } from './summarize.ts';
import { summariesOf } from './summary.ts';

export interface DefaultStrategyOptions extends WritingOptions {
  /** Tokens below which all is kept, if it fits the target, too. Default 2000. */
  readonly keepBelowTokens?: number;
  /** Tokens of the whole conversation from which it is summarised; below, it is cut to a window. Default 8000. */
  readonly summarizeFromTokens?: number;
  /** Newest messages that the window keeps at most. Default 20. */
  readonly windowMessages?: number;
  /** Newest messages that are kept beside a summary at most. Default 10. */
  readonly keepMessages?: number;
}

/** Makes the strategy that keeps, cuts or summarises by the length of the conversation. Throws `TROUPE_ERR_OPTION_INVALID`. */
export function defaultStrategy(options: DefaultStrategyOptions = {}): CompressionStrategy {
  checkOptions('defaultStrategy()', options, optionRules);
  const { keepBelowTokens = 2000, summarizeFromTokens = 8000, windowMessages = 20, ...writing } = options;
  const short = slidingWindow({ messages: windowMessages });
  const long = summarize(writing);
  return {
    name: 'default',
    async compress(input) {
      const tokens = tokensOf(input);
      if (tokens < keepBelowTokens && tokens <= input.targetTokens) return all(input);
      // What has a summary once goes on with it: a window would leave out what was said since.
      const isLong = tokens >= summarizeFromTokens || summariesOf(input.previous?.head ?? []).length > 0;
      return (isLong ? long : short).compress(input);
    },
  };
}

const optionRules: Record<keyof DefaultStrategyOptions, Rule> = {
  ...writingRules,
  keepBelowTokens: rules.count,
  summarizeFromTokens: rules.count,
  windowMessages: rules.positiveCount,
  keepMessages: rules.positiveCount,
};

function tokensOf({ groups, tokensOf: count }: CompressionInput): number {
  return groups.reduce((sum, group) => sum + count(group), 0);
}

function all({ groups }: CompressionInput) {
  return { head: [], kept: groups.map((_, number) => number) };
}
