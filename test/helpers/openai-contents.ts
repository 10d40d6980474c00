/** Answers of an OpenAI-compatible server that are odd in what they say, whether they are streamed or not. */

/** One answer. */
export interface Content {
  readonly message: object;
  /** Default `stop`. */
  readonly finish?: string | null;
  /** Default: 12 and 5 tokens, 4 of them cached. */
  readonly usage?: unknown;
}

const part = { content: 'Grüße' };
const tools = (calls: unknown, finish = 'tool_calls'): Content => ({
  message: { content: null, tool_calls: calls },
  finish,
});
const call = (name: string, text: unknown, more: object = {}) => ({ ...more, function: { name, arguments: text } });

export const contents: Readonly<Record<string, Content>> = {
  'null-content': { message: { content: null } },
  'content-parts': {
    message: {
      content: [{ type: 'text', text: 'Grüße' }, ', wörld', { type: 'text', text: ' 🙂.' }, { type: 'image' }],
    },
  },
  'content-object': { message: { content: { a: 1 } } },
  reasoning: { message: { reasoning: 'Hm.', content: 'Grüße, wörld 🙂.' } },
  'finish-length': { message: part, finish: 'length' },
  'finish-filter': { message: part, finish: 'content_filter' },
  'finish-odd': { message: part, finish: 'eos_token' },
  'finish-tools-none': { message: part, finish: 'tool_calls' },
  refusal: { message: { refusal: "I can't help with that." } },
  'no-usage': { message: part, usage: 'none' },
  'usage-negative': { message: part, usage: { prompt_tokens: -1, completion_tokens: 5 } },
  'usage-string': { message: part, usage: { prompt_tokens: '12', completion_tokens: 1.5 } },
  'usage-null': { message: part, usage: null },
  'tool-two': tools([call('f', '{"x":1}', { index: 0, id: 'a' }), call('g', '{"y":2}', { index: 1, id: 'b' })]),
  'tool-same-index': tools([call('f', '{"x":1}', { index: 0, id: 'a' }), call('g', '{"y":2}', { index: 0, id: 'b' })]),
  'tool-no-index': tools([call('f', '{"x":1}', { id: 'a' }), call('g', '{"y":2}', { id: 'b' })]),
  'tool-duplicate-id': tools([
    call('f', '{"x":1}', { index: 0, id: 'a' }),
    call('g', '{"y":2}', { index: 1, id: 'a' }),
  ]),
  'tool-no-id': tools([call('f', '{"x":1}', { index: 0 }), call('g', '{"y":2}', { index: 1 })]),
  'tool-object-args': tools([call('f', { x: 1 }, { index: 0, id: 'a' }), call('g', { y: 2 }, { index: 1, id: 'b' })]),
  'tool-empty-args': tools([call('f', '', { index: 0, id: 'a' })]),
  'tool-no-args': tools([{ index: 0, id: 'a', function: { name: 'f' } }]),
  'tool-same-name': tools([call('f', '', { index: 0, id: 'a' }), call('f', '', { index: 1, id: 'b' })]),
  'tool-invalid-json': tools([call('f', '{"x":', { index: 0, id: 'a' })]),
  'tool-cut': tools([call('f', '{"x":', { index: 0, id: 'a' })], 'length'),
  'tool-cut-stop': tools([call('f', '{"x":', { index: 0, id: 'a' })], 'stop'),
  'tool-garbage': { message: { content: 'Grüße, wörld 🙂.', tool_calls: [null, 5, 'x'] } },
};
