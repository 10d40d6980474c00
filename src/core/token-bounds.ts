/**
 * The most tokens that messages can be, from their lengths alone: cheap enough for every ask, and often all that is
 * needed to say that a conversation still fits.
 *
 * U1  A text has no more tokens than UTF-8 bytes, in every vocabulary of byte pairs or with a token for each byte.
 *     (One that first rewrites ligatures and the like into several letters can pass it; no current model's does.)
 * U2  What a template adds is in the allowances. What a server adds of its own, as Claude Code its long system
 *     message, is not: only its own report says that.
 */
import type { Message, ToolDefinition } from './types.ts';

/** What a template puts before and behind the messages: a default system message, the date, the answer's opening. */
export const requestAllowance = 512;

/** Role, marks and blanks around a message. Llama 3 and ChatML use 5, the wordiest published templates twice that. */
const messageAllowance = 16;

/** Marks and the other half of a name and an id that stand twice, for each call and result. */
const callAllowance = 32;

/**
 * One picture. Not by its size, which would have to be decoded: 14,364 is the most that a photograph of 12 megapixels
 * was found to cost. gpt-4o-mini, which counts a picture 33 times, is beyond it.
 */
const imageAllowance = 15_000;

/** The words around a list of tools. Anthropic states up to 530 tokens, the templates of open models have about 100. */
const toolsAllowance = 600;

/** The most tokens that messages can be. O(their length); `requestAllowance` comes once for each request. */
export function upperBound(messages: readonly Message[]): number {
  return messages.reduce((sum, message) => sum + boundOfMessage(message), 0);
}

/** The most tokens that the definitions of tools can be. */
export function upperBoundOfTools(tools: readonly ToolDefinition[]): number {
  // With indentation, since some templates write a blank behind each comma and colon.
  return tools.reduce((sum, tool) => sum + utf8Bytes(JSON.stringify(tool, null, 1)) + callAllowance, toolsBase(tools));
}

function toolsBase(tools: readonly ToolDefinition[]): number {
  return tools.length === 0 ? 0 : toolsAllowance;
}

function boundOfMessage(message: Message): number {
  const own = messageAllowance + utf8Bytes(message.content);
  if (message.role === 'user') return own + (message.images?.length ?? 0) * imageAllowance;
  if (message.role === 'tool') return own + callAllowance + utf8Bytes(message.name) + utf8Bytes(message.callId);
  if (message.role !== 'assistant') return own;
  const calls = message.toolCalls ?? [];
  const thinking = message.thinking === undefined ? 0 : utf8Bytes(JSON.stringify(message.thinking.blocks));
  return calls.reduce(
    (sum, call) => sum + callAllowance + utf8Bytes(call.name) + utf8Bytes(call.id) + utf8Bytes(call.arguments),
    own + thinking,
  );
}

/** Bytes of a text in UTF-8; half a surrogate pair becomes the three of U+FFFD. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    if (unit < 0x800) bytes += 1;
    else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(at + 1))) {
      // Two units, four bytes.
      bytes += 2;
      at += 1;
    } else bytes += 2;
  }
  return bytes;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
