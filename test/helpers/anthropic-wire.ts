/**
 * Anthropic's Messages protocol from the server's side: its words, and the faults that it can have.
 * Whatever it is asked for, it first refuses a request that the real server would refuse.
 */

import type { Fault } from '../../src/testing/fault-server.ts';
import { type Dialect, httpFaults } from '../../src/testing/http-faults.ts';
import { type Content, call, contents } from './anthropic-contents.ts';
import { refusal } from './anthropic-rules.ts';

/** One event of a stream, named as its data is typed. */
export function event(data: { readonly type: string } & Readonly<Record<string, unknown>>): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}

const prompt = { input_tokens: 8, cache_creation_input_tokens: 1, cache_read_input_tokens: 3 };
const usage = { ...prompt, output_tokens: 5 };
const about = { id: 'msg_1', type: 'message', role: 'assistant', model: 'm' };

const start = (counts: unknown = { ...prompt, output_tokens: 1 }) =>
  event({ type: 'message_start', message: { ...about, content: [], stop_reason: null, usage: counts } });
const blockStart = (block: unknown, index?: number) =>
  event({ type: 'content_block_start', index, content_block: block });
const delta = (piece: unknown, index?: number) => event({ type: 'content_block_delta', index, delta: piece });
const textDelta = (text: unknown, index = 0) => delta({ type: 'text_delta', text }, index);
const jsonDelta = (text: string, index?: number) => delta({ type: 'input_json_delta', partial_json: text }, index);
const blockStop = (index = 0) => event({ type: 'content_block_stop', index });
const end = (stop: string | null = 'end_turn', counts: unknown = { output_tokens: 5 }) =>
  event({ type: 'message_delta', delta: { stop_reason: stop, stop_sequence: null }, usage: counts });
const stopEvent = event({ type: 'message_stop' });

/** The text of every answer that arrives whole. */
export const wholeText = 'Grüße, wörld 🙂.';

/** A whole message that is no stream. */
export function message(blocks: unknown, stop: string | null = 'end_turn', counts: unknown = usage): object {
  return { ...about, content: blocks, stop_reason: stop, stop_sequence: null, usage: counts };
}

/** The events of an answer of these blocks. */
export function events({ blocks, stop = 'end_turn', usage: counts }: Content): string[] {
  const known = counts === undefined ? [start()] : [start({})];
  const last = end(stop, counts === 'none' ? null : counts);
  return [...known, ...blocks.flatMap(blockEvents), last, stopEvent];
}

function blockEvents(block: unknown, index: number): string[] {
  const { type, input, ...fields } = (block ?? {}) as Readonly<Record<string, unknown>>;
  if (type === 'text')
    return [blockStart({ type, text: '' }, index), textDelta(fields['text'], index), blockStop(index)];
  if (type === 'tool_use' && typeof input === 'string')
    return [
      blockStart({ type, ...fields, input: {} }, index),
      ...[jsonDelta('', index), jsonDelta(input.slice(0, 3), index), jsonDelta(input.slice(3), index)],
      blockStop(index),
    ];
  if (type !== 'thinking') return [blockStart(block, index), delta(block, index), blockStop(index)];
  const { thinking, signature } = fields;
  return [
    blockStart({ type, thinking: '', signature: '' }, index),
    delta({ type: 'thinking_delta', thinking }, index),
    delta({ type: 'signature_delta', signature }, index),
    blockStop(index),
  ];
}

const error: Dialect['error'] = (message, type = 'api_error') => ({ type: 'error', error: { type, message } });

export const anthropicDialect: Dialect = {
  contentType: 'text/event-stream',
  begin: [start(), blockStart({ type: 'text', text: '' }, 0), textDelta('Grüße')],
  end: [textDelta(', wörld 🙂.'), blockStop(), end(), stopEvent],
  keepAlive: event({ type: 'ping' }),
  openLine: 'data: ',
  error,
};

const whole = message([{ type: 'text', text: wholeText }]);
const pretty = JSON.stringify(whole, null, 2);
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
export function streamed(...pieces: readonly string[]): Fault {
  return ({ reply }) => reply(200, pieces.join(''), sse);
}

