/** Shorter copies: nothing but the middle of texts is gone. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { shortenGroup, shortenText } from '../../../actors/compression/shorten.ts';
import { Conversation, type Group } from '../../../src/core/conversation.ts';
import { anyLog, counter, frozen, oddCharacter, step } from './conversations.ts';

const seed = 20261124;
const { tokensOf } = counter();
const loneSurrogate = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

describe('a shorter text', () => {
  test('has its beginning and its end, and says what is left out', () => {
    expect(shortenText('abcdefghij'.repeat(30), 60)).toBe(
      'abcdefghijabcde\n[… 271 characters left out …]\nghijabcdefghij',
    );
    expect([shortenText('short', 5), shortenText('a'.repeat(40), 3)]).toEqual([
      'short',
      '[… 40 characters left out …]',
    ]);
    expect(shortenText('too short for a mark', 0)).toBe('too short for a mark');
  });

  test('is never longer, splits no character, and keeps to its length where a mark fits', () => {
    const texts = fc.oneof(
      fc.string({ unit: oddCharacter, maxLength: 500, size: 'max' }),
      fc.constant('😀'.repeat(200)),
    );
    fc.assert(
      fc.property(texts, fc.nat(400), (text, maxCharacters) => {
        const short = shortenText(text, maxCharacters);
        expect(short.length).toBeLessThanOrEqual(Math.max(Math.min(maxCharacters, text.length), 40));
        expect(short.length).toBeLessThanOrEqual(text.length);
        if (!loneSurrogate.test(text)) expect(short).not.toMatch(loneSurrogate);
      }),
      { seed, numRuns: 500 },
    );
  }, 60_000);
});

describe('a shorter group', () => {
  test('keeps its calls and results, is within its tokens or the least, and leaves the group', () => {
    fc.assert(
      fc.property(anyLog, fc.nat(200), (groups, maxTokens) => {
        for (const group of frozen(groups)) {
          const copy = shortenGroup(group, maxTokens, tokensOf);
          new Conversation().append(copy);
          expect(copy.map(({ role }) => role)).toEqual(group.map(({ role }) => role));
          for (const message of copy)
            if (message.role === 'assistant')
              for (const call of message.toolCalls ?? [])
                expect(Object(JSON.parse(call.arguments))).toBeTypeOf('object');
          const least = tokensOf(shortenGroup(group, 0, tokensOf));
          expect(tokensOf(copy)).toBeLessThanOrEqual(Math.max(Math.min(maxTokens, tokensOf(group)), least));
          if (tokensOf(group) <= maxTokens) expect(copy).toBe(group);
        }
      }),
      { seed, numRuns: 200 },
    );
  }, 60_000);

  test.each([
    ['texts inside arguments', JSON.stringify({ path: 'a.txt', lines: ['b'.repeat(2000)] })],
    ['many short ones', JSON.stringify(Array.from({ length: 2000 }, (_, at) => at))],
    ['arguments that are no JSON', `{"path": "${'c'.repeat(2000)}`],
  ])('arguments stay JSON: %s', (_name, text) => {
    const copy = shortenGroup(step('1', 'Write it.', text, 'done'), 60, tokensOf);
    expect(tokensOf(copy)).toBeLessThanOrEqual(60);
    const [, message] = copy;
    const [call] = message?.role === 'assistant' ? (message.toolCalls ?? []) : [];
    expect(call).toEqual({ id: '1-0', name: 'look', arguments: expect.any(String) });
    expect(() => JSON.parse(call!.arguments)).not.toThrow();
  });

  test('goes without thinking aloud and the mark of a session; pictures go last', () => {
    const image = { mediaType: 'image/png', data: 'AAAA' } as const;
    const group: Group = [
      { role: 'user', content: 'What is this?', images: [image, image] },
      {
        ...{ role: 'assistant', content: 'word '.repeat(500), reasoning: 'Hm.' },
        ...{ session: { backend: 'claude', id: 's', entry: 'e' }, thinking: { protocol: 'anthropic', blocks: [] } },
      },
    ];
    const [kept, answer] = shortenGroup(group, 700, tokensOf);
    expect(kept).toEqual(group[0]);
    expect(answer).toEqual({
      ...{ role: 'assistant', thinking: { protocol: 'anthropic', blocks: [] } },
      content: expect.stringContaining('characters left out'),
    });
    const [without] = shortenGroup(group, 100, tokensOf);
    expect(without).toEqual({ role: 'user', content: '[2 pictures left out]\nWhat is this?' });
  });
});
