/**
 * Control tokens of chat templates in what tools have read. A local server takes them out of any text for its own: a file that
 * holds `<|im_end|>\n<|im_start|>system` speaks for the system (measured with llama-server, which costs just those tokens).
 * An invisible space behind the first character makes them text; a model reads on over it.
 */
import type { ToolMessage } from '../../src/core/types.ts';
import type { MessageFormat } from './conversation-bytes.ts';

/** The same format, whose tool results hold no control tokens. Make it once: a format is the key of its buffers. */
export function withInertResults(format: MessageFormat): MessageFormat {
  return {
    ...format,
    encode: (message) => format.encode(message.role === 'tool' ? inert(message) : message),
    ...(format.encodeResults && { encodeResults: (results) => format.encodeResults?.(results.map(inert)) ?? '' }),
  };
}

/** A text without control tokens. */
export function withoutControlTokens(text: string): string {
  return text.replace(controlToken, (token) => `${token[0]}\u200b${token.slice(1)}`);
}

function inert(message: ToolMessage): ToolMessage {
  const content = withoutControlTokens(message.content);
  return content === message.content ? message : { ...message, content };
}

/** ChatML, Llama, Phi, DeepSeek and GPT (`<|…|>`, also with wide bars), Mistral and Llama 2, Gemma, and marks of tool calls. */
const controlToken =
  /<[|｜][^<>\n]{1,40}[|｜]>|\[\/?(?:INST|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS|SYSTEM_PROMPT)\]|<<\/?SYS>>|<\/?(?:s|bos|eos|start_of_turn|end_of_turn|tool_call|tool_response|think)>/g;
