import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../../actors/backend.ts';
import type { ChatServerOptions } from '../../../actors/backends/chat-server.ts';
import { llamaCpp, lmStudio, localAi, presets, vllm } from '../../../actors/backends/presets.ts';
import { createTroupe } from '../../../src/runtime/troupe.ts';
import { type Fault, type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { failure, modelRequest } from '../../helpers/model-request.ts';
import { chunk } from '../../helpers/openai-wire.ts';

const makers = { llamaCpp, vllm, lmStudio, localAi };
const kinds = Object.keys(makers) as (keyof typeof makers)[];
const defaults = {
  llamaCpp: { port: 8080, endpointVariable: 'LLAMA_CPP_ENDPOINT', keyVariable: 'LLAMA_API_KEY' },
  vllm: { port: 8000, endpointVariable: 'VLLM_ENDPOINT', keyVariable: 'VLLM_API_KEY' },
  lmStudio: { port: 1234, endpointVariable: 'LM_STUDIO_ENDPOINT', keyVariable: 'LM_STUDIO_API_KEY' },
  localAi: { port: 8080, endpointVariable: 'LOCALAI_ENDPOINT', keyVariable: 'LOCALAI_API_KEY' },
};

const listed = (...ids: unknown[]) => ({ object: 'list', data: ids.map((id) => ({ id, object: 'model' })) });
const unknown = (model: unknown) => ({ error: { message: `The model ${model} does not exist.`, code: 404 } });

/** Lists its models by GET; says which model it was asked for. */
function serving(list: object | (() => object), unknownModels: readonly string[] = []): Fault {
  return ({ request, reply }) => {
    if (request.method === 'GET') return reply(200, typeof list === 'function' ? list() : list);
    const model = String(request.body?.['model']);
    if (unknownModels.includes(model)) return reply(404, unknown(model));
    const text = chunk({ content: `I am ${model}.` }, 'stop');
    reply(200, text, { 'content-type': 'text/event-stream' });
  };
}

let server: FaultServer;
let failures = 0;
const backends: Backend[] = [];

beforeAll(async () => {
  server = await faultServer({
    ok: serving(listed('text-embedding-nomic', 'bge-m3', 'real-model', 'other')),
    'list-none': serving(listed()),
    'list-odd': serving({ data: [null, 5, { id: 7 }, { id: '' }] }),
    'list-embeddings': serving(listed('nomic-embed-text', 'all-minilm')),
    'list-late': (exchange) => {
      failures += exchange.request.method === 'GET' ? 1 : 0;
      if (exchange.request.method === 'GET' && failures === 1) return exchange.reply(500, 'not yet');
      return serving(listed('late-model'))(exchange);
    },
    'list-hangs': () => {},
    few: serving(listed('real-model', 'other'), ['x']),
    many: serving(listed(...Array.from({ length: 30 }, (_, number) => `model-${number}`)), ['x']),
    'no-list': serving(listed(), ['x']),
  });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(backends.splice(0).map((backend) => backend.close?.()));
});
afterAll(() => server.close());

function made(kind: keyof typeof makers, options: ChatServerOptions = {}): Backend {
  const backend = makers[kind](options);
  backends.push(backend);
  return backend;
}

const lists = () => server.requests.filter(({ method }) => method === 'GET').length;
const at = (fault: string) => `${server.url}/fault:${fault}`;

describe.each(kinds)('%s', (kind) => {
  const { port, endpointVariable, keyVariable } = defaults[kind];

  it('is called by its name, is local and free, and says how to get it', () => {
    const { kind: name, model, info } = made(kind);
    expect([name, model]).toEqual([kind, 'default']);
    expect(info).toMatchObject({ inference: 'local', price: 'free' });
    expect(info.setup).toContain(endpointVariable);
    expect(made(kind, { endpoint: 'https://models.example.com' }).info).toMatchObject({
      inference: 'cloud',
      price: 'per-token',
    });
  });

  it('asks the usual port', () => {
    expect(presets[kind].endpoint).toBe(`http://127.0.0.1:${port}`);
  });

  it('is a built-in backend that its variable leads to the server', async () => {
    vi.stubEnv(endpointVariable, `${server.url}/v1/`);
    const troupe = createTroupe();
    const agent = await troupe.spawn('a', { backend: kind });
    expect((await agent.ask('Hi')).text).toBe('I am real-model.');
    await troupe.close();
  });

  it('never sends the key of OpenAI, and its own only where the environment or nobody says where', async () => {
    const first = server.requests.length;
    vi.stubEnv('OPENAI_API_KEY', 'canary-openai');
    vi.stubEnv(keyVariable, 'canary-own');
    await made(kind, { endpoint: server.url }).call(modelRequest({ model: 'default' }));
    const given = server.requests.slice(first);
    expect(given.map(({ method }) => method)).toEqual(['GET', 'POST']);
    expect(JSON.stringify(given)).not.toContain('canary');
    vi.stubEnv(endpointVariable, server.url);
    vi.stubEnv('LLM_ENDPOINT', 'http://nowhere.invalid');
    vi.stubEnv('LLM_MODEL', 'gpt-x');
    await made(kind).call(modelRequest({ model: 'default' }));
    const found = server.requests.slice(first + 2);
    expect(found.map(({ headers }) => headers.authorization)).toEqual(['Bearer canary-own', 'Bearer canary-own']);
    expect(JSON.stringify(found)).not.toContain('canary-openai');
    await made(kind, { endpoint: server.url, apiKey: 'canary-given' }).call(modelRequest());
    expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer canary-given');
  });

  it('has its name in what goes wrong', async () => {
    const wrong = await failure((async () => made(kind, { endpoint: 'ftp://x' }))());
    expect(wrong.code).toBe('TROUPE_ERR_OPTION_INVALID');
    const odd = await failure((async () => made(kind, { modle: 'x' } as ChatServerOptions))());
    expect(odd.message).toContain(`${kind}()`);
    const none = await failure(made(kind, { endpoint: 'http://nowhere.invalid' }).call(modelRequest()));
    expect(none).toMatchObject({ code: 'TROUPE_ERR_BACKEND_UNREACHABLE', backend: kind });
    expect(none.message).toContain(`${kind} at http://nowhere.invalid`);
  });
});

describe('the model, when none is configured,', () => {
  const ask = (backend: Backend, model = backend.model) => backend.call(modelRequest({ model }));

  it('is the first that the server lists for chat, and is asked for once', async () => {
    const before = lists();
    const backend = made('vllm', { endpoint: server.url });
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(backend)));
    answers.push(await ask(backend));
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['I am real-model.']));
    expect(lists() - before).toBe(1);
  });

  it.each(['list-none', 'list-odd', 'list-embeddings'])('is "default" if the list names none: %s', async (fault) => {
    expect((await ask(made('vllm', { endpoint: at(fault) }))).text).toBe('I am default.');
  });

  it('is asked for again after a failure', async () => {
    const backend = made('localAi', { endpoint: at('list-late') });
    expect((await ask(backend)).text).toBe('I am default.');
    expect((await ask(backend)).text).toBe('I am late-model.');
    expect((await ask(backend)).text).toBe('I am late-model.');
    expect(failures).toBe(2);
  });

  it('is not asked for when an option or the call names one', async () => {
    const before = lists();
    await ask(made('lmStudio', { endpoint: server.url, model: 'mine' }));
    await ask(made('lmStudio', { endpoint: server.url }), 'given');
    expect((await ask(made('lmStudio', { endpoint: server.url, model: 'default' }))).text).toBe('I am default.');
    expect(lists()).toBe(before);
  });

  it('holds nobody up who has left, and ends its request when all have', async () => {
    const backend = made('vllm', { endpoint: at('list-hangs') });
    const before = { ...server.counts };
    const [first, second] = [new AbortController(), new AbortController()];
    const one = failure(backend.call(modelRequest({ model: 'default', signal: first.signal })));
    const two = failure(backend.call(modelRequest({ model: 'default', signal: second.signal })));
    await server.when(({ requests }) => requests > before.requests);
    first.abort();
    expect((await one).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    expect([server.counts.requests, server.counts.aborted]).toEqual([before.requests + 1, before.aborted]);
    second.abort();
    expect((await two).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    await server.when(({ aborted }) => aborted > before.aborted);
  });
});

