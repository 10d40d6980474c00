/** What is counted, and that nothing is counted twice. */
import { describe, expect, test } from 'vitest';
import { openTokenCounter, TokenCounter } from '../../../actors/compression/token-counter.ts';
import type { Tokenizer } from '../../../actors/compression/tokenizer.ts';
import { type Calibration, uncalibrated } from '../../../src/core/calibration.ts';
import { Conversation } from '../../../src/core/conversation.ts';
import { noTokens } from '../../../src/core/token-count.ts';
import type { Message, ToolDefinition } from '../../../src/core/types.ts';

/** A tokenizer with a token for each character, which keeps what it was given. */
function characters(): { readonly tokenizer: Tokenizer; readonly counted: string[] } {
  const counted: string[] = [];
  const count = (text: string) => {
    counted.push(text);
    return { ...noTokens, latin: text.length };
  };
  return { tokenizer: { vocabulary: 'o200k_base', count }, counted };
}

const tool: ToolDefinition = { name: 'look', description: 'Looks.', parameters: { type: 'object' } };
const toolJson = '{"type":"function","function":{"name":"look","description":"Looks.","parameters":{"type":"object"}}}';

describe('count', () => {
  test.each<[string, Message, object]>([
    ['a text', { role: 'user', content: 'four' }, { latin: 4, template: 5 }],
    [
      'pictures',
      { role: 'user', content: '', images: [{ mediaType: 'image/png', data: 'AAAA' }] },
      { template: 5, images: 1600 },
    ],
    [
      'calls, and thinking that is sent back',
      {
        role: 'assistant',
        content: 'ok',
        reasoning: 'not sent',
        thinking: { protocol: 'anthropic', blocks: [{ thinking: 'hm', signature: 'not counted' }, { type: 'other' }] },
        toolCalls: [{ id: 'c1', name: 'look', arguments: '{}' }],
      },
      { latin: 2 + 4 + 2 + 2, template: 5 + 12 },
    ],
    ['a result', { role: 'tool', callId: 'c1', name: 'look', content: 'seen' }, { latin: 4, template: 5 }],
  ])('%s', (_, message, expected) => {
    const counter = new TokenCounter(characters().tokenizer);
    const { template, ...kinds } = counter.count({ messages: [message] });
    const request = { ...noTokens, ...expected };
    expect({ ...kinds, template }).toEqual({ ...request, template: request.template + 3 });
  });

  test('tools, with the words around a list of them', () => {
    const counter = new TokenCounter(characters().tokenizer);
    expect(counter.count({ messages: [], tools: [tool] })).toEqual({
      ...noTokens,
      template: 3,
      tools: 100 + toolJson.length,
    });
    expect(counter.count({ messages: [], tools: [] })).toEqual({ ...noTokens, template: 3 });
  });
});

test('a conversation of 2,000 messages is counted once, by however many counters, agents and forks', () => {
  const { tokenizer, counted } = characters();
  const conversation = new Conversation('Be brief.');
  for (let turn = 0; turn < 1000; turn += 1)
    conversation.append([
      { role: 'user', content: `q${turn}` },
      { role: 'assistant', content: `a${turn}` },
    ]);
  const request = () => ({ messages: conversation.fork().messages(), tools: [tool] });
  const total = new TokenCounter(tokenizer).tokensOfRequest(request());
  expect(counted).toHaveLength(2002);
  expect(new TokenCounter(tokenizer).tokensOfRequest(request())).toBe(total);
  for (const group of conversation.groups()) new TokenCounter(tokenizer).tokensOf(group);
  const fork = conversation.fork(500);
  fork.append([{ role: 'user', content: 'new' }]);
  new TokenCounter(tokenizer).tokensOfRequest({ messages: fork.messages(), tools: [tool] });
  expect(counted.slice(2002).filter((text) => text !== 'Be brief.')).toEqual(['new']);
});

test('a calibration corrects whole requests and parts, what a request adds only the whole', () => {
  const calibration: Calibration = {
    ...uncalibrated,
    ratios: { ...uncalibrated.ratios, latin: 1.5, template: 0 },
    offset: 1000,
  };
  const counter = new TokenCounter(characters().tokenizer, calibration);
  const group: Message[] = [{ role: 'user', content: 'four' }];
  expect(counter.tokensOf(group)).toBe(6);
  expect(counter.tokensOfText('four')).toBe(6);
  expect(counter.tokensOfRequest({ messages: group })).toBe(1006);
});

test('a model is counted by its own vocabulary', async () => {
  const text = '一个智能体就是一个演员。';
  const [newer, older] = [await openTokenCounter('gpt-4o'), await openTokenCounter('gpt-4')];
  expect([newer.tokensOfText(text), older.tokensOfText(text)]).toEqual([7, 12]);
});