function asJson({ blocks, stop = 'end_turn', usage: counts = usage }: Content): Fault {
  const told = blocks.map((block) => {
    const { input } = (block ?? {}) as { readonly input?: unknown };
    return typeof input === 'string' && isWhole(input) ? { ...(block as object), input: JSON.parse(input) } : block;
  });
  return ({ reply }) => reply(200, message(told, stop, counts === 'none' ? null : counts));
}

function isWhole(text: string): boolean {
  return text.endsWith('}');
}

function mapped<Value, Result>(rows: Readonly<Record<string, Value>>, change: (value: Value) => Result) {
  return Object.fromEntries(Object.entries(rows).map(([name, value]) => [name, change(value)]));
}

/** The faults of a server that refuses what the real one would refuse. */
export function strict(faults: Readonly<Record<string, Fault>>): Readonly<Record<string, Fault>> {
  return mapped(faults, (fault): Fault => {
    return (exchange) => {
      const { method, body, headers } = exchange.request;
      if (method !== 'POST') return fault(exchange);
      const why =
        headers['anthropic-version'] === '2023-06-01' ? refusal(body) : 'anthropic-version: header is required';
      if (why === undefined) return fault(exchange);
      exchange.reply(400, error(`REFUSED ${why}`, 'invalid_request_error'));
    };
  });
}

const protoFields = '"__proto__":{"polluted":1}';
const deepList = '['.repeat(200_000) + ']'.repeat(200_000);
const deepObject = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
const deepCall = `{"type":"tool_use","id":"a","name":"f","input":${deepObject}}`;
const protoText = `{${protoFields},"type":"text","text":"${wholeText}"}`;

/** Blocks as JSON text, for what `JSON.stringify` cannot write. */
const rawBlocks: Readonly<Record<string, string>> = {
  proto: protoText,
  deep: `{"type":"text","text":${deepList}}`,
  'deep-arguments': deepCall,
};

const tooLong = 'prompt is too long: 208656 tokens > 200000 maximum';
const llamaTooLong = 'request (9001 tokens) exceeds the available context size (4096 tokens), try increasing it';

/** Refusals of a prompt that is too long, as servers of this protocol word them. */
const overflows = {
  'context-anthropic': error(tooLong, 'invalid_request_error'),
  'context-llama': { error: { code: 400, message: llamaTooLong, type: 'exceed_context_size_error', n_ctx: 4096 } },
  'context-lmstudio': error(
    'Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens',
    'invalid_request_error',
  ),
  'context-vllm-flat': error("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"),
};

/** What does not depend on whether a stream was asked for. */
const eitherFaults: Readonly<Record<string, Fault>> = {
  ...mapped(overflows, (body): Fault => {
    return ({ reply }) => reply(400, body);
  }),
  '500-malformed': ({ reply }) =>
    reply(500, { error: { message: '[json.exception.parse_error.101] parse error', type: 'server_error', code: 500 } }),
  'whole-json': ({ reply }) => reply(200, whole),
  'whole-json-pretty': ({ reply }) => reply(200, pretty, json),
  'whole-json-as-stream': streamed(JSON.stringify(whole)),
  'whole-json-no-finish': ({ reply }) => reply(200, message([{ type: 'text', text: wholeText }], null)),
  'error-as-stream': streamed(JSON.stringify({ error: 'The model has crashed' })),
  'trunc-json': ({ reply }) => reply(200, JSON.stringify(whole).slice(0, 60), json),
};

const hello = anthropicDialect.begin.join('');
const rest = anthropicDialect.end.join('');
const failed = (fields: object) => streamed(hello, event({ type: 'error', ...fields }), rest);
const x = call('f', {}, 'a');
const y = call('g', {}, 'b');

