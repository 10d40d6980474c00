/** The OpenAI chat completions protocol from the server's side: its words, and the faults that only it can have. */
import type { Fault } from '../../src/testing/fault-server.ts';
import { type Dialect, httpFaults } from '../../src/testing/http-faults.ts';
import { type Content, contents } from './openai-contents.ts';

/** One SSE event. */
function event(value: unknown): string {
  return `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
}

/** One event of a stream with this delta. */
export function chunk(delta: unknown, finishReason: string | null = null): string {
  return event({ object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finishReason }] });
}

const usage = {
  prompt_tokens: 12,
  completion_tokens: 5,
  total_tokens: 17,
  prompt_tokens_details: { cached_tokens: 4 },
};
export const doneEvent = event('[DONE]');

/** A whole answer that is no stream. */
export function completion(message: object, finishReason: string | null = 'stop'): object {
  return {
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason: finishReason }],
    usage,
  };
}

/** The text of every answer that arrives whole. */
export const wholeText = 'Grüße, wörld 🙂.';

const error: Dialect['error'] = (message, type = 'invalid_request_error', code = null) => ({
  error: { message, type, code, param: null },
});

export const openAiDialect: Dialect = {
  contentType: 'text/event-stream',
  begin: [chunk({ role: 'assistant', content: null }), chunk({ content: 'Grüße' })],
  end: [chunk({ content: ', wörld 🙂.' }), chunk({}, 'stop'), event({ choices: [], usage }), doneEvent],
  keepAlive: ': keepalive\n\n',
  openLine: 'data: ',
  error,
};

const pretty = JSON.stringify(completion({ content: wholeText }), null, 2);
const middle = pretty.indexOf(', wörld');

/** The same answer in one piece of JSON. */
const jsonDialect: Dialect = {
  contentType: 'application/json',
  begin: [pretty.slice(0, middle)],
  end: [pretty.slice(middle)],
  keepAlive: ' ',
  openLine: '',
  error,
};

const sse = { 'content-type': 'text/event-stream' };
const json = { 'content-type': 'application/json' };

/** A stream of these events, ended cleanly. */
function streamed(...events: readonly string[]): Fault {
  return ({ reply }) => reply(200, events.join(''), sse);
}

function asStream({ message, finish = 'stop', usage: counts = usage }: Content): Fault {
  const last = counts === 'none' ? [] : [event({ choices: [], usage: counts })];
  return streamed(chunk({ role: 'assistant', ...message }), chunk({}, finish), ...last, doneEvent);
}

function asJson({ message, finish = 'stop', usage: counts = usage }: Content): Fault {
  const body = { ...completion(message, finish), ...(counts === 'none' ? { usage: undefined } : { usage: counts }) };
  return ({ reply }) => reply(200, body);
}

function mapped<Value, Result>(rows: Readonly<Record<string, Value>>, change: (value: Value) => Result) {
  return Object.fromEntries(Object.entries(rows).map(([name, value]) => [name, change(value)]));
}

const hello = chunk({ role: 'assistant', content: 'Grüße' });
const rest = chunk({ content: ', wörld 🙂.' }, 'stop');
const whole = completion({ content: wholeText });
const protoFields = '"__proto__":{"polluted":1}';
const deepList = '['.repeat(200_000) + ']'.repeat(200_000);
const deepObject = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
const deepParts = `${'[{"text":'.repeat(100_000)}1${'}]'.repeat(100_000)}`;

/** One choice as JSON text, for what `JSON.stringify` cannot write; `of` is `delta` or `message`. */
const rawChoices: Readonly<Record<string, (of: string) => string>> = {
  proto: (of) =>
    `{${protoFields},"choices":[{${protoFields},"${of}":{${protoFields},"content":"${wholeText}"},"finish_reason":"stop"}]}`,
  deep: (of) => `{"choices":[{"${of}":{"content":${deepList}},"finish_reason":"stop"}]}`,
  'deep-parts': (of) => `{"choices":[{"${of}":{"content":${deepParts}},"finish_reason":"stop"}]}`,
  'deep-arguments': (of) =>
    `{"choices":[{"${of}":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":${deepObject}}}]},"finish_reason":"tool_calls"}]}`,
  'no-message': () => '{"choices":[{"index":0,"finish_reason":"stop"}]}',
};

/** Refusals of a prompt that is too long, as servers word them. */
const overflows = {
  'context-openai': error(
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

/** What does not depend on whether a stream was asked for. */
const eitherFaults: Readonly<Record<string, Fault>> = {
  ...mapped(overflows, (body): Fault => {
    return ({ reply }) => reply(400, body);
  }),
  '500-malformed': ({ reply }) =>
    reply(500, error('[json.exception.parse_error.101] parse error at line 1', 'server_error', 500)),
  'empty-choices': ({ reply }) => reply(200, { object: 'chat.completion', choices: [] }),
  'whole-json': ({ reply }) => reply(200, whole),
  'whole-json-pretty': ({ reply }) => reply(200, pretty, json),
  'whole-json-as-stream': streamed(JSON.stringify(whole)),
  'whole-json-no-finish': ({ reply }) => reply(200, completion({ content: wholeText }, null)),
  'error-as-stream': streamed(JSON.stringify({ error: 'The model has crashed' })),
  'trunc-json': ({ reply }) => reply(200, JSON.stringify(whole).slice(0, 60), json),
};

/** Faults of streams and answers in this protocol. */
export const openAiFaults: Readonly<Record<string, Fault>> = {
  ...httpFaults(openAiDialect),
  ...eitherFaults,
  ...mapped(contents, asStream),
  ...mapped(rawChoices, (choice) => streamed(event(choice('delta')), doneEvent)),
  comments: streamed(': hello\n\n:\n\n', hello, ': ping\n\n', rest, ':\n', doneEvent),
  'id-retry': streamed('retry: 100\n\nid: 7\n', hello, rest, doneEvent),
  nospace: streamed((hello + rest + doneEvent).replaceAll('data: ', 'data:')),
  multiline: streamed(
    hello,
    `data: ${JSON.stringify({ choices: [{ delta: { content: ', wörld 🙂.' }, finish_reason: 'stop' }] }, null, 1).replaceAll('\n', '\ndata: ')}\n\n`,
  ),
  'no-done': streamed(hello, rest),
  'done-only': streamed(doneEvent),
  'empty-choices-stream': streamed(event({ choices: [] }), doneEvent),
  'reset-after-finish': async ({ head, write, socket }) => {
    head(200, sse);
    await write(hello + rest);
    socket.resetAndDestroy();
  },
  'big-event': streamed(chunk({ content: 'x'.repeat(1_000_000) }, 'stop')),
  'big-5mb': streamed(...Array(5000).fill(chunk({ content: 'x'.repeat(1000) })), chunk({}, 'stop'), doneEvent),
  'context-in-band': streamed(hello, event({ error: { message: 'Context size has been exceeded.' } })),
  'event-error': streamed(hello, event(error('The server had an error', 'server_error')), doneEvent),
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
      sse,
    ),
  'garbage-event': streamed(hello, event('{"choices":[{'), chunk({}, 'stop')),
  'null-event': streamed(hello, event('null'), chunk({}, 'stop')),
  'unknown-event': streamed(
    'event: ping\ndata: {"type":"ping"}\n\n',
    ...[hello, event({ choices: 'none' }), rest, doneEvent],
  ),
  'after-done': streamed(hello, rest, doneEvent, chunk({ content: 'MORE' }), event({ error: 'late' })),
  'null-choice': streamed(event({ choices: [null] }), hello, rest),
  'second-choice': streamed(
    event({ choices: [{ index: 1, delta: { content: 'OTHER' }, finish_reason: 'length' }] }),
    ...[hello, rest],
  ),
  reasoning: streamed(chunk({ reasoning: 'Hm' }), chunk({ reasoning: '.' }), chunk({ content: wholeText }, 'stop')),
  'usage-every-chunk': streamed(
    event({ choices: [{ delta: { content: 'a' } }], usage: { prompt_tokens: 3, completion_tokens: 1 } }),
    event({ choices: [{ delta: {}, finish_reason: 'stop' }], usage: { prompt_tokens: 3, completion_tokens: 2 } }),
  ),
  'tool-interleaved': streamed(
    ...[
      { index: 0, id: 'a', function: { name: 'f', arguments: '{"x"' } },
      { index: 1, id: 'b', function: { name: 'g', arguments: '{"y"' } },
      { index: 0, function: { arguments: ':1}' } },
      { index: 1, function: { arguments: ':2}' } },
    ].map((piece) => chunk({ tool_calls: [piece] })),
    ...[chunk({}, 'tool_calls'), doneEvent],
  ),
};

const otherChoice = { index: 1, message: { content: 'OTHER' }, finish_reason: 'length' };
const firstChoice = { index: 0, message: { content: wholeText }, finish_reason: 'stop' };

/** Faults of the same server when it is asked for one whole answer. */
export const openAiJsonFaults: Readonly<Record<string, Fault>> = {
  ...httpFaults(jsonDialect),
  ...eitherFaults,
  ...mapped(contents, asJson),
  ...mapped(rawChoices, (choice): Fault => {
    return ({ reply }) => reply(200, choice('message'), json);
  }),
  'stream-anyway': streamed(...openAiDialect.begin, ...openAiDialect.end),
  'big-event': asJson({ message: { content: 'x'.repeat(1_000_000) } }),
  'big-5mb': asJson({ message: { content: 'x'.repeat(5_000_000) } }),
  'after-done': ({ reply }) => reply(200, `${pretty}{"error":"late"}`, json),
  'null-choice': ({ reply }) => reply(200, { choices: [null, firstChoice] }),
  'second-choice': ({ reply }) => reply(200, { choices: [otherChoice, firstChoice] }),
};
