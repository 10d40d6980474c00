/** Anthropic's Messages API. It takes what Claude Code sends besides: marks of the cache, several system texts, more fields. */
import type { JsonObject } from '../../src/core/types.ts';
import { type Body, type Dialect, newId, object, objects, renamed, textOf } from './dialect.ts';
import type { Failure, HeardMessage, Said } from './model.ts';

export const anthropicDialect: Dialect = {
  name: 'anthropic',
  contentType: 'text/event-stream',
  wantsStream: (body) => body['stream'] === true,
  hear: (body, problems) => {
    const { system, output_config: outputConfig, output_format: outputFormat } = body;
    const all = objects(body['messages']);
    // Claude Code adds one to what it sends to newer models.
    const extra = all.filter(({ role }) => role === 'system').map(({ content }) => textOf(content));
    const messages = all.filter(({ role }) => role !== 'system');
    if (typeof body['max_tokens'] !== 'number') problems.push('max_tokens: Field required');
    problems.push(...messageProblems(messages));
    const { schema } = object(object(outputConfig)['format'] ?? outputFormat);
    const cached = JSON.stringify({ ...body, messages: [] }).includes('"cache_control"');
    return {
      model: String(body['model']),
      system: [textOf(system), ...extra].filter(Boolean).join('\n'),
      messages: messages.flatMap(heardMessages),
      tools: objects(body['tools']).map(({ name, input_schema: parameters }) => ({ name: String(name), parameters })),
      parameters: renamed(body, parameterNames),
      ...(schema === undefined ? {} : { format: schema as JsonObject }),
      cached,
    };
  },
  stream: (said, body) => {
    const start = {
      ...messageOf(said, body),
      content: [],
      stop_reason: null,
      usage: { ...usageOf(said), output_tokens: 1 },
    };
    const calls = said.calls.map((call, index) => callEvents(said.pieces.length > 0 ? index + 1 : index, call));
    const delta = { stop_reason: stopReason(said), stop_sequence: null };
    const hasText = said.pieces.length > 0;
    return {
      begin: [
        event('message_start', { message: start }),
        event('ping', {}),
        ...(hasText ? [event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } })] : []),
      ],
      pieces: said.pieces.map((text) =>
        event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
      ),
      end: [
        ...(hasText ? [event('content_block_stop', { index: 0 })] : []),
        ...calls.flat(),
        event('message_delta', { delta, usage: { output_tokens: said.tokens.output } }),
        event('message_stop', {}),
      ],
    };
  },
  whole: messageOf,
  refuse: (failure, model) => {
    const [type, message] = refusals[failure];
    const error = { type, message: message.replace('MODEL', model) };
    return { status: Number.parseInt(failure, 10), body: { type: 'error', error, request_id: newId('req_') } };
  },
};

const parameterNames = { temperature: 'temperature', top_p: 'topP', max_tokens: 'maxTokens', stop_sequences: 'stop' };

const refusals: Readonly<Record<Failure, readonly [type: string, message: string]>> = {
  '400-context': ['invalid_request_error', 'prompt is too long: 250000 tokens > 200000 maximum'],
  '400': ['invalid_request_error', 'temperature: Input should be less than or equal to 1'],
  '401': ['authentication_error', 'invalid x-api-key'],
  '404': ['not_found_error', 'model: MODEL'],
  '429': ['rate_limit_error', 'This request would exceed your rate limit.'],
  '500': ['api_error', 'Internal server error'],
};

/** What this server refuses and others take. */
function messageProblems(messages: readonly Body[]): string[] {
  return messages.flatMap(({ role, content }, index) => {
    const blocks = objects(content);
    const results = blocks.filter(({ type }) => type === 'tool_result').length;
    const mixed = blocks.slice(0, results).some(({ type }) => type !== 'tool_result');
    const blank = blocks.some(({ type, text }) => type === 'text' && String(text).trim() === '');
    return [
      ...(messages[index - 1]?.['role'] === role ? [`messages.${index}: roles must alternate`] : []),
      ...(mixed ? [`messages.${index}: tool_result blocks must come first`] : []),
      ...(blank || content === '' ? [`messages.${index}: text content blocks must be non-empty`] : []),
    ];
  });
}

/** A message of the user is results, words, or both. */
function heardMessages({ role, content }: Body): HeardMessage[] {
  const blocks = objects(content);
  const results = blocks.filter(({ type }) => type === 'tool_result');
  const heard = results.map((result): HeardMessage => {
    return { role: 'tool', text: textOf(result['content']), callId: String(result['tool_use_id']) };
  });
  const calls = blocks
    .filter(({ type }) => type === 'tool_use')
    .map(({ id, name, input }) => ({ id: String(id), name: String(name), arguments: input }));
  const text = textOf(content);
  if (results.length > 0 && text === '') return heard;
  const said = { role: role as HeardMessage['role'], text, ...(calls.length > 0 ? { calls } : {}) };
  return [...heard, said];
}

function event(type: string, fields: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

function callEvents(index: number, { name, arguments: args }: Said['calls'][number]): string[] {
  const text = JSON.stringify(args);
  const half = Math.ceil(text.length / 2);
  const block = { type: 'tool_use', id: newId('toolu_'), name, input: {} };
  const deltas = [text.slice(0, half), text.slice(half)].map((partial_json) =>
    event('content_block_delta', { index, delta: { type: 'input_json_delta', partial_json } }),
  );
  return [
    event('content_block_start', { index, content_block: block }),
    ...deltas,
    event('content_block_stop', { index }),
  ];
}

function messageOf(said: Said, { model }: Body): object {
  const text = said.pieces.join('');
  const calls = said.calls.map(({ name, arguments: input }) => ({
    type: 'tool_use',
    id: newId('toolu_'),
    name,
    input,
  }));
  return {
    ...{ id: newId('msg_'), type: 'message', role: 'assistant', model },
    content: [...(text === '' ? [] : [{ type: 'text', text }]), ...calls],
    ...{ stop_reason: stopReason(said), stop_sequence: null, usage: usageOf(said) },
  };
}

function stopReason({ calls }: Said): string {
  return calls.length > 0 ? 'tool_use' : 'end_turn';
}

/** Cached tokens are none of the input tokens here. */
function usageOf({ tokens: { input, output, cacheRead, cacheWrite } }: Said): object {
  return {
    ...{ input_tokens: input - cacheRead - cacheWrite, output_tokens: output },
    ...{ cache_read_input_tokens: cacheRead, cache_creation_input_tokens: cacheWrite },
  };
}