/** Faults of streams of events. */
export const anthropicFaults = strict({
  ...httpFaults(anthropicDialect),
  ...eitherFaults,
  ...mapped(contents, (content) => streamed(...events(content))),
  ...mapped(rawBlocks, (block) =>
    streamed(
      start(),
      `data: {${protoFields},"type":"content_block_start","index":0,"content_block":${block}}\n\n`,
      end(),
    ),
  ),
  'no-message': streamed(event({ type: 'message_start' }), event({ type: 'content_block_delta' }), end()),
  comments: streamed(': hello\n\n:\n\n', hello, ': ping\n\n', rest),
  'id-retry': streamed('retry: 100\n\nid: 7\n', hello, rest),
  nospace: streamed((hello + rest).replaceAll('data: ', 'data:').replaceAll('event: ', 'event:')),
  multiline: streamed((hello + rest).replaceAll(',"', ',\ndata: "')),
  'no-event-name': streamed((hello + rest).replaceAll(/event: .*\n/g, '')),
  'other-event-name': streamed((hello + rest).replaceAll(/event: .*\n/g, 'event: message_stop\n')),
  'no-done': streamed(hello, rest.replace(stopEvent, '')),
  'done-only': streamed(stopEvent),
  'reset-after-finish': async ({ head, write, socket }) => {
    head(200, sse);
    await write(hello + rest.replace(stopEvent, ''));
    socket.resetAndDestroy();
  },
  'big-event': streamed(start(), textDelta('x'.repeat(1_000_000)), end()),
  'big-5mb': streamed(start(), ...Array(5000).fill(textDelta('x'.repeat(1000))), end(), stopEvent),
  'context-in-band': failed(error(tooLong, 'invalid_request_error')),
  'event-error': failed(error('Internal server error')),
  'event-error-text': failed({ error: 'something broke' }),
  'event-error-overloaded': failed(error('Overloaded', 'overloaded_error')),
  'event-error-429': streamed(hello, `data: ${JSON.stringify({ error: { message: 'too many', code: 429 } })}\n\n`),
  'event-error-with-choices': failed({
    error: { message: 'Output blocked by content filtering policy', type: 'invalid_request_error' },
    delta: { stop_reason: 'end_turn' },
  }),
  'event-error-echo': ({ reply, request }) =>
    reply(
      200,
      hello + event({ type: 'error', ...error(`bad key ${request.headers['x-api-key']}`, 'authentication_error') }),
      sse,
    ),
  'garbage-event': streamed(hello, 'data: {"type":"content_block_delta\n\n', rest),
  'null-event': streamed(hello, 'data: null\n\n', rest),
  'unknown-event': streamed(
    event({ type: 'ping' }),
    ...[hello, event({ type: 'content_block_delta', delta: { type: 'citations_delta', text: 'OTHER' } })],
    ...[event({ type: 'later_event', content: [{ type: 'text', text: 'OTHER' }], stop_reason: 'refusal' }), rest],
  ),
  'after-done': streamed(
    hello,
    rest,
    textDelta('MORE'),
    event({ type: 'error', ...error('late') }),
    'data: [DONE]\n\n',
  ),
  'usage-every-chunk': streamed(
    start({ input_tokens: 1, output_tokens: 1 }),
    ...[end(null, { output_tokens: 1 }), end('end_turn', { input_tokens: 3, output_tokens: 2 }), stopEvent],
  ),
  'tool-same-index': streamed(
    ...[start(), blockStart(x, 0), jsonDelta('{"x":1}', 0), blockStart(y, 0), jsonDelta('{"y":2}', 0)],
    end('tool_use'),
  ),
  'tool-no-index': streamed(
    ...[start(), blockStart(x), jsonDelta('{"x":1}'), blockStart(y), jsonDelta('{"y":2}'), end('tool_use')],
  ),
  'tool-interleaved': streamed(
    ...[start(), blockStart(x, 0), jsonDelta('{"x"', 0), blockStart(y, 1), jsonDelta('{"y"', 1)],
    ...[jsonDelta(':1}', 0), jsonDelta(':2}', 1), blockStop(0), blockStop(1), end('tool_use'), stopEvent],
  ),
});

/** Faults of the same server when it is asked for one whole answer. */
export const anthropicJsonFaults = strict({
  ...httpFaults(jsonDialect),
  ...eitherFaults,
  ...mapped(contents, asJson),
  ...mapped(rawBlocks, (block): Fault => {
    return ({ reply }) => reply(200, `{${protoFields},"content":[${block}],"stop_reason":"end_turn"}`, json);
  }),
  'no-message': ({ reply }) => reply(200, { type: 'message', stop_reason: 'end_turn' }),
  'stream-anyway': streamed(hello, rest),
  'big-event': asJson({ blocks: [{ type: 'text', text: 'x'.repeat(1_000_000) }] }),
  'big-5mb': asJson({ blocks: [{ type: 'text', text: 'x'.repeat(5_000_000) }] }),
  'after-done': ({ reply }) => reply(200, `${pretty}{"error":"late"}`, json),
});
