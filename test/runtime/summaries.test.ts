/** Who writes summaries and makes vectors: what that costs, and what happens when it goes wrong. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Backend, ModelRequest } from '../../actors/backend.ts';
import { semantic } from '../../actors/compression/semantic.ts';
import { summarize } from '../../actors/compression/summarize.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { closeScenes, compressionScene, numbered, talk, until } from '../helpers/compression-scene.ts';
import { type SizedOptions, sizedBackend, words } from '../helpers/sized-backend.ts';

afterEach(closeScenes);

const perToken = { inference: 'cloud', price: 'per-token' } as const;
const prices = { date: '2026-11-24', models: { cheap: { inputUsd: 1, outputUsd: 2 } } };

describe('summaries', () => {
  const written = { text: words(20, 'SUMMARY') };

  async function withWriter(
    compression: AgentSpec['compression'],
    writer: SizedOptions = {},
    options: TroupeOptions = {},
  ) {
    const helper = sizedBackend({ answer: () => written, kind: 'helper', model: 'cheap', info: perToken, ...writer });
    const made = await compressionScene(
      { compression: { maxTokens: 600, strategy: summarize({ maxTokens: 100 }), writer: helper, ...compression } },
      { answer: numbered },
      { prices, ...options },
    );
    return { ...made, helper };
  }

  test('written elsewhere: in the view, in the attempts, in the costs', async () => {
    const { agent, troupe, helper, compressed, store } = await withWriter({});
    const replies = await talk(agent, 6);
    const [attempt, answered] = replies[5]?.attempts ?? [];
    const costUsd = (helper.calls[0]?.messages[0]?.content.split(/\s+/).length ?? 0) + 8;
    expect(attempt).toEqual({
      ...{ backend: 'helper', model: 'cheap', step: 1, purpose: 'compression', durationMs: 0 },
      usage: { inputTokens: costUsd, outputTokens: 21, cacheReadTokens: undefined, cacheWriteTokens: undefined },
      costUsd: (costUsd + 42) / 1e6,
    });
    expect([answered?.backend, answered?.purpose]).toEqual(['model', undefined]);
    expect(replies[5]?.costUsd).toBeCloseTo((costUsd + 42) / 1e6, 12);
    expect([agent.costUsd, troupe.usage().costUsd]).toEqual([replies[5]?.costUsd, replies[5]?.costUsd]);
    expect((await store.ledger()).map(({ backend, calls }) => [backend, calls])).toEqual([
      ['model', 6],
      ['helper', 1],
    ]);
    expect(compressed[0]?.by).toBe('summarize');
    expect(agent.messages({ sent: true })[1]?.content).toContain('SUMMARY word');
    expect(helper.calls[0]?.agent).toBe('worker (summary)');
  });

  test('by another model of the same backend', async () => {
    const compression = { maxTokens: 600, strategy: summarize({ maxTokens: 100 }), writerModel: 'small' };
    const { agent, model } = await compressionScene({ compression }, { answer: () => written });
    await talk(agent, 20);
    const models = model.calls.map((call) => call.model);
    expect(models.slice(0, 12).includes('small')).toBe(true);
    expect(models.filter((name) => name === 'sized-model').length).toBe(20);
  });

  test('its budget spent: the window does, and the ask is answered', async () => {
    const { agent, helper, compressed, troupe } = await withWriter(
      { writerBudgetUsd: 0.01 },
      { answer: () => ({ ...written, costUsd: 0.01 }) },
    );
    const warnings: string[] = [];
    troupe.on('budget', ({ budget, share }) => warnings.push(`${budget} ${share}`));
    await talk(agent, 20);
    expect([helper.calls.length, warnings]).toEqual([1, ['summaries of "worker" 0.8', 'summaries of "worker" 1']]);
    expect(compressed[0]).toMatchObject({ by: 'summarize', problem: undefined });
    for (const { by, problem } of compressed.slice(1))
      expect([by, problem?.code]).toEqual(['last-resort', 'TROUPE_ERR_BUDGET_EXCEEDED']);
    expect(compressed.length).toBeGreaterThan(2);
  });

  test('a summary must have room in the budget of its ask, too', async () => {
    const { agent, helper, compressed } = await withWriter({ writerBudgetUsd: 1 });
    await talk(agent, 5);
    const reply = await agent.ask(words(49, 'prompt-6'), { budgetUsd: 0.000_1 });
    expect([reply.text.split(' ')[0], helper.calls.length, compressed[0]?.problem?.code]).toEqual([
      ...['answer-6', 0],
      'TROUPE_ERR_BUDGET_EXCEEDED',
    ]);
  });

  test('a writer that fails is in the attempts; the window does', async () => {
    const down = new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'nobody listens');
    const { agent, compressed } = await withWriter({}, { answer: () => Promise.reject(down) });
    const replies = await talk(agent, 6);
    expect(replies[5]?.attempts.map(({ backend, purpose, error }) => [backend, purpose, error?.code])).toEqual([
      ['helper', 'compression', 'TROUPE_ERR_BACKEND_UNREACHABLE'],
      ['model', undefined, undefined],
    ]);
    expect([compressed[0]?.by, compressed[0]?.problem?.code]).toEqual([
      'last-resort',
      'TROUPE_ERR_BACKEND_UNREACHABLE',
    ]);
  });

  test.each([{}, { compression: { maxTokens: 500 } }])(
    'a writer that hangs is given up, place and all: %j',
    async (options) => {
      const { answer, aborted } = hanging();
      const both = sizedBackend({
        kind: 'both',
        answer: (number, request) => (request.agent === 'worker' ? numbered(number) : answer(number, request)),
      });
      const { troupe, clock, compressed } = await compressionScene(
        {},
        {},
        { limits: { both: { maxConcurrent: 1 } }, backends: { both } },
      );
      await troupe.agent('worker')?.kill();
      const maxTokens = 'compression' in options ? 10_000 : 600;
      const agent = await troupe.spawn('worker', {
        compression: { maxTokens, strategy: summarize({ maxTokens: 100 }) },
      });
      await talk(agent, 5);
      const asked = agent.ask(words(49, 'prompt-6'), options);
      await until(() => both.calls.length === 6);
      await clock.advance(119_999);
      expect([aborted(), both.calls.length]).toEqual([0, 6]);
      await clock.advance(1);
      const reply = await asked;
      expect([aborted(), reply.attempts.map(({ purpose, error }) => [purpose, error?.code])]).toEqual([
        1,
        [
          ['compression', 'TROUPE_ERR_BACKEND_TIMEOUT'],
          [undefined, undefined],
        ],
      ]);
      expect(compressed[0]?.problem?.code).toBe('TROUPE_ERR_BACKEND_TIMEOUT');
      expect([troupe.health().backends[0]?.inFlight, clock.pending]).toEqual([0, 0]);
    },
  );

  test('an ask that is cancelled while its summary is written: the writer is aborted, the agent goes on', async () => {
    const { answer, aborted } = hanging();
    const { agent, helper, troupe } = await withWriter({}, { answer });
    await talk(agent, 5);
    const handle = agent.askAsync(words(49, 'prompt-6'));
    await until(() => helper.calls.length === 1);
    handle.cancel();
    await expect(handle.wait()).rejects.toMatchObject({ code: 'TROUPE_ERR_ASK_CANCELLED' });
    await until(() => aborted() === 1);
    expect([agent.state, agent.messages().length]).toEqual(['idle', 11]);
    await until(() => troupe.health().backends.every(({ inFlight }) => inFlight === 0));
  });
});

test('vectors come from the embedder, and are paid for', async () => {
  const asked: number[] = [];
  const embedder: Backend = {
    ...sizedBackend({ kind: 'vectors', model: 'cheap', info: perToken }),
    embed: async ({ texts }) => {
      asked.push(texts.length);
      const usage = { inputTokens: 1000, outputTokens: 0, cacheReadTokens: undefined, cacheWriteTokens: undefined };
      return { vectors: texts.map((text) => [text.length, 1]), usage, model: 'cheap' };
    },
  };
  const { agent, compressed } = await compressionScene(
    { compression: { maxTokens: 600, strategy: semantic(), embedder } },
    { answer: numbered },
    { prices },
  );
  const replies = await talk(agent, 6);
  expect([compressed[0]?.by, compressed[0]?.problem, asked.length]).toEqual(['semantic', undefined, asked.length]);
  expect(asked.length).toBeGreaterThan(0);
  expect(replies[5]?.costUsd).toBeCloseTo(asked.length * 0.001, 12);
});

/** Answers nothing until it is aborted. */
function hanging() {
  let count = 0;
  const answer = (_: number, { signal }: ModelRequest) =>
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        count += 1;
        reject(signal.reason);
      });
    });
  return { answer, aborted: () => count };
}
