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

/** The view of a fork that shares the first groups of the log; undefined when it goes back behind the compression. O(1). */
export function forkedView(view: View | undefined, log: Conversation): View | undefined {
  if (view === undefined) return undefined;
  const { head, kept, groupCount } = view.compressed;
  const since = log.groupCount - groupCount;
  if (since < 0) return undefined;
  const conversation = view.conversation.fork(head.length + kept.length + since, log.system?.content);
  return { compressed: view.compressed, conversation };
}

/** What is sent for an ask of an agent, or for its next one; undefined when that is the log itself. */
export function viewInUse(
  record: { readonly conversation: Conversation; readonly view: View | undefined },
  ask: { readonly conversation: Conversation; readonly view: View | undefined } | undefined,
): View | undefined {
  if (ask === undefined) return record.view;
  return ask.view ?? (ask.conversation === record.conversation ? record.view : undefined);
}

/** A session of a backend has heard something else than what is sent from now on: it is no place to go on from. */
export function withoutSession(group: Group): Group {
  if (!group.some((message) => message.role === 'assistant' && message.session !== undefined)) return group;
  return group.map((message) => {
    if (message.role !== 'assistant' || message.session === undefined) return message;
    const { session: _elsewhere, ...rest } = message;
    return rest;
  });
}
