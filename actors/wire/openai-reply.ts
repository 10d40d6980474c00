/**
 * The reply of the OpenAI chat completions protocol, streamed or whole: its JSON to our words.
 * The finish reason makes it whole; `[DONE]` may be missing, but nothing after it counts.
 */
import type { Usage } from '../../src/core/types.ts';
import type { ModelEvent } from '../backend.ts';
import { asCount, asFields, asFieldsList, type Fields } from './fields.ts';
import type { CallFacts } from './http-errors.ts';
import { Reply, type ReplyWords } from './reply.ts';

/** One reply while it arrives. */
export class ChatReply extends Reply {
  constructor(call: CallFacts, onEvent: (event: ModelEvent) => void) {
    super(call, onEvent, words);
  }

  override takeEvent(data: string): void {
    if (data.length < 20 && data.trim() === '[DONE]') this.done = true;
    else super.takeEvent(data);
  }

  protected override take(chunk: Fields): void {
    const usage = asFields(chunk['usage']);
    if (usage !== undefined) this.usage = readUsage(usage);
    const choice = firstChoice(chunk);
    if (choice === undefined) return;
    const delta = asFields(choice['delta']) ?? asFields(choice['message']) ?? {};
    this.takeReasoning(contentText(delta['reasoning_content'] ?? delta['reasoning']));
    this.takeText(contentText(delta['content']));
    this.takeRefusal(contentText(delta['refusal']));
    this.takeToolCalls(delta['tool_calls']);
    if (typeof choice['finish_reason'] === 'string') this.finish(choice['finish_reason']);
  }

  protected override isAnswer(reply: Fields): boolean {
    return firstChoice(reply) !== undefined;
  }
}

const words: ReplyWords = {
  callsInPieces: true,
  finishReasons: new Map([
    ['stop', 'stop'],
    ['tool_calls', 'tool-calls'],
    ['function_call', 'tool-calls'],
    ['length', 'length'],
    ['max_tokens', 'length'],
    ['content_filter', 'content-filter'],
  ]),
};

/** The first choice; further ones are not asked for. */
function firstChoice(chunk: Fields): Fields | undefined {
  const choices: unknown = chunk['choices'];
  if (!Array.isArray(choices)) return undefined;
  const only = choices.length === 1 ? asFields(choices[0]) : undefined;
  if (only !== undefined && (only['index'] ?? 0) === 0) return only;
  return asFieldsList(choices).find((choice) => (choice['index'] ?? 0) === 0);
}

/** Content is a text, or a list of parts of which some have text. */
function contentText(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  const texts = content.map((part) => (typeof part === 'string' ? part : asFields(part)?.['text']));
  return texts.filter((text) => typeof text === 'string').join('');
}

function readUsage(usage: Fields): Usage {
  const details = asFields(usage['prompt_tokens_details']);
  return {
    inputTokens: asCount(usage['prompt_tokens']),
    outputTokens: asCount(usage['completion_tokens']),
    cacheReadTokens: asCount(details?.['cached_tokens']),
    cacheWriteTokens: undefined,
  };
}
