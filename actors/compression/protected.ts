/** The groups that are always sent, and what is sent of them when they are too long for that. */
import type { Group } from '../../src/core/conversation.ts';
import { arrange } from './arrange.ts';
import { goalOf } from './newest.ts';
import { shortenGroup } from './shorten.ts';
import type { CompressionInput } from './strategy.ts';

/** What is always sent. */
export interface Protected {
  /** Groups at the beginning of the log. */
  readonly protectedHeadGroups: number;
  /** Groups at its end; at least 1, since what comes next may go on from the last. */
  readonly protectedTailGroups: number;
}

export type Guarded = Pick<CompressionInput, 'groups' | 'tokensOf' | 'targetTokens'> & Protected;

/** Numbers of the groups that are always sent, ascending. */
export function protectedNumbers({ groups, protectedHeadGroups, protectedTailGroups }: Guarded): readonly number[] {
  const tail = groups.length - Math.max(protectedTailGroups, 1);
  return groups.map((_, number) => number).filter((number) => number < protectedHeadGroups || number >= tail);
}

/**
 * Shorter copies of protected groups that are over the target together, by their numbers; none when they are not.
 * They take half of it, each about the same share, so that one long result does not drive out every summary.
 */
export function shortCopies(input: Guarded): ReadonlyMap<number, Group> {
  const { groups, tokensOf, targetTokens } = input;
  const copies = new Map<number, Group>();
  const kept = protectedNumbers(input);
  const tokensNow = () => arrange(input, { summaries: [], kept, copies }).tokens;
  if (tokensNow() <= targetTokens) return copies;
  const sizes = kept.map((number) => ({ number, group: groups[number] ?? [], tokens: tokensOf(groups[number] ?? []) }));
  // What is not of the groups are requests that are repeated.
  let room = goalOf(input) - tokensNow() + sizes.reduce((sum, { tokens }) => sum + tokens, 0);
  let left = sizes.length;
  for (const { number, group, tokens } of sizes.sort((one, other) => one.tokens - other.tokens)) {
    const share = Math.max(Math.floor(room / left), 0);
    const copy = shortenGroup(group, share, tokensOf);
    if (copy !== group) copies.set(number, copy);
    room -= copy === group ? tokens : tokensOf(copy);
    left -= 1;
  }
  // The marks alone take more than their shares: then every group gives what it can.
  if (tokensNow() > targetTokens)
    for (const { number, group } of sizes) copies.set(number, shortenGroup(group, 0, tokensOf));
  return copies;
}
