/** Embeddings from the server's side: OpenAI's `/v1/embeddings` and Ollama's `/api/embed`, and the faults that they can have. */
import type { Fault, FaultServer } from '../../src/testing/fault-server.ts';
import { type Dialect, httpFaults } from '../../src/testing/http-faults.ts';

/** The texts that every fault is asked about, and what comes when nothing is wrong. */
export const twoTexts = ['one', 'two'] as const;
export const twoVectors = [
  [1, -2.5],
  [3e-7, 4],
] as const;

const usage = { prompt_tokens: 7, total_tokens: 7 };
const item = (index: unknown, embedding: unknown) => ({ object: 'embedding', index, embedding });
const [first, second] = twoVectors;

/** An answer of OpenAI's protocol; the last vector stands first. */
export function openAiAnswer(vectors: readonly unknown[], counts: object = usage): object {
  const data = vectors.map((vector, index) => item(index, vector));
  return { object: 'list', data: data.reverse(), model: 'müsli', usage: counts };
}

/** An answer of Ollama's protocol. */
export function ollamaAnswer(vectors: readonly unknown[], tokens: number | undefined = 7): object {
  return { model: 'müsli', embeddings: vectors, total_duration: 9, prompt_eval_count: tokens };
}

function dialect(answer: object, error: Dialect['error']): Dialect {
  const text = JSON.stringify(answer, null, 2);
  const middle = text.indexOf(String(first[1]));
  const pieces = { begin: [text.slice(0, middle)], end: [text.slice(middle)] };
  return { contentType: 'application/json', ...pieces, keepAlive: ' ', openLine: '', error };
}

const typedError: Dialect['error'] = (message, type = 'invalid_request_error', code = null) => ({
  error: { message, type, code, param: null },
});

/** The texts that a request sent. */
export function inputOf({ body: sent }: FaultServer['requests'][number]): readonly string[] {
  return sent?.['input'] as string[];
}

/** Answers with this body, which may be text that `JSON.stringify` cannot write. */
const body = (answer: object | string): Fault => {
  return ({ reply }) => reply(200, answer, { 'content-type': 'application/json' });
};

/** Vectors that are none, by what is wrong with the second. */
const badVectors: Readonly<Record<string, unknown>> = {
  'vector-null': null,
  'vector-text': 'AACAPwAAAEA=',
  'vector-object': { 0: 1, 1: 2 },
  'vector-empty': [],
  'number-null': [3, null],
  'number-text': [3, '4'],
  'number-list': [[3], [4]],
};

/** The same where each row is a list of vectors. */
const badLists: Readonly<Record<string, readonly unknown[]>> = {
  'too-few': [first],
  'too-many': [first, second, second],
  none: [],
  lengths: [first, [1, 2, 3]],
  'all-empty': [[], []],
  ...Object.fromEntries(Object.entries(badVectors).map(([name, vector]) => [name, [first, vector]])),
};

const rawNumbers = { 'number-nan': 'NaN', 'number-infinite': '1e999' };

/** Contents that are no vectors of the two texts, as answers of one protocol. */
function badContents(answer: (vectors: readonly unknown[]) => object): Record<string, Fault> {
  const raw = (number: string) => JSON.stringify(answer([first, [3, 123]])).replace('123', number);
  return {
    ...Object.fromEntries(Object.entries(badLists).map(([name, vectors]) => [name, body(answer(vectors))])),
    ...Object.fromEntries(Object.entries(rawNumbers).map(([name, number]) => [name, body(raw(number))])),
    'trunc-json': body(JSON.stringify(answer(twoVectors)).slice(0, 60)),
  };
}

const indexed = (...items: readonly unknown[]) => body({ object: 'list', data: items, usage });

/** By protocol: faults that any server can have, contents that are wrong, and contents that are odd but right. */
export const embeddingFaults = {
  openai: {
    any: httpFaults(dialect(openAiAnswer(twoVectors), typedError)),
    wrong: {
      ...badContents(openAiAnswer),
      'list-object': body({ object: 'list', data: { 0: item(0, first) } }),
      'list-odd': body({ data: [null, 5] }),
      'index-twice': indexed(item(0, first), item(0, second)),
      'index-outside': indexed(item(1, first), item(2, second)),
      'index-text': indexed(item('0', first), item('1', second)),
      'index-some': indexed(item(undefined, first), item(1, second)),
    },
    odd: {
      'index-none': indexed(item(undefined, first), item(undefined, second)),
      'bare-list': body([item(1, [second]), item(0, [first])]),
      'usage-total': body({ ...openAiAnswer(twoVectors), usage: { total_tokens: 7 } }),
      proto: body(JSON.stringify(openAiAnswer(twoVectors)).replace('{', '{"__proto__":{"polluted":1},')),
    },
  },
  ollama: {
    any: httpFaults(dialect(ollamaAnswer(twoVectors), (message) => ({ error: message }))),
    wrong: { ...badContents(ollamaAnswer), 'list-object': body({ embeddings: { 0: first } }) },
    odd: { proto: body(JSON.stringify(ollamaAnswer(twoVectors)).replace('{', '{"__proto__":{"polluted":1},')) },
  },
} as const satisfies Record<string, Readonly<Record<'any' | 'wrong' | 'odd', Readonly<Record<string, Fault>>>>>;
