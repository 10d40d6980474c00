/**
 * One reply while it arrives, in whatever protocol: what came so far, and whether it is an answer.
 *
 * R1  An answer is whole only once the server said that it is finished; nothing after its terminal event counts.
 * R2  `error` is looked at before anything else of a chunk.
 * R3  Tool calls are given out only when the finish reason says that they are whole.
 */
import { TroupeError } from '../../src/core/errors.ts';
import type { FinishReason, ToolCall, Usage } from '../../src/core/types.ts';
import { unknownUsage } from '../../src/core/usage.ts';
import type { ModelEvent, ModelResponse } from '../backend.ts';
import { type Fields, isSet, parseFields } from './fields.ts';
import type { HttpHeaders } from './http.ts';
import { type CallFacts, frameError, protocolError } from './http-errors.ts';
import { ToolCallMerger } from './tool-calls.ts';

/** What a protocol's words mean. */
export interface ReplyWords {
  /** Its finish reasons; any other is `other`. */
  readonly finishReasons: ReadonlyMap<string, FinishReason['unified']>;
  /** Whether a tool call arrives in pieces, so that one without whole arguments is a cut one. */
  readonly callsInPieces: boolean;
}

/** A protocol's reply: it reads the chunks, this class keeps what they said. */
export abstract class Reply {
  /** What arrived so far. */
  text = '';
  /** True once the terminal event was seen: nothing more counts. */
  done = false;
  protected reasoning = '';
  protected usage: Usage = unknownUsage;
  protected readonly toolCalls = new ToolCallMerger();
  readonly #call: CallFacts;
  readonly #onEvent: (event: ModelEvent) => void;
  readonly #words: ReplyWords;
  #refused = false;
  #finish: { readonly raw: string | undefined } | undefined;

  constructor(call: CallFacts, onEvent: (event: ModelEvent) => void, words: ReplyWords) {
    this.#call = call;
    this.#onEvent = onEvent;
    this.#words = words;
  }

  /** Whether the server said that the answer is finished. */
  get finished(): boolean {
    return this.#finish !== undefined;
  }

  /** Takes the data of one event of a stream. */
  takeEvent(data: string): void {
    if (this.done) return;
    this.#takeChunk(parseFields(data) ?? this.#invalid('an event of the stream is no JSON object', data));
  }

  /** Takes a reply that is no stream. */
  takeBody(body: string, headers: HttpHeaders): void {
    const chunk = parseFields(body);
    if (chunk === undefined) this.#invalid('the reply is no stream and no JSON object', body, headers);
    else if (!isSet(chunk['error']) && !this.isAnswer(chunk))
      this.#invalid('the reply is a JSON object without an answer', body, headers);
    else this.#takeChunk(chunk);
  }

  /** The whole answer; throws `TROUPE_ERR_BACKEND_STREAM_CUT` when it is not whole. */
  response(): ModelResponse {
    if (this.#finish === undefined) throw this.#cut('ended without a finish reason');
    const calls = this.toolCalls.calls();
    const { raw } = this.#finish;
    const unified = this.#unified(raw, calls);
    return {
      text: this.text,
      ...(this.reasoning === '' ? {} : { reasoning: this.reasoning }),
      toolCalls: unified === 'tool-calls' ? calls : [],
      finishReason: { unified, raw },
      usage: this.usage,
      costUsd: undefined,
    };
  }

  /** Reads a chunk that holds no error, or a whole reply. */
  protected abstract take(chunk: Fields): void;

  /** Whether a whole reply has the form of an answer. */
  protected abstract isAnswer(reply: Fields): boolean;

  protected takeText(text: string): void {
    if (text === '') return;
    this.text += text;
    this.#onEvent({ type: 'text-delta', text });
  }

  protected takeReasoning(text: string): void {
    if (text === '') return;
    this.reasoning += text;
    this.#onEvent({ type: 'reasoning-delta', text });
  }

  protected takeToolCalls(pieces: unknown): void {
    if (this.toolCalls.take(pieces)) this.#onEvent({ type: 'tool-call-delta' });
  }

  /** A model that declines says so in a field of its own. */
  protected takeRefusal(text: string): void {
    if (text === '') return;
    this.#refused = true;
    this.takeText(text);
  }

  protected finish(raw: string | undefined): void {
    this.#finish = { raw };
  }

  #takeChunk(chunk: Fields): void {
    if (isSet(chunk['error'])) throw frameError(this.#call, chunk['error'], this.text);
    this.take(chunk);
  }

  #unified(raw: string | undefined, calls: readonly ToolCall[]): FinishReason['unified'] {
    if (this.#refused) return 'content-filter';
    const { finishReasons, callsInPieces } = this.#words;
    const said = raw === undefined ? 'stop' : (finishReasons.get(raw) ?? 'other');
    if (said === 'length' || said === 'content-filter') return said;
    if (calls.length === 0) return said === 'tool-calls' ? 'other' : said;
    if (callsInPieces && said !== 'tool-calls' && !calls.every(hasJson))
      throw this.#cut(`said "${raw}" in the middle of a tool call`);
    return 'tool-calls';
  }

  #cut(problem: string): TroupeError {
    const { backend, model, redact } = this.#call;
    const message = `The answer of ${backend} ${redact(problem)}. Ask again; look at the server's log if it stays so.`;
    const details = { backend, model, ...(this.text === '' ? {} : { partialText: redact(this.text) }) };
    return new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', message, details);
  }

  #invalid(problem: string, seen: string, headers?: HttpHeaders): never {
    throw protocolError(this.#call, problem, seen, headers);
  }
}

function hasJson(call: ToolCall): boolean {
  return parseFields(call.arguments) !== undefined;
}
