/**
 * The reply of Ollama's `/api/chat`, streamed or whole: its JSON to our words. `done: true` makes it whole.
 * Ollama leaves a count of 0 out, so a missing count is 0 only where nothing else says otherwise.
 */
import type { ModelEvent } from '../backend.ts';
import { asCount, asFields, asFieldsList, type Fields } from './fields.ts';
import type { CallFacts } from './http-errors.ts';
import { Reply, type ReplyWords } from './reply.ts';

/** One reply while it arrives. */
export class OllamaReply extends Reply {
  #callCount = 0;

  constructor(call: CallFacts, onEvent: (event: ModelEvent) => void) {
    super(call, onEvent, words);
  }

  protected override take(chunk: Fields): void {
    const message = asFields(chunk['message']) ?? {};
    this.takeReasoning(textOf(message['thinking']));
    this.takeText(textOf(message['content']));
    // Each call comes whole, so that its number in the answer is its index, whatever the server says.
    const calls = asFieldsList(message['tool_calls']);
    if (calls.length > 0) this.takeToolCalls(calls.map((call) => ({ ...call, index: this.#callCount++ })));
    if (chunk['done'] !== true) return;
    this.done = true;
    this.#takeUsage(chunk);
    this.finish(typeof chunk['done_reason'] === 'string' ? chunk['done_reason'] : undefined);
  }

  protected override isAnswer(reply: Fields): boolean {
    return asFields(reply['message']) !== undefined || reply['done'] === true;
  }

  #takeUsage(chunk: Fields): void {
    const inputTokens = asCount(chunk['prompt_eval_count']);
    const isEmpty = this.text === '' && this.reasoning === '' && this.#callCount === 0;
    const saysNone = chunk['eval_count'] === undefined && inputTokens !== undefined && isEmpty;
    this.usage = {
      inputTokens,
      outputTokens: saysNone ? 0 : asCount(chunk['eval_count']),
      cacheReadTokens: undefined,
      cacheWriteTokens: undefined,
    };
  }
}

const words: ReplyWords = {
  callsInPieces: false,
  finishReasons: new Map([
    ['stop', 'stop'],
    ['length', 'length'],
  ]),
};

function textOf(content: unknown): string {
  return typeof content === 'string' ? content : '';
}
