/** What every request must keep, whatever the protocol: what a strict server would refuse, and what a lax one would not see. */
import type { Heard, HeardMessage } from './model.ts';

/** What is wrong with a request; empty when it is right. */
export function violations(heard: Heard): string[] {
  const { messages, tools } = heard;
  return [
    ...(messages[0]?.role === 'user' ? [] : [`the first message is by ${messages[0]?.role ?? 'nobody'}, not the user`]),
    ...(messages.at(-1)?.role === 'assistant' ? ['the last message is the assistant’s own'] : []),
    ...pairing(messages),
    ...names(tools.map(({ name }) => name)),
    ...messages.flatMap((message, index) => emptiness(message, index)),
  ];
}

/** Every call is answered once, directly after it, and no result is without its call. */
function pairing(messages: readonly HeardMessage[]): string[] {
  const problems: string[] = [];
  const open = new Set<string>();
  for (const [index, { role, calls = [], callId = '' }] of messages.entries()) {
    if (role === 'tool') {
      if (!open.delete(callId)) problems.push(`message ${index} is a result of "${callId}", which is not open`);
      continue;
    }
    if (open.size > 0) problems.push(`message ${index} comes before the result of "${[...open].join('", "')}"`);
    open.clear();
    for (const { id } of calls) {
      if (id === '' || open.has(id)) problems.push(`message ${index} has a call without an id of its own: "${id}"`);
      open.add(id);
    }
  }
  if (open.size > 0) problems.push(`the messages end without a result of "${[...open].join('", "')}"`);
  return problems;
}

function names(list: readonly string[]): string[] {
  const twice = list.filter((name, index) => list.indexOf(name) !== index);
  const odd = list.filter((name) => !/^[\w-]{1,128}$/.test(name));
  return [...twice.map((name) => `two tools are called "${name}"`), ...odd.map((name) => `a tool is called "${name}"`)];
}

function emptiness({ role, text }: HeardMessage, index: number): string[] {
  return role === 'user' && text === '' ? [`message ${index}, by the user, is empty`] : [];
}
