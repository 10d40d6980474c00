/**
 * The one way to compress: asks a strategy, checks what it gives, and does without it when it fails.
 *
 * N1  What fits is sent as it was: nothing is asked, nothing changes. So a plan that is followed is not made again.
 * N2  The result is within the target unless the shortest copies of what is protected are not.
 * N3  It rejects when `signal` is aborted, and never else. A strategy that hangs is given up then, or at `deadline`.
 */
import type { Group } from '../../src/core/conversation.ts';
import { TroupeError, toTroupeError } from '../../src/core/errors.ts';
import { untilAborted } from '../until-aborted.ts';
import { type Arranged, arrange } from './arrange.ts';
import { lastResort } from './last-resort.ts';
import { type Protected, protectedNumbers, shortCopies } from './protected.ts';
import type { Compressed, CompressionInput, CompressionStrategy } from './strategy.ts';
import { summaryOf } from './summary.ts';

export interface PlanInput extends CompressionInput, Protected {
  /** Aborted when the strategy has had its time. Absent: it may take until `signal` is aborted. */
  readonly deadline?: AbortSignal | undefined;
}

export interface Plan extends Compressed {
  /** Name of the strategy whose choice this is, `last-resort`, or `nothing` when nothing had to be done. */
  readonly by: string;
  /** Tokens of what was sent so far with all groups since, and of what is sent from now on. */
  readonly before: number;
  readonly after: number;
}

/** What of a conversation is sent from now on. Rejects with the signal's reason when that is aborted. */
export async function planCompression(strategy: CompressionStrategy, input: PlanInput): Promise<Plan> {
  const { targetTokens, groups, signal } = input;
  signal.throwIfAborted();
  const now = sentNow(input);
  const planned = (by: string, { head, kept, tokens: after }: Arranged, problem?: TroupeError): Plan => {
    return { head, kept, by, before: now.tokens, after, ...(problem && { problem }) };
  };
  if (now.tokens <= targetTokens) return planned('nothing', now);
  const summaries = now.head.filter((group) => summaryOf(group) !== undefined && !isSaid(group, groups));
  const guarded = protectedNumbers(input);
  const copies = shortCopies(input);
  const rest = (of: readonly Group[]) => lastResort(input, of, copies);
  // When what is protected leaves no room, there is nothing that a strategy could choose.
  if (arrange(input, { summaries: [], kept: guarded, copies }).tokens > targetTokens)
    return planned(lastResortName, rest([]));
  const previous = input.previous && { head: summaries, kept: now.kept, groupCount: groups.length };
  const shown = copies.size === 0 ? groups : groups.map((group, number) => copies.get(number) ?? group);
  const { choice, problem } = await choiceOf(strategy, { ...input, groups: shown, previous });
  if (choice === undefined) return planned(lastResortName, rest(summaries), problem);
  const kept = [...new Set([...choice.kept, ...guarded])].sort((one, other) => one - other);
  const arranged = arrange(input, { summaries: choice.head, kept, copies });
  if (arranged.tokens <= targetTokens) return planned(strategy.name, arranged, problem);
  return planned(lastResortName, rest(choice.head), problem ?? excess(strategy, arranged.tokens, targetTokens));
}

const lastResortName = 'last-resort';

/** What was sent so far with the groups since; the whole log when nothing was compressed, or something that does not fit it. */
function sentNow({ groups, previous, tokensOf }: PlanInput): Arranged {
  const fits = previous !== undefined && previous.groupCount <= groups.length && areNumbers(previous.kept, groups);
  const head = fits ? previous.head : [];
  const from = fits ? previous.groupCount : 0;
  const kept = [...(fits ? previous.kept : []), ...Array.from({ length: groups.length - from }, (_, at) => from + at)];
  const ofHead = head.reduce((sum, group) => sum + tokensOf(group), 0);
  return { head, kept, tokens: kept.reduce((sum, number) => sum + tokensOf(groups[number] ?? []), ofHead) };
}

/** Whether a group stands in the log itself: then a user wrote what reads like a summary. */
function isSaid([message]: Group, groups: readonly Group[]): boolean {
  return groups.some(([first]) => first?.content === message?.content);
}

/** What the strategy chooses, once checked; or why there is no choice of it. */
async function choiceOf(
  strategy: CompressionStrategy,
  input: PlanInput,
): Promise<{ readonly choice?: Compressed; readonly problem?: TroupeError | undefined }> {
  const { groups, tokensOf, protectedHeadGroups, signal, deadline } = input;
  const pinnedTokens = groups.slice(0, protectedHeadGroups).reduce((sum, group) => sum + tokensOf(group), 0);
  const patience = deadline === undefined ? signal : AbortSignal.any([signal, deadline]);
  const task = { ...input, targetTokens: input.targetTokens - pinnedTokens, signal: patience };
  const who = `The compression strategy "${strategy.name}"`;
  try {
    const { head, kept, problem } = await untilAborted(strategy.compress(task), patience);
    const wrong = wrongWith({ head, kept }, groups);
    if (wrong !== undefined) throw new TroupeError('TROUPE_ERR_AGENT_CRASHED', `${who} gave ${wrong}.`);
    return { choice: { head, kept }, problem };
  } catch (thrown) {
    signal.throwIfAborted();
    return { problem: toTroupeError(thrown, who) };
  }
}

/** What is wrong with a strategy's choice; undefined when it is sound. */
function wrongWith({ head, kept }: Compressed, groups: readonly Group[]): string | undefined {
  if (!Array.isArray(head) || !Array.isArray(kept)) return 'something without `head` and `kept`';
  if (!areNumbers(kept, groups)) return 'numbers in `kept` that are no groups, or not ascending';
  if (!head.every((group) => Array.isArray(group) && summaryOf(group) !== undefined))
    return 'a group in `head` that is no summary. Make each by `summaryGroup()`';
  return undefined;
}

function areNumbers(kept: readonly number[], groups: readonly Group[]): boolean {
  return kept.every((number, at) => {
    return Number.isSafeInteger(number) && number > (kept[at - 1] ?? -1) && number < groups.length;
  });
}

/** That a choice takes too much, as a problem to tell. */
function excess({ name }: CompressionStrategy, tokens: number, targetTokens: number): TroupeError {
  const message = `The compression strategy "${name}" left ${tokens} tokens, protected groups among them; ${targetTokens} may be sent.`;
  return new TroupeError('TROUPE_ERR_AGENT_CRASHED', message);
}
