import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend, ModelEvent, ModelRequest, ModelResponse } from '../../../actors/backend.ts';
import { type AnthropicOptions, anthropic } from '../../../actors/backends/anthropic.ts';
import { tool } from '../../../actors/tools/tool.ts';
import { anthropicMessages } from '../../../actors/wire/anthropic-chat.ts';
import { Conversation } from '../../../src/core/conversation.ts';
import { createTroupe } from '../../../src/runtime/troupe.ts';
import { type Fault, type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { call } from '../../helpers/anthropic-contents.ts';
import { anthropicFaults, events, streamed, strict, wholeText } from '../../helpers/anthropic-wire.ts';
import { allOf, failure, modelRequest } from '../../helpers/model-request.ts';

const text = (said: string) => ({ type: 'text', text: said });

/** Wants two additions at once, then says what they gave. */
const adds: Fault = (exchange) => {
  const messages = exchange.request.body?.['messages'] as { content: { content: string }[] }[];
  const results = messages.length === 1 ? [] : messages.at(-1)!.content.map(({ content }) => content);
  const calls = [call('add', '{"a":1,"b":2}', 'functions.add:0'), call('add', '{"a":3,"b":4}', 'toolu_2')];
  const answer = results.length > 0 ? { blocks: [text(results.join(' and '))] } : { blocks: calls, stop: 'tool_use' };
  return streamed(...events(answer))(exchange);
};

const models: Fault = ({ request, reply }) => {
  if (request.method !== 'GET')
    return reply(404, { type: 'error', error: { type: 'not_found_error', message: 'model: claude-x' } });
  const id = /models\/([^?]*)/.exec(request.path)?.[1];
  if (id === undefined) return reply(200, { data: [{ id: 'claude-a' }, { id: 'claude-b' }], has_more: false });
  if (id === 'large%2Fone') return reply(200, { id, type: 'model', max_input_tokens: 500_000 });
  if (id === 'silent') return reply(200, { id, type: 'model', max_input_tokens: 0 });
  if (id === 'forbidden') return reply(401, { type: 'error', error: { type: 'authentication_error', message: 'no' } });
  reply(404, { error: { code: 404, message: 'File Not Found', type: 'not_found_error' } });
};

let server: FaultServer;
const backends: Backend[] = [];

beforeAll(async () => {
  server = await faultServer({ ...anthropicFaults, ...strict({ adds, listing: models }) });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await Promise.all(backends.splice(0).map((backend) => backend.close?.()));
});
afterAll(() => server.close());

function backend(options: AnthropicOptions = {}): Backend {
  const made = anthropic({ endpoint: server.url, ...options });
  backends.push(made);
  return made;
}

function ask(request: Partial<ModelRequest> = {}, options: AnthropicOptions = {}): Promise<ModelResponse> {
  return backend(options).call(modelRequest(request));
}

const sent = () => server.requests.at(-1)!;

describe('an answer', () => {
  it('has text, usage and finish reason', async () => {
    expect(await ask()).toEqual({
      text: wholeText,
      toolCalls: [],
      finishReason: { unified: 'stop', raw: 'end_turn' },
      usage: { inputTokens: 12, outputTokens: 5, cacheReadTokens: 3, cacheWriteTokens: 1 },
      costUsd: undefined,
    });
  });

  it('is shown while it arrives, thinking apart', async () => {
    const seen: ModelEvent[] = [];
    await ask({ model: 'fault:reasoning', onEvent: (event) => seen.push(event) });
    expect(seen).toEqual([
      { type: 'reasoning-delta', text: 'Hm.' },
      { type: 'text-delta', text: wholeText },
    ]);
  });

  it('that was cut in a tool call has no call', async () => {
    const cut = await ask({ model: 'fault:tool-cut-empty' });
    expect([cut.finishReason, cut.toolCalls]).toEqual([{ unified: 'length', raw: 'max_tokens' }, []]);
  });

  it('gives its thinking, which goes back unchanged before the call that it led to', async () => {
    const block = { type: 'thinking', thinking: 'Hm.', signature: 'sig' };
    const first = await ask({ model: 'fault:reasoning' });
    expect(first.thinking).toEqual({ protocol: 'anthropic', blocks: [block] });
    const conversation = new Conversation();
    const { thinking, reasoning } = first;
    conversation.append([
      { role: 'user', content: 'Add.' },
      {
        ...{ role: 'assistant', content: '', reasoning: reasoning!, thinking: thinking! },
        toolCalls: [{ id: 'c', name: 'f', arguments: '{}' }],
      },
      { role: 'tool', callId: 'c', name: 'f', content: '3' },
    ]);
    conversation.append([{ role: 'assistant', content: '', thinking: thinking! }]);
    conversation.append([
      { role: 'user', content: 'Again.' },
      { role: 'assistant', content: 'No.', thinking: { protocol: 'other', blocks: [block] } },
    ]);
    await ask({ conversation }, { thinkingTokens: 2000 });
    expect(sent().body?.['messages']).toEqual([
      { role: 'user', content: 'Add.' },
      { role: 'assistant', content: [block, { type: 'tool_use', id: 'c', name: 'f', input: {} }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c', content: '3' }] },
      { role: 'assistant', content: [block, text('(no text)')] },
      { role: 'user', content: 'Again.' },
      { role: 'assistant', content: [text('No.')] },
      { role: 'user', content: 'Hi' },
    ]);
    expect(sent().body).toMatchObject({ max_tokens: 6096, thinking: { type: 'enabled', budget_tokens: 2000 } });
  });

  it('lets the tools run and the model see what they gave, each message encoded once', async () => {
    const encode = vi.spyOn(anthropicMessages, 'encode');
    const encodeResults = vi.spyOn(anthropicMessages, 'encodeResults');
    const add = tool<{ a: number; b: number }>({
      name: 'add',
      description: 'Adds.',
      parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
      execute: ({ a, b }) => a + b,
    });
    const troupe = createTroupe({ backends: { anthropic: anthropic({ endpoint: server.url }) } });
    const agent = await troupe.spawn('a', { model: 'fault:adds', tools: [add], system: 'Be brief.' });
    const reply = await agent.ask('1 + 2 and 3 + 4?');
    expect([reply.text, reply.steps]).toEqual(['3 and 7', 2]);
    const id = 'troupe_functions_2e_add_3a_0';
    expect(sent().body?.['messages']).toEqual([
      { role: 'user', content: '1 + 2 and 3 + 4?' },
      {
        role: 'assistant',
        content: [
          { type: 'tool_use', id, name: 'add', input: { a: 1, b: 2 } },
          { type: 'tool_use', id: 'toolu_2', name: 'add', input: { a: 3, b: 4 } },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: id, content: '3' },
          { type: 'tool_result', tool_use_id: 'toolu_2', content: '7' },
        ],
      },
    ]);
    expect([encode.mock.calls.length, encodeResults.mock.calls.length]).toEqual([2, 1]);
    await troupe.close();
  });
});

describe('what goes out', () => {
  it('is the conversation, the prompt, the tools and the parameters', async () => {
    const conversation = new Conversation('Be brief.');
    const called = (id: string, args: string) => ({ id, name: 'weather', arguments: args });
    const result = (callId: string, content: string) => ({ role: 'tool', callId, name: 'weather', content }) as const;
    conversation.append([{ role: 'user', content: 'Weather?' }]);
    conversation.append([
      { role: 'assistant', content: 'So.', toolCalls: [called('c1', '{"city":'), called('c2', '{"city":"Rome"}')] },
      { ...result('c1', 'broken'), isError: true },
      result('c2', ''),
    ]);
    const schema = { type: 'object', properties: { city: { type: 'string' } } };
    const tools = ['weather', 'news'].map((name) => ({ name, description: 'Says it', parameters: schema }));
    const parameters = {
      ...{ temperature: 0.5, topP: 0.9, maxTokens: 100, stop: ['END'], seed: 7 },
      responseFormat: { type: 'schema', name: 'answer', schema } as const,
      extra: { top_k: 3, output_config: { effort: 'low' } },
    };
    const headers = { 'X-Team': 'blue', 'Anthropic-Beta': 'b', 'User-Agent': 'mine' };
    await ask({ conversation, tools, parameters }, { apiKey: 'key-1', headers });
    expect([sent().method, sent().path]).toEqual(['POST', '/v1/messages']);
    expect(sent().headers).toMatchObject({
      'x-api-key': 'key-1',
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'b',
      'content-type': 'application/json',
      accept: 'text/event-stream, application/json',
      'x-team': 'blue',
      'user-agent': 'mine',
    });
    expect(sent().headers.authorization).toBeUndefined();
    const keep = { type: 'ephemeral' };
    expect(sent().body).toEqual({
      model: 'm',
      max_tokens: 100,
      stream: true,
      system: [{ type: 'text', text: 'Be brief.', cache_control: keep }],
      messages: [
        { role: 'user', content: 'Weather?' },
        {
          role: 'assistant',
          content: [
            text('So.'),
            { type: 'tool_use', id: 'c1', name: 'weather', input: {} },
            { type: 'tool_use', id: 'c2', name: 'weather', input: { city: 'Rome' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'c1', content: 'broken', is_error: true },
            { type: 'tool_result', tool_use_id: 'c2', content: '' },
          ],
        },
        { role: 'assistant', content: [text('(interrupted)')] },
        { role: 'user', content: 'Hi' },
      ],
      tools: [
        { name: 'weather', description: 'Says it', input_schema: schema },
        { name: 'news', description: 'Says it', input_schema: schema, cache_control: keep },
      ],
      temperature: 0.5,
      top_p: 0.9,
      stop_sequences: ['END'],
      output_config: { format: { type: 'json_schema', schema }, effort: 'low' },
      top_k: 3,
    });
  });

  it('never has messages that are not the conversation', async () => {
    const before = server.counts.requests;
    const error = await failure(ask({ parameters: { extra: { messages: [] } } }));
    expect(error.code).toBe('TROUPE_ERR_OPTION_INVALID');
    expect(server.counts.requests).toBe(before);
  });
});

describe('where it goes', () => {
  it.each([
    ['', '/v1/messages'],
    ['/', '/v1/messages'],
    ['/v1/', '/v1/messages'],
    ['/anthropic', '/anthropic/v1/messages'],
    ['/v1/account/gateway/anthropic', '/v1/account/gateway/anthropic/v1/messages'],
  ])('is found from a base URL that ends in "%s"', async (end, path) => {
    await ask({}, { endpoint: server.url + end });
    expect(sent().path).toBe(path);
  });

  it('is what the environment says, with one of its keys; an endpoint that is given here gets none of them', async () => {
    vi.stubEnv('ANTHROPIC_API_KEY', 'env-key');
    vi.stubEnv('ANTHROPIC_AUTH_TOKEN', 'env-token');
    vi.stubEnv('ANTHROPIC_MODEL', 'env-model');
    const keys = () => [sent().headers['x-api-key'], sent().headers.authorization];
    await ask();
    expect(keys()).toEqual([undefined, undefined]);
    expect(JSON.stringify(sent())).not.toContain('env-');
    await ask({}, { apiKey: 'own-key', authToken: 'own-token' });
    expect(keys()).toEqual(['own-key', 'Bearer own-token']);
    vi.stubEnv('ANTHROPIC_BASE_URL', server.url);
    const there = { endpoint: undefined } as unknown as AnthropicOptions;
    await ask({}, there);
    expect(keys()).toEqual(['env-key', undefined]);
    await ask({}, { ...there, authToken: 'own-token' });
    expect(keys()).toEqual([undefined, 'Bearer own-token']);
    vi.stubEnv('ANTHROPIC_API_KEY', '');
    await ask({}, there);
    expect(keys()).toEqual([undefined, 'Bearer env-token']);
    const troupe = createTroupe();
    const agent = await troupe.spawn('a', { backend: 'anthropic' });
    expect((await agent.ask('Hi')).text).toBe(wholeText);
    expect(sent().body).toMatchObject({ model: 'env-model' });
    await troupe.close();
  });
});

describe('what the server says of its models', () => {
  const at = (name: string) => ({ endpoint: `${server.url}/fault:${name}` });
  const describeModel = (model: string, options: AnthropicOptions = at('listing')) =>
    backend(options).describeModel!(model, new AbortController().signal);

  it('is their window, or what is known of them, or nothing', async () => {
    expect(await describeModel('large/one')).toEqual({ contextTokens: 500_000 });
    expect([sent().method, sent().path]).toEqual(['GET', '/fault:listing/v1/models/large%2Fone']);
    expect(sent().headers['anthropic-version']).toBe('2023-06-01');
    expect(await describeModel('silent')).toEqual({});
    expect(await describeModel('other')).toEqual({});
    expect(await describeModel('claude-sonnet-4-5')).toEqual({ contextTokens: 200_000, tools: true });
    expect((await failure(describeModel('forbidden'))).code).toBe('TROUPE_ERR_BACKEND_AUTH');
    expect((await failure(describeModel('x', at('reset-before-headers')))).code).toBe('TROUPE_ERR_BACKEND_UNREACHABLE');
  });

  it('is named when a model is unknown', async () => {
    const error = await failure(ask({ model: 'claude-x' }, at('listing')));
    expect(error).toMatchObject({ code: 'TROUPE_ERR_BACKEND_MODEL_UNKNOWN', model: 'claude-x', status: 404 });
    expect(error.message).toMatch(/ It has "claude-a", "claude-b"\.$/);
  });
});

describe('a failure', () => {
  it.each<[number, string, string, string]>([
    [400, 'invalid_request_error', 'prompt is too long: 208656 tokens > 200000 maximum', 'CONTEXT_OVERFLOW'],
    [400, 'invalid_request_error', 'Your credit balance is too low to access the Anthropic API.', 'QUOTA'],
    [400, 'invalid_request_error', 'Output blocked by content filtering policy', 'REFUSED'],
    [400, 'invalid_request_error', 'max_tokens: 64001 > 64000, which is the maximum allowed number', 'REQUEST_INVALID'],
    [400, 'invalid_request_error', '"thinking.type.enabled" is not supported for this model.', 'REQUEST_INVALID'],
    [401, 'authentication_error', 'invalid x-api-key', 'AUTH'],
    [402, 'billing_error', 'Payment is required', 'QUOTA'],
    [403, 'permission_error', 'Your account does not have access to it', 'AUTH'],
    [404, 'not_found_error', 'model: claude-3-opus', 'MODEL_UNKNOWN'],
    [404, 'not_found_error', 'Not Found', 'REQUEST_INVALID'],
    [413, 'request_too_large', 'Request exceeds the maximum size', 'CONTEXT_OVERFLOW'],
    [429, 'rate_limit_error', 'This request would exceed the rate limit of your organization', 'OVERLOADED'],
    [500, 'api_error', 'Internal server error', 'UNAVAILABLE'],
    [504, 'timeout_error', 'Request timed out', 'UNAVAILABLE'],
    [529, 'overloaded_error', 'Overloaded', 'OVERLOADED'],
  ])(
    'is known by its type and its words, in a reply and in a stream: %i %s "%s"',
    async (status, type, message, code) => {
      const error = { type: 'error', error: { type, message }, request_id: 'req_1' };
      const failing = await faultServer(
        strict({
          ok: ({ reply }) => reply(status, error),
          'fault:stream': streamed(`event: error\ndata: ${JSON.stringify(error)}\n\n`),
        }),
      );
      for (const model of ['m', 'fault:fault:stream']) {
        const { code: seen } = await failure(ask({ model }, { endpoint: failing.url }));
        expect([model, seen]).toEqual([model, `TROUPE_ERR_BACKEND_${code}`]);
      }
      await failing.close();
    },
  );

  it('shows no key, whatever the server echoes', async () => {
    for (const fault of ['401-echo', 'event-error-echo', 'bad-status-echo'])
      for (const keys of [
        { apiKey: 'canary-1' },
        { authToken: 'canary-2' },
        { headers: { 'X-Api-Key': 'canary "3"' } },
      ]) {
        const error = await failure(ask({ model: `fault:${fault}` }, keys));
        expect(allOf(error)).not.toContain('canary');
      }
  });

  it('ends with the call: an abort closes the socket under a stream of pings', async () => {
    const abort = new AbortController();
    const before = { ...server.counts };
    const request = { model: 'fault:drip-forever', signal: abort.signal, onEvent: () => abort.abort() };
    expect((await failure(ask(request))).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    await server.when(({ aborted, openSockets }) => aborted > before.aborted && openSockets <= before.openSockets);
  });
});

describe('options', () => {
  it('demand a key for Anthropic only', async () => {
    for (const name of ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'ANTHROPIC_BASE_URL', 'ANTHROPIC_MODEL'])
      vi.stubEnv(name, '');
    const error = await failure((async () => anthropic())());
    expect(error.code).toBe('TROUPE_ERR_BACKEND_KEY_MISSING');
    expect(error.message).toContain('ANTHROPIC_API_KEY');
    expect(anthropic({ apiKey: 'k' }).model).toBe('claude-sonnet-4-5');
    expect(anthropic({ authToken: 't', model: 'claude-x' }).model).toBe('claude-x');
    expect(anthropic({ apiKey: 'k' }).info).toMatchObject({ inference: 'cloud', price: 'per-token' });
    expect(backend().info).toMatchObject({ inference: 'local', price: 'free' });
    vi.stubEnv('ANTHROPIC_AUTH_TOKEN', 'token');
    expect(anthropic().kind).toBe('anthropic');
  });

  it.each<[string, object]>([
    ['endpoint', { endpoint: 'http://canary:canary@h' }],
    ['apiKey', { apiKey: 'canary\r\nx: 1' }],
    ['authToken', { authToken: 'canary\n' }],
    ['headers', { headers: { 'x-key': 'canary\n' } }],
    ['thinkingTokens', { thinkingTokens: 0 }],
    ['promptCaching', { promptCaching: 'no' }],
    ['stream', { stream: 'yes' }],
    ['keepAlive', { keepAlive: 1 }],
  ])('are refused by name: %s', async (name, options) => {
    const error = await failure((async () => backend(options))());
    expect(error.code).toBe('TROUPE_ERR_OPTION_INVALID');
    expect(error.message).toContain(`\`${name}\``);
    expect(allOf(error)).not.toContain('canary');
  });

  it('show no key when a backend is shown', () => {
    const secret = backend({ apiKey: 'canary-1', authToken: 'canary-2' });
    const shown = inspect(secret, { depth: 10, showHidden: true }) + JSON.stringify(secret) + String(secret.call);
    expect(shown).not.toContain('canary');
  });
});
