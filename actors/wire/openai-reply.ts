/**
 * The reply of the OpenAI chat completions protocol, streamed or whole: its JSON to our words.
 *
 * R1  An answer is whole only once a finish reason was seen; `[DONE]` may be missing, but nothing after it counts.
 * R2  `error` is looked at before anything else of a chunk.
 * R3  Tool calls are given out only when the finish reason says that they are whole.
 */
import { TroupeError } from '../../src/core/errors.ts';
import type { FinishReason, ToolCall, Usage } from '../../src/core/types.ts';
import { unknownUsage } from '../../src/core/usage.ts';
import type { ModelEvent, ModelResponse } from '../backend.ts';
import { type CallFacts, frameError, protocolError } from './http-errors.ts';
import { ToolCallMerger } from './tool-calls.ts';

type Fields = Readonly<Record<string, unknown>>;

/** One reply while it arrives. */
export class ChatReply {
  /** What arrived so far. */
  text = '';
  /** True once `[DONE]` was seen: nothing more counts. */
  done = false;
  readonly #call: CallFacts;
  readonly #onEvent: (event: ModelEvent) => void;
  readonly #toolCalls = new ToolCallMerger();
  #reasoning = '';
  #refused = false;
  #finish: string | undefined;
  #usage: Usage = unknownUsage;

  constructor(call: CallFacts, onEvent: (event: ModelEvent) => void) {
    this.#call = call;
    this.#onEvent = onEvent;
  }

  /** Whether a finish reason was seen. */
  get finished(): boolean {
    return this.#finish !== undefined;
  }

  /** Takes the data of one event of a stream. */
  takeEvent(data: string): void {
    if (this.done) return;
    if (data.trim() === '[DONE]') this.done = true;
    else this.#take(parsed(data) ?? this.#invalid('an event of the stream is no JSON object', data));
  }

  /** Takes a reply that is no stream: servers that cannot stream answer with one whole completion. */
  takeBody(body: string, headers: { readonly [name: string]: string | string[] | undefined }): void {
    const chunk = parsed(body);
    if (chunk === undefined) this.#invalid('the reply is no stream and no JSON object', body, headers);
    else if (!isSet(chunk['error']) && firstChoice(chunk) === undefined)
      this.#invalid('the reply is a JSON object without choices', body, headers);
    else this.#take(chunk);
  }

  /** The whole answer; throws `TROUPE_ERR_BACKEND_STREAM_CUT` when it is not whole. */
  response(): ModelResponse {
    if (this.#finish === undefined) throw this.#cut('ended without a finish reason');
    const calls = this.#toolCalls.calls();
    const unified = this.#unified(this.#finish, calls);
    return {
      text: this.text,
      ...(this.#reasoning === '' ? {} : { reasoning: this.#reasoning }),
      toolCalls: unified === 'tool-calls' ? calls : [],
      finishReason: { unified, raw: this.#finish },
      usage: this.#usage,
      costUsd: undefined,
    };
  }

  #take(chunk: Fields): void {
    if (isSet(chunk['error'])) throw frameError(this.#call, chunk['error'], this.text);
    const usage = asFields(chunk['usage']);
    if (usage !== undefined) this.#usage = readUsage(usage);
    const choice = firstChoice(chunk);
    if (choice === undefined) return;
    const delta = asFields(choice['delta']) ?? asFields(choice['message']) ?? {};
    this.#takeReasoning(contentText(delta['reasoning_content'] ?? delta['reasoning']));
    this.#takeText(contentText(delta['content']));
    this.#takeRefusal(contentText(delta['refusal']));
    if (this.#toolCalls.take(delta['tool_calls'])) this.#onEvent({ type: 'tool-call-delta' });
    if (typeof choice['finish_reason'] === 'string') this.#finish = choice['finish_reason'];
  }

  #takeText(text: string): void {
    if (text === '') return;
    this.text += text;
    this.#onEvent({ type: 'text-delta', text });
  }

  #takeReasoning(text: string): void {
    if (text === '') return;
    this.#reasoning += text;
    this.#onEvent({ type: 'reasoning-delta', text });
  }

  /** A model that declines says so in a field of its own. */
  #takeRefusal(text: string): void {
    if (text === '') return;
    this.#refused = true;
    this.#takeText(text);
  }

  #unified(raw: string, calls: readonly ToolCall[]): FinishReason['unified'] {
    if (this.#refused) return 'content-filter';
    const said = finishReasons.get(raw) ?? 'other';
    if (said === 'length' || said === 'content-filter') return said;
    if (calls.length === 0) return said === 'tool-calls' ? 'other' : said;
    if (said !== 'tool-calls' && !calls.every(hasJson)) throw this.#cut(`said "${raw}" in the middle of a tool call`);
    return 'tool-calls';
  }

  #cut(problem: string): TroupeError {
    const { backend, model, redact } = this.#call;
    const message = `The answer of ${backend} ${redact(problem)}. Ask again; look at the server's log if it stays so.`;
    const details = { backend, model, ...(this.text === '' ? {} : { partialText: redact(this.text) }) };
    return new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', message, details);
  }

  #invalid(problem: string, seen: string, headers?: Parameters<typeof protocolError>[3]): never {
    throw protocolError(this.#call, problem, seen, headers);
  }
}

const finishReasons: ReadonlyMap<string, FinishReason['unified']> = new Map([
  ['stop', 'stop'],
  ['tool_calls', 'tool-calls'],
  ['function_call', 'tool-calls'],
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['content_filter', 'content-filter'],
]);

/** The first choice; further ones are not asked for. */
function firstChoice(chunk: Fields): Fields | undefined {
  const choices: unknown = chunk['choices'];
  if (!Array.isArray(choices)) return undefined;
  return choices.map(asFields).find((choice) => choice !== undefined && (choice['index'] ?? 0) === 0);
}

/** Content is a text, or a list of parts of which some have text. */
function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part === 'string' ? part : contentText(asFields(part)?.['text']))).join('');
}

function readUsage(usage: Fields): Usage {
  const details = asFields(usage['prompt_tokens_details']);
  return {
    inputTokens: tokenCount(usage['prompt_tokens']),
    outputTokens: tokenCount(usage['completion_tokens']),
    cacheReadTokens: tokenCount(details?.['cached_tokens']),
    cacheWriteTokens: undefined,
  };
}

function tokenCount(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

function hasJson(call: ToolCall): boolean {
  return parsed(call.arguments) !== undefined;
}

/** A JSON object, or undefined for any other text. */
function parsed(text: string): Fields | undefined {
  try {
    return asFields(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function isSet(error: unknown): boolean {
  return error !== undefined && error !== null && error !== false && error !== '';
}
