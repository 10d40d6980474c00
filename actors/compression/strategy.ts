/**
 * The contract of a compression strategy: it says what of a conversation is sent from now on.
 *
 * K1  The log is never changed. A strategy only chooses among its groups and writes summaries of those it leaves out.
 * K2  Groups are kept whole and in their order, so that every tool call keeps its result.
 * K3  The system message is not its business: it is always sent, and first.
 * K4  It may fail or give more than the target. Then the last resort of the plan, which cannot fail, does the rest.
 * K5  It shrinks to about half of the target, so that the beginning of what is sent stays the same for a while.
 */
import type { Group } from '../../src/core/conversation.ts';
import type { TroupeError } from '../../src/core/errors.ts';

export interface CompressionStrategy {
  /** As it stands in events: `sliding-window`. */
  readonly name: string;
  compress(input: CompressionInput): Promise<Compressed>;
}

/** What is sent from now on in place of the groups that a strategy was shown; later groups follow as they are. */
export interface Compressed {
  /** Sent first: summaries, each made by `summaryGroup`. A plan puts there, too, what must stand before a group that it changed. */
  readonly head: readonly Group[];
  /** Numbers of the groups that are sent after it, ascending. */
  readonly kept: readonly number[];
  /** What went wrong though this was found, as when relevance was told by words because there were no vectors. */
  readonly problem?: TroupeError | undefined;
}

export interface CompressionInput {
  /** The whole log, oldest first. */
  readonly groups: readonly Group[];
  /** Numbers of the groups to choose from, ascending: what another strategy left. Absent: all. */
  readonly candidates?: readonly number[] | undefined;
  /** What was sent so far in place of the first groups; undefined when nothing was compressed yet. */
  readonly previous: (Compressed & { readonly groupCount: number }) | undefined;
  /** What comes next and is no part of the log: the prompt of the ask in hand; empty when there is none. */
  readonly prompt: Group;
  /** Tokens that head and kept groups may take together. */
  readonly targetTokens: number;
  /** Tokens of a group. Counted once for each group, from then on looked up. */
  readonly tokensOf: (group: Group) => number;
  /** Has a text written by a model, at most `maxTokens` long. Rejects when that fails or its budget is spent. */
  readonly write: (prompt: string, maxTokens: number) => Promise<string>;
  /** Vectors of texts, in their order; undefined when the backend makes none. Rejects when that fails. */
  readonly embed: ((texts: readonly string[]) => Promise<readonly (readonly number[])[]>) | undefined;
  /** Aborted when nobody waits for the result any more. */
  readonly signal: AbortSignal;
}
