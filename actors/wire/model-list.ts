/**
 * The models that a server says it has.
 *
 * L1  Callers who ask while an answer is on its way share it; the request ends when the last of them has gone.
 * L2  The model that was chosen from a list is kept; a failure is not.
 */
import { type ErrorDetails, TroupeError } from '../../src/core/errors.ts';
import { asFieldsList, type Fields, parseFields } from './fields.ts';
import type { HttpClient } from './http.ts';
import { excerpt } from './redact.ts';

export interface ModelListOptions {
  readonly client: HttpClient;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly freshSocket?: boolean;
  /** The field that holds the list, and the field of each entry that holds its id. */
  readonly fields: readonly [list: string, id: string];
}

interface Question {
  readonly answer: Promise<readonly string[]>;
  readonly abort: AbortController;
  waiting: number;
}

const maxNamed = 10;
/** An error is not held up longer than this by the list that would make it better. */
const hintTimeoutMs = 2000;

export class ModelList {
  readonly #options: ModelListOptions;
  #question: Question | undefined;
  #first: string | undefined;

  constructor(options: ModelListOptions) {
    this.#options = options;
  }

  /** The first model that can chat; undefined when the list cannot be had or has none. Never rejects. */
  async first(signal: AbortSignal): Promise<string | undefined> {
    this.#first ??= (await this.#ids(signal).catch(() => [])).find((id) => !noChat.test(id));
    return this.#first;
  }

  /** An error about an unknown model, with the models that there are. */
  async named(error: TroupeError, signal: AbortSignal): Promise<TroupeError> {
    const ids = await this.#ids(AbortSignal.any([signal, AbortSignal.timeout(hintTimeoutMs)])).catch(() => []);
    if (ids.length === 0) return error;
    const { redact } = this.#options.client;
    const shown = ids.slice(0, maxNamed).map((id) => `"${excerpt(id, redact)}"`);
    const more = ids.length > maxNamed ? ` and ${ids.length - maxNamed} more` : '';
    const message = `${error.message} It has ${shown.join(', ')}${more}.`;
    return new TroupeError(error.code, message, { ...(error as ErrorDetails), cause: error.cause });
  }

  async #ids(signal: AbortSignal): Promise<readonly string[]> {
    this.#question ??= this.#ask();
    const question = this.#question;
    question.waiting += 1;
    try {
      return await unlessAborted(question.answer, signal);
    } finally {
      question.waiting -= 1;
      if (question.waiting === 0) question.abort.abort();
      if (question.waiting === 0 && this.#question === question) this.#question = undefined;
    }
  }

  #ask(): Question {
    const abort = new AbortController();
    return { answer: this.#request(abort.signal), abort, waiting: 0 };
  }

  async #request(signal: AbortSignal): Promise<readonly string[]> {
    const { client, url, headers, freshSocket = false, fields } = this.#options;
    const reply = await client.send({ method: 'GET', url, headers, signal, freshSocket });
    const [list, id] = fields;
    const body: Fields = reply.status === 200 ? (parseFields(reply.text) ?? {}) : {};
    return asFieldsList(body[list])
      .map((entry) => entry[id])
      .filter((name) => typeof name === 'string' && name !== '') as string[];
  }
}

/** Models for embeddings and rankings, by the names that they go by. */
const noChat = /embed|rerank|minilm|\b(?:bge|gte|e5)\b/i;

/** What a promise comes to, unless the signal aborts first. */
function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
