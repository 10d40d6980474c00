import fastCheck from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend, ModelEvent, ModelResponse } from '../../../actors/backend.ts';
import { type OllamaOptions, ollama } from '../../../actors/backends/ollama.ts';
import { tool } from '../../../actors/tools/tool.ts';
import { ndjsonReader } from '../../../actors/wire/ndjson.ts';
import { OllamaReply } from '../../../actors/wire/ollama-reply.ts';
import { redactor } from '../../../actors/wire/redact.ts';
import { Conversation } from '../../../src/core/conversation.ts';
import { isTroupeError } from '../../../src/core/errors.ts';
import { createTroupe } from '../../../src/runtime/troupe.ts';
import { type Fault, type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { failure, modelRequest } from '../../helpers/model-request.ts';
import { last, line, ollamaFaults, part, streamed } from '../../helpers/ollama-wire.ts';
import { chunk } from '../../helpers/openai-wire.ts';

const addCall = (a: number, b: number) => ({ function: { name: 'add', arguments: { a, b } } });

/** Wants two additions at once, then says what they gave. */
const adds: Fault = (exchange) => {
  if (exchange.request.path === '/api/show') return exchange.reply(200, { capabilities: ['completion', 'tools'] });
  const messages = exchange.request.body?.['messages'] as { role: string; content: string }[];
  const results = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
  if (results.length > 0) return streamed(part({ content: results.join(' and ') }), last())(exchange);
  return streamed(part({ tool_calls: [addCall(1, 2)] }), part({ tool_calls: [addCall(3, 4)] }), last())(exchange);
};

const unknownModel: Fault = ({ request, reply }) => {
  if (request.method === 'GET') return reply(200, { models: [{ name: 'llama3:8b' }, { name: 'qwen3:4b' }] });
  reply(404, { error: "model 'x' not found" });
};

let server: FaultServer;
const backends: Backend[] = [];

beforeAll(async () => {
  server = await faultServer({
    ...ollamaFaults,
    adds,
    'unknown-model': unknownModel,
    chat: ({ reply }) => reply(200, chunk({ content: 'Hi.' }, 'stop'), { 'content-type': 'text/event-stream' }),
  });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(backends.splice(0).map((backend) => backend.close?.()));
});
afterAll(() => server.close());

function backend(options: OllamaOptions = {}): Backend {
  const made = ollama({ endpoint: server.url, ...options });
  backends.push(made);
  return made;
}

function call(fault: string, options: OllamaOptions = {}): Promise<ModelResponse> {
  return backend(options).call(modelRequest({ model: `fault:${fault}` }));
}

describe('an answer', () => {
  it('has text, usage and finish reason', async () => {
    expect(await call('ok')).toEqual({
      text: 'Grüße, wörld 🙂.',
      toolCalls: [],
      finishReason: { unified: 'stop', raw: 'stop' },
      usage: { inputTokens: 12, outputTokens: 5, cacheReadTokens: undefined, cacheWriteTokens: undefined },
      costUsd: undefined,
    });
  });

  it('is shown while it arrives, thinking apart', async () => {
    const events: ModelEvent[] = [];
    await backend().call(modelRequest({ model: 'fault:reasoning', onEvent: (event) => events.push(event) }));
    expect(events).toEqual([
      { type: 'reasoning-delta', text: 'Hm.' },
      { type: 'text-delta', text: 'Grüße, wörld 🙂.' },
    ]);
  });

  it('with tool calls has made-up ids, whatever the model calls the reason', async () => {
    const response = await call('tool-no-id');
    expect(response.toolCalls).toEqual([
      { id: 'call_1', name: 'f', arguments: '{"x":1}' },
      { id: 'call_2', name: 'g', arguments: '{"y":2}' },
    ]);
    expect(response.finishReason).toEqual({ unified: 'tool-calls', raw: 'stop' });
  });

  it('lets the tools run and the model see what they gave', async () => {
    const add = tool<{ a: number; b: number }>({
      name: 'add',
      description: 'Adds.',
      parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
      execute: ({ a, b }) => a + b,
    });
    const troupe = createTroupe({ backends: { ollama: ollama({ endpoint: server.url }) } });
    const agent = await troupe.spawn('a', { model: 'fault:adds', tools: [add] });
    const reply = await agent.ask('1 + 2 and 3 + 4?');
    expect([reply.text, reply.steps, reply.costUsd]).toEqual(['3 and 7', 2, 0]);
    expect(server.requests.at(-1)?.body?.['messages']).toEqual([
      { role: 'user', content: '1 + 2 and 3 + 4?' },
      { role: 'assistant', content: '', tool_calls: [addCall(1, 2), addCall(3, 4)] },
      { role: 'tool', tool_name: 'add', content: '3' },
      { role: 'tool', tool_name: 'add', content: '7' },
    ]);
    await troupe.close();
  });

  it('that was cut keeps its text', async () => {
    const error = await failure(call('no-stop'));
    expect(error).toMatchObject({
      code: 'TROUPE_ERR_BACKEND_STREAM_CUT',
      backend: 'ollama',
      partialText: 'Grüße',
      retryable: true,
    });
  });

  it('of any lines is an answer or a typed error', () => {
    const facts = { backend: 'ollama', model: 'm', redact: redactor([]) };
    const json = fastCheck.json();
    const lines = fastCheck.oneof(
      fastCheck.constantFrom(part({ content: 'Hi' }), last(), '\n', '{"message":'),
      json.map((value) => line(value)),
      json.map((value) => line(`{"message":${value},"done":true,"done_reason":${value},"eval_count":${value}}`)),
      json.map((value) => line(`{"message":{"content":${value},"tool_calls":${value}},"done":${value}}`)),
      json.map((value) => line(`{"message":{"tool_calls":[{"id":${value},"function":${value}}]},"error":${value}}`)),
    );
    fastCheck.assert(
      fastCheck.property(fastCheck.array(lines), (stream) => {
        const reply = new OllamaReply(facts, () => {});
        try {
          const reader = ndjsonReader({ onEvent: (text) => reply.takeEvent(text) });
          reader.read(Buffer.from(stream.join('')));
          reader.end();
          expect(typeof reply.response().text).toBe('string');
        } catch (error) {
          if (!isTroupeError(error)) throw error;
        }
      }),
      { numRuns: 2000, seed: 3 },
    );
  });
});

describe('what goes out', () => {
  it('is the conversation, the prompt, the tools, and the parameters as options', async () => {
    const conversation = new Conversation('Be brief.');
    conversation.append([
      {
        role: 'assistant',
        content: 'So.',
        reasoning: 'Not sent back.',
        toolCalls: [
          { id: 'c1', name: 'f', arguments: '{"x":1}' },
          { id: 'c2', name: 'f', arguments: '{"x":' },
          { id: 'c3', name: 'f', arguments: '[1]' },
        ],
      },
      { role: 'tool', callId: 'c1', name: 'f', content: 'one' },
      { role: 'tool', callId: 'c2', name: 'f', content: 'broken', isError: true },
      { role: 'tool', callId: 'c3', name: 'f', content: 'list' },
    ]);
    const schema = { type: 'object' };
    await backend({ contextTokens: 16_384, keepAlive: '10m', think: 'low', headers: { 'X-Team': 'blue' } }).call(
      modelRequest({
        conversation,
        tools: [{ name: 'f', description: 'F', parameters: schema }],
        parameters: {
          temperature: 0.5,
          topP: 0.9,
          maxTokens: 100,
          stop: ['END'],
          seed: 7,
          responseFormat: { type: 'schema', name: 'answer', schema },
          extra: { options: { seed: 8, mirostat: 1 }, logprobs: true },
        },
      }),
    );
    const sent = server.requests.at(-1)!;
    expect([sent.method, sent.path, sent.headers['x-team']]).toEqual(['POST', '/api/chat', 'blue']);
    const call = (args: object) => ({ function: { name: 'f', arguments: args } });
    expect(sent.body).toEqual({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'assistant', content: 'So.', tool_calls: [call({ x: 1 }), call({}), call({})] },
        { role: 'tool', tool_name: 'f', content: 'one' },
        { role: 'tool', tool_name: 'f', content: 'broken' },
        { role: 'tool', tool_name: 'f', content: 'list' },
        { role: 'user', content: 'Hi' },
      ],
      tools: [{ type: 'function', function: { name: 'f', description: 'F', parameters: schema } }],
      stream: true,
      truncate: false,
      shift: false,
      format: schema,
      think: 'low',
      keep_alive: '10m',
      options: {
        num_ctx: 16_384,
        num_predict: 100,
        temperature: 0.5,
        top_p: 0.9,
        seed: 8,
        stop: ['END'],
        mirostat: 1,
      },
      logprobs: true,
    });
  });

  it('has pictures beside their text', async () => {
    const images = [{ mediaType: 'image/png', data: 'iVBORw0=' }] as const;
    await backend().call(modelRequest({ prompt: [{ role: 'user', content: 'What is it?', images }] }));
    expect(server.requests.at(-1)?.body?.['messages']).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'What is it?', images: ['iVBORw0='] },
    ]);
  });

  it('always says how long the context and the answer may be, and forbids to cut the prompt', async () => {
    await backend({ stream: false, parameters: { responseFormat: { type: 'json' } } }).call(modelRequest());
    expect(server.requests.at(-1)?.body).toEqual({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ],
      stream: false,
      truncate: false,
      shift: false,
      format: 'json',
      options: { num_ctx: 8192, num_predict: 4096 },
    });
    await backend().call(modelRequest({ parameters: { extra: { truncate: true, options: { num_ctx: 1 } } } }));
    expect(server.requests.at(-1)?.body).toMatchObject({ truncate: true, options: { num_ctx: 1, num_predict: 4096 } });
  });

  it('never has messages that are not the conversation', async () => {
    const before = server.counts.requests;
    const request = modelRequest({ parameters: { extra: { messages: [] } } });
    expect((await failure(backend().call(request))).code).toBe('TROUPE_ERR_OPTION_INVALID');
    expect(server.counts.requests).toBe(before);
  });

  it('ends with the call: an abort closes the socket in mid-stream', async () => {
    const abort = new AbortController();
    const before = { ...server.counts };
    const onEvent = () => abort.abort();
    const request = modelRequest({ model: 'fault:drip-forever', signal: abort.signal, onEvent });
    expect((await failure(backend().call(request))).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    await server.when(({ aborted, openSockets }) => aborted > before.aborted && openSockets <= before.openSockets);
  });

  it('names the known models when one is unknown', async () => {
    const error = await failure(call('x', { endpoint: `${server.url}/fault:unknown-model` }));
    expect(error.code).toBe('TROUPE_ERR_BACKEND_MODEL_UNKNOWN');
    expect(error.message).toMatch(/ It has "llama3:8b", "qwen3:4b"\.$/);
    expect(server.requests.at(-1)?.path).toBe('/fault:unknown-model/api/tags');
  });
});

