/** The scripted model's server itself: what it takes, what it finds wrong, how it counts. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpClient } from '../../actors/wire/http.ts';
import { listedModel, type ModelServer, modelServer } from './server.ts';

let server: ModelServer;
let client: HttpClient;

beforeEach(async () => {
  server = await modelServer();
  client = new HttpClient({ server: 'test', redact: (text) => text });
});
afterEach(async () => {
  await client.close();
  await server.close();
});

const said = (content: unknown) => ({ role: 'user', content });
const call = { type: 'tool_use', id: 'c1', name: 'add', input: {} };
const result = { type: 'tool_result', tool_use_id: 'c1', content: '3' };
const toolCall = { id: 'c1', type: 'function', function: { name: 'add', arguments: '{}' } };

describe('what is wrong with a request is written down', () => {
  it.each([
    [
      'no user first',
      [{ role: 'assistant', content: 'x' }, said('say a')],
      ['the first message is by assistant, not the user'],
    ],
    [
      'a result without its call',
      [said('say a'), { role: 'tool', tool_call_id: 'c1', content: '3' }],
      ['message 1 is a result of "c1", which is not open'],
    ],
    [
      'a call without its result',
      [said('say a'), { role: 'assistant', content: '', tool_calls: [toolCall] }, said('say b')],
      ['message 2 comes before the result of "c1"'],
    ],
    [
      'a call that is the last',
      [said('say a'), { role: 'assistant', content: '', tool_calls: [toolCall] }],
      ['the last message is the assistant’s own', 'the messages end without a result of "c1"'],
    ],
    [
      'a system message in the middle',
      [said('say a'), { role: 'system', content: 'x' }],
      ['a system message is not the first'],
    ],
    [
      'an empty prompt',
      [said('say a'), { role: 'assistant', content: 'a' }, said('')],
      ['message 2, by the user, is empty'],
    ],
  ])('chat completions: %s', async (_, messages, problems) => {
    await post('/v1/chat/completions', { model: 'm', max_tokens: 9, messages });
    expect(server.violations).toEqual(problems.map((problem) => `request 1: ${problem}`));
  });

  it.each([
    ['two by the user', [said('say a'), said('say b')], ['messages.1: roles must alternate']],
    [
      'words before results',
      [said('say a'), { role: 'assistant', content: [call] }, said([{ type: 'text', text: 'b' }, result])],
      ['messages.2: tool_result blocks must come first'],
    ],
    ['a blank text', [said([{ type: 'text', text: ' ' }])], ['messages.0: text content blocks must be non-empty']],
    [
      'a result twice',
      [said('say a'), { role: 'assistant', content: [call] }, said([result, result])],
      ['message 3 is a result of "c1", which is not open'],
    ],
  ])('messages: %s', async (_, messages, problems) => {
    await post('/v1/messages', { model: 'm', max_tokens: 9, messages });
    expect(server.violations).toEqual(problems.map((problem) => `request 1: ${problem}`));
  });

  it('Ollama: a result of another tool, a prompt that may be cut, no cap', async () => {
    const calls = [{ function: { name: 'add', arguments: {} } }];
    const messages = [
      said('say a'),
      { role: 'assistant', content: '', tool_calls: calls },
      { role: 'tool', tool_name: 'mul', content: '3' },
    ];
    await post('/api/chat', { model: 'm', stream: false, messages });
    expect(server.violations).toEqual(
      [
        ...['the answer has no cap', 'the server may cut the prompt silently'],
        ...[
          'message 2 is a result of "nothing for mul", which is not open',
          'the messages end without a result of "1-0"',
        ],
      ].map((problem) => `request 1: ${problem}`),
    );
  });
});

describe('what Claude Code sends is taken', () => {
  it('several system texts, marks of the cache, a system message, unknown fields', async () => {
    const marked = { cache_control: { type: 'ephemeral' } };
    const body = {
      ...{ model: 'claude-sonnet-5-5', max_tokens: 9, metadata: { user_id: 'u' }, context_management: { edits: [] } },
      system: [
        { type: 'text', text: 'One.' },
        { type: 'text', text: 'Two.', ...marked },
      ],
      messages: [
        said([
          { type: 'text', text: '<system-reminder>\nBe good.\n</system-reminder>' },
          { type: 'text', text: 'echo system', ...marked },
        ]),
        { role: 'system', content: [] },
      ],
    };
    const reply = await post('/v1/messages?beta=true', body);
    expect(reply.content).toEqual([{ type: 'text', text: 'One.\nTwo.' }]);
    const { input_tokens: fresh, cache_read_input_tokens: read, cache_creation_input_tokens: written } = reply.usage;
    expect([fresh + read + written, read > 0, written > 0]).toEqual([server.ledger.input, true, true]);
    expect(server.ledger.usd).toBeCloseTo(
      (fresh * 2 + read * 0.1 + written * 2.5 + reply.usage.output_tokens * 10) / 1e6,
      12,
    );
    expect((await post('/v1/messages/count_tokens', body)).input_tokens).toBe(server.ledger.input);
    expect(server.violations).toEqual([]);
  });
});

it('says which models it has, at the routes of all kinds of servers', async () => {
  expect((await get('/v1/models')).data[0].id).toBe(listedModel);
  expect((await get('/api/tags')).models[0].name).toBe(listedModel);
  expect((await post('/api/show', { model: listedModel })).capabilities).toContain('tools');
  expect((await get('/props')).total_slots).toBe(4);
});

it('writes byte by byte when it shall', async () => {
  const bytewise = await modelServer({ bytewise: true });
  const body = JSON.stringify({ model: 'm', max_tokens: 9, stream: true, messages: [said('say ü')] });
  let received = 0;
  await client.send({
    ...{ method: 'POST', url: new URL(`${bytewise.url}/v1/chat/completions`), headers: {}, body: [Buffer.from(body)] },
    signal: new AbortController().signal,
    onData: (bytes) => {
      received += bytes.length;
      return false;
    },
  });
  expect(bytewise.counts.pieces).toBe(received);
  await bytewise.close();
});

async function post(path: string, body: object) {
  return request('POST', path, [Buffer.from(JSON.stringify(body))]);
}

async function get(path: string) {
  return request('GET', path, []);
}

async function request(method: 'GET' | 'POST', path: string, body: readonly Uint8Array[]) {
  const { signal } = new AbortController();
  const reply = await client.send({ method, url: new URL(server.url + path), headers: {}, body, signal });
  return JSON.parse(reply.text);
}
