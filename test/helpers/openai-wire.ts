/** The OpenAI chat completions protocol from the server's side: its words, and the faults that only it can have. */
import { type Dialect, type Fault, httpFaults } from './fault-server.ts';

/** One SSE event. */
function event(value: unknown): string {
  return `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
}

/** One event of a stream with this delta. */
export function chunk(delta: unknown, finishReason: string | null = null): string {
  return event({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finishReason }] });
}

const usageChunk = event({
  choices: [],
  usage: { prompt_tokens: 12, completion_tokens: 5, total_tokens: 17, prompt_tokens_details: { cached_tokens: 4 } },
});
export const doneEvent = event('[DONE]');

/** A whole answer that is no stream. */
export function completion(message: object, finishReason: string | null = 'stop'): object {
  return {
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finishReason }],
    usage: { prompt_tokens: 12, completion_tokens: 5 },
  };
}

export const openAiDialect: Dialect = {
  contentType: 'text/event-stream',
  begin: [chunk({ role: 'assistant', content: null }), chunk({ content: 'Grüße' })],
  end: [chunk({ content: ', wörld 🙂.' }), chunk({}, 'stop'), usageChunk, doneEvent],
  error: (message, type = 'invalid_request_error', code = null) => ({ error: { message, type, code, param: null } }),
};

/** The text of every answer of `openAiDialect` that arrives whole. */
export const wholeText = 'Grüße, wörld 🙂.';

/** A stream of these events, ended cleanly. */
function streamed(...events: readonly string[]): Fault {
  return ({ reply }) => reply(200, events.join(''), { 'content-type': 'text/event-stream' });
}

const hello = chunk({ role: 'assistant', content: 'Grüße' });
const overflows = {
  'context-openai': openAiDialect.error(
    "This model's maximum context length is 8192 tokens.",
    'invalid_request_error',
    'context_length_exceeded',
  ),
  'context-llama': {
    error: {
      code: 400,
      message: 'request (9001 tokens) exceeds the available context size (4096 tokens), try increasing it',
      type: 'exceed_context_size_error',
      n_prompt_tokens: 9001,
      n_ctx: 4096,
    },
  },
  'context-lmstudio': {
    error:
      'Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens',
  },
  'context-vllm-flat': {
    object: 'error',
    message: "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
    type: 'BadRequestError',
    param: null,
    code: 400,
  },
};

/** Faults of streams and answers in this protocol. */
export const openAiFaults: Readonly<Record<string, Fault>> = {
  ...httpFaults(openAiDialect),
  ...Object.fromEntries(
    Object.entries(overflows).map(([name, body]): [string, Fault] => [name, ({ reply }) => reply(400, body)]),
  ),
  'context-in-band': streamed(hello, event({ error: { message: 'Context size has been exceeded.' } })),
  '500-malformed': ({ reply }) =>
    reply(500, openAiDialect.error('[json.exception.parse_error.101] parse error at line 1', 'server_error', 500)),
  '501': ({ reply }) => reply(501, openAiDialect.error('This server does not support it', 'not_supported_error', 501)),
  'no-done': streamed(hello, chunk({ content: ', wörld 🙂.' }, 'stop')),
  'reset-after-finish': async ({ head, write, socket }) => {
    head(200, { 'content-type': 'text/event-stream' });
    await write(hello + chunk({ content: ', wörld 🙂.' }, 'stop'));
    socket.resetAndDestroy();
  },
  'done-only': streamed(doneEvent),
  'empty-stream': streamed(),
  multiline: streamed(
    hello,
    `data: ${JSON.stringify({ choices: [{ delta: { content: ', wörld 🙂.' }, finish_reason: 'stop' }] }, null, 1).replaceAll('\n', '\ndata: ')}\n\n`,
  ),
  'big-event': streamed(chunk({ content: 'x'.repeat(1_000_000) }, 'stop')),
  'big-5mb': streamed(...Array(5000).fill(chunk({ content: 'x'.repeat(1000) })), chunk({}, 'stop'), doneEvent),
  'event-error': streamed(
    hello,
    event({ error: { message: 'The server had an error', type: 'server_error' } }),
    doneEvent,
  ),
  'event-error-text': streamed(hello, event({ error: 'something broke' })),
  'event-error-overloaded': streamed(hello, event({ error: { message: 'slow down', type: 'overloaded_error' } })),
  'event-error-429': streamed(hello, event({ error: { message: 'too many', code: 429 } })),
  'event-error-with-choices': streamed(
    hello,
    event({ error: { message: 'no', code: 'content_filter' }, choices: [{ delta: {}, finish_reason: 'stop' }] }),
  ),
  'event-error-echo': ({ reply, request }) =>
    reply(
      200,
      hello + event({ error: { message: `bad key ${request.headers.authorization}`, type: 'authentication_error' } }),
      { 'content-type': 'text/event-stream' },
    ),
  'garbage-event': streamed(hello, event('{"choices":[{'), chunk({}, 'stop')),
  'null-event': streamed(hello, event('null'), chunk({}, 'stop')),
  'unknown-event': streamed(
    'event: ping\ndata: {"type":"ping"}\n\n',
    hello,
    event({ choices: 'none' }),
    chunk({ content: ', wörld 🙂.' }, 'stop'),
    doneEvent,
  ),
  'after-done': streamed(
    hello,
    chunk({ content: ', wörld 🙂.' }, 'stop'),
    doneEvent,
    chunk({ content: 'MORE' }),
    event({ error: 'late' }),
  ),
  'empty-choices': ({ reply }) => reply(200, { object: 'chat.completion', choices: [] }),
  'empty-choices-stream': streamed(event({ choices: [] }), doneEvent),
  'no-message': streamed(event({ choices: [{ index: 0, finish_reason: 'stop' }] })),
  'null-choice': streamed(event({ choices: [null] }), hello, chunk({ content: ', wörld 🙂.' }, 'stop')),
  'content-parts': streamed(
    chunk(
      { content: [{ type: 'text', text: 'Grüße' }, ', wörld', { type: 'text', text: ' 🙂.' }, { type: 'image' }] },
      'stop',
    ),
  ),
  'content-object': streamed(chunk({ content: { a: 1 } }), chunk({ content: wholeText }, 'stop')),
  proto: streamed(
    'data: {"__proto__":{"polluted":1},"choices":[{"__proto__":{"polluted":1},"delta":{"__proto__":{"polluted":1},"content":"Grüße, wörld 🙂."},"finish_reason":"stop"}]}\n\n',
  ),
  'second-choice': streamed(
    event({ choices: [{ index: 1, delta: { content: 'OTHER' }, finish_reason: 'length' }] }),
    hello,
    chunk({ content: ', wörld 🙂.' }, 'stop'),
  ),
  deep: streamed(event(`{"choices":[{"delta":{"content":${'['.repeat(200_000)}${']'.repeat(200_000)}}}]}`)),
  'deep-200': ({ reply }) => reply(200, '['.repeat(500_000) + ']'.repeat(500_000)),
  'deep-arguments': streamed(
    chunk({ tool_calls: [{ index: 0, function: { name: 'f' } }] }),
    event(
      `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}}]},"finish_reason":"tool_calls"}]}`,
    ),
  ),
  'whole-json': ({ reply }) => reply(200, completion({ content: wholeText })),
  'whole-json-pretty': ({ reply }) =>
    reply(200, JSON.stringify(completion({ content: wholeText }), null, 2), { 'content-type': 'application/json' }),
  'whole-json-as-stream': streamed(JSON.stringify(completion({ content: wholeText }))),
  'whole-json-no-finish': ({ reply }) => reply(200, completion({ content: wholeText }, null)),
  'error-as-stream': streamed(JSON.stringify({ error: 'The model has crashed' })),
  'trunc-json': ({ reply }) =>
    reply(200, JSON.stringify(completion({ content: wholeText })).slice(0, 60), { 'content-type': 'application/json' }),
  'finish-length': streamed(hello, chunk({}, 'length'), doneEvent),
  'finish-filter': streamed(hello, chunk({}, 'content_filter'), doneEvent),
  'finish-odd': streamed(hello, chunk({}, 'eos_token'), doneEvent),
  'finish-tools-none': streamed(hello, chunk({}, 'tool_calls'), doneEvent),
  refusal: streamed(chunk({ refusal: "I can't help with that." }), chunk({}, 'stop'), doneEvent),
  reasoning: streamed(chunk({ reasoning: 'Hm' }), chunk({ reasoning: '.' }), chunk({ content: wholeText }, 'stop')),
  'no-usage': streamed(hello, chunk({}, 'stop'), doneEvent),
  'usage-negative': streamed(
    hello,
    chunk({}, 'stop'),
    event({ choices: [], usage: { prompt_tokens: -1, completion_tokens: 5 } }),
  ),
  'usage-string': streamed(
    hello,
    chunk({}, 'stop'),
    event({ choices: [], usage: { prompt_tokens: '12', completion_tokens: 1.5 } }),
  ),
  'usage-null': streamed(hello, chunk({}, 'stop'), event({ choices: [], usage: null })),
  'usage-every-chunk': streamed(
    event({ choices: [{ delta: { content: 'a' } }], usage: { prompt_tokens: 3, completion_tokens: 1 } }),
    event({ choices: [{ delta: {}, finish_reason: 'stop' }], usage: { prompt_tokens: 3, completion_tokens: 2 } }),
  ),
};
