/** OpenAI's chat completions, as its own and the local servers speak them. */
import type { JsonObject } from '../../src/core/types.ts';
import { chunk, completion, doneEvent } from '../helpers/openai-wire.ts';
import { type Body, type Dialect, newId, object, objects, renamed, textOf } from './dialect.ts';
import type { Failure, Heard, HeardMessage, Said } from './model.ts';

export const openAiDialect: Dialect = {
  name: 'openai',
  contentType: 'text/event-stream',
  wantsStream: (body) => body['stream'] === true,
  hear: (body, problems) => {
    const messages = objects(body['messages']);
    if (messages.slice(1).some(({ role }) => role === 'system')) problems.push('a system message is not the first');
    if (!('max_tokens' in body || 'max_completion_tokens' in body)) problems.push('the answer has no cap');
    const format = formatOf(object(body['response_format']));
    return {
      model: String(body['model']),
      system: messages
        .filter(({ role }) => role === 'system')
        .map(({ content }) => textOf(content))
        .join('\n'),
      messages: messages.filter(({ role }) => role !== 'system').map((message) => heardMessage(message)),
      tools: objects(body['tools']).map((tool) => {
        const { name, parameters } = object(tool['function']);
        return { name: String(name), parameters };
      }),
      parameters: renamed(body, parameterNames),
      ...(format === undefined ? {} : { format }),
    };
  },
  stream: (said, body) => {
    const calls = said.calls.flatMap(({ name, arguments: args }, index) =>
      callChunks(index, name, JSON.stringify(args)),
    );
    const withUsage = object(body['stream_options'])['include_usage'] === true;
    const counts = `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [], usage: usageOf(said) })}\n\n`;
    return {
      begin: [chunk({ role: 'assistant', content: null })],
      pieces: said.pieces.map((content) => chunk({ content })),
      end: [...calls, chunk({}, finishOf(said)), ...(withUsage ? [counts] : []), doneEvent],
    };
  },
  whole: (said) => {
    const calls = said.calls.map(({ name, arguments: args }) => ({
      ...{ id: newId('call_'), type: 'function' },
      function: { name, arguments: JSON.stringify(args) },
    }));
    const message = { content: said.pieces.join(''), ...(calls.length > 0 ? { tool_calls: calls } : {}) };
    return { ...completion(message, finishOf(said)), usage: usageOf(said) };
  },
  refuse: (failure, model) => {
    const [message, type, code] = refusals[failure];
    const error = { message: message.replace('MODEL', model), type, param: null, code };
    return { status: Number.parseInt(failure, 10), body: { error } };
  },
};

const parameterNames = {
  temperature: 'temperature',
  top_p: 'topP',
  max_tokens: 'maxTokens',
  max_completion_tokens: 'maxTokens',
  stop: 'stop',
  seed: 'seed',
};

const refusals: Readonly<Record<Failure, readonly [message: string, type: string, code: string | null]>> = {
  '400-context': [
    "This model's maximum context length is 8192 tokens.",
    'invalid_request_error',
    'context_length_exceeded',
  ],
  '400': ['Unsupported value.', 'invalid_request_error', 'unsupported_value'],
  '401': ['Incorrect API key provided.', 'invalid_request_error', 'invalid_api_key'],
  '404': ['The model `MODEL` does not exist.', 'invalid_request_error', 'model_not_found'],
  '429': ['Rate limit reached for requests.', 'requests', 'rate_limit_exceeded'],
  '500': ['The server had an error.', 'server_error', null],
};

function formatOf({ type, json_schema: described }: Body): Heard['format'] {
  if (type === 'json_schema') return object(object(described)['schema']) as JsonObject;
  return type === 'json_object' ? 'json' : undefined;
}

function heardMessage({ role, content, tool_calls: calls, tool_call_id: callId }: Body): HeardMessage {
  return {
    role: role as HeardMessage['role'],
    text: textOf(content),
    ...(calls === undefined ? {} : { calls: objects(calls).map(heardCall) }),
    ...(callId === undefined ? {} : { callId: String(callId) }),
  };
}

function heardCall({ id, function: called }: Body) {
  const { name, arguments: text } = object(called);
  return { id: String(id ?? ''), name: String(name), arguments: JSON.parse(String(text)) };
}

/** A call as servers stream it: its name, then its arguments in two halves. */
function callChunks(index: number, name: string, text: string): string[] {
  const half = Math.ceil(text.length / 2);
  const begun = { index, id: newId('call_'), type: 'function', function: { name, arguments: '' } };
  const rest = [text.slice(0, half), text.slice(half)].map((part) => ({ index, function: { arguments: part } }));
  return [begun, ...rest].map((call) => chunk({ tool_calls: [call] }));
}

function finishOf({ calls }: Said): string {
  return calls.length > 0 ? 'tool_calls' : 'stop';
}

function usageOf({ tokens: { input, output, cacheRead } }: Said): object {
  return {
    ...{ prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
    prompt_tokens_details: { cached_tokens: cacheRead },
  };
}
