/** Ollama's `/api/chat` from the server's side: its words, streamed as lines or whole, and the faults that it can have. */
import type { Fault } from '../../src/testing/fault-server.ts';
import { type Dialect, httpFaults } from '../../src/testing/http-faults.ts';

const about = { model: 'm', created_at: '2026-08-01T00:00:00Z' };
const counts = { total_duration: 9, prompt_eval_count: 12, eval_count: 5 };

/** One line of a stream. */
export function line(value: unknown): string {
  return `${typeof value === 'string' ? value : JSON.stringify(value)}\n`;
}

/** One line with a part of the message. */
export function part(message: object): string {
  return line({ ...about, message: { role: 'assistant', content: '', ...message }, done: false });
}

/** The last line. */
export function last(fields: object = {}): string {
  return line({
    ...about,
    message: { role: 'assistant', content: '' },
    done: true,
    done_reason: 'stop',
    ...counts,
    ...fields,
  });
}

const wholeText = 'Grüße, wörld 🙂.';
const hello = part({ content: 'Grüße' });
const rest = part({ content: ', wörld 🙂.' }) + last();
const error: Dialect['error'] = (message) => ({ error: message });

const ndjsonDialect: Dialect = {
  contentType: 'application/x-ndjson',
  begin: [part({}), hello],
  end: [part({ content: ', wörld 🙂.' }), last()],
  keepAlive: '\n',
  openLine: '{"message":{"content":"',
  error,
};

const whole = {
  ...about,
  message: { role: 'assistant', content: wholeText },
  done: true,
  done_reason: 'stop',
  ...counts,
};
const pretty = JSON.stringify(whole, null, 2);
const middle = pretty.indexOf(', wörld');

const jsonDialect: Dialect = {
  contentType: 'application/json',
  begin: [pretty.slice(0, middle)],
  end: [pretty.slice(middle)],
  keepAlive: ' ',
  openLine: '',
  error,
};

const ndjson = { 'content-type': ndjsonDialect.contentType };
const json = { 'content-type': 'application/json' };

/** A stream of these lines, ended cleanly. */
export function streamed(...lines: readonly string[]): Fault {
  return ({ reply }) => reply(200, lines.join(''), ndjson);
}

/** What an answer says: its message, and the other fields of its last line. */
type Content = readonly [message: object, fields?: object];

const call = (name: string, args: unknown, more: object = {}) => ({ function: { ...more, name, arguments: args } });
const tools = (...calls: unknown[]): Content => [{ tool_calls: calls }];

const contents: Readonly<Record<string, Content>> = {
  'null-content': [{ content: null }],
  'content-object': [{ content: { a: 1 } }],
  reasoning: [{ thinking: 'Hm.', content: wholeText }],
  'finish-length': [{ content: 'Grüße' }, { done_reason: 'length' }],
  'finish-odd': [{ content: 'Grüße' }, { done_reason: 'eos_token' }],
  'finish-load': [{}, { done_reason: 'load' }],
  'finish-none': [{ content: wholeText }, { done_reason: undefined }],
  'no-usage': [{ content: 'Grüße' }, { prompt_eval_count: undefined, eval_count: undefined }],
  'usage-negative': [{ content: 'Grüße' }, { prompt_eval_count: -1 }],
  'usage-string': [{ content: 'Grüße' }, { prompt_eval_count: '12', eval_count: 1.5 }],
  'usage-null': [{ content: 'Grüße' }, { prompt_eval_count: null, eval_count: null }],
  'usage-zero': [{ content: '' }, { eval_count: undefined }],
  'tool-two': tools(call('f', { x: 1 }, { index: 0 }), call('g', { y: 2 }, { index: 1 })),
  'tool-same-index': tools(call('f', { x: 1 }, { index: 0 }), call('g', { y: 2 }, { index: 0 })),
  'tool-no-index': tools({ id: 'a', ...call('f', { x: 1 }) }, { id: 'b', ...call('g', { y: 2 }) }),
  'tool-duplicate-id': tools({ id: 'a', ...call('f', { x: 1 }) }, { id: 'a', ...call('g', { y: 2 }) }),
  'tool-no-id': tools(call('f', { x: 1 }), call('g', { y: 2 })),
  'tool-object-args': tools(call('f', { x: 1 }), call('g', { y: 2 })),
  'tool-empty-args': tools(call('f', {})),
  'tool-no-args': tools({ function: { name: 'f' } }),
  'tool-same-name': tools({ function: { name: 'f' } }, { function: { name: 'f' } }),
  'tool-invalid-json': tools(call('f', '{"x":')),
  'tool-cut': [{ tool_calls: [call('f', { x: 1 })] }, { done_reason: 'length' }],
  'tool-garbage': [{ content: wholeText, tool_calls: [null, 5, 'x'] }],
};

