/**
 * Compression by relevance: what has to do with the prompt stays, and the newest messages in any case.
 * What is chosen are turns, a request with what came of it. The log is whole, so an old turn comes back when it is asked about.
 */
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import { goalOf, keptSummaries, newest } from './newest.ts';
import { relevance } from './relevance.ts';
import type { CompressionInput, CompressionStrategy } from './strategy.ts';
import { turnStarts } from './turns.ts';

export interface SemanticOptions {
  /** Turns that are kept for their relevance at most. Default: as many as fit into half of the target. */
  readonly topK?: number;
  /** Newest messages that are kept in any case, rounded down to whole groups; fewer when they are too long. Default 10. */
  readonly keepMessages?: number;
  /** Groups that are compared with the prompt, newest first. Default 1000. */
  readonly maxCompared?: number;
}

/** Makes the strategy that keeps what is relevant. Throws `TROUPE_ERR_OPTION_INVALID`. */
export function semantic(options: SemanticOptions = {}): CompressionStrategy {
  checkOptions('semantic()', options, optionRules);
  const { topK = Number.POSITIVE_INFINITY, keepMessages = 10, maxCompared = 1000 } = options;
  return {
    name: 'semantic',
    async compress(input) {
      const { groups, tokensOf, candidates = groups.map((_, number) => number) } = input;
      const { head, tokens } = keptSummaries(input);
      const goal = goalOf(input) - tokens;
      const recent = newest(input, { messages: keepMessages, tokens: Math.floor(goal / 2) });
      const older = candidates.slice(0, candidates.length - recent.length).slice(-maxCompared);
      const { scores, problem } = await relevance(
        input,
        older.map((number) => groups[number] ?? []),
      );
      const kept: number[] = [];
      let room = goal - recent.reduce((sum, number) => sum + tokensOf(groups[number] ?? []), 0);
      let turnCount = 0;
      for (const turn of turnsByScore(input, older, scores)) {
        if (turnCount >= topK) break;
        if (turn.tokens > room) continue;
        room -= turn.tokens;
        turnCount += 1;
        kept.push(...turn.numbers);
      }
      return { head, kept: [...kept.sort((a, b) => a - b), ...recent], problem };
    },
  };
}

const optionRules: Record<keyof SemanticOptions, Rule> = {
  topK: rules.count,
  keepMessages: rules.positiveCount,
  maxCompared: rules.positiveCount,
};

interface Turn {
  readonly numbers: number[];
  tokens: number;
  score: number;
}

/** Turns, the most relevant first, of equals the newer one. A turn is as relevant as its most relevant group. */
function turnsByScore(
  { groups, tokensOf }: CompressionInput,
  numbers: readonly number[],
  scores: readonly number[],
): readonly Turn[] {
  const starts = turnStarts(groups);
  const turns = new Map<number | undefined, Turn>();
  for (const [at, number] of numbers.entries()) {
    const turn = turns.get(starts[number]) ?? { numbers: [], tokens: 0, score: Number.NEGATIVE_INFINITY };
    turns.set(starts[number], turn);
    turn.numbers.push(number);
    turn.tokens += tokensOf(groups[number] ?? []);
    turn.score = Math.max(turn.score, scores[at] ?? 0);
  }
  return [...turns.values()].reverse().sort((one, other) => other.score - one.score);
}
