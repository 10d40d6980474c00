/** Our merging against the library's own encoder, on any text; and on texts that encoder cannot take. */
import fc from 'fast-check';
import { Tiktoken, type TiktokenBPE } from 'js-tiktoken/lite';
import cl100k from 'js-tiktoken/ranks/cl100k_base';
import o200k from 'js-tiktoken/ranks/o200k_base';
import { describe, expect, test } from 'vitest';
import { openTokenizer, type Vocabulary, vocabularyOf, wordsOf } from '../../../actors/compression/tokenizer.ts';
import { utf8Bytes } from '../../../src/core/token-bounds.ts';
import { totalOf } from '../../../src/core/token-count.ts';
import { textKinds, textOf } from '../../helpers/token-samples.ts';

const vocabularies: [Vocabulary, TiktokenBPE][] = [
  ['o200k_base', o200k],
  ['cl100k_base', cl100k],
];

describe.each(vocabularies)('%s', async (vocabulary, published) => {
  const tokenizer = await openTokenizer(vocabulary);
  const count = (text: string) => totalOf(tokenizer.count(text));
  const library = new Tiktoken(published);
  const libraryCount = (text: string) => library.encode(text, [], []).length;
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc
      .array(fc.constantFrom(' ', '\n', 'the', 'Über', '12', '你好', '😀', "'s", '--', '\ud83d'), { maxLength: 40 })
      .map(join),
  );

  test('has the same tokens as the library', () => {
    for (const kind of textKinds) expect([kind, count(textOf(kind))]).toEqual([kind, libraryCount(textOf(kind))]);
    fc.assert(
      fc.property(anyText, (text) => {
        expect(count(text)).toBe(libraryCount(text));
      }),
    );
  });

  test('has no more tokens than a text has bytes', () => {
    fc.assert(fc.property(anyText, (text) => count(text) <= utf8Bytes(text)));
  });

  test('takes its own control tokens for text', () => {
    for (const control of Object.keys(published.special_tokens)) expect(count(control)).toBe(libraryCount(control));
  });

  test.each([
    ['letters', 'a'],
    ['blanks', ' '],
    ['dashes', '-'],
    ['line ends and strokes, which are one word', '\n/'],
    ['Chinese', '好'],
    ['pairs of surrogates', '😀'],
    ['halves of them', '\ud83d'],
    ['capitals, which the pattern goes back over', 'A'],
  ])('cuts 100,000 %s into short pieces', (_, unit) => {
    const text = unit.repeat(100_000 / unit.length);
    const words = [...wordsOf(text, new RegExp(published.pat_str, 'gu'))];
    expect(words.join('')).toBe(text);
    expect(Math.max(...words.map((word) => word.length))).toBeLessThanOrEqual(128);
    expect(count(text)).toBeLessThanOrEqual(utf8Bytes(text));
  });

  test('a cut never parts a pair of surrogates', () => {
    const words = [...wordsOf(`!${'😀'.repeat(1000)}`, new RegExp(published.pat_str, 'gu'))];
    expect(words.length).toBeGreaterThan(10);
    expect(words.filter((word) => Buffer.from(word).toString() !== word)).toEqual([]);
  });

  test('a cut inside a word adds few tokens', () => {
    const text = 'acgtgac'.repeat(150);
    expect(count(text) - libraryCount(text)).toBeLessThanOrEqual(2 * Math.floor(text.length / 128));
  });
});

test('tokens are told apart by what they stand for', async () => {
  const { count } = await openTokenizer('o200k_base');
  const none = { latin: 0, script: 0, digits: 0, symbols: 0, template: 0, tools: 0, images: 0 };
  expect(count('')).toEqual(none);
  expect(count('two words')).toEqual({ ...none, latin: 2 });
  expect(count('in 2026')).toEqual({ ...none, latin: 1, symbols: 1, digits: 2 });
  expect(count('你好')).toEqual({ ...none, script: 1 });
  expect(count('{}\n')).toEqual({ ...none, symbols: 1 });
});

test('a vocabulary is loaded once', () => {
  expect(openTokenizer('o200k_base')).toBe(openTokenizer('o200k_base'));
});

test.each<[Vocabulary, string[]]>([
  ['cl100k_base', ['gpt-4', 'gpt-4-turbo', 'gpt-4-0613', 'gpt-3.5-turbo', 'gpt-35-turbo', 'openai/gpt-4']],
  [
    'o200k_base',
    ['gpt-4o', 'gpt-4o-mini', 'gpt-4.1', 'gpt-4.5-preview', 'gpt-5', 'o3-mini', 'ft:gpt-4o:acme', 'gpt-oss'],
  ],
  ['o200k_base', ['claude-sonnet-5-5', 'llama3.1', 'qwen2.5:7b', 'mistral', 'a-model-that-nobody-knows', '']],
])('%s counts for %j', (vocabulary, models) => {
  expect(models.map((model) => [model, vocabularyOf(model)])).toEqual(models.map((model) => [model, vocabulary]));
});

function join(parts: readonly string[]): string {
  return parts.join('');
}
