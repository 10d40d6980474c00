/**
 * From a choice to what is sent: summaries and kept groups in the order of the log, whole and valid.
 *
 * V1  It begins with a user message, and where something is left out in the middle of a turn its request is repeated: many
 *     servers and chat templates refuse an assistant that speaks first, or twice in a row.
 * V2  Protected groups at the beginning stand before the summaries, all others behind.
 * V3  A group that stands before one that was written or shortened goes into the head, too: the head is sent first.
 */
import type { Group } from '../../src/core/conversation.ts';
import { fitText } from './shorten.ts';
import type { Compressed, CompressionInput } from './strategy.ts';
import { turnStarts } from './turns.ts';

/** What is to be sent. */
interface Choice {
  readonly summaries: readonly Group[];
  /** Ascending. */
  readonly kept: readonly number[];
  /** Shorter copies that are sent instead of groups, by their numbers. */
  readonly copies?: ReadonlyMap<number, Group>;
}

export interface Arranged extends Compressed {
  readonly tokens: number;
}

type Arranging = Pick<CompressionInput, 'groups' | 'tokensOf' | 'targetTokens'> & {
  readonly protectedHeadGroups: number;
};

/** What is sent of a choice, and the tokens that it takes. */
export function arrange(input: Arranging, { summaries, kept, copies }: Choice): Arranged {
  const { groups, tokensOf, protectedHeadGroups } = input;
  const starts = turnStarts(groups);
  const sent: (Group | number)[] = [];
  let last = -1;
  let waiting = summaries;
  for (const number of kept) {
    if (number >= protectedHeadGroups && waiting.length > 0) {
      sent.push(...waiting);
      waiting = [];
      last = -1;
    }
    const goesOn = number === 0 || (last >= 0 && number === last + 1);
    const request = goesOn || starts[number] === number ? undefined : repeatedRequest(input, starts[number] ?? 0);
    if (request !== undefined) sent.push(request);
    sent.push(copies?.get(number) ?? number);
    last = number;
  }
  sent.push(...waiting);
  const written = sent.findLastIndex((item) => typeof item !== 'number') + 1;
  const groupOf = (item: Group | number) => (typeof item === 'number' ? (groups[item] ?? []) : item);
  return {
    head: sent.slice(0, written).map(groupOf),
    kept: sent.slice(written).filter((item) => typeof item === 'number'),
    tokens: sent.reduce<number>((sum, item) => sum + tokensOf(groupOf(item)), 0),
  };
}

/** The request that opened a turn, as far as it is short enough. */
function repeatedRequest({ groups, tokensOf, targetTokens }: Arranging, start: number): Group {
  const [request] = groups[start] ?? [];
  const text = request?.role === 'user' ? fitText(request.content, Math.floor(targetTokens / 8), tokensOf) : '';
  return [{ role: 'user', content: `${repeated}\n\n${text}` }];
}

const repeated = '(The beginning of the work on this request is left out.)';
