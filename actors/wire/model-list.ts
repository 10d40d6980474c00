/** The models that a server says it has. The model that was chosen from the list is kept; a failure is not. */
import { type ErrorDetails, TroupeError } from '../../src/core/errors.ts';
import { asFieldsList, type Fields, parseFields } from './fields.ts';
import type { HttpClient } from './http.ts';
import { excerpt } from './redact.ts';
import { SharedQuestion } from './shared-question.ts';

export interface ModelListOptions {
  readonly client: HttpClient;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly freshSocket?: boolean;
  /** The field that holds the list, and the field of each entry that holds its id. */
  readonly fields: readonly [list: string, id: string];
}

const maxNamed = 10;
/** An error is not held up longer than this by the list that would make it better. */
const hintTimeoutMs = 2000;

export class ModelList {
  readonly #options: ModelListOptions;
  readonly #question = new SharedQuestion((signal) => this.#request(signal));
  #first: string | undefined;

  constructor(options: ModelListOptions) {
    this.#options = options;
  }

  /** The first model that can chat; undefined when the list cannot be had or has none. Never rejects. */
  async first(signal: AbortSignal): Promise<string | undefined> {
    this.#first ??= (await this.#question.answer(signal).catch(() => [])).find((id) => !noChat.test(id));
    return this.#first;
  }

  /** An error about an unknown model, with the models that there are. */
  async named(error: TroupeError, signal: AbortSignal): Promise<TroupeError> {
    const hint = AbortSignal.any([signal, AbortSignal.timeout(hintTimeoutMs)]);
    const ids = await this.#question.answer(hint).catch(() => []);
    if (ids.length === 0) return error;
    const { redact } = this.#options.client;
    const shown = ids.slice(0, maxNamed).map((id) => `"${excerpt(id, redact)}"`);
    const more = ids.length > maxNamed ? ` and ${ids.length - maxNamed} more` : '';
    const message = `${error.message} It has ${shown.join(', ')}${more}.`;
    return new TroupeError(error.code, message, { ...(error as ErrorDetails), cause: error.cause });
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
