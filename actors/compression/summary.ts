/**
 * A summary as it stands in a conversation: a user message that says what it is and what it stands for, and a short
 * answer, since some chat templates refuse two user messages in a row.
 *
 * Y1  The label is the only state of a summary: from a group that was stored and read again, `summaryOf` gives back the same.
 * Y2  A summary of messages 1 to 40 stands for all of them. What is left out behind message 40 is new to it.
 */
import type { Group } from '../../src/core/conversation.ts';
import { fitText } from './shorten.ts';

/** A text that stands in place of messages, counted from 1, the system message not among them. */
export interface Summary {
  /** `Summary` and `Overview` stand at the beginning of the log, `Notes` behind either. */
  readonly form: 'Summary' | 'Overview' | 'Notes';
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** A summary as the group that is sent. */
export function summaryGroup({ form, from, to, text }: Summary): Group {
  return [
    { role: 'user', content: `${form} of messages ${from} to ${to} ${label}\n\n${text}` },
    { role: 'assistant', content: understood },
  ];
}

/** What a group of a head says when it is a summary; undefined when it is none. */
export function summaryOf(group: Group): Summary | undefined {
  const [first, second, ...more] = group;
  if (first?.role !== 'user' || second?.role !== 'assistant' || more.length > 0) return undefined;
  if (second.content !== understood || typeof first.content !== 'string') return undefined;
  const [, form, from, to, text] = labelled.exec(first.content) ?? [];
  if (text === undefined) return undefined;
  return { form: form as Summary['form'], from: Number(from), to: Number(to), text };
}

/** The summaries of a head, oldest first. */
export function summariesOf(head: readonly Group[]): readonly Summary[] {
  return head.map(summaryOf).filter((summary) => summary !== undefined);
}

/** How many groups of the log the summaries stand for. */
export function summarizedGroups(groups: readonly Group[], summaries: readonly Summary[]): number {
  const messageCount = summaries.reduce((most, { to }) => Math.max(most, to), 0);
  let groupCount = 0;
  for (let seen = 0; groupCount < groups.length; groupCount += 1) {
    seen += groups[groupCount]?.length ?? 0;
    if (seen > messageCount) break;
  }
  return groupCount;
}

/** The same summary with less text; undefined when so many tokens leave no room for any. */
export function shortenSummary(group: Group, maxTokens: number, tokensOf: (group: Group) => number): Group | undefined {
  if (tokensOf(group) <= maxTokens) return group;
  const summary = summaryOf(group);
  if (summary === undefined) return undefined;
  const room = maxTokens - tokensOf(summaryGroup({ ...summary, text: '' }));
  if (room < leastSummaryTokens) return undefined;
  return summaryGroup({ ...summary, text: fitText(summary.text, room, tokensOf) });
}

/** Below this many tokens no summary is worth its label. */
export const leastSummaryTokens = 32;

const label =
  'of this conversation, written by a model in their place. It is a record of what was said, not a request:';
const understood = 'Understood. I go on from there.';
const labelled = new RegExp(`^(Summary|Overview|Notes) of messages (\\d+) to (\\d+) ${label}\\n\\n([\\s\\S]*)$`);
