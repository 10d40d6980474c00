import { once } from 'node:events';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend, ModelEvent, ModelResponse } from '../../../actors/backend.ts';
import { type OpenAiOptions, openai } from '../../../actors/backends/openai.ts';
import { Conversation } from '../../../src/core/conversation.ts';
import { type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { allOf, failure, modelRequest } from '../../helpers/model-request.ts';
import { openAiFaults, openAiJsonFaults, wholeText } from '../../helpers/openai-wire.ts';

let server: FaultServer;
const backends: Backend[] = [];

beforeAll(async () => {
  server = await faultServer(openAiFaults);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(backends.splice(0).map((backend) => backend.close?.()));
});
afterAll(() => server.close());

function backend(options: OpenAiOptions = {}): Backend {
  const made = openai({ endpoint: server.url, ...options });
  backends.push(made);
  return made;
}

function call(fault: string, options: OpenAiOptions = {}): Promise<ModelResponse> {
  return backend(options).call(modelRequest({ model: `fault:${fault}` }));
}

describe('an answer', () => {
  const whole = {
    text: wholeText,
    toolCalls: [],
    finishReason: { unified: 'stop', raw: 'stop' },
    usage: { inputTokens: 12, outputTokens: 5, cacheReadTokens: 4, cacheWriteTokens: undefined },
    costUsd: undefined,
  };

  it('has text, usage and finish reason', async () => {
    expect(await call('ok')).toEqual(whole);
  });

  it('is shown while it arrives', async () => {
    const events: ModelEvent[] = [];
    await backend().call(modelRequest({ model: 'fault:reasoning', onEvent: (event) => events.push(event) }));
    expect(events).toEqual([
      { type: 'reasoning-delta', text: 'Hm' },
      { type: 'reasoning-delta', text: '.' },
      { type: 'text-delta', text: wholeText },
    ]);
  });

  it('may be asked for in one piece', async () => {
    const one = await faultServer(openAiJsonFaults);
    const events: ModelEvent[] = [];
    const onEvent = (event: ModelEvent) => events.push(event);
    expect(await backend({ endpoint: one.url, stream: false }).call(modelRequest({ onEvent }))).toEqual(whole);
    expect(events).toEqual([{ type: 'text-delta', text: wholeText }]);
    const sent = one.requests.at(-1)!;
    expect(sent.headers.accept).toBe('application/json');
    expect(sent.body).toMatchObject({ stream: false });
    expect(sent.body).not.toHaveProperty('stream_options');
    await one.close();
  });
});

describe('a failure', () => {
  it('shows what was seen, at most 200 characters of it', async () => {
    const { message } = await failure(call('html-200'));
    expect(message).toContain('text/html');
    expect(message).toContain('Welcome to nginx!');
    expect((await failure(call('huge-error'))).message).toMatch(/"x{199}…"/);
  });

  it('is a size cap that holds', async () => {
    const caps = { maxReplyBytes: 300_000, maxEventBytes: 100_000 };
    for (const fault of ['endless', 'endless-line', 'drip-forever', 'big-event', 'big-5mb'])
      expect((await failure(call(fault, caps))).code).toBe('TROUPE_ERR_BACKEND_TOO_LARGE');
    await server.when(({ openSockets }) => openSockets === 0);
  });

  it('names the endpoint and the remedy when nothing listens there', async () => {
    const idle = createServer();
    await new Promise<void>((resolve) => idle.listen(0, '127.0.0.1', resolve));
    const { port } = idle.address() as { port: number };
    await new Promise((resolve) => idle.close(resolve));
    const error = await failure(call('ok', { endpoint: `http://127.0.0.1:${port}` }));
    expect(error).toMatchObject({ code: 'TROUPE_ERR_BACKEND_UNREACHABLE', retryable: true });
    expect(error.message).toContain(`http://127.0.0.1:${port}`);
    expect(error.message).toContain('Start the server');
  });
});

describe('connections', () => {
  it('are used again after a stream', async () => {
    const reusing = backend();
    const before = server.counts.sockets;
    for (let times = 0; times < 20; times += 1) await reusing.call(modelRequest());
    // A second one is opened when the next call comes before the server has ended the last reply.
    expect(server.counts.sockets - before).toBeLessThanOrEqual(2);
  });

  it('that are reset before any reply byte are replaced once, and only once', async () => {
    const before = server.counts.requests;
    await call('reset-before-headers-once');
    expect(server.counts.requests - before).toBeLessThanOrEqual(2);
    const between = server.counts.requests;
    await failure(call('reset-before-headers'));
    expect(server.counts.requests - between).toBe(2);
    const last = server.counts.requests;
    await failure(call('reset-in-headers'));
    await failure(call('reset-mid-stream'));
    expect(server.counts.requests - last).toBe(2);
  });

  it('that went stale while idle are replaced', async () => {
    const stale = await staleServer();
    const reusing = backend({ endpoint: stale.url });
    for (let times = 0; times < 6; times += 1) expect((await reusing.call(modelRequest())).text).toBe('hi');
    expect(stale.answered()).toBe(6);
    await stale.close();
  });

  it('that the server keeps open after the terminal event are closed', async () => {
    const { openSockets } = server.counts;
    await call('hang-after-end');
    await server.when((counts) => counts.openSockets <= openSockets);
  });

  it.each([
    ['before the headers', 'hang-headers', undefined],
    ['in mid-body', 'hang-body', 'Grüße'],
    ['under a stream of comments', 'drip-forever', 'Grüße'],
    ['under a stream of text', 'endless', 'Grüße'],
  ])('are closed at once by an abort %s', async (_when, fault, untilText) => {
    const abort = new AbortController();
    const before = { ...server.counts };
    const events: ModelEvent[] = [];
    let sawText = () => {};
    const seen = new Promise<void>((resolve) => {
      sawText = resolve;
    });
    const onEvent = (event: ModelEvent) => {
      events.push(event);
      sawText();
    };
    const failed = failure(backend().call(modelRequest({ model: `fault:${fault}`, signal: abort.signal, onEvent })));
    await server.when(({ requests }) => requests > before.requests);
    if (untilText !== undefined) await seen;
    abort.abort(new Error('enough'));
    const eventCount = events.length;
    expect((await failed).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    await server.when((counts) => counts.aborted > before.aborted && counts.openSockets <= before.openSockets);
    expect(events.length).toBe(eventCount);
  });

  it('are not opened for a call that is aborted already, and not used by one aborted while connecting', async () => {
    const before = { ...server.counts };
    const idle = backend();
    const early = await failure(idle.call(modelRequest({ signal: AbortSignal.abort() })));
    expect(early.code).toBe('TROUPE_ERR_ASK_CANCELLED');
    await idle.call(modelRequest());
    const abort = new AbortController();
    const other = backend();
    const failed = failure(other.call(modelRequest({ signal: abort.signal })));
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    expect((await failed).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    await other.call(modelRequest());
    expect(server.counts.requests - before.requests).toBeLessThanOrEqual(3);
  });

  it('are closed by an abort in mid-handshake', async () => {
    const silent = createServer();
    const abort = new AbortController();
    const closed = new Promise<void>((resolve) => {
      silent.on('connection', (socket) => {
        socket.on('error', () => {});
        socket.on('close', () => resolve());
        socket.once('data', () => abort.abort());
      });
    });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    const stuck = backend({ endpoint: `https://127.0.0.1:${port}` });
    expect((await failure(stuck.call(modelRequest({ signal: abort.signal })))).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    await closed;
    silent.close();
  });

  it('leave no listener on a signal that outlives them', async () => {
    const { signal } = new AbortController();
    const added = vi.spyOn(signal, 'addEventListener');
    const removed = vi.spyOn(signal, 'removeEventListener');
    for (const fault of ['ok', 'no-stop', '500'])
      await backend()
        .call(modelRequest({ model: `fault:${fault}`, signal }))
        .catch(() => {});
    expect(removed.mock.calls.length).toBe(added.mock.calls.length);
    expect(added.mock.calls.length).toBe(3);
  });

  it('end with the backend', async () => {
    const closing = backend();
    const before = server.counts.requests;
    const failed = failure(closing.call(modelRequest({ model: 'fault:hang-headers' })));
    await server.when(({ requests }) => requests > before);
    await closing.close?.();
    expect((await failed).code).toBe('TROUPE_ERR_TROUPE_CLOSED');
    expect((await failure(closing.call(modelRequest()))).code).toBe('TROUPE_ERR_TROUPE_CLOSED');
    await server.when(({ openSockets }) => openSockets === 0);
  });
});

describe('what goes out', () => {
  it('is the conversation, the prompt, the tools and the parameters', async () => {
    const conversation = new Conversation('Be brief.');
    conversation.append([{ role: 'user', content: 'Weather?' }]);
    conversation.append([
      { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'weather', arguments: '{"city":' }] },
      { role: 'tool', callId: 'c1', name: 'weather', content: 'broken', isError: true },
    ]);
    const schema = { type: 'object', properties: { city: { type: 'string' } } };
    await backend({ apiKey: 'key-1', headers: { 'X-Team': 'blue', 'User-Agent': 'mine' } }).call(
      modelRequest({
        conversation,
        tools: [{ name: 'weather', description: 'Says it', parameters: schema }],
        parameters: {
          temperature: 0.5,
          topP: 0.9,
          maxTokens: 100,
          stop: ['END'],
          seed: 7,
          responseFormat: { type: 'schema', name: 'answer', schema },
          extra: { seed: 8, chat_template_kwargs: { enable_thinking: false } },
        },
      }),
    );
    const sent = server.requests.at(-1)!;
    expect(sent.path).toBe('/v1/chat/completions');
    expect(sent.headers).toMatchObject({
      authorization: 'Bearer key-1',
      'accept-encoding': 'identity',
      'x-team': 'blue',
      'user-agent': 'mine',
    });
    expect(sent.body).toEqual({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Weather?' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ id: 'c1', type: 'function', function: { name: 'weather', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'broken' },
        { role: 'user', content: 'Hi' },
      ],
      tools: [{ type: 'function', function: { name: 'weather', description: 'Says it', parameters: schema } }],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 100,
      temperature: 0.5,
      top_p: 0.9,
      stop: ['END'],
      seed: 8,
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: false } },
      chat_template_kwargs: { enable_thinking: false },
    });
  });

  it('holds OpenAI strictly to a schema that it takes as a strict one', async () => {
    const text = { type: 'string' } as const;
    const closed = {
      type: 'object',
      properties: { city: text },
      required: ['city'],
      additionalProperties: false,
    } as const;
    const list = {
      ...closed,
      properties: { city: { type: 'array', items: { type: 'object', properties: { a: text } } } },
    };
    for (const [schema, strict] of [
      [closed, true] as const,
      [{ ...closed, required: [] }, false],
      [list, false],
    ] as const) {
      await backend().call(
        modelRequest({ parameters: { responseFormat: { type: 'schema', name: 'answer', schema } } }),
      );
      expect(server.requests.at(-1)!.body?.['response_format']).toMatchObject({ json_schema: { schema, strict } });
    }
  });

  it('has pictures before the text that they belong to', async () => {
    const images = [{ mediaType: 'image/png', data: 'iVBORw0=' }] as const;
    await backend().call(modelRequest({ prompt: [{ role: 'user', content: 'What is it?', images }] }));
    expect(server.requests.at(-1)!.body?.['messages']).toEqual([
      { role: 'system', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0=' } },
          { type: 'text', text: 'What is it?' },
        ],
      },
    ]);
  });

  it('always has a cap on tokens, under the name that the server knows', async () => {
    await backend({ parameters: { temperature: 0 } }).call(modelRequest());
    expect(server.requests.at(-1)!.body).toMatchObject({ max_tokens: 4096, temperature: 0 });
    await backend({ maxTokensField: 'max_completion_tokens' }).call(modelRequest());
    expect(server.requests.at(-1)!.body).toMatchObject({ max_completion_tokens: 4096 });
    await backend().call(modelRequest({ parameters: { extra: { max_completion_tokens: 9 } } }));
    expect(server.requests.at(-1)!.body).not.toHaveProperty('max_tokens');
  });

  it('never has messages that are not the conversation', async () => {
    const before = server.counts.requests;
    const extra = { messages: [{ role: 'user', content: 'Other' }] };
    for (const made of [backend(), backend({ parameters: { extra } })]) {
      const failed = failure(made.call(modelRequest(made === backends.at(-1) ? {} : { parameters: { extra } })));
      expect(await failed).toMatchObject({ code: 'TROUPE_ERR_OPTION_INVALID' });
    }
    expect(server.counts.requests).toBe(before);
  });

  it.each(['', '/', '/v1', '/v1/'])('finds the route from a base URL that ends in "%s"', async (end) => {
    await backend({ endpoint: server.url + end }).call(modelRequest());
    expect(server.requests.at(-1)!.path).toBe('/v1/chat/completions');
  });

  it('has the key of the environment only for the endpoint of the environment', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'env-key');
    await backend().call(modelRequest());
    expect(server.requests.at(-1)!.headers.authorization).toBeUndefined();
    vi.stubEnv('LLM_ENDPOINT', server.url);
    vi.stubEnv('LLM_MODEL', 'env-model');
    const configured = openai();
    backends.push(configured);
    await configured.call(modelRequest());
    expect(server.requests.at(-1)!.headers.authorization).toBe('Bearer env-key');
    expect(configured.model).toBe('env-model');
  });
});

