/**
 * Groups as text that is data and nothing else, for who summarises or compares them.
 * A text inside cannot open or close one of our marks, so that nothing in it can speak in our name.
 */
import type { Group } from '../../src/core/conversation.ts';
import type { Message } from '../../src/core/types.ts';

/** The messages of groups, each between marks that say who spoke. */
export function transcriptOf(groups: readonly Group[]): string {
  return groups.flat().map(marked).join('\n');
}

/** A text between marks of this name. */
export function markedAs(name: 'summary' | 'conversation', text: string): string {
  return `<${name}>\n${text}\n</${name}>`;
}

/** A text that holds none of our marks. */
export function inert(text: string): string {
  return text.replace(/<(?=\/?(?:message|summary|conversation)\b)/gi, '&lt;');
}

/** What is said in a group, for comparing it: no marks, no ids, every message cut at its share of the characters. */
export function plainText(group: Group, maxCharacters: number): string {
  const share = Math.ceil(maxCharacters / Math.max(group.length, 1));
  return group.map((message) => spoken(message).slice(0, share)).join('\n');
}

function marked(message: Message): string {
  const who = message.role === 'tool' ? `tool ${message.name}` : message.role;
  return `<message from="${inert(who).replaceAll('"', '&quot;')}">\n${inert(spoken(message))}\n</message>`;
}

function spoken(message: Message): string {
  const calls = message.role === 'assistant' ? (message.toolCalls ?? []) : [];
  const pictures = message.role === 'user' ? (message.images ?? []).map(() => '[a picture]') : [];
  const called = calls.map((call) => `[calls ${call.name} with ${call.arguments}]`);
  return [...pictures, message.content, ...called].filter((text) => text !== '').join('\n');
}
