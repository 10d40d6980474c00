/** Embeddings from the server's side: what stands in a request, and how vectors of texts are put on the wire. */
import { type Body, type Dialect, objects } from './dialect.ts';
import type { Failure } from './model.ts';
import { ollamaDialect } from './ollama-dialect.ts';
import { openAiDialect } from './openai-dialect.ts';

/** One protocol for embeddings. */
export interface EmbeddingDialect {
  /** Understands a request body; what a server would refuse, or cut without a word, is added to `problems`. */
  hear(body: Body, problems: string[]): Embedded;
  /** An answer. */
  whole(vectors: readonly Vector[], tokens: number): object;
  /** Body and status of a refusal. */
  readonly refuse: Dialect['refuse'];
}

/** What a request wants vectors of. */
export interface Embedded {
  readonly model: string;
  readonly texts: readonly string[];
}

type Vector = readonly number[];

/** By route. */
export const embeddingDialects: Readonly<Record<string, EmbeddingDialect>> = {
  'POST /v1/embeddings': {
    hear: (body, problems) => {
      if (body['encoding_format'] !== 'float') problems.push('the vectors may come coded');
      return heard(body, problems);
    },
    // The last stands first: only the index tells whose vector it is.
    whole: (vectors, tokens) => ({
      object: 'list',
      data: vectors.map((embedding, index) => ({ object: 'embedding', embedding, index })).reverse(),
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    }),
    refuse: openAiDialect.refuse,
  },
  'POST /api/embed': {
    hear: (body, problems) => {
      if (body['truncate'] !== false) problems.push('the server may cut the texts silently');
      return heard(body, problems);
    },
    whole: (embeddings, tokens) => ({ embeddings, prompt_eval_count: tokens }),
    refuse: ollamaDialect.refuse,
  },
};

/** The vector of a text, another for every text. */
export function vectorOf(text: string): Vector {
  return [text.length, ...Array.from({ length: 7 }, (_, at) => (text.codePointAt(at) ?? 0) / 8)];
}

/** The tokens of texts. */
export function tokensOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + 1 + text.length, 0);
}

/** What the last text says that the server shall do instead. */
export function directiveOf({ texts }: Embedded): { readonly fails?: Failure; readonly hangs?: true } {
  const text = texts.at(-1) ?? '';
  if (text === 'hang') return { hangs: true };
  return text.startsWith('error ') ? { fails: text.slice(6) as Failure } : {};
}

function heard(body: Body, problems: string[]): Embedded {
  const { input } = body;
  const texts = Array.isArray(input) ? input.filter((text) => typeof text === 'string' && text !== '') : [];
  if (texts.length === 0 || objects(input).length > 0) problems.push('the input is no list of texts');
  if (texts.length > 64) problems.push(`${texts.length} texts are more than a server takes at once`);
  return { model: String(body['model']), texts };
}
