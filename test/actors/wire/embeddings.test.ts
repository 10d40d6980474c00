/** Embeddings on every backend that makes them: batches and their order, every fault of a response, aborts, keys. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Backend, EmbedResponse } from '../../../actors/backend.ts';
import { anthropic } from '../../../actors/backends/anthropic.ts';
import { type ChatServerOptions, chatServer } from '../../../actors/backends/chat-server.ts';
import { type OllamaOptions, ollama } from '../../../actors/backends/ollama.ts';
import { openai } from '../../../actors/backends/openai.ts';
import { llamaCpp, lmStudio, localAi, vllm } from '../../../actors/backends/presets.ts';
import { backendCatalog } from '../../../src/core/catalog.ts';
import { costOf } from '../../../src/core/costs.ts';
import { type Fault, type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import {
  embeddingFaults,
  inputOf,
  ollamaAnswer,
  openAiAnswer,
  twoTexts,
  twoVectors,
} from '../../helpers/embedding-wire.ts';
import { expectedOf, faultTable, type Protocol } from '../../helpers/fault-table.ts';
import { allOf, failure } from '../../helpers/model-request.ts';

const key = 'canary-0123456789';

type Options = Pick<
  ChatServerOptions & OllamaOptions,
  'endpoint' | 'embeddingModel' | 'maxReplyBytes' | 'headers' | 'model'
>;
type Make = (options: Options) => Backend;
type Wire = Exclude<Protocol, 'anthropic'>;

const bearer = { headers: { authorization: `Bearer ${key}` } };
const kinds: Readonly<Record<string, { wire: Wire; make: Make }>> = {
  openai: { wire: 'openai', make: (options) => openai({ ...options, apiKey: key }) },
  llamaCpp: { wire: 'openai', make: (options) => llamaCpp({ ...options, apiKey: key }) },
  vllm: { wire: 'openai', make: (options) => vllm({ ...options, apiKey: key }) },
  lmStudio: { wire: 'openai', make: (options) => lmStudio({ ...options, apiKey: key }) },
  localAi: { wire: 'openai', make: (options) => localAi({ ...options, apiKey: key }) },
  'ollama by chat completions': {
    wire: 'openai',
    make: (options) => ollama({ ...options, ...bearer, protocol: 'openai' }),
  },
  ollama: { wire: 'ollama', make: (options) => ollama({ ...options, ...bearer }) },
};

/** A vector that only this text has. */
const vectorOf = (text: string) => [text.length, ...Buffer.from(text.slice(0, 8).padEnd(8))];

