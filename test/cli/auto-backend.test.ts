/** What `--auto` chooses, with model servers of the test's own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { autoBackend, explanation } from '../../src/cli/auto-backend.ts';
import { type BackendRow, backendCatalog } from '../../src/core/catalog.ts';
import { type FaultServer, faultServer } from '../../src/testing/fault-server.ts';

const models = ['nomic-embed-text', 'llama3:latest', 'qwen2.5:7b'];
const capabilities: Readonly<Record<string, readonly string[]>> = {
  'llama3:latest': ['completion'],
  'qwen2.5:7b': ['completion', 'tools'],
};

let server: FaultServer;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-auto-'));
  server = await faultServer({
    ok: ({ request, reply }) => {
      if (request.path === '/v1/models') return reply(200, { data: models.map((id) => ({ id })) });
      return reply(200, { capabilities: capabilities[String(request.body?.['model'])] ?? [], model_info: {} });
    },
  });
});
beforeEach(() => {
  const rows: readonly BackendRow[] = Object.values(backendCatalog);
  for (const name of rows.flatMap(({ variables }) => Object.values(variables))) vi.stubEnv(name, '');
  vi.stubEnv('PATH', folder);
  return () => vi.unstubAllEnvs();
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Looks at the test's server alone. */
function looking() {
  return { places: [{ backend: 'ollama', port: Number(new URL(server.url).port) }], timeoutMs: 30_000 } as const;
}

it('takes the first model that can chat, and what the task needs', async () => {
  const simple = { task: 'Translate: good morning' };
  expect(await autoBackend(simple, looking())).toMatchObject({ backend: 'ollama', model: 'llama3:latest', score: 0 });
  const { model, rejected } = await autoBackend({ ...simple, needs: ['tools'] }, looking());
  expect(model).toBe('qwen2.5:7b');
  expect(rejected).toEqual([
    { backend: 'offline', model: 'rules', why: 'no tier names it' },
    { backend: 'ollama', model: 'llama3:latest', why: 'it cannot do tools' },
    { backend: 'openai', model: 'gpt-4o-mini', why: 'no OPENAI_API_KEY' },
    { backend: 'anthropic', model: 'claude-sonnet-4-5', why: 'no ANTHROPIC_API_KEY' },
    { backend: 'claude', model: 'sonnet', why: 'no `claude` on the PATH' },
  ]);
});

it('takes a provider for a hard task, with the model that its variable names', async () => {
  vi.stubEnv('ANTHROPIC_API_KEY', 'canary');
  vi.stubEnv('ANTHROPIC_MODEL', 'opus');
  const choice = await autoBackend({ task: 'Design the architecture and prove that it holds' }, looking());
  expect(choice).toMatchObject({ backend: 'anthropic', model: 'opus' });
  expect(JSON.stringify(choice)).not.toContain('canary');
});

it('explains itself in lines that are safe to print', () => {
  const rejected = [{ backend: 'ollama', model: 'a\u001b[31mb', why: 'no\nline' }];
  const choice = { backend: 'openai', model: 'm\u202e', score: 0.5, reasons: ['+0.30 any task'], rejected };
  expect(explanation(choice)).toBe('openai, m\nscore 0.5\n  +0.30 any task\nrejected\n  ollama, ab: no line');
  expect(explanation({ ...choice, rejected: [] })).toBe('openai, m\nscore 0.5\n  +0.30 any task');
});
