/** The most tokens that a request can have, in O(what is new): the bound of a conversation is kept beside its log. */
import type { Conversation, LogView } from '../core/conversation.ts';
import { requestAllowance, upperBound, upperBoundOfTools } from '../core/token-bounds.ts';
import type { Message, ToolDefinition } from '../core/types.ts';

/** `sums[i]` = the bound of the first i + 1 groups of a log. */
const known = new WeakMap<LogView, number[]>();
const ofTools = new WeakMap<readonly ToolDefinition[], number>();

/** The most tokens that this request can have. */
export function promptBound(
  conversation: Conversation,
  prompt: readonly Message[],
  tools: readonly ToolDefinition[],
): number {
  const system = conversation.system === undefined ? 0 : upperBound([conversation.system]);
  return requestAllowance + system + boundOfLog(conversation) + upperBound(prompt) + boundOfTools(tools);
}

function boundOfLog({ log, groupCount }: Conversation): number {
  const sums = known.get(log) ?? [];
  known.set(log, sums);
  for (let at = sums.length; at < groupCount; at += 1)
    sums.push((sums[at - 1] ?? 0) + upperBound(log.groups[at] ?? []));
  return sums[groupCount - 1] ?? 0;
}

function boundOfTools(tools: readonly ToolDefinition[]): number {
  if (tools.length === 0) return 0;
  const bound = ofTools.get(tools) ?? upperBoundOfTools(tools);
  ofTools.set(tools, bound);
  return bound;
}
