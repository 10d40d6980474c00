/** What an answer of a script is on the wire, in the pieces in which a fault may break it, for each protocol. */
import type { ScriptedStep } from '../../actors/backends/scripted.ts';
import type { Dialect } from './http-faults.ts';

/** The protocols that a fake server speaks, each at its own route. */
export type Protocol = 'openai' | 'anthropic' | 'ollama';

export const routes: Readonly<Record<string, Protocol>> = {
  '/v1/chat/completions': 'openai',
  '/v1/messages': 'anthropic',
  '/api/chat': 'ollama',
};

/** What a step says, with the ids of its calls. */
export interface Said {
  readonly pieces: readonly string[];
  readonly calls: readonly { readonly id: string; readonly name: string; readonly arguments: unknown }[];
  readonly finish: NonNullable<ScriptedStep['finishReason']>;
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number };
}

/** The answer of a protocol, streamed or whole. */
export function wireOf(protocol: Protocol, said: Said, streams: boolean): Dialect {
  const { contentType, begin, end, keepAlive, openLine } = streams
    ? streamed[protocol](said)
    : wholeWire(protocol, said);
  return { contentType, begin, end, keepAlive, openLine, error: errors[protocol] };
}

type Wire = Omit<Dialect, 'error'>;

const errors: Readonly<Record<Protocol, Dialect['error']>> = {
  openai: (message, type = 'server_error', code = null) => ({ error: { message, type, param: null, code } }),
  anthropic: (message, type = 'api_error') => ({ type: 'error', error: { type, message } }),
  ollama: (message) => ({ error: message }),
};

const streamed: Readonly<Record<Protocol, (said: Said) => Wire>> = {
  openai: ({ pieces, calls, finish, usage }) => {
    const data = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
    const chunk = (delta: object, reason: string | null = null) =>
      data({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: reason }] });
    const called = openAiCalls(calls).map((call, index) => chunk({ tool_calls: [{ index, ...call }] }));
    const counts = data({ object: 'chat.completion.chunk', choices: [], usage: openAiUsage(usage) });
    return {
      ...eventStream,
      begin: [chunk({ role: 'assistant', content: '' }), ...pieces.map((content) => chunk({ content }))],
      end: [...called, chunk({}, finishes.openai[finish] ?? finish), counts, 'data: [DONE]\n\n'],
    };
  },
  anthropic: (said) => {
    const event = (type: string, fields: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
    const blocks = anthropicBlocks(said);
    const start = event('message_start', { message: { ...anthropicMessage(said), content: [], stop_reason: null } });
    const shown = blocks.map((block, index) => {
      const [empty, deltas] =
        block.type === 'text'
          ? [{ type: 'text', text: '' }, said.pieces.map((text) => ({ type: 'text_delta', text }))]
          : [{ ...block, input: {} }, [{ type: 'input_json_delta', partial_json: JSON.stringify(block.input) }]];
      return [
        event('content_block_start', { index, content_block: empty }),
        ...deltas.map((delta) => event('content_block_delta', { index, delta })),
        event('content_block_stop', { index }),
      ];
    });
    const delta = { stop_reason: finishes.anthropic[said.finish] ?? said.finish, stop_sequence: null };
    const [first = [], ...rest] = shown;
    const usage = { output_tokens: said.usage.outputTokens };
    return {
      ...eventStream,
      begin: [start, ...first.slice(0, -1)],
      end: [...first.slice(-1), ...rest.flat(), event('message_delta', { delta, usage }), event('message_stop', {})],
    };
  },
  ollama: ({ pieces, calls, finish, usage }) => {
    const line = (message: object, fields: object = { done: false }) =>
      `${JSON.stringify({ model: 'fake', message: { role: 'assistant', content: '', ...message }, ...fields })}\n`;
    const called = calls.length > 0 ? [line({ tool_calls: ollamaCalls(calls) })] : [];
    return {
      ...{ contentType: 'application/x-ndjson', keepAlive: '\n', openLine: '{"message":{"content":"' },
      begin: [line({}), ...pieces.map((content) => line({ content }))],
      end: [...called, line({}, ollamaEnd(finish, usage))],
    };
  },
};

const eventStream = { contentType: 'text/event-stream', keepAlive: ': keep-alive\n\n', openLine: 'data: {"x":"' };

function wholeWire(protocol: Protocol, said: Said): Wire {
  const text = JSON.stringify(wholeAnswers[protocol](said));
  const middle = Math.floor(text.length / 2);
  const pieces = { begin: [text.slice(0, middle)], end: [text.slice(middle)] };
  return { contentType: 'application/json', keepAlive: ' ', openLine: '', ...pieces };
}

const wholeAnswers: Readonly<Record<Protocol, (said: Said) => object>> = {
  openai: ({ pieces, calls, finish, usage }) => {
    const called = calls.length > 0 ? { tool_calls: openAiCalls(calls) } : {};
    const message = { role: 'assistant', content: pieces.join(''), ...called };
    const choices = [{ index: 0, message, finish_reason: finishes.openai[finish] ?? finish }];
    return { object: 'chat.completion', choices, usage: openAiUsage(usage) };
  },
  anthropic: (said) => anthropicMessage(said),
  ollama: ({ pieces, calls, finish, usage }) => {
    const called = calls.length > 0 ? { tool_calls: ollamaCalls(calls) } : {};
    const message = { role: 'assistant', content: pieces.join(''), ...called };
    return { model: 'fake', message, ...ollamaEnd(finish, usage) };
  },
};

type Finishes = Readonly<Record<string, string>>;

/** A reason that a protocol has no word for is sent as it is. */
const finishes: Readonly<Record<Protocol, Finishes>> = {
  openai: { 'tool-calls': 'tool_calls', 'content-filter': 'content_filter' },
  anthropic: { stop: 'end_turn', length: 'max_tokens', 'tool-calls': 'tool_use', 'content-filter': 'refusal' },
  ollama: { 'tool-calls': 'stop' },
};

function openAiCalls(calls: Said['calls']): object[] {
  return calls.map(({ id, name, arguments: args }) => {
    return { id, type: 'function', function: { name, arguments: JSON.stringify(args) } };
  });
}

function openAiUsage({ inputTokens, outputTokens }: Said['usage']): object {
  return { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: inputTokens + outputTokens };
}

function anthropicBlocks({ pieces, calls }: Said) {
  const text = pieces.join('');
  return [
    ...(text === '' ? [] : [{ type: 'text', text } as const]),
    ...calls.map(({ id, name, arguments: input }) => ({ type: 'tool_use', id, name, input }) as const),
  ];
}

function anthropicMessage(said: Said): object {
  const { inputTokens, outputTokens } = said.usage;
  return {
    ...{ id: 'msg_fake', type: 'message', role: 'assistant', model: 'fake', content: anthropicBlocks(said) },
    ...{ stop_reason: finishes.anthropic[said.finish] ?? said.finish, stop_sequence: null },
    usage: { input_tokens: inputTokens, output_tokens: outputTokens },
  };
}

function ollamaCalls(calls: Said['calls']): object[] {
  return calls.map(({ name, arguments: args }, index) => ({ function: { index, name, arguments: args } }));
}

function ollamaEnd(finish: string, { inputTokens, outputTokens }: Said['usage']): object {
  const counts = { prompt_eval_count: inputTokens, eval_count: outputTokens };
  return { done: true, done_reason: finishes.ollama[finish] ?? finish, ...counts };
}
