/** `backend: 'auto'`. */
import { expect, test } from 'vitest';
import type { Backend } from '../../actors/backend.ts';
import { scripted } from '../../actors/backends/scripted.ts';
import { TroupeError } from '../../src/core/errors.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';

const hard =
  'Design a migration of our monolith to event sourcing: plan the steps, prove that no order is lost, weigh the trade-offs of ' +
  'two architectures, and work out the failure modes of each step by step. Then debug why the replay is not deterministic.';
const simple = 'Translate "good morning" into French.';

function backendOf(kind: string, inference: Backend['info']['inference'], model: string, error?: TroupeError): Backend {
  const inner = scripted([{ text: kind, ...(error && { error }) }, { text: kind }]);
  const price = inference === 'local' ? 'free' : 'per-token';
  return { ...inner, kind, model, info: { ...inner.info, inference, price, capabilities: ['tools'] } };
}

function scene() {
  const backends = {
    claude: backendOf('claude', 'cloud', 'claude-sonnet-5-5'),
    ollama: backendOf('ollama', 'local', 'llama3.2'),
  };
  const troupe = createTroupe({ backends });
  const chosen: string[] = [];
  troupe.on('backend-chosen', ({ agent, backend, score }) => chosen.push(`${agent} ${backend} ${score > 0.5}`));
  return { troupe, chosen };
}

test('a hard task goes to the best, a simple one to the local model; forks stay', async () => {
  const { troupe, chosen } = scene();
  const worker = await troupe.spawn('simple', { backend: 'auto', task: simple });
  const planner = await troupe.spawn('hard', { backend: 'auto', task: hard });
  await worker.fork('twin');
  expect(chosen).toEqual(['simple ollama false', 'hard claude true']);
  expect(troupe.agents().map(({ name, backend }) => [name, backend])).toEqual([
    ['simple', 'ollama'],
    ['hard', 'claude'],
    ['twin', 'ollama'],
  ]);
  expect((await planner.ask('go')).text).toBe('claude');
});

test('what must stay on this machine stays, however hard it is', async () => {
  const { troupe } = scene();
  await troupe.spawn('a', { backend: 'auto', task: hard, privacy: 'local' });
  expect(troupe.agents()[0]?.backend).toBe('ollama');
});

test('with no money left it is the free one', async () => {
  const { troupe } = scene();
  await troupe.spawn('a', { backend: 'auto', task: hard, budgetUsd: 0 });
  expect(troupe.agents()[0]?.backend).toBe('ollama');
});

test('a backend whose breaker is open is not chosen', async () => {
  const quota = new TroupeError('TROUPE_ERR_BACKEND_QUOTA', 'no credit');
  const backends = {
    claude: backendOf('claude', 'cloud', 'claude-sonnet-5-5', quota),
    ollama: backendOf('ollama', 'local', 'llama3.2'),
  };
  const troupe = createTroupe({ backends });
  const first = await troupe.spawn('a', { backend: 'claude' });
  await expect(first.ask('x')).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_QUOTA' });
  await troupe.spawn('b', { backend: 'auto', task: hard });
  expect(troupe.agents()[1]?.backend).toBe('ollama');
  await troupe.close().catch(() => {});
});

test.each([
  [{ backend: 'auto' }, 'spawn("a"): `backend` "auto" needs a `task` to choose by.'],
  [{ backend: 'auto', task: 'x', model: 'm' }, 'spawn("a"): `backend` "auto" chooses the `model`, too; leave it out.'],
])('%j is refused', async (spec, message) => {
  await expect(scene().troupe.spawn('a', spec)).rejects.toMatchObject({ code: 'TROUPE_ERR_OPTION_INVALID', message });
});

test('nothing that fits is an error that says why', async () => {
  const troupe = createTroupe({ backends: { claude: backendOf('claude', 'cloud', 'claude-sonnet-5-5') } });
  await expect(troupe.spawn('a', { backend: 'auto', task: hard, privacy: 'local' })).rejects.toMatchObject({
    code: 'TROUPE_ERR_BACKEND_NONE_FITS',
  });
});
