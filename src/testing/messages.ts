/** What must hold of any list of messages that is sent to a model, whoever made it. */
import type { Message } from '../core/types.ts';

/**
 * Throws an `Error` that says what is wrong: a system message that is not the first message; a tool call without exactly
 * one result before the next prompt or answer; a result without its call; two calls of one id in one message.
 */
export function assertValidMessages(messages: readonly Message[]): void {
  const open = new Set<string>();
  for (const [index, message] of messages.entries()) {
    const problem = message.role === 'tool' ? closeCall(open, message.callId) : begin(open, message, index);
    if (problem !== undefined) throw new Error(`Message ${index} of ${messages.length}: ${problem}.`);
  }
  if (open.size > 0) throw new Error(`The messages end without a result for ${list(open)}.`);
}

function closeCall(open: Set<string>, callId: string): string | undefined {
  return open.delete(callId) ? undefined : `the result of "${callId}" has no call, or a second one`;
}

function begin(open: Set<string>, message: Message, index: number): string | undefined {
  if (open.size > 0) return `it comes before the result of ${list(open)}`;
  if (message.role === 'system' && index > 0) return 'a system message that is not the first';
  if (message.role !== 'assistant') return undefined;
  for (const { id } of message.toolCalls ?? []) {
    if (open.has(id)) return `two calls have the id "${id}"`;
    open.add(id);
  }
  return undefined;
}

function list(ids: Iterable<string>): string {
  return `"${[...ids].join('", "')}"`;
}