const recorded = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/llama-server/${name}.json`, import.meta.url), 'utf8'));

/** Answers as llama-server did when it was recorded. */
const replayed = (name: string): Fault => {
  return ({ reply }) => reply(200, recorded(name).response.body);
};

function faultsOf(wire: Wire): Record<string, Fault> {
  const { any, wrong, odd } = embeddingFaults[wire];
  const answer = wire === 'openai' ? openAiAnswer : ollamaAnswer;
  return {
    ...{ ...any, ...wrong, ...odd },
    vectors: (exchange) => exchange.reply(200, answer(inputOf(exchange.request).map(vectorOf))),
    uncounted: ({ reply }) => {
      const { usage, prompt_eval_count: count, ...rest } = answer(twoVectors) as Record<string, unknown>;
      reply(200, rest);
    },
    'longer-later': (exchange) => {
      const { times, reply } = exchange;
      reply(200, answer(inputOf(exchange.request).map((text) => (times % 2 === 1 ? [1] : vectorOf(text)))));
    },
    'second-fails': (exchange) => {
      if (exchange.times % 2 === 0) return exchange.reply(500, 'no');
      return exchange.reply(200, answer(inputOf(exchange.request).map(vectorOf)));
    },
    'second-hangs': (exchange) => {
      if (exchange.times % 2 === 1) exchange.reply(200, answer(inputOf(exchange.request).map(vectorOf)));
    },
    'echo-200': (exchange) =>
      exchange.reply(200, { data: `bad key ${exchange.request.headers.authorization}`, embeddings: key }),
    few: ({ request, reply }) => {
      if (request.method === 'POST') return reply(404, { error: { message: 'model "x" not found' } });
      return reply(200, { data: [{ id: 'v1' }, { id: 'v2' }], models: [{ name: 'v1' }, { name: 'v2' }] });
    },
    'replay-a0': replayed('a0-embeddings'),
    'replay-a1': replayed('a1-embeddings-base64'),
    'replay-a3': replayed('a3-embeddings-empty'),
  };
}

const servers = new Map<Wire, FaultServer>();
const backends: Backend[] = [];

beforeAll(async () => {
  for (const wire of ['openai', 'ollama'] as const) servers.set(wire, await faultServer(faultsOf(wire)));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(backends.splice(0).map((backend) => backend.close?.()));
});
afterAll(async () => {
  await Promise.all([...servers.values()].map((server) => server.close()));
});

function kept(backend: Backend): Backend {
  backends.push(backend);
  return backend;
}

/** Asks for vectors of these texts. */
async function embed(backend: Backend, texts: readonly string[], more: { model?: string; signal?: AbortSignal } = {}) {
  const response = await backend.embed?.({ texts, signal: new AbortController().signal, ...more });
  return response as EmbedResponse;
}

const numbered = (count: number, length = 0) =>
  Array.from({ length: count }, (_, at) => `${at} `.padEnd(Math.max(length, 4), 'x'));

const usageOf = (inputTokens: number | undefined) => ({
  ...{ inputTokens, outputTokens: 0 },
  ...{ cacheReadTokens: undefined, cacheWriteTokens: undefined },
});

describe.each(Object.entries(kinds))('%s', (_kind, { wire, make }) => {
  const server = () => servers.get(wire)!;
  const made = (options: Options = {}) =>
    kept(make({ endpoint: server().url, embeddingModel: 'fault:vectors', ...options }));

  it('sends the texts and the model, and gives their vectors with what they took', async () => {
    const response = await embed(made({ embeddingModel: 'mine' }), twoTexts);
    expect(response).toEqual({ vectors: twoVectors, usage: usageOf(7), model: 'mine' });
    const { method, path, headers, body } = server().requests.at(-1)!;
    const own = wire === 'openai' ? { encoding_format: 'float' } : { truncate: false };
    expect([method, path]).toEqual(['POST', wire === 'openai' ? '/v1/embeddings' : '/api/embed']);
    expect(body).toEqual({ model: 'mine', input: twoTexts, ...own });
    expect(headers['authorization']).toBe(`Bearer ${key}`);
  });

  it('asks the model that the request names', async () => {
    const response = await embed(made(), twoTexts, { model: 'other' });
    expect([response.model, server().requests.at(-1)?.body?.['model']]).toEqual(['other', 'other']);
  });

  it('asks in batches by number and by length, and puts together what comes in their order', async () => {
    const backend = made();
    for (const [texts, sizes] of [
      [numbered(150), [64, 64, 22]],
      [numbered(64), [64]],
      [numbered(7, 50_000), [3, 3, 1]],
      [
        [...numbered(1), ...numbered(2, 400_000), ...numbered(2)],
        [1, 1, 1, 2],
      ],
    ] as const) {
      const before = server().requests.length;
      const { vectors, usage } = await embed(backend, texts);
      const sent = server().requests.slice(before);
      expect(sent.map((request) => inputOf(request).length)).toEqual(sizes);
      expect(vectors).toEqual(texts.map(vectorOf));
      expect(usage).toEqual(usageOf(7 * sizes.length));
    }
  });

  it('asks nobody about no texts', async () => {
    const before = server().counts.requests;
    const { vectors, usage } = await embed(made(), []);
    expect([vectors, usage.inputTokens, server().counts.requests]).toEqual([[], 0, before]);
  });

  it('does not know what is not counted', async () => {
    expect((await embed(made(), twoTexts, { model: 'fault:uncounted' })).usage).toEqual(usageOf(undefined));
  });

  const any = Object.keys(embeddingFaults[wire].any);
  const rows = Object.values(faultTable)
    .flatMap((faults) => Object.entries(faults))
    .filter(([fault]) => any.includes(fault))
    .map(([fault, row]) => [fault, expectedOf(row, wire, 'whole')] as const)
    .filter(([, { kind }]) => kind !== 'cannot');

  it('is tried with every fault that a server of any protocol can have', () => {
    expect(new Set(rows.map(([fault]) => fault))).toEqual(new Set(any));
  });

  it.each(rows)('comes to what a model call comes to: %s', async (fault, expected) => {
    const before = { ...server().counts };
    const backend = made(fault.startsWith('endless') ? { maxReplyBytes: 300_000 } : {});
    const abort = new AbortController();
    const ask = () => embed(backend, twoTexts, { model: `fault:${fault}`, signal: abort.signal });
    if (expected.kind === 'hangs') {
      const failed = failure(ask());
      await server().when(({ requests }) => requests > before.requests);
      abort.abort();
      expect((await failed).code).toBe('TROUPE_ERR_ASK_CANCELLED');
      await server().when(({ aborted, openSockets }) => aborted > before.aborted && openSockets <= before.openSockets);
    } else if (expected.kind === 'fails') {
      const error = await failure(ask());
      expect(error).toMatchObject({ backend: backend.kind, model: `fault:${fault}`, ...expected.error });
      expect(allOf(error)).not.toContain(key);
      expect(error.message.length).toBeLessThan(500);
    } else {
      for (let time = 0; time < 3; time += 1) expect((await ask()).vectors).toEqual(twoVectors);
    }
    expect(server().counts.elsewhere).toBe(before.elsewhere);
  });

  it.each(Object.keys(embeddingFaults[wire].wrong))('takes for no vectors: %s', async (fault) => {
    const backend = made();
    const error = await failure(embed(backend, twoTexts, { model: `fault:${fault}` }));
    expect(error).toMatchObject({
      ...{ code: 'TROUPE_ERR_BACKEND_PROTOCOL', class: 'protocol', retryable: false },
      ...{ backend: backend.kind, model: `fault:${fault}` },
    });
  });

  it.each(Object.keys(embeddingFaults[wire].odd))('takes for vectors: %s', async (fault) => {
    const response = await embed(made(), twoTexts, { model: `fault:${fault}` });
    const usage = usageOf(fault === 'bare-list' ? undefined : 7);
    expect(response).toEqual({ vectors: twoVectors, usage, model: `fault:${fault}` });
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('says what is wrong and shows what was seen, without the key', async () => {
    const said = async (fault: string) => (await failure(embed(made(), twoTexts, { model: `fault:${fault}` }))).message;
    expect(await said('too-few')).toContain('the reply has 1 vectors for 2 texts (application/json; seen: "{');
    expect(await said('number-null')).toContain('the reply has no vector of numbers for text 2 of 2');
    expect(await said('lengths')).toContain('the vectors have 2 and 3 numbers');
    const echoed = await failure(embed(made(), twoTexts, { model: 'fault:echo-200' }));
    expect(echoed.message).toContain('the reply has no list of vectors');
    expect(allOf(echoed)).not.toContain(key);
  });

  it('fails when a later batch has vectors of another length, or fails', async () => {
    const texts = numbered(65);
    const longer = await failure(embed(made(), texts, { model: 'fault:longer-later' }));
    expect(longer.code).toBe('TROUPE_ERR_BACKEND_PROTOCOL');
    expect(longer.message).toContain('the vectors have 1 and 9 numbers');
    const failed = await failure(embed(made(), texts, { model: 'fault:second-fails' }));
    expect(failed).toMatchObject({ code: 'TROUPE_ERR_BACKEND_UNAVAILABLE', status: 500, retryable: true });
  });

  it('ends at once when it is aborted between its batches, and asks for no more', async () => {
    const before = { ...server().counts };
    const abort = new AbortController();
    const texts = numbered(300);
    const failed = failure(embed(made(), texts, { model: 'fault:second-hangs', signal: abort.signal }));
    await server().when(({ requests }) => requests === before.requests + 2);
    abort.abort();
    expect((await failed).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    await server().when(({ aborted, openSockets }) => aborted > before.aborted && openSockets <= before.openSockets);
    expect(server().counts.requests).toBe(before.requests + 2);
    const gone = failure(embed(made(), texts, { signal: AbortSignal.abort() }));
    expect((await gone).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    expect(server().counts.requests).toBe(before.requests + 2);
  });

  it('is repeated once on a fresh socket, and only when nothing of the reply had come', async () => {
    const asks = async (fault: string) => {
      const before = server().counts.requests;
      await failure(embed(made(), twoTexts, { model: `fault:${fault}` }));
      return server().counts.requests - before;
    };
    expect([await asks('reset-before-headers'), await asks('reset-mid-stream'), await asks('500')]).toEqual([2, 1, 1]);
  });

  it('names the models that there are when one is unknown', async () => {
    const error = await failure(embed(made({ endpoint: `${server().url}/fault:few` }), twoTexts, { model: 'x' }));
    expect(error).toMatchObject({ code: 'TROUPE_ERR_BACKEND_MODEL_UNKNOWN', model: 'x', status: 404 });
    expect(error.message).toMatch(/ It has "v1", "v2"\.$/);
  });

  it('is no part of a backend that was told no model, which says so', () => {
    const without = kept(make({ endpoint: server().url }));
    expect([without.embed, without.info.capabilities.includes('embeddings')]).toEqual([undefined, false]);
    expect(made().info.capabilities).toContain('embeddings');
    expect(() => made({ embeddingModel: '' })).toThrow('`embeddingModel` must be a non-empty string');
  });
});

describe('the model', () => {
  it('is by default that of OpenAI at OpenAI alone, and has a price', async () => {
    expect(kept(openai({ apiKey: key })).embed).toBeTypeOf('function');
    expect(kept(openai({ apiKey: key })).info.capabilities).toContain('embeddings');
    expect(kept(anthropic({ apiKey: key })).info.capabilities).not.toContain('embeddings');
    const { url, requests } = servers.get('openai')!;
    const row = { ...backendCatalog.openai, kind: 'openai', isProvider: true, freshSocket: false } as const;
    const provider = { ...row, endpoint: url };
    const { model, usage } = await embed(kept(chatServer(provider, { apiKey: key })), twoTexts);
    expect([model, requests.at(-1)?.body?.['model']]).toEqual(['text-embedding-3-small', 'text-embedding-3-small']);
    expect(costOf(usage, model)).toBeCloseTo((7 * 0.02) / 1e6, 15);
    // A provider has a great many models: they are not named.
    const elsewhere = kept(chatServer(provider, { apiKey: key, endpoint: `${url}/fault:few` }));
    expect((await failure(embed(elsewhere, twoTexts))).message).not.toContain('It has');
  });
});

describe('the key', () => {
  it('of the environment goes only where the environment or nobody says where', async () => {
    const { url, requests } = servers.get('openai')!;
    vi.stubEnv('OPENAI_API_KEY', 'canary-openai');
    vi.stubEnv('VLLM_API_KEY', 'canary-own');
    await embed(kept(vllm({ endpoint: url, embeddingModel: 'm' })), twoTexts);
    await embed(kept(openai({ endpoint: url, embeddingModel: 'm' })), twoTexts);
    expect(requests.slice(-2).map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
    vi.stubEnv('VLLM_ENDPOINT', url);
    await embed(kept(vllm({ embeddingModel: 'm' })), twoTexts);
    expect(requests.at(-1)?.headers.authorization).toBe('Bearer canary-own');
  });
});

describe('what llama-server was recorded to say', () => {
  const ask = (name: string, texts: readonly string[]) =>
    embed(kept(llamaCpp({ endpoint: servers.get('openai')!.url, embeddingModel: `fault:replay-${name}` })), texts);

  it('is vectors, of an empty text, too', async () => {
    const { data } = recorded('a0-embeddings').response.body;
    const { vectors, usage } = await ask('a0', ['hello', 'world foo']);
    expect(vectors).toEqual([data[0].embedding, data[1].embedding]);
    expect([vectors[0]?.length, usage.inputTokens]).toEqual([128, 5]);
    expect((await ask('a3', [''])).vectors[0]).toHaveLength(128);
  });

  it('is no vectors when they are coded', async () => {
    expect((await failure(ask('a1', ['hello']))).code).toBe('TROUPE_ERR_BACKEND_PROTOCOL');
  });
});

it('keeps the model loaded as long as the option says, at Ollama', async () => {
  const { url, requests } = servers.get('ollama')!;
  await embed(kept(ollama({ endpoint: url, embeddingModel: 'm', keepAlive: '10m' })), twoTexts);
  expect(requests.at(-1)?.body?.['keep_alive']).toBe('10m');
});

it('uses a socket of its own at llama.cpp alone', async () => {
  const { url, counts } = servers.get('openai')!;
  for (const make of [llamaCpp, vllm]) {
    const backend = kept(make({ endpoint: url, embeddingModel: 'm' }));
    const before = counts.sockets;
    for (let times = 0; times < 6; times += 1) await embed(backend, twoTexts);
    const opened = counts.sockets - before;
    if (make === llamaCpp) expect(opened).toBe(6);
    else expect(opened).toBeLessThanOrEqual(2);
  }
});
