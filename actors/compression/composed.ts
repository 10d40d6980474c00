/** Compression in steps: each strategy works on what the one before left, until the target is met. */
import { TroupeError, toTroupeError } from '../../src/core/errors.ts';
import { checkOptions, rules } from '../../src/core/options.ts';
import type { Compressed, CompressionInput, CompressionStrategy } from './strategy.ts';

/**
 * Makes a strategy of several. One that fails is passed over; the whole fails when all do.
 * Throws `TROUPE_ERR_OPTION_INVALID` when there is none, or one that is no strategy.
 */
export function composed(...strategies: readonly CompressionStrategy[]): CompressionStrategy {
  check(strategies);
  const name = `composed(${strategies.map((strategy) => strategy.name).join(', ')})`;
  return {
    name,
    async compress(input) {
      let left: Compressed | undefined;
      let problem: TroupeError | undefined;
      for (const strategy of strategies) {
        try {
          left = await strategy.compress(left === undefined ? input : goingOn(input, left));
          problem ??= left.problem;
          if (tokensOf(input, left) <= input.targetTokens) break;
        } catch (thrown) {
          input.signal.throwIfAborted();
          problem ??= toTroupeError(thrown, `The compression strategy "${strategy.name}"`);
        }
      }
      if (left !== undefined) return { ...left, problem };
      throw problem ?? new TroupeError('TROUPE_ERR_AGENT_CRASHED', `${name} has tried nothing.`);
    },
  };
}

/** The same task on what is left. */
function goingOn(input: CompressionInput, left: Compressed): CompressionInput {
  const previous = { head: left.head, kept: left.kept, groupCount: input.groups.length };
  return { ...input, previous, candidates: left.kept };
}

function tokensOf({ groups, tokensOf: count }: CompressionInput, { head, kept }: Compressed): number {
  const ofHead = head.reduce((sum, group) => sum + count(group), 0);
  return kept.reduce((sum, number) => sum + count(groups[number] ?? []), ofHead);
}

function check(strategies: readonly CompressionStrategy[]): void {
  if (strategies.length === 0)
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', 'composed(): give one strategy or more.');
  for (const [at, strategy] of strategies.entries()) {
    const { name, compress } = Object(strategy);
    checkOptions(`composed(), strategy ${at + 1}`, { name: name ?? null, compress: compress ?? null }, strategyRules);
  }
}

const strategyRules = { name: rules.text, compress: rules.callback };
