/** What `troupe doctor` finds, on servers and commands of the test's own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { diagnose } from '../../src/cli/diagnosis.ts';
import type { BackendKind } from '../../src/core/catalog.ts';
import { type FaultServer, faultServer } from '../../src/testing/fault-server.ts';

const models = ['llama3:latest', 'qwen2.5:7b', 'silent', 'a', 'b', 'c', 'd'];
const showing: Readonly<Record<string, object>> = {
  'llama3:latest': {
    capabilities: ['completion'],
    model_info: { 'general.architecture': 'l', 'l.context_length': 2048 },
  },
  'qwen2.5:7b': { capabilities: ['completion', 'tools'], model_info: {} },
};

let server: FaultServer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-doctor-'));
  server = await faultServer({
    ok: ({ request, reply }) => {
      if (request.path === '/v1/models') return reply(200, { data: models.map((id) => ({ id })) });
      const show = showing[String(request.body?.['model'])];
      return show === undefined ? reply(500, 'no') : reply(200, show);
    },
  });
});
afterEach(() => vi.unstubAllEnvs());
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The row of one kind, with no server looked at but the test's. */
async function rowOf(kind: BackendKind, port?: number) {
  const places = port === undefined ? [] : [{ backend: kind, port }];
  return (await diagnose({ places, timeoutMs: 30_000 })).find(({ backend }) => backend === kind);
}

describe('a model server', () => {
  it('is ready, with what it says of its first models', async () => {
    const port = Number(new URL(server.url).port);
    expect(await rowOf('ollama', port)).toEqual({
      backend: 'ollama',
      state: 'ready',
      inference: 'local',
      price: 'free',
      bestFor: 'development, testing, routine work',
      found: `${server.url}: llama3:latest (2048 tokens, no tools), qwen2.5:7b (8192 tokens, tools), silent, a, b, and 2 others`,
      models: [
        { id: 'llama3:latest', contextTokens: 2048, tools: false },
        { id: 'qwen2.5:7b', contextTokens: 8192, tools: true },
        { id: 'silent' },
        { id: 'a' },
        { id: 'b' },
      ],
    });
  });

  it('is missing, with how to get it', async () => {
    expect(await rowOf('llamaCpp', 1)).toMatchObject({
      state: 'missing',
      found: 'http://127.0.0.1:1: nothing listens there',
      todo: 'Run `llama-server --model model.gguf --jinja`, or set LLAMA_CPP_ENDPOINT.',
    });
  });
});

describe.each([
  ['openai', ['OPENAI_API_KEY', 'LLM_ENDPOINT'], 'OPENAI_API_KEY'],
  ['anthropic', ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'ANTHROPIC_BASE_URL'], 'ANTHROPIC_API_KEY'],
] as const)('%s', (kind, variables, key) => {
  it.each(variables)('is ready with %s, and is not asked', async (variable) => {
    for (const name of variables) vi.stubEnv(name, name === variable ? 'canary' : '');
    const row = await rowOf(kind);
    expect(row).toMatchObject({ state: 'ready', found: `${variable} is set; not asked` });
    expect(JSON.stringify(row)).not.toContain('canary');
  });

  it('is missing without', async () => {
    for (const name of variables) vi.stubEnv(name, '');
    const row = await rowOf(kind);
    expect(row).toMatchObject({ state: 'missing', found: `no ${key}` });
    expect(row?.todo).toContain(`Set ${key}`);
  });
});

describe('Claude Code', () => {
  function install(script: string): string {
    const path = join(folder, 'claude');
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    vi.stubEnv('PATH', [folder, '/usr/bin', '/bin'].join(delimiter));
    return path;
  }

  it('is ready with its version, and sees no key', async () => {
    vi.stubEnv('ANTHROPIC_API_KEY', 'canary-key');
    const path = install('echo "2.1.0 (Claude Code)$ANTHROPIC_API_KEY"');
    expect(await rowOf('claude')).toMatchObject({ state: 'ready', found: `${path}, version 2.1.0 (Claude Code)` });
  });

  it('is missing when the command fails, or is not there', async () => {
    const path = install('exit 1');
    expect(await rowOf('claude')).toMatchObject({ state: 'missing', found: `${path} does not say its version` });
    vi.stubEnv('PATH', join(folder, 'empty'));
    const none = await rowOf('claude');
    expect(none).toMatchObject({ state: 'missing', found: 'no `claude` on the PATH' });
    expect(none?.todo).toContain('Install Claude Code');
  });
});