function mapped<Value>(rows: Readonly<Record<string, Value>>, change: (value: Value) => Fault) {
  return Object.fromEntries(Object.entries(rows).map(([name, value]) => [name, change(value)]));
}

const deepList = '['.repeat(200_000) + ']'.repeat(200_000);
const deepObject = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
const proto = '"__proto__":{"polluted":1}';

/** Whole answers as JSON text, for what `JSON.stringify` cannot write. */
const rawAnswers = {
  proto: `{${proto},"message":{${proto},"content":"${wholeText}"},"done":true,"done_reason":"stop"}`,
  deep: `{"message":{"content":${deepList}},"done":true}`,
  'deep-arguments': `{"message":{"tool_calls":[{"function":{"name":"f","arguments":${deepObject}}}]},"done":true}`,
  'no-message': '{"done":true,"done_reason":"stop"}',
};

const tooLong = 'the prompt is longer than the context length currently available to the model; try a shorter one';

/** What does not depend on whether a stream was asked for. */
const eitherFaults: Readonly<Record<string, Fault>> = {
  'context-ollama': ({ reply }) => reply(400, error(tooLong)),
  '400-no-tools': ({ reply }) => reply(400, error('registry.ollama.ai/library/gemma:2b does not support tools')),
  'whole-json': ({ reply }) => reply(200, whole),
  'whole-json-pretty': ({ reply }) => reply(200, pretty, json),
  'whole-json-as-stream': streamed(JSON.stringify(whole)),
  'whole-json-no-finish': ({ reply }) => reply(200, { ...whole, done: false }),
  'error-as-stream': streamed(JSON.stringify({ error: 'The model has crashed' })),
  'trunc-json': ({ reply }) => reply(200, JSON.stringify(whole).slice(0, 60), json),
};

/** Faults of streams of lines. */
export const ollamaFaults: Readonly<Record<string, Fault>> = {
  ...httpFaults(ndjsonDialect),
  ...eitherFaults,
  ...mapped(contents, ([message, fields]) => streamed(part(message), last(fields))),
  ...mapped(rawAnswers, (answer) => streamed(line(answer))),
  'no-newline': streamed((hello + rest).trimEnd()),
  'big-event': streamed(part({ content: 'x'.repeat(1_000_000) }), last()),
  'big-5mb': streamed(...Array(5000).fill(part({ content: 'x'.repeat(1000) })), last()),
  'context-in-band': streamed(hello, line({ error: tooLong })),
  'event-error': streamed(hello, line({ error: 'an error was encountered while running the model' }), last()),
  'event-error-echo': ({ reply, request }) =>
    reply(200, hello + line({ error: `bad key ${request.headers.authorization}` }), ndjson),
  'garbage-event': streamed(hello, line('{"message":{'), last()),
  'null-event': streamed(hello, line('null'), last()),
  'unknown-event': streamed(line({ status: 'loading' }), line({ message: 'none' }), hello, rest),
  'after-done': streamed(hello, rest, part({ content: 'MORE' }), line({ error: 'late' })),
};

/** Faults of the same server when it is asked for one whole answer. */
export const ollamaJsonFaults: Readonly<Record<string, Fault>> = {
  ...httpFaults(jsonDialect),
  ...eitherFaults,
  ...mapped(contents, ([message, fields]): Fault => {
    return ({ reply }) => reply(200, { ...whole, message: { role: 'assistant', content: '', ...message }, ...fields });
  }),
  ...mapped(rawAnswers, (answer): Fault => {
    return ({ reply }) => reply(200, answer, json);
  }),
  'stream-anyway': streamed(hello, rest),
  'big-event': ({ reply }) => reply(200, { ...whole, message: { content: 'x'.repeat(1_000_000) } }),
  'big-5mb': ({ reply }) => reply(200, { ...whole, message: { content: 'x'.repeat(5_000_000) } }),
  'after-done': ({ reply }) => reply(200, `${pretty}{"error":"late"}`, json),
};
