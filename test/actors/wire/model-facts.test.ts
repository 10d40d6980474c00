import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../actors/backend.ts';
import { type OllamaOptions, ollama } from '../../../actors/backends/ollama.ts';
import { openai } from '../../../actors/backends/openai.ts';
import { llamaCpp, lmStudio, localAi, vllm } from '../../../actors/backends/presets.ts';
import { scripted } from '../../../actors/backends/scripted.ts';
import { tool } from '../../../actors/tools/tool.ts';
import { createTroupe } from '../../../src/runtime/troupe.ts';
import { type Fault, type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { failure, modelRequest } from '../../helpers/model-request.ts';
import { last } from '../../helpers/ollama-wire.ts';
import { chunk } from '../../helpers/openai-wire.ts';

/** What a real llama-server answered. */
function recorded(name: string): Record<string, unknown> {
  const file = new URL(`../../fixtures/llama-server/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).response.body;
}

const props = recorded('03-props');

const lmStudioModels = {
  models: [
    { type: 'embedding', key: 'nomic', loaded_instances: [], max_context_length: 2048 },
    {
      type: 'llm',
      key: 'qwen3',
      capabilities: { vision: false, trained_for_tool_use: true },
      max_context_length: 131_072,
      loaded_instances: [
        { id: 'qwen3', config: { context_length: 8192, parallel: 4 } },
        { id: 'qwen3:2', config: { context_length: 16_384 } },
      ],
    },
    { type: 'llm', key: 'old', capabilities: { trained_for_tool_use: false }, loaded_instances: [] },
  ],
};

const vllmModels = [
  { id: 'a', max_model_len: 1 },
  { id: 'b', max_model_len: 32_768 },
];

/** What Ollama has loaded. */
const loaded = [
  { name: 'other:latest', context_length: 1 },
  { name: 'm:latest', context_length: 4096 },
];

const modelInfo = { 'general.architecture': 'llama', 'llama.context_length': 131_072 };

/** Answers by the end of the path; a call is answered whatever the protocol. */
function serving(answers: Readonly<Record<string, object>>): Fault {
  return ({ request: { path }, reply }) => {
    const answer = Object.entries(answers).find(([end]) => path.endsWith(end))?.[1];
    if (answer !== undefined) return reply(200, answer);
    if (path.endsWith('/api/chat')) return reply(200, last(), { 'content-type': 'application/x-ndjson' });
    if (!path.endsWith('/chat/completions')) return reply(404, { error: 'Not Found' });
    reply(200, chunk({ content: 'Hi.' }, 'stop'), { 'content-type': 'text/event-stream' });
  };
}

const ollamaThat = (show: object) => serving({ '/api/show': show, '/api/ps': { models: loaded } });

let server: FaultServer;
const backends: Backend[] = [];

beforeAll(async () => {
  server = await faultServer({
    able: ollamaThat({ capabilities: ['completion', 'tools'], model_info: modelInfo }),
    unable: ollamaThat({ capabilities: ['completion'], model_info: modelInfo }),
    old: ollamaThat({ model_info: {} }),
    'unknown-model': ({ reply }) => reply(404, { error: "model 'x' not found" }),
    'real-props': serving({ '/props': props, '/v1/models': recorded('02-models') }),
    'no-tools': serving({ '/props': { ...props, chat_template_caps: { supports_tools: false } } }),
    'bare-props': serving({ '/props': { default_generation_settings: { n_ctx: 0 } } }),
    'vllm-models': serving({ '/v1/models': { data: vllmModels } }),
    'odd-models': serving({ '/v1/models': { data: [null, 5, { id: 'm', max_model_len: null }] } }),
    'lm-studio': serving({ '/api/v1/models': lmStudioModels }),
    bare: serving({}),
    refuses: ({ reply }) => reply(401, { error: { message: 'Invalid API Key' } }),
  });
});
afterEach(async () => {
  await Promise.all(backends.splice(0).map((backend) => backend.close?.()));
});
afterAll(() => server.close());

const makers = { llamaCpp, vllm, lmStudio, localAi, openai };
const { signal } = new AbortController();
const tools = [{ name: 't', description: 'T', parameters: { type: 'object' } }];
const at = (fault: string) => `${server.url}/fault:${fault}`;

function kept(backend: Backend): Backend {
  backends.push(backend);
  return backend;
}

const made = (kind: keyof typeof makers, fault: string) => kept(makers[kind]({ endpoint: at(fault) }));
const ollamaAt = (fault: string, options: OllamaOptions = {}) => kept(ollama({ endpoint: at(fault), ...options }));

describe('what a server says of a model', () => {
  it.each<[keyof typeof makers, string, string, object, string]>([
    ['llamaCpp', 'real-props', 'tiny', { contextTokens: 1024, tools: true, slots: 2 }, '/props'],
    ['llamaCpp', 'no-tools', 'm', { contextTokens: 1024, tools: false, slots: 2 }, '/props'],
    ['llamaCpp', 'bare-props', 'm', {}, '/props'],
    ['llamaCpp', 'bare', 'm', {}, '/props'],
    ['vllm', 'vllm-models', 'b', { contextTokens: 32_768 }, '/v1/models'],
    ['vllm', 'vllm-models', 'default', { contextTokens: 1 }, '/v1/models'],
    ['vllm', 'odd-models', 'm', {}, '/v1/models'],
    ['lmStudio', 'lm-studio', 'qwen3', { contextTokens: 8192, tools: true, slots: 4 }, '/api/v1/models'],
    ['lmStudio', 'lm-studio', 'qwen3:2', { contextTokens: 16_384, tools: true }, '/api/v1/models'],
    ['lmStudio', 'lm-studio', 'old', {}, '/api/v1/models'],
    ['lmStudio', 'lm-studio', 'unknown', {}, '/api/v1/models'],
  ])('is read from its own words: %s, %s, %s', async (kind, fault, model, says, path) => {
    expect(await made(kind, fault).describeModel?.(model, signal)).toEqual(says);
    expect(server.requests.at(-1)).toMatchObject({ method: 'GET', path: `/fault:${fault}${path}` });
  });

  it.each<[string, OllamaOptions, object]>([
    ['able', {}, { contextTokens: 8192, tools: true }],
    ['able', { contextTokens: 200_000 }, { contextTokens: 131_072, tools: true }],
    ['unable', { contextTokens: 16_384 }, { contextTokens: 16_384, tools: false }],
    ['old', {}, { contextTokens: 8192 }],
    ['able', { protocol: 'openai' }, { contextTokens: 4096, tools: true }],
    ['old', { protocol: 'openai' }, { contextTokens: 4096 }],
  ])('is at Ollama the window that we want, or that it has: %s, %o', async (fault, options, says) => {
    expect(await ollamaAt(fault, options).describeModel?.('m', signal)).toEqual(says);
  });

  it('is asked of Ollama by name', async () => {
    await ollamaAt('able').describeModel?.('m', signal);
    const { method, path, body } = server.requests.at(-1)!;
    expect([method, path, body]).toEqual(['POST', '/fault:able/api/show', { model: 'm' }]);
  });

  it('has no window before the model is loaded, where nobody can say how large that shall be', async () => {
    expect(await ollamaAt('able', { protocol: 'openai' }).describeModel?.('unloaded', signal)).toEqual({ tools: true });
  });

  it('is known beforehand of models of OpenAI, and nothing is asked', async () => {
    const before = server.counts.requests;
    const backend = made('openai', 'bare');
    const about = ['gpt-4o-mini', 'llama3', 'unknown'].map((model) => backend.describeModel?.(model, signal));
    expect(await Promise.all(about)).toEqual([{ contextTokens: 128_000, tools: true }, {}, {}]);
    expect(server.counts.requests).toBe(before);
  });

  it('is an error when the model is unknown or the server cannot be asked, and absent where nothing can be asked', async () => {
    const codes = [
      ollamaAt('unknown-model').describeModel!('x', signal),
      made('llamaCpp', 'refuses').describeModel!('m', signal),
      kept(ollama({ endpoint: 'http://nowhere.invalid' })).describeModel!('m', signal),
    ].map(async (asked) => (await failure(asked)).code);
    expect(await Promise.all(codes)).toEqual([
      'TROUPE_ERR_BACKEND_MODEL_UNKNOWN',
      'TROUPE_ERR_BACKEND_AUTH',
      'TROUPE_ERR_BACKEND_UNREACHABLE',
    ]);
    expect(made('localAi', 'bare').describeModel).toBeUndefined();
  });
});

describe('a model that calls no tools', () => {
  it.each<[string, (fault: string) => Backend]>([
    ['ollama', ollamaAt],
    ['ollama over chat completions', (fault) => ollamaAt(fault, { protocol: 'openai' })],
    ['llamaCpp', (fault) => made('llamaCpp', fault === 'able' ? 'real-props' : 'no-tools')],
  ])('is refused before it is used: %s', async (_what, make) => {
    const unable = make('unable');
    expect((await failure(unable.call(modelRequest({ tools })))).code).toBe('TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED');
    expect(server.requests.at(-1)?.path).not.toMatch(/chat/);
    await unable.call(modelRequest());
    const able = make('able');
    const first = server.requests.length;
    for (let times = 0; times < 3; times += 1) await able.call(modelRequest({ tools }));
    const isCall = ({ path }: { readonly path: string }) => /chat/.test(path);
    expect(server.requests.slice(first).map(isCall)).toEqual([false, true, true, true]);
  });

  it('is asked about at no server that never says no', async () => {
    for (const kind of ['vllm', 'lmStudio', 'localAi', 'openai'] as const) {
      const before = server.counts.requests;
      await made(kind, 'bare').call(modelRequest({ tools }));
      expect(server.counts.requests - before).toBe(1);
    }
  });

  it('makes the next backend of a chain take over', async () => {
    const chain = { ollama: ollama({ endpoint: at('unable') }), scripted: scripted([{ text: 'Mine.' }]) };
    const troupe = createTroupe({ backends: chain });
    const idle = tool({ name: 'idle', description: 'Does nothing.', parameters: {}, execute: () => '' });
    const agent = await troupe.spawn('a', { backend: 'ollama', fallback: ['scripted'], tools: [idle] });
    const { text, attempts } = await agent.ask('Hi');
    expect([text, attempts.map(({ error }) => error?.code)]).toEqual([
      'Mine.',
      ['TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED', undefined],
    ]);
    await troupe.close();
  });
});
