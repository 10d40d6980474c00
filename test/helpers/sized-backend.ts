/**
 * A backend in this process that reports as many tokens as there are words in what it is sent, and that a test tells what to
 * answer: for what depends on sizes and prices. It keeps what it was asked.
 */
import { type Backend, type ModelRequest, type ModelResponse, requestMessages } from '../../actors/backend.ts';
import type { Message, ToolDefinition } from '../../src/core/types.ts';

/** What a call is answered with; what it leaves out is empty, counted or follows from the rest. */
export type SizedAnswer = Partial<ModelResponse>;

interface SizedCall {
  readonly agent: string;
  readonly model: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  readonly maxTokens: number | undefined;
}

export interface SizedOptions {
  /** Number of the call, from 0, and the call. Default: 50 words. */
  readonly answer?: (number: number, request: ModelRequest) => SizedAnswer | Promise<SizedAnswer>;
  readonly kind?: string;
  readonly model?: string;
  readonly info?: Partial<Backend['info']>;
  readonly describeModel?: Backend['describeModel'];
  readonly embed?: Backend['embed'];
}

export interface SizedBackend extends Backend {
  readonly calls: readonly SizedCall[];
}

/** So many words, each a token in most vocabularies; `first` stands before them. */
export function words(count: number, first = ''): string {
  return `${first}${' word'.repeat(count)}`.trim();
}

/** Makes a backend that counts words. It is free unless `info` says otherwise. */
export function sizedBackend(options: SizedOptions = {}): SizedBackend {
  const { answer = () => ({ text: words(50) }), kind = 'sized', model = 'sized-model', describeModel, embed } = options;
  const calls: SizedCall[] = [];
  return {
    kind,
    model,
    info: {
      ...{ inference: 'embedded', price: 'free', capabilities: ['tools', 'streaming'], setup: 'For tests.' },
      ...options.info,
    },
    ...(describeModel && { describeModel }),
    ...(embed && { embed }),
    calls,
    async call(request) {
      const messages = requestMessages(request);
      const { agent, model: asked, tools, parameters } = request;
      calls.push({ agent, model: asked, messages, tools, maxTokens: parameters.maxTokens });
      const given: SizedAnswer = await answer(calls.length - 1, request);
      const { text = '', toolCalls = [] } = given;
      return {
        ...{ text, toolCalls, costUsd: undefined },
        finishReason: { unified: toolCalls.length > 0 ? 'tool-calls' : 'stop', raw: undefined },
        usage: {
          ...{ inputTokens: tokensOf(messages), outputTokens: wordCount(text) },
          ...{ cacheReadTokens: undefined, cacheWriteTokens: undefined },
        },
        ...given,
      };
    },
  };
}

/** What such a backend reports for these messages. */
function tokensOf(messages: readonly Message[]): number {
  return messages.reduce((sum, { content }) => sum + wordCount(content) + 5, 3);
}

function wordCount(text: string): number {
  return text.split(/\s+/).filter((word) => word !== '').length;
}
