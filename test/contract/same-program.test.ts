/** One program on every backend: what it comes to has the same shape, whatever word names the backend. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { Backend } from '../../actors/backend.ts';
import { scripted } from '../../actors/backends/scripted.ts';
import { subprocess } from '../../actors/backends/subprocess.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { failure } from '../helpers/model-request.ts';
import { builtWrapper } from '../wrapper/built.ts';
import { type ModelServer, modelServer } from './server.ts';

/** The program. */
async function program(backend: string, backends: Readonly<Record<string, Backend>> = {}) {
  const troupe = createTroupe({ backends });
  const first = await troupe.spawn('first', { backend, system: 'Be brief.' });
  const hello = await first.ask('say hello');
  const second = await first.fork('second');
  const [left, right] = await Promise.all([first.ask('say left'), second.ask('say right')]);
  await second.kill('it has done its work');
  const refusal = await failure(second.ask('say more'));
  const names = troupe.agents().map(({ name }) => name);
  await troupe.close();
  return { hello, left, right, refusal: refusal.code, names, messages: first.messages() };
}

const answers = ['hello', 'left', 'right'].map((text) => ({ text }));
const script = { first: answers.slice(0, 2), second: answers.slice(2) };
const fakeClaude = new URL('../fixtures/claude/fake-claude.mjs', import.meta.url).pathname;
let server: ModelServer;
let home: string;

beforeAll(async () => {
  server = await modelServer();
  home = await mkdtemp(join(tmpdir(), 'troupe-same-program-'));
  const command = join(home, 'claude');
  await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${fakeClaude}' "$@"\n`);
  await chmod(command, 0o755);
});
afterEach(() => vi.unstubAllEnvs());
afterAll(async () => {
  await server.close();
  await rm(home, { recursive: true });
});

const endpoints = {
  ...{ LLM_ENDPOINT: '', OLLAMA_HOST: '', LLAMA_CPP_ENDPOINT: '', VLLM_ENDPOINT: '', LM_STUDIO_ENDPOINT: '' },
  ...{ LOCALAI_ENDPOINT: '', ANTHROPIC_BASE_URL: '' },
};
const byModel = [
  ...['openai', 'anthropic', 'ollama', 'llamaCpp', 'vllm', 'lmStudio', 'localAi', 'claude', 'subprocess', 'scripted'],
];

test.each([...byModel, 'offline'])('%s', { timeout: 30_000 }, async (backend) => {
  for (const name of Object.keys(endpoints)) vi.stubEnv(name, server.url);
  vi.stubEnv('ANTHROPIC_API_KEY', 'same-program-key');
  vi.stubEnv('HOME', home);
  vi.stubEnv('PATH', `${home}:${process.env['PATH']}`);
  const { hello, left, right, refusal, names, messages } = await program(
    backend,
    { scripted: { scripted: scripted(script) }, subprocess: { subprocess: subprocess({ wrapper: builtWrapper() }) } }[
      backend
    ] ?? {},
  );
  const replies = [hello, left, right];
  const said = messages.map(({ role, content }) => [role, content]);
  const own = backend === 'offline' ? replies.map(({ text }) => text) : ['hello', 'left', 'right'];
  expect({ replies: replies.map(shapeOf), refusal, names, said }).toEqual({
    replies: own.map((text, index) => ({
      agent: index < 2 ? 'first' : 'second',
      text,
      steps: 1,
      finish: 'stop',
      attempts: 1,
    })),
    ...{ refusal: 'TROUPE_ERR_AGENT_DEAD', names: ['first'] },
    said: [
      ['system', 'Be brief.'],
      ...[
        ['user', 'say hello'],
        ['assistant', own[0]],
        ['user', 'say left'],
        ['assistant', own[1]],
      ],
    ],
  });
  expect(server.violations).toEqual([]);
});

function shapeOf({ agent, text, steps, finishReason, attempts }: Awaited<ReturnType<typeof program>>['hello']) {
  return { agent, text, steps, finish: finishReason.unified, attempts: attempts.length };
}
