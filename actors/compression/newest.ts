/** The newest groups within bounds, how far a strategy shrinks, and the summaries that one keeps which writes none. */
import type { Group } from '../../src/core/conversation.ts';
import type { CompressionInput } from './strategy.ts';
import { summaryOf } from './summary.ts';

/**
 * Tokens that a strategy shrinks to: half of what is allowed. The beginning of what is sent then stays the same until as
 * much again was said, and caches of prompts live on it.
 */
export function goalOf({ targetTokens }: Pick<CompressionInput, 'targetTokens'>): number {
  return Math.floor(targetTokens / 2);
}

/** Numbers of the newest groups that have at most so many messages and tokens together, ascending; one in any case. */
export function newest(
  input: CompressionInput,
  bounds: { readonly messages?: number | undefined; readonly tokens: number },
): readonly number[] {
  const { groups, tokensOf, candidates } = input;
  const { messages = Number.POSITIVE_INFINITY } = bounds;
  const kept: number[] = [];
  let messageCount = 0;
  let tokens = 0;
  for (let at = (candidates ?? groups).length - 1; at >= 0; at -= 1) {
    const number = candidates === undefined ? at : candidates[at];
    const group = number === undefined ? undefined : groups[number];
    if (number === undefined || group === undefined) continue;
    messageCount += group.length;
    tokens += tokensOf(group);
    if (kept.length > 0 && (messageCount > messages || tokens > bounds.tokens)) break;
    kept.push(number);
  }
  return kept.reverse();
}

/** Summaries that another strategy left: the newest that take at most a quarter of the target, and what they take. */
export function keptSummaries(input: CompressionInput): { readonly head: readonly Group[]; readonly tokens: number } {
  const summaries = (input.previous?.head ?? []).filter((group) => summaryOf(group) !== undefined);
  let tokens = 0;
  let from = summaries.length;
  for (const summary of summaries.toReversed()) {
    const more = input.tokensOf(summary);
    if (tokens + more > input.targetTokens / 4) break;
    tokens += more;
    from -= 1;
  }
  return { head: summaries.slice(from), tokens };
}
