/**
 * How much groups have to do with a prompt: by the angle between vectors of their texts, or by the words that they share
 * (BM25) where a backend makes no vectors.
 */
import type { Group } from '../../src/core/conversation.ts';
import { TroupeError, toTroupeError } from '../../src/core/errors.ts';
import type { CompressionInput } from './strategy.ts';
import { plainText } from './transcript.ts';

type Embed = NonNullable<CompressionInput['embed']>;
type Vector = readonly number[];

interface Relevance {
  /** One for each group, in their order; the higher the more; only their order has a meaning. */
  readonly scores: readonly number[];
  /** Why words were compared though there is an `embed`. */
  readonly problem?: TroupeError | undefined;
}

/** Compares groups with what is asked now. Rejects only when the signal is aborted. */
export async function relevance(input: CompressionInput, groups: readonly Group[]): Promise<Relevance> {
  const query = queryOf(input);
  if (query.trim() === '' || groups.length === 0) return { scores: groups.map(() => 0) };
  if (input.embed === undefined) return { scores: await byWords(query, groups) };
  try {
    return { scores: await byVectors(input.embed, query, groups, input.signal) };
  } catch (thrown) {
    input.signal.throwIfAborted();
    // What it holds may be of another model.
    vectorsBy.delete(input.embed);
    const problem = toTroupeError(thrown, '`embed`');
    return { scores: await byWords(query, groups), problem };
  }
}

/** Characters of a group that are compared: more blurs a vector, and models of vectors take little. */
const comparedCharacters = 2000;

/** Texts that are sent to a server at once. */
const batchSize = 64;

/** Vectors of groups by who made them: those of two models cannot be compared. */
const vectorsBy = new WeakMap<Embed, WeakMap<Group, Vector>>();

/** The prompt, or in the middle of an ask the request that it began with. */
function queryOf({ prompt, groups }: CompressionInput): string {
  if (prompt.length > 0) return plainText(prompt, comparedCharacters);
  const last = groups.findLast((group) => group[0]?.role === 'user')?.[0];
  return last === undefined ? '' : plainText([last], comparedCharacters);
}

async function byVectors(embed: Embed, query: string, groups: readonly Group[], signal: AbortSignal) {
  const vectors = vectorsBy.get(embed) ?? new WeakMap<Group, Vector>();
  vectorsBy.set(embed, vectors);
  const unknown = groups.filter((group) => !vectors.has(group));
  const texts = [query, ...unknown.map(comparedText)];
  const made: Vector[] = [];
  for (let at = 0; at < texts.length; at += batchSize) {
    signal.throwIfAborted();
    made.push(...(await embedded(embed, texts.slice(at, at + batchSize))));
  }
  const [asked = [], ...fresh] = made;
  for (const [at, group] of unknown.entries()) vectors.set(group, fresh[at] ?? []);
  return groups.map((group) => cosine(asked, vectors.get(group) ?? []));
}

/** A server may refuse an empty text. */
function comparedText(group: Group): string {
  return plainText(group, comparedCharacters) || '(nothing)';
}

async function embedded(embed: Embed, texts: readonly string[]): Promise<readonly Vector[]> {
  const vectors = await embed(texts);
  if (Array.isArray(vectors) && vectors.length === texts.length && vectors.every(isVector)) return vectors;
  const seen = Array.isArray(vectors) ? `${vectors.length} values` : `a value of type ${typeof vectors}`;
  const message = `\`embed\` gave ${seen} for ${texts.length} texts. It must give one vector of numbers for each.`;
  throw new TroupeError('TROUPE_ERR_BACKEND_PROTOCOL', message);
}

function isVector(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(Number.isFinite);
}

/** Vectors of different lengths cannot be of one model. */
function cosine(one: Vector, other: Vector): number {
  if (one.length !== other.length) {
    const message = `\`embed\` gave vectors of ${one.length} and ${other.length} numbers. One model makes them of one length.`;
    throw new TroupeError('TROUPE_ERR_BACKEND_PROTOCOL', message);
  }
  let product = 0;
  let oneSquared = 0;
  let otherSquared = 0;
  for (const [at, value] of one.entries()) {
    const facing = other[at] ?? 0;
    product += value * facing;
    oneSquared += value * value;
    otherSquared += facing * facing;
  }
  const length = Math.sqrt(oneSquared * otherSquared);
  return length === 0 ? 0 : product / length;
}

async function byWords(query: string, groups: readonly Group[]): Promise<readonly number[]> {
  const { default: MiniSearch } = await import('minisearch');
  const index = new MiniSearch<{ id: number; text: string }>({ fields: ['text'] });
  await index.addAllAsync(groups.map((group, id) => ({ id, text: plainText(group, comparedCharacters) })));
  const scores = groups.map(() => 0);
  for (const { id, score } of index.search(query)) scores[id as number] = score;
  return scores;
}