describe('an unknown model', () => {
  it.each(kinds)('is an error that names the known ones: %s', async (kind) => {
    const error = await failure(made(kind, { endpoint: at('few') }).call(modelRequest({ model: 'x' })));
    expect(error).toMatchObject({ code: 'TROUPE_ERR_BACKEND_MODEL_UNKNOWN', backend: kind, model: 'x', status: 404 });
    expect(error.message).toMatch(/ It has "real-model", "other"\.$/);
  });

  it('is one with at most ten of them, and one without when there is no list', async () => {
    const many = await failure(made('vllm', { endpoint: at('many') }).call(modelRequest({ model: 'x' })));
    expect(many.message).toMatch(/"model-0", .*"model-9" and 20 more\.$/);
    const none = await failure(made('vllm', { endpoint: at('no-list') }).call(modelRequest({ model: 'x' })));
    expect(none.message).not.toContain('It has');
  });
});

describe('what goes out', () => {
  it('is on a socket of its own for llama.cpp alone', async () => {
    for (const kind of kinds) {
      const backend = made(kind, { endpoint: server.url, model: 'm' });
      const before = server.counts.sockets;
      for (let times = 0; times < 6; times += 1) await backend.call(modelRequest());
      const opened = server.counts.sockets - before;
      const { connection } = server.requests.at(-1)?.headers ?? {};
      if (kind === 'llamaCpp') expect([opened, connection]).toEqual([6, 'close']);
      else expect(opened).toBeLessThanOrEqual(2);
    }
  });

  it('has `max_tokens` and no `tool_choice`', async () => {
    const tools = [{ name: 't', description: 'T', parameters: { type: 'object' } }];
    await made('llamaCpp', { endpoint: server.url }).call(modelRequest({ tools }));
    expect(server.requests.at(-1)?.body).toMatchObject({ max_tokens: 4096, tools: [{ type: 'function' }] });
    expect(server.requests.at(-1)?.body).not.toHaveProperty('tool_choice');
  });
});