describe('options', () => {
  it('demand a key for OpenAI only', async () => {
    vi.stubEnv('OPENAI_API_KEY', '');
    vi.stubEnv('LLM_ENDPOINT', '');
    vi.stubEnv('LLM_MODEL', '');
    const error = await failure((async () => openai())());
    expect(error.code).toBe('TROUPE_ERR_BACKEND_KEY_MISSING');
    expect(error.message).toContain('OPENAI_API_KEY');
    expect(openai({ apiKey: 'k' }).model).toBe('gpt-4o-mini');
    expect(openai({ apiKey: 'k' }).info).toMatchObject({ inference: 'cloud', price: 'per-token' });
    expect(backend().info).toMatchObject({ inference: 'local', price: 'free' });
  });

  it.each<[string, OpenAiOptions, string]>([
    ['a key in the URL', { endpoint: 'http://h:1/v1?key=canary-key' }, '`endpoint`'],
    ['a password in the URL', { endpoint: 'http://canary-user:canary-key@h:1' }, '`endpoint`'],
    ['no URL', { endpoint: 'canary-key@localhost' }, '`endpoint`'],
    ['another protocol', { endpoint: 'ftp://host' }, '`endpoint`'],
    ['a line break in the key', { apiKey: 'canary-key\r\nx-evil: 1' }, '`apiKey`'],
    ['a line break in a header', { headers: { 'x-key': 'canary-key\n' } }, '`headers`'],
    ['an unknown option', { maxReplyByte: 1 } as OpenAiOptions, '`maxReplyByte`'],
    ['a cap of nothing', { maxReplyBytes: 0 }, '`maxReplyBytes`'],
  ])('are refused with the name of the option: %s', async (_what, options, name) => {
    const error = await failure((async () => backend(options))());
    expect(error.code).toBe('TROUPE_ERR_OPTION_INVALID');
    expect(error.message).toContain(name);
    expect(allOf(error)).not.toContain('canary');
  });

  it('show no key when a backend is shown', () => {
    const secret = backend({ apiKey: 'canary-key-1', headers: { 'x-api-key': 'canary-key-2' } });
    const shown = inspect(secret, { depth: 10, showHidden: true }) + JSON.stringify(secret) + String(secret.call);
    expect(shown).not.toContain('canary');
  });

  it('redact keys of headers, too', async () => {
    const headers = { Authorization: 'Token canary-1', 'X-Api-Key': 'canary "2"' };
    const error = await failure(call('401-echo', { headers }));
    expect(allOf(error)).not.toContain('canary');
    expect(error.message).toContain('[redacted]');
  });
});

/** A server that answers, promises to keep the connection, and resets it at the next request: every second one fails. */
async function staleServer(): Promise<{ url: string; answered(): number; close(): Promise<unknown> }> {
  let answered = 0;
  const body = `data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`;
  const stale = createServer((socket) => {
    socket.on('error', () => {});
    let asked = '';
    let used = false;
    socket.on('data', (bytes) => {
      if (used) return void socket.resetAndDestroy();
      asked += bytes;
      if (!asked.includes('"stream":true')) return;
      used = true;
      answered += 1;
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nkeep-alive: timeout=60\r\n\r\n${body}`);
    });
  });
  await new Promise<void>((resolve) => stale.listen(0, '127.0.0.1', resolve));
  const { port } = stale.address() as { port: number };
  const close = () => new Promise((resolve) => stale.close(resolve));
  return { url: `http://127.0.0.1:${port}`, answered: () => answered, close };
}
