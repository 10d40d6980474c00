/**
 * The lines of one model call: what arrives, as the API's own stream events if they are wanted, and each finished block as
 * an `assistant` line just before its stop event.
 */
import { randomUUID } from 'node:crypto';
import { parseFields } from '../../actors/wire/fields.ts';
import type { FinishReason, JsonObject, ToolCall, Usage } from '../core/types.ts';
import { unknownUsage } from '../core/usage.ts';
import { apiMessage, assistantLine, type Block, type Line, streamEventLine } from './lines-out.ts';
import { modelSpend, tokenUsage } from './spend.ts';

export interface StepLinesOptions {
  readonly model: string;
  readonly partials: boolean;
  readonly put: (line: Line) => Promise<void>;
}

interface OpenBlock {
  readonly type: 'text' | 'thinking';
  readonly pieces: string[];
}

export class StepLines {
  /** The uuids of its `assistant` lines. */
  readonly uuids: string[] = [];
  /** Whether it has text. */
  hasText = false;
  readonly #options: StepLinesOptions;
  readonly #id = `msg_${randomUUID().replaceAll('-', '')}`;
  #usage: Usage = unknownUsage;
  #stopReason: string | null = null;
  #open: OpenBlock | undefined;
  #index = 0;
  #started = false;
  #closed = false;

  constructor(options: StepLinesOptions) {
    this.#options = options;
  }

  /** More text, or more visible thinking. */
  async delta(type: OpenBlock['type'], piece: string): Promise<void> {
    if (piece === '') return;
    if (this.#open?.type !== type) {
      await this.#closeBlock();
      this.#open = { type, pieces: [] };
      await this.#startBlock(blockOf(type, ''));
    }
    this.#open.pieces.push(piece);
    this.hasText ||= type === 'text';
    const delta = type === 'text' ? { type: 'text_delta', text: piece } : { type: 'thinking_delta', thinking: piece };
    await this.#event({ type: 'content_block_delta', index: this.#index, delta });
  }

  /** The call has ended; its tool calls may follow. */
  async end(stopReason: string, usage: Usage): Promise<void> {
    this.#usage = usage;
    this.#stopReason = stopReason;
    await this.#closeBlock();
  }

  async toolCall({ id, name, arguments: text }: ToolCall): Promise<void> {
    await this.#startBlock({ type: 'tool_use', id, name, input: {} });
    const delta = { type: 'input_json_delta', partial_json: text };
    await this.#event({ type: 'content_block_delta', index: this.#index, delta });
    // Broken arguments, which the tool is told of, are shown as none.
    await this.#finishBlock({ type: 'tool_use', id, name, input: (parseFields(text) ?? {}) as JsonObject });
  }

  /** Nothing more belongs to it. */
  async close(): Promise<void> {
    if (this.#closed || !this.#started) return;
    this.#closed = true;
    await this.#closeBlock();
    const delta = { stop_reason: this.#stopReason, stop_sequence: null };
    await this.#event({ type: 'message_delta', delta, usage: tokenUsage(modelSpend(this.#usage, undefined)) });
    await this.#event({ type: 'message_stop' });
  }

  /** It was given up: what there is of its block is shown as that. */
  async abort(): Promise<void> {
    this.#closed = true;
    await this.#closeBlock({ aborted: true });
  }

  async #startBlock(block: Block): Promise<void> {
    if (!this.#started) {
      this.#started = true;
      const message = apiMessage(this.#id, this.#options.model, [], tokenUsage(modelSpend(unknownUsage, undefined)));
      await this.#event({ type: 'message_start', message });
    }
    await this.#event({ type: 'content_block_start', index: this.#index, content_block: block });
  }

  async #closeBlock(extra?: Readonly<Record<string, unknown>>): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) await this.#finishBlock(blockOf(open.type, open.pieces.join('')), extra);
  }

  async #finishBlock(block: Block, extra?: Readonly<Record<string, unknown>>): Promise<void> {
    const uuid = randomUUID();
    this.uuids.push(uuid);
    const usage = tokenUsage(modelSpend(this.#usage, undefined));
    const message = apiMessage(this.#id, this.#options.model, [block], usage);
    await this.#options.put(assistantLine(message, { uuid, timestamp: new Date().toISOString(), ...extra }));
    await this.#event({ type: 'content_block_stop', index: this.#index });
    this.#index += 1;
  }

  #event(event: object): Promise<void> {
    if (!this.#options.partials) return Promise.resolve();
    return this.#options.put(streamEventLine(event, this.#id));
  }
}

/** Our word for why a model stopped in Anthropic's. */
export function stopReason({ unified }: FinishReason): string {
  return {
    stop: 'end_turn',
    'tool-calls': 'tool_use',
    length: 'max_tokens',
    'content-filter': 'refusal',
    other: 'end_turn',
  }[unified];
}

function blockOf(type: OpenBlock['type'], text: string): Block {
  return type === 'text' ? { type, text } : { type, thinking: text, signature: '' };
}
