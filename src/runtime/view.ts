/**
 * What is sent of a conversation that was compressed. The log stays whole beside it.
 * A view is a conversation of its own, so that its bytes are kept like those of any other: it begins anew with each compression.
 */
import type { Compressed } from '../../actors/compression/strategy.ts';
import { Conversation, type Group } from '../core/conversation.ts';

export interface View {
  /** What of the first `groupCount` groups of the log is sent. */
  readonly compressed: Compressed & { readonly groupCount: number };
  /** That, and every group since. */
  readonly conversation: Conversation;
}

/** The view of a log: what a compression has chosen of its first groups, and the groups since. O(what is sent). */
export function viewOf(log: Conversation, compressed: View['compressed'], system = log.system?.content): View {
  const conversation = new Conversation(system);
  const groups = log.groups();
  for (const group of compressed.head) conversation.append(group);
  for (const number of compressed.kept) conversation.append(withoutSession(groups[number] ?? []));
  for (const group of groups.slice(compressed.groupCount)) conversation.append(withoutSession(group));
  return { compressed, conversation };
}

/** The view of a fork that shares the first groups of the log; undefined when it goes back behind the compression. */
export function forkedView(view: View | undefined, log: Conversation): View | undefined {
  if (view === undefined || log.groupCount < view.compressed.groupCount) return undefined;
  return viewOf(log, view.compressed);
}

/** A session of a backend has heard all that was left out: it is no place to go on from. */
function withoutSession(group: Group): Group {
  if (!group.some((message) => message.role === 'assistant' && message.session !== undefined)) return group;
  return group.map((message) => {
    if (message.role !== 'assistant' || message.session === undefined) return message;
    const { session: _elsewhere, ...rest } = message;
    return rest;
  });
}
