/** The message log: groups whole, system first, forks apart. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Conversation } from '../../src/core/conversation.ts';
import type { Message } from '../../src/core/types.ts';

const user = (content: string): Message => ({ role: 'user', content });
const said = (content: string): Message => ({ role: 'assistant', content });
const call = (...ids: string[]): Message => ({
  role: 'assistant',
  content: '',
  toolCalls: ids.map((id) => ({ id, name: 'look', arguments: '{}' })),
});
const result = (callId: string): Message => ({ role: 'tool', callId, name: 'look', content: 'seen' });

describe('a conversation', () => {
  test('starts with its system message and keeps order', () => {
    const conversation = new Conversation('Be brief.');
    conversation.append([user('a'), said('b')]);
    conversation.append([user('c'), call('1', '2'), result('2'), result('1')]);
    expect(conversation.length).toBe(7);
    expect(conversation.messages().map(({ role, content }) => `${role} ${content}`)).toEqual([
      'system Be brief.',
      'user a',
      'assistant b',
      'user c',
      'assistant ',
      'tool seen',
      'tool seen',
    ]);
  });

  test.each([
    ['a call without its result', [call('1', '2'), result('1')], 'no result for "2"'],
    ['a result without its call', [call('1'), result('1'), result('2')], 'the result of "2" has no call'],
    ['a result before its call', [result('1'), call('1')], 'the result of "1" has no call'],
    ['two results of one call', [call('1'), result('1'), result('1')], 'the result of "1" has no call'],
    ['two calls with one id', [call('1', '1'), result('1')], 'two calls have the id "1"'],
    ['a second system message', [{ role: 'system', content: 'x' }], 'a system message stands inside the log'],
  ] as [string, Message[], string][])('refuses %s', (_name, group, message) => {
    const conversation = new Conversation();
    expect(() => conversation.append(group)).toThrow(message);
    expect(conversation.length).toBe(0);
  });

  test('a fork rounds down to a whole group', () => {
    const conversation = new Conversation('s');
    conversation.append([user('a'), said('b')]);
    conversation.append([user('c'), call('1'), result('1')]);
    conversation.append([said('d')]);
    const forkAt = (at: number) => conversation.fork(conversation.groupsWithin(at)).length;
    expect([7, 6, 5, 4, 3, 2, 1, 0].map(forkAt)).toEqual([7, 6, 3, 3, 3, 1, 1, 1]);
  });

  test('a fork and its parent never see what the other appends (any interleaving)', () => {
    const seed = 20261122;
    fc.assert(
      fc.property(
        fc.array(fc.record({ who: fc.nat(), fork: fc.boolean(), at: fc.nat(30) }), { maxLength: 40, size: 'max' }),
        (steps) => {
          const living = [new Conversation('s')];
          const expected: string[][] = [['s']];
          for (const [number, { who, fork, at }] of steps.entries()) {
            const index = who % living.length;
            if (fork) {
              living.push(living[index]!.fork(living[index]!.groupsWithin(at)));
              expected.push(expected[index]!.slice(0, Math.max(1, at - ((at - 1) % 2))));
            } else {
              living[index]!.append([user(`u${number}`), said(`a${number}`)]);
              expected[index]!.push(`u${number}`, `a${number}`);
            }
          }
          expect(living.map((one) => one.messages().map(({ content }) => content))).toEqual(expected);
          expect(living.map((one) => one.length)).toEqual(expected.map((one) => one.length));
        },
      ),
      { seed, numRuns: 300 },
    );
  });
});
