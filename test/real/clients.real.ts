/** Real clients of the protocols on the contract's server: what it says is what they understand, so that it may stand for others. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listedModel, type ModelServer, modelServer } from '../contract/server.ts';

let server: ModelServer;
beforeAll(async () => {
  server = await modelServer();
});
afterAll(() => server.close());

const parameters = { type: 'object', properties: { a: { type: 'number' } } } as const;

describe('the openai client', () => {
  const client = () => new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const ask = (content: string) => ({
    model: listedModel,
    max_tokens: 100,
    messages: [{ role: 'user' as const, content }],
  });

  test('gets a text, whole and in pieces', async () => {
    const whole = await client().chat.completions.create(ask('say Grüße'));
    const stream = await client().chat.completions.create({
      ...{ ...ask('say Grüße'), stream: true, stream_options: { include_usage: true } },
    });
    let text = '';
    let tokens: number | undefined;
    for await (const { choices, usage } of stream) {
      text += choices[0]?.delta.content ?? '';
      tokens = usage?.completion_tokens;
    }
    expect([whole.choices[0]?.message.content, whole.usage?.completion_tokens]).toEqual(['Grüße', 2]);
    expect([text, tokens]).toEqual(['Grüße', 2]);
  });

  test('gets tool calls', async () => {
    const tools = [{ type: 'function' as const, function: { name: 'add', parameters } }];
    const stream = client().chat.completions.stream({ ...ask('call add {"a":1}'), tools });
    const { choices } = await stream.finalChatCompletion();
    const calls = choices[0]?.message.tool_calls?.map((call) => call.type === 'function' && call.function);
    expect(calls).toMatchObject([{ name: 'add', arguments: '{"a":1}' }]);
  });

  test.each([
    ['429', OpenAI.RateLimitError],
    ['401', OpenAI.AuthenticationError],
    ['500', OpenAI.InternalServerError],
    ['404', OpenAI.NotFoundError],
  ])('gets error %s', async (status, kind) => {
    await expect(client().chat.completions.create(ask(`error ${status}`))).rejects.toBeInstanceOf(kind);
  });
});

describe('the anthropic client', () => {
  const client = () => new Anthropic({ baseURL: server.url, apiKey: 'none', maxRetries: 0 });
  const ask = (content: string) => ({
    model: 'claude-sonnet-5-5',
    max_tokens: 100,
    messages: [{ role: 'user' as const, content }],
  });

  test('gets a text, whole and in pieces', async () => {
    const whole = await client().messages.create(ask('say Grüße'));
    const streamed = await client().messages.stream(ask('say Grüße')).finalMessage();
    expect([whole, streamed].map(({ content, stop_reason: reason }) => [content, reason])).toEqual([
      [[{ type: 'text', text: 'Grüße' }], 'end_turn'],
      [[{ type: 'text', text: 'Grüße' }], 'end_turn'],
    ]);
  });

  test('gets tool calls', async () => {
    const tools = [{ name: 'add', input_schema: parameters }];
    const message = await client()
      .messages.stream({ ...ask('call add {"a":1}'), tools })
      .finalMessage();
    expect(message.content.at(-1)).toMatchObject({ type: 'tool_use', name: 'add', input: { a: 1 } });
    expect(message.stop_reason).toBe('tool_use');
  });

  test('gets errors by their kind', async () => {
    await expect(client().messages.create(ask('error 429'))).rejects.toBeInstanceOf(Anthropic.RateLimitError);
  });
});

test('the clients are the versions that the lock file names', () => {
  const lock = JSON.parse(readFileSync(join(import.meta.dirname, 'package-lock.json'), 'utf8'));
  expect(lock.packages['node_modules/openai'].version).toBe('6.49.0');
});
