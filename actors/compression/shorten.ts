/**
 * Shorter copies of texts and groups, for sending only: the middle goes, and a mark says how much.
 *
 * H1  A copy keeps every message, every tool call and every result of the group, in order, with their ids.
 * H2  No copy is longer than what it stands for, and none splits a character.
 */
import type { Group } from '../../src/core/conversation.ts';
import type { Json, Message, ToolCall } from '../../src/core/types.ts';

/** A text of at most about so many characters: its beginning, a mark, its end. The mark alone may be longer. */
export function shortenText(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  const mark = (left: number) => `[… ${left} characters left out …]`;
  const room = maxCharacters - mark(text.length).length - 2;
  if (room < 2) return shorter(text, mark(text.length));
  const begin = text.slice(0, beforeHalfCharacter(text, Math.ceil(room / 2)));
  const end = text.slice(afterHalfCharacter(text, text.length - Math.floor(room / 2)));
  return shorter(text, `${begin}\n${mark(text.length - begin.length - end.length)}\n${end}`);
}

/** A text that takes at most so many tokens, as far as its mark allows. */
export function fitText(text: string, maxTokens: number, tokensOf: (group: Group) => number): string {
  const [message] = shortenGroup([{ role: 'user', content: text }], maxTokens, tokensOf);
  return message?.content ?? '';
}

/** A copy of a group that takes at most so many tokens; the least possible when that is more. Itself if it fits. */
export function shortenGroup(group: Group, maxTokens: number, tokensOf: (group: Group) => number): Group {
  let tokens = tokensOf(group);
  let maxCharacters = group.reduce((longest, message) => Math.max(longest, longestText(message)), 0);
  let copy = group;
  while (tokens > maxTokens && maxCharacters > 0) {
    // Each round is at most 0.8 of the one before, so all of them together read the group a few times at most.
    maxCharacters = Math.floor(maxCharacters * Math.min(0.8, Math.max(maxTokens, 0) / tokens));
    if (maxCharacters < leastCharacters) maxCharacters = 0;
    copy = group.map((message) => shortenMessage(message, maxCharacters));
    tokens = tokensOf(copy);
  }
  return tokens > maxTokens ? copy.map(withoutImages) : copy;
}

/** Less of a text says nothing beside the mark. */
const leastCharacters = 60;

function longestText(message: Message): number {
  const calls = message.role === 'assistant' ? (message.toolCalls ?? []) : [];
  return Math.max(message.content.length, ...calls.map((call) => call.arguments.length));
}

/** Thinking is signed and stays; the mark of a session goes, since no session has the copy. */
function shortenMessage(message: Message, maxCharacters: number): Message {
  const content = shortenText(message.content, maxCharacters);
  if (message.role !== 'assistant') return { ...message, content };
  const { session: _session, reasoning: _reasoning, toolCalls, ...rest } = message;
  if (toolCalls === undefined) return { ...rest, content };
  return { ...rest, content, toolCalls: toolCalls.map((call) => shortenCall(call, maxCharacters)) };
}

/** Arguments stay JSON: only texts inside them are shortened. */
function shortenCall(call: ToolCall, maxCharacters: number): ToolCall {
  if (call.arguments.length <= Math.max(maxCharacters, leastCharacters)) return call;
  const cut = (_key: string, value: Json) => (typeof value === 'string' ? shortenText(value, maxCharacters) : value);
  try {
    const shortened = JSON.stringify(JSON.parse(call.arguments), cut);
    const fits = shortened.length < call.arguments.length || maxCharacters > 0;
    return { ...call, arguments: fits ? shorter(call.arguments, shortened) : '{}' };
  } catch {
    return { ...call, arguments: '{}' };
  }
}

function withoutImages(message: Message): Message {
  if (message.role !== 'user' || message.images === undefined) return message;
  const { images, ...rest } = message;
  return { ...rest, content: `[${images.length} pictures left out]\n${rest.content}` };
}

function shorter(text: string, copy: string): string {
  return copy.length < text.length ? copy : text;
}

function beforeHalfCharacter(text: string, at: number): number {
  return isLowSurrogate(text, at) ? at - 1 : at;
}

function afterHalfCharacter(text: string, at: number): number {
  return isLowSurrogate(text, at) ? at + 1 : at;
}

function isLowSurrogate(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff;
}
