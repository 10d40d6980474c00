/**
 * Counts the tokens of a text as a public vocabulary has them, in time that grows with the text and no faster.
 *
 * N1  A vocabulary is loaded when it is first needed and once for a process: 0.2 to 0.4 s and 50 MB.
 * N2  No text makes it slow: what would be merged as one long word is cut (`longestWord`).
 * N3  No text makes it throw: the vocabulary's control tokens are text like any other.
 *
 * The vocabularies are js-tiktoken's. Its encoder is not used: it takes three times as long to load and three times the
 * memory, and its way to merge a word makes 10,000 equal characters block for 17 s. Ours finds the same tokens.
 */
import type { TiktokenBPE } from 'js-tiktoken/lite';
import { noTokens, type TokenCount, type TokenKind } from '../../src/core/token-count.ts';

/** A vocabulary, by the name that it was published under. */
export type Vocabulary = 'o200k_base' | 'cl100k_base';

export interface Tokenizer {
  readonly vocabulary: Vocabulary;
  /** Tokens of a text, apart by kind. */
  count(text: string): TokenCount;
}

/**
 * The vocabulary that a model's tokens are counted with. OpenAI's models have their own; all others are counted with
 * o200k_base as the fallback, which `src/core/calibration.ts` sets right by what their servers report.
 */
export function vocabularyOf(model: string): Vocabulary {
  const name = model.slice(model.lastIndexOf('/') + 1).replace(/^ft:/, '');
  return /^(?:gpt-4(?![.o\d])|gpt-3)/.test(name) ? 'cl100k_base' : 'o200k_base';
}

/** The tokenizer of a vocabulary. Rejects only when the package `js-tiktoken` cannot be loaded. */
export function openTokenizer(vocabulary: Vocabulary): Promise<Tokenizer> {
  let opened = tokenizers.get(vocabulary);
  if (opened === undefined) {
    opened = load(vocabulary);
    opened.catch(() => tokenizers.delete(vocabulary));
    tokenizers.set(vocabulary, opened);
  }
  return opened;
}

const tokenizers = new Map<Vocabulary, Promise<Tokenizer>>();

async function load(vocabulary: Vocabulary): Promise<Tokenizer> {
  const { default: published } = await rankFiles[vocabulary]();
  const pattern = new RegExp(published.pat_str, 'gu');
  const ranks = readRanks(published.bpe_ranks);
  return { vocabulary, count: (text) => countTokens(text, pattern, ranks) };
}

const rankFiles: Record<Vocabulary, () => Promise<{ default: TiktokenBPE }>> = {
  o200k_base: () => import('js-tiktoken/ranks/o200k_base'),
  cl100k_base: () => import('js-tiktoken/ranks/cl100k_base'),
};

/** The rank of each token: which pair of parts is merged first. Keys hold one byte a character. */
type Ranks = ReadonlyMap<string, number>;

/** Lines of `! OFFSET TOKEN TOKEN…`, tokens in base64, their ranks counted from the offset. */
function readRanks(lines: string): Ranks {
  const ranks = new Map<string, number>();
  for (const line of lines.split('\n')) {
    const [, offset, ...tokens] = line.split(' ');
    tokens.forEach((token, at) => {
      ranks.set(Buffer.from(token, 'base64').toString('latin1'), Number(offset) + at);
    });
  }
  return ranks;
}

function countTokens(text: string, pattern: RegExp, ranks: Ranks): TokenCount {
  const tokens = { ...noTokens };
  for (const word of wordsOf(text, pattern))
    tokens[kindOf(word)] += tokensOfWord(Buffer.from(word).toString('latin1'), ranks);
  return tokens;
}

/** The words of a text, which are what is merged to tokens: those of the vocabulary's pattern, long ones in pieces. */
export function* wordsOf(text: string, pattern: RegExp): Generator<string> {
  for (const part of cut(text, longestPart))
    for (const [word] of part.matchAll(pattern))
      if (word.length <= longestWord) yield word;
      else yield* cut(word, longestWord);
}

/** A word of the vocabulary's pattern holds characters of one kind, save for what stands before them. */
function kindOf(word: string): TokenKind {
  const last = word.charCodeAt(word.length - 1);
  if (last > 0x7f) return 'script';
  if (last >= 0x30 && last <= 0x39) return 'digits';
  const letter = last | 0x20;
  return letter >= 0x61 && letter <= 0x7a ? 'latin' : 'symbols';
}

/** What the word pattern sees at a time, since it goes back as far as a word is long: characters. */
const longestPart = 20_000;

/** What is merged at a time: characters, in quadratic time. Only what nobody says is as long; a cut adds a token or two. */
const longestWord = 128;

/** A text in pieces of at most so many characters; a pair of surrogates stays together. */
function* cut(text: string, longest: number): Generator<string> {
  let start = 0;
  while (text.length - start > longest) {
    const before = text.charCodeAt(start + longest - 1);
    const end = start + longest - (before >= 0xd800 && before <= 0xdbff ? 1 : 0);
    yield text.slice(start, end);
    start = end;
  }
  yield text.slice(start);
}

/** Byte pair encoding: as long as two parts side by side make a token, those that make the lowest are merged. */
function tokensOfWord(bytes: string, ranks: Ranks): number {
  if (bytes.length === 1 || ranks.has(bytes)) return 1;
  const starts = Array.from({ length: bytes.length + 1 }, (_, at) => at);
  const rankAt = (at: number) => ranks.get(bytes.slice(starts[at], starts[at + 2])) ?? Number.POSITIVE_INFINITY;
  /** `pairs[i]` = the rank of what parts i and i + 1 make. */
  const pairs = Array.from({ length: bytes.length - 1 }, (_, at) => rankAt(at));
  for (;;) {
    const lowest = indexOfLowest(pairs);
    if (lowest === -1) return starts.length - 1;
    starts.splice(lowest + 1, 1);
    pairs.splice(lowest, 1);
    if (lowest < pairs.length) pairs[lowest] = rankAt(lowest);
    if (lowest > 0) pairs[lowest - 1] = rankAt(lowest - 1);
  }
}

/** Where the lowest finite rank is, the first of several; -1 when there is none. */
function indexOfLowest(pairs: readonly number[]): number {
  let lowest = Number.POSITIVE_INFINITY;
  let found = -1;
  for (let at = 0; at < pairs.length; at += 1) {
    const rank = pairs[at] ?? lowest;
    if (rank < lowest) {
      lowest = rank;
      found = at;
    }
  }
  return found;
}
