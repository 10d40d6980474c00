/**
 * What is sent when a strategy failed or left too much: no model, no wait, nothing that can fail.
 * A window of the newest groups with the summaries that fit beside it; at the least, what is protected.
 */
import type { Group } from '../../src/core/conversation.ts';
import { type Arranged, arrange } from './arrange.ts';
import { goalOf } from './newest.ts';
import { type Guarded, protectedNumbers } from './protected.ts';
import { shortenSummary } from './summary.ts';

/** The protected groups, the newest others and the newest of these summaries, within the target. */
export function lastResort(input: Guarded, summaries: readonly Group[], copies: ReadonlyMap<number, Group>): Arranged {
  const { targetTokens, tokensOf } = input;
  const guarded = protectedNumbers(input);
  const bare = arrange(input, { summaries: [], kept: guarded, copies });
  const kept = withNewest(input, guarded, bare.tokens);
  const alone = kept.length === guarded.length ? bare : arrange(input, { summaries: [], kept, copies });
  const base = alone.tokens <= targetTokens ? { kept, tokens: alone.tokens } : { kept: guarded, tokens: bare.tokens };
  const found = arrange(input, {
    summaries: within(targetTokens - base.tokens, summaries, tokensOf),
    kept: base.kept,
    copies,
  });
  return found.tokens <= targetTokens ? found : bare;
}

/** The protected groups and as many before the last of them as fit into half of the target. */
function withNewest(input: Guarded, guarded: readonly number[], guardedTokens: number): readonly number[] {
  const { groups, tokensOf, protectedHeadGroups, protectedTailGroups } = input;
  const more: number[] = [];
  let tokens = guardedTokens;
  for (let number = groups.length - Math.max(protectedTailGroups, 1) - 1; number >= protectedHeadGroups; number -= 1) {
    tokens += tokensOf(groups[number] ?? []);
    if (tokens > goalOf(input)) break;
    more.push(number);
  }
  return [...guarded, ...more].sort((one, other) => one - other);
}

/** The newest of the summaries that fit, the oldest of them cut to fit. What they stand for need not be read again then. */
function within(room: number, summaries: readonly Group[], tokensOf: Guarded['tokensOf']): readonly Group[] {
  const found: Group[] = [];
  let left = room;
  for (const group of summaries.toReversed()) {
    const fitting = shortenSummary(group, left, tokensOf);
    if (fitting === undefined) break;
    left -= tokensOf(fitting);
    found.unshift(fitting);
  }
  return found;
}