describe('where it goes', () => {
  it.each(['', '/', '/v1', '/v1/', '/api', '/api//'])('is found from a base URL that ends in "%s"', async (end) => {
    await backend({ endpoint: server.url + end }).call(modelRequest());
    expect(server.requests.at(-1)?.path).toBe('/api/chat');
  });

  it.each<[string, (port: string) => string]>([
    ['a URL', (port) => `http://127.0.0.1:${port}`],
    ['a URL with a version', (port) => `http://localhost:${port}/v1/`],
    ['host and port', (port) => `127.0.0.1:${port}`],
    ['all interfaces', (port) => `0.0.0.0:${port}`],
    ['all interfaces as a URL', (port) => `http://0.0.0.0:${port}/`],
    ['a port', (port) => `:${port}`],
    ['blanks and quotes', (port) => ` "127.0.0.1:${port}" `],
  ])('is what OLLAMA_HOST says: %s', async (_what, write) => {
    vi.stubEnv('OLLAMA_HOST', write(new URL(server.url).port));
    const before = server.counts.requests;
    const made = ollama();
    backends.push(made);
    await made.call(modelRequest());
    expect(server.counts.requests).toBe(before + 1);
  });

  it.each([
    ['nowhere.invalid', 'http://nowhere.invalid:11434'],
    ['nowhere.invalid/ollama', 'http://nowhere.invalid:11434'],
    ['http://nowhere.invalid', 'http://nowhere.invalid'],
    ['https://nowhere.invalid:5', 'https://nowhere.invalid:5'],
    ['[::]:1', 'http://[::1]:1'],
    ['0.0.0.0:1', 'http://127.0.0.1:1'],
  ])('has the usual port and an address to connect to: %s', async (host, origin) => {
    vi.stubEnv('OLLAMA_HOST', host);
    const made = ollama();
    backends.push(made);
    const error = await failure(made.call(modelRequest()));
    expect(error.code).toBe('TROUPE_ERR_BACKEND_UNREACHABLE');
    expect(error.message).toContain(`ollama at ${origin} `);
  });

  it('is refused with the name of what is wrong', async () => {
    vi.stubEnv('OLLAMA_HOST', 'http://user:canary@host');
    const error = await failure((async () => ollama())());
    expect(error.message).toContain('The variable OLLAMA_HOST');
    expect(error.message).not.toContain('canary');
  });

  it('gets no key of anybody', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'canary-openai');
    vi.stubEnv('OLLAMA_HOST', server.url);
    const made = ollama();
    backends.push(made);
    await made.call(modelRequest());
    expect(JSON.stringify(server.requests.at(-1))).not.toContain('canary');
  });
});

