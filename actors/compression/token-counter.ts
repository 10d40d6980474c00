/**
 * Counts messages, tools and requests for one model. Every message is counted once for a process, however many agents
 * and forks share it: what is kept hangs on the message itself.
 */
import { type Calibration, forecast, forecastPart, uncalibrated } from '../../src/core/calibration.ts';
import type { Group } from '../../src/core/conversation.ts';
import { addCounts, noTokens, type TokenCount, totalOf } from '../../src/core/token-count.ts';
import type { Message, ToolDefinition } from '../../src/core/types.ts';
import { openTokenizer, type Tokenizer, vocabularyOf } from './tokenizer.ts';

/** What is sent with one model call. */
export interface CountedRequest {
  readonly messages: readonly Message[];
  /** Absent when there are none. */
  readonly tools?: readonly ToolDefinition[];
}

/** A counter for a model, with what is known of its own counts. The first one loads a vocabulary: 0.2 to 0.4 s. */
export async function openTokenCounter(model: string, calibration: Calibration = uncalibrated): Promise<TokenCounter> {
  return new TokenCounter(await openTokenizer(vocabularyOf(model)), calibration);
}

export class TokenCounter {
  readonly #tokenizer: Tokenizer;
  readonly #calibration: Calibration;

  constructor(tokenizer: Tokenizer, calibration: Calibration = uncalibrated) {
    this.#tokenizer = tokenizer;
    this.#calibration = calibration;
  }

  /** Tokens that a group takes in a request, calibrated. */
  tokensOf(group: Group): number {
    return Math.ceil(forecastPart(this.#calibration, addCounts(group.map((message) => this.#ofMessage(message)))));
  }

  /** Tokens of a text, calibrated. */
  tokensOfText(text: string): number {
    return Math.ceil(forecastPart(this.#calibration, this.#tokenizer.count(text)));
  }

  /** Tokens of a whole request, calibrated. */
  tokensOfRequest(request: CountedRequest): number {
    return Math.ceil(forecast(this.#calibration, this.count(request)));
  }

  /** The request as our vocabulary counts it: what a calibration learns from. */
  count({ messages, tools = [] }: CountedRequest): TokenCount {
    const ofMessages = messages.map((message) => this.#ofMessage(message));
    return addCounts([...ofMessages, this.#ofTools(tools), template(requestTokens)]);
  }

  #ofMessage(message: Message): TokenCount {
    return remembered(this.#tokenizer, message, () => countMessage(this.#tokenizer, message));
  }

  #ofTools(tools: readonly ToolDefinition[]): TokenCount {
    if (tools.length === 0) return noTokens;
    const counts = tools.map((tool) => remembered(this.#tokenizer, tool, () => countTool(this.#tokenizer, tool)));
    return addCounts([...counts, { ...noTokens, tools: toolListTokens }]);
  }
}

/**
 * What templates add, in tokens. To a message: `<|im_start|>role⏎…<|im_end|>⏎` of ChatML (Qwen), and the header of
 * Llama 3, are 5; OpenAI's cookbook states 3 and one for the role. To a request: the answer's opening, 3.
 */
const messageTokens = 5;
const requestTokens = 3;

/** Around the name and arguments of a call: `<tool_call>⏎{"name": …, "arguments": …}⏎</tool_call>` in ChatML. */
const callTokens = 12;

/** Around a list of tools: the words of the template that Qwen made common, as llama-server applies it. */
const toolListTokens = 100;

/** A picture: what Anthropic counts for one of 1.15 megapixels, to which larger ones were shrunk. */
const imageTokens = 1600;

function countMessage(tokenizer: Tokenizer, message: Message): TokenCount {
  const own = [tokenizer.count(message.content), template(messageTokens)];
  if (message.role === 'user') own.push({ ...noTokens, images: (message.images?.length ?? 0) * imageTokens });
  if (message.role === 'assistant') {
    for (const { name, arguments: text } of message.toolCalls ?? [])
      own.push(tokenizer.count(name), tokenizer.count(text), template(callTokens));
    for (const block of message.thinking?.blocks ?? [])
      if (typeof block['thinking'] === 'string') own.push(tokenizer.count(block['thinking']));
  }
  return addCounts(own);
}

/** As JSON, which is what open models and Anthropic's are shown; OpenAI's see types of about half the length. */
function countTool(tokenizer: Tokenizer, { name, description, parameters }: ToolDefinition): TokenCount {
  const json = JSON.stringify({ type: 'function', function: { name, description, parameters } });
  return { ...noTokens, tools: totalOf(tokenizer.count(json)) };
}

function template(tokens: number): TokenCount {
  return { ...noTokens, template: tokens };
}

/** Counts of messages and tools by the tokenizer that made them. */
const counts = new WeakMap<Tokenizer, WeakMap<object, TokenCount>>();

function remembered(tokenizer: Tokenizer, counted: object, count: () => TokenCount): TokenCount {
  let known = counts.get(tokenizer);
  if (known === undefined) {
    known = new WeakMap();
    counts.set(tokenizer, known);
  }
  let tokens = known.get(counted);
  if (tokens === undefined) {
    tokens = count();
    known.set(counted, tokens);
  }
  return tokens;
}
