/**
 * Vectors of texts over HTTP, whatever the protocol: the texts go out in batches, and every number that comes is checked.
 *
 * V1  There is one vector for each text, in the order of the texts; all are of one length and every number is finite.
 * V2  One request at a time; the first that fails ends all.
 */
import { isTroupeError } from '../../src/core/errors.ts';
import type { Usage } from '../../src/core/types.ts';
import { addUsage, unknownUsage, zeroUsage } from '../../src/core/usage.ts';
import type { Backend, EmbedRequest, EmbedResponse } from '../backend.ts';
import { asCount, asFields, isSet } from './fields.ts';
import type { HttpClient, HttpReply } from './http.ts';
import { type CallFacts, frameError, protocolError, replyError } from './http-errors.ts';
import type { ModelList } from './model-list.ts';

/** A place that makes vectors. */
export interface EmbeddingServer {
  /** Name of the backend, in its errors. */
  readonly backend: string;
  readonly client: HttpClient;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly freshSocket?: boolean;
  /** Names the models that there are when one is unknown. Absent: they are not named. */
  readonly models?: ModelList | undefined;
  readonly protocol: EmbeddingProtocol;
}

/** How a protocol asks for vectors, and how it gives them. */
export interface EmbeddingProtocol {
  body(model: string, texts: readonly string[]): object;
  /** What a reply says, unchecked but for the order; `vectors` is undefined when it has no list of them. */
  read(reply: unknown): { readonly vectors: readonly unknown[] | undefined; readonly inputTokens: unknown };
}

type Vector = readonly number[];

/** The `embed` of a backend that has a model for it; nothing without one. */
export function embedding(server: EmbeddingServer, ownModel: string | undefined): Pick<Backend, 'embed'> {
  if (ownModel === undefined) return {};
  return { embed: ({ model = ownModel, ...request }) => embedTexts(server, { ...request, model }) };
}

/** OpenAI's `/embeddings`, as all servers speak it that speak its chat completions. */
export const openAiEmbeddings: EmbeddingProtocol = {
  body: (model, input) => ({ model, input, encoding_format: 'float' }),
  read: (reply) => {
    const { data, usage } = asFields(reply) ?? {};
    const { prompt_tokens: prompt, total_tokens: total } = asFields(usage) ?? {};
    // llama.cpp's older route gives the list bare, and each vector in a list of its own.
    const list = Array.isArray(reply) ? reply : data;
    const vectors = Array.isArray(list) ? inOrder(list).map(unwrapped) : undefined;
    return { vectors, inputTokens: prompt ?? total };
  },
};

/** Ollama's `/api/embed`. Without `truncate` it cuts a text that is too long, and says nothing. */
export function ollamaEmbeddings(keepAlive: string | number | undefined): EmbeddingProtocol {
  return {
    body: (model, input) => ({ model, input, truncate: false, keep_alive: keepAlive }),
    read: (reply) => {
      const { embeddings, prompt_eval_count: inputTokens } = asFields(reply) ?? {};
      return { vectors: Array.isArray(embeddings) ? embeddings : undefined, inputTokens };
    },
  };
}

/** What the strictest of the servers still take at once: OpenAI reads 300,000 tokens, and some characters are two. */
const maxTexts = 64;
const maxCharacters = 150_000;

async function embedTexts(server: EmbeddingServer, request: Required<EmbedRequest>): Promise<EmbedResponse> {
  const { texts, model, signal } = request;
  const facts: CallFacts = { backend: server.backend, model, redact: server.client.redact };
  const vectors: Vector[] = [];
  let usage = texts.length === 0 ? zeroUsage : unknownUsage;
  for (const batch of batchesOf(texts)) {
    const reply = await post(server, facts, { texts: batch, signal });
    const answer = readReply(server.protocol, facts, { reply, count: batch.length, length: vectors[0]?.length });
    vectors.push(...answer.vectors);
    usage = addUsage(usage, answer.usage);
  }
  return { vectors, usage, model };
}

function* batchesOf(texts: readonly string[]): Generator<readonly string[]> {
  let start = 0;
  let characters = 0;
  for (const [at, text] of texts.entries()) {
    characters += text.length;
    if (at === start || (at - start < maxTexts && characters <= maxCharacters)) continue;
    yield texts.slice(start, at);
    start = at;
    characters = text.length;
  }
  if (start < texts.length) yield texts.slice(start);
}

async function post(
  { client, url, headers, freshSocket = false, models, protocol }: EmbeddingServer,
  facts: CallFacts,
  { texts, signal }: Pick<EmbedRequest, 'texts' | 'signal'>,
): Promise<HttpReply> {
  const { backend, model } = facts;
  const body = JSON.stringify(protocol.body(model, texts));
  try {
    const reply = await client.send({ method: 'POST', url, headers, body, signal, freshSocket });
    if (reply.status >= 300) throw replyError(facts, reply);
    return reply;
  } catch (thrown) {
    if (signal.aborted || !isTroupeError(thrown)) throw thrown;
    const told = thrown.with({ backend, model });
    if (told.code !== 'TROUPE_ERR_BACKEND_MODEL_UNKNOWN' || models === undefined) throw told;
    throw await models.named(told, signal);
  }
}

interface Arrived {
  readonly reply: HttpReply;
  /** Vectors that were asked for. */
  readonly count: number;
  /** Length of the vectors that came before; undefined when there are none. */
  readonly length: number | undefined;
}

function readReply(protocol: EmbeddingProtocol, facts: CallFacts, { reply, count, length }: Arrived) {
  const wrong = (problem: string) => protocolError(facts, problem, reply.text, reply.headers);
  const json = parsed(reply.text);
  const problem = asFields(json)?.['error'];
  if (isSet(problem)) throw frameError(facts, problem);
  const { vectors, inputTokens } = protocol.read(json);
  if (vectors === undefined) throw wrong('the reply has no list of vectors');
  if (vectors.length !== count) throw wrong(`the reply has ${vectors.length} vectors for ${count} texts`);
  const checked = vectors.map((vector, at) => {
    if (!isVector(vector)) throw wrong(`the reply has no vector of numbers for text ${at + 1} of ${count}`);
    return vector;
  });
  const wanted = length ?? checked[0]?.length;
  const other = checked.find((vector) => vector.length !== wanted);
  if (other !== undefined) throw wrong(`the vectors have ${wanted} and ${other.length} numbers`);
  // Vectors have no tokens of their own: what is read is all there is to pay for.
  const usage: Usage = { ...unknownUsage, inputTokens: asCount(inputTokens), outputTokens: 0 };
  return { vectors: checked, usage };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The vectors by their `index`; as they stand where none has one. A place that no index names is undefined. */
function inOrder(list: readonly unknown[]): readonly unknown[] {
  const items = list.map((item) => asFields(item) ?? {});
  if (items.every(({ index }) => index === undefined)) return items.map((item) => item['embedding']);
  const placed = new Map(items.map((item) => [item['index'], item['embedding']]));
  return items.map((_, place) => placed.get(place));
}

function unwrapped(vector: unknown): unknown {
  return Array.isArray(vector) && vector.length === 1 && Array.isArray(vector[0]) ? vector[0] : vector;
}

function isVector(value: unknown): value is Vector {
  return Array.isArray(value) && value.length > 0 && value.every(Number.isFinite);
}