describe('over chat completions', () => {
  it('the request is that of the protocol, without a key', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'canary-openai');
    const made = backend({ endpoint: `${server.url}/fault:chat/api`, protocol: 'openai', model: 'm' });
    expect((await made.call(modelRequest({ model: made.model }))).text).toBe('Hi.');
    const sent = server.requests.at(-1)!;
    expect([sent.method, sent.path]).toEqual(['POST', '/fault:chat/v1/chat/completions']);
    expect(sent.body).toMatchObject({ model: 'm', stream: true, max_tokens: 4096 });
    expect(JSON.stringify(sent)).not.toContain('canary');
    expect(made).toMatchObject({ kind: 'ollama', info: { inference: 'local', price: 'free' } });
  });

  it.each([
    ['contextTokens', 8192],
    ['keepAlive', 5],
    ['think', true],
  ])('takes no `%s`', async (name, value) => {
    const error = await failure((async () => backend({ protocol: 'openai', [name]: value }))());
    expect(error.code).toBe('TROUPE_ERR_OPTION_INVALID');
    expect(error.message).toContain(`ollama(): \`${name}\` works only with \`protocol: 'native'\``);
  });
});

describe('options', () => {
  it('have the model of the environment, and say what they are', () => {
    vi.stubEnv('OLLAMA_HOST', '');
    for (const name of ['OLLAMA_MODEL', 'LLM_MODEL']) vi.stubEnv(name, '');
    expect(ollama()).toMatchObject({ kind: 'ollama', model: 'llama3', info: { inference: 'local', price: 'free' } });
    vi.stubEnv('LLM_MODEL', 'general');
    expect(ollama().model).toBe('general');
    vi.stubEnv('OLLAMA_MODEL', 'particular');
    expect(ollama().model).toBe('particular');
    expect(ollama({ model: 'given' }).model).toBe('given');
    expect(ollama({ endpoint: 'https://ollama.com' }).info).toMatchObject({ inference: 'cloud', price: 'per-token' });
  });

  it.each<[string, object]>([
    ['contextTokens', { contextTokens: 0 }],
    ['keepAlive', { keepAlive: true }],
    ['think', { think: 'much' }],
    ['protocol', { protocol: 'http' }],
    ['stream', { stream: 'yes' }],
    ['apiKey', { apiKey: 'canary' }],
  ])('are refused by name: %s', async (name, options) => {
    const error = await failure((async () => backend(options))());
    expect(error.code).toBe('TROUPE_ERR_OPTION_INVALID');
    expect(error.message).toContain(`ollama(): \`${name}\``);
    expect(error.message).not.toContain('canary');
  });
});
