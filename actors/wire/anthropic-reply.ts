/**
 * The reply of Anthropic's Messages protocol, streamed or whole: its JSON to our words.
 * Each event says in its data what it is. Blocks are told apart by their index, since servers may send them at the same time.
 * A stop reason makes it whole; `message_stop` may be missing, but nothing after it counts.
 */
import type { JsonObject, Usage } from '../../src/core/types.ts';
import type { ModelEvent, ModelResponse } from '../backend.ts';
import { protocolName } from './anthropic-chat.ts';
import { asCount, asFields, asFieldsList, type Fields } from './fields.ts';
import type { CallFacts } from './http-errors.ts';
import { Reply, type ReplyWords } from './reply.ts';

/** One reply while it arrives. */
export class MessagesReply extends Reply {
  /** Blocks of thinking, in order, as they are sent back. */
  readonly #thinking: ThinkingBlock[] = [];
  readonly #thinkingAt = new Map<unknown, ThinkingBlock>();
  #usage: Fields = {};

  constructor(call: CallFacts, onEvent: (event: ModelEvent) => void) {
    super(call, onEvent, words);
  }

  override response(): ModelResponse {
    const response = super.response();
    const blocks = this.#thinking.filter(isSigned);
    return blocks.length === 0 ? response : { ...response, thinking: { protocol: protocolName, blocks } };
  }

  protected override take(chunk: Fields): void {
    const index = chunk['index'];
    switch (chunk['type']) {
      case 'message_start':
        // Its count of generated tokens is that of the beginning.
        this.#takeUsage({ ...asFields(asFields(chunk['message'])?.['usage']), output_tokens: undefined });
        break;
      case 'content_block_start':
        this.#takeBlock(index, asFields(chunk['content_block']) ?? {});
        break;
      case 'content_block_delta':
        this.#takeDelta(index, asFields(chunk['delta']) ?? {});
        break;
      case 'message_delta':
        this.#takeEnd(asFields(chunk['delta']) ?? {}, chunk['usage']);
        break;
      case 'message_stop':
        this.done = true;
        break;
      case 'message':
      case undefined:
        this.#takeMessage(chunk);
    }
  }

  protected override isAnswer(reply: Fields): boolean {
    return Array.isArray(reply['content']) || typeof reply['stop_reason'] === 'string';
  }

  #takeMessage(message: Fields): void {
    asFieldsList(message['content']).forEach((block, index) => {
      this.#takeBlock(index, block);
    });
    this.#takeEnd(message, message['usage']);
  }

  /** The beginning of a block, or all of it. */
  #takeBlock(index: unknown, block: Fields): void {
    const { type, id, name } = block;
    if (type === 'text') this.takeText(textOf(block['text']));
    else if (type === 'tool_use') this.takeToolCalls([{ index, id, function: { name, arguments: inputOf(block) } }]);
    else if (type === 'thinking' || type === 'redacted_thinking') {
      const kept = { ...block } as ThinkingBlock;
      this.#thinking.push(kept);
      this.#thinkingAt.set(index, kept);
      this.takeReasoning(textOf(block['thinking']));
    }
  }

  #takeDelta(index: unknown, delta: Fields): void {
    const { type, partial_json: text } = delta;
    if (type === 'text_delta') this.takeText(textOf(delta['text']));
    else if (type === 'input_json_delta') this.takeToolCalls([{ index, function: { arguments: text } }]);
    else if (type === 'signature_delta') this.#addThinking(index, 'signature', delta);
    else if (type === 'thinking_delta') {
      this.#addThinking(index, 'thinking', delta);
      this.takeReasoning(textOf(delta['thinking']));
    }
  }

  #addThinking(index: unknown, field: 'thinking' | 'signature', delta: Fields): void {
    const block = this.#thinkingAt.get(index);
    if (block !== undefined) block[field] = textOf(block[field]) + textOf(delta[field]);
  }

  #takeEnd(end: Fields, usage: unknown): void {
    this.#takeUsage(asFields(usage) ?? {});
    if (typeof end['stop_reason'] === 'string') this.finish(end['stop_reason']);
  }

  /** Counts come in parts, the last of each kind counts. */
  #takeUsage(usage: Fields): void {
    const told = Object.entries(usage).filter(([, count]) => asCount(count) !== undefined);
    this.#usage = { ...this.#usage, ...Object.fromEntries(told) };
    this.usage = readUsage(this.#usage);
  }
}

type ThinkingBlock = { thinking?: string; signature?: string } & JsonObject;

const words: ReplyWords = {
  callsInPieces: true,
  finishReasons: new Map([
    ['end_turn', 'stop'],
    ['stop_sequence', 'stop'],
    ['tool_use', 'tool-calls'],
    ['max_tokens', 'length'],
    ['model_context_window_exceeded', 'length'],
    ['refusal', 'content-filter'],
  ]),
};

/** Only what its maker signed or sealed is taken back. */
function isSigned({ type, signature }: ThinkingBlock): boolean {
  return type === 'redacted_thinking' || textOf(signature) !== '';
}

/** What a call begins with: an empty object is only the place of what follows in pieces. */
function inputOf({ input }: Fields): unknown {
  return asFields(input) !== undefined && Object.keys(input as object).length === 0 ? '' : input;
}

/** The counts of a prompt are three: what was read from the cache, what was written to it, and the rest. */
function readUsage(usage: Fields): Usage {
  const rest = asCount(usage['input_tokens']);
  const cacheReadTokens = asCount(usage['cache_read_input_tokens']);
  const cacheWriteTokens = asCount(usage['cache_creation_input_tokens']);
  return {
    inputTokens: rest === undefined ? undefined : rest + (cacheReadTokens ?? 0) + (cacheWriteTokens ?? 0),
    outputTokens: asCount(usage['output_tokens']),
    cacheReadTokens,
    cacheWriteTokens,
  };
}

function textOf(content: unknown): string {
  return typeof content === 'string' ? content : '';
}
