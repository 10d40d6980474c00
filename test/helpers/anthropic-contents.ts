/** Answers of a server of the Messages protocol that are odd in what they say, whether they are streamed or not. */

/** One answer. */
export interface Content {
  readonly blocks: readonly unknown[];
  /** Default `end_turn`. */
  readonly stop?: string | null;
  /** Default: 12 and 5 tokens, 3 of the prompt read from the cache and 1 written to it. */
  readonly usage?: unknown;
}

/** A tool call; arguments that are a text come in pieces when the answer is streamed. */
export const call = (name: string, input: unknown, id?: string) => ({ type: 'tool_use', id, name, input });
const text = (said: unknown) => ({ type: 'text', text: said });
const part = [text('Grüße')];
const tools = (...blocks: unknown[]): Content => ({ blocks, stop: 'tool_use' });
const wholeText = 'Grüße, wörld 🙂.';

export const contents: Readonly<Record<string, Content>> = {
  'null-content': { blocks: [text(null)] },
  'content-object': { blocks: [text({ a: 1 })] },
  reasoning: { blocks: [{ type: 'thinking', thinking: 'Hm.', signature: 'sig' }, text(wholeText)] },
  'reasoning-unsigned': { blocks: [{ type: 'thinking', thinking: 'Hm.', signature: '' }, text(wholeText)] },
  'finish-length': { blocks: part, stop: 'max_tokens' },
  'finish-window': { blocks: part, stop: 'model_context_window_exceeded' },
  'finish-filter': { blocks: part, stop: 'refusal' },
  'finish-sequence': { blocks: part, stop: 'stop_sequence' },
  'finish-pause': { blocks: part, stop: 'pause_turn' },
  'finish-odd': { blocks: part, stop: 'eos_token' },
  'finish-tools-none': { blocks: part, stop: 'tool_use' },
  'no-usage': { blocks: part, usage: 'none' },
  'usage-negative': { blocks: part, usage: { input_tokens: -1, output_tokens: 5 } },
  'usage-string': { blocks: part, usage: { input_tokens: '12', output_tokens: 1.5 } },
  'usage-null': { blocks: part, usage: null },
  'tool-two': tools(call('f', '{"x":1}', 'a'), call('g', '{"y":2}', 'b')),
  'tool-duplicate-id': tools(call('f', '{"x":1}', 'a'), call('g', '{"y":2}', 'a')),
  'tool-no-id': tools(call('f', '{"x":1}'), call('g', '{"y":2}')),
  'tool-object-args': tools(call('f', { x: 1 }, 'a'), call('g', { y: 2 }, 'b')),
  'tool-empty-args': tools(call('f', {}, 'a')),
  'tool-no-args': tools(call('f', undefined, 'a')),
  'tool-same-name': tools(call('f', {}, 'a'), call('f', {}, 'b')),
  'tool-invalid-json': tools(call('f', '{"x":', 'a')),
  'tool-cut': { blocks: [call('f', '{"x":', 'a')], stop: 'max_tokens' },
  'tool-cut-empty': { blocks: [call('f', {}, 'a')], stop: 'max_tokens' },
  'tool-cut-stop': { blocks: [call('f', '{"x":', 'a')], stop: 'end_turn' },
  'tool-garbage': { blocks: [null, 5, 'x', { type: 'server_tool_use' }, text(wholeText)] },
};
