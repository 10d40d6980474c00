/** Budgets on a real HTTP server that counts itself: what is charged is what it has done. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openai } from '../../actors/backends/openai.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import type { BudgetWarning } from '../../src/core/budget.ts';
import type { TroupeError } from '../../src/core/errors.ts';
import { nanoNearest } from '../../src/core/money.ts';
import { usageReport } from '../../src/core/usage-report.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { chunk, doneEvent, openAiFaults } from '../helpers/openai-wire.ts';

const sse = { 'content-type': 'text/event-stream' };
/** Nano-USD for a token of the prompt, and of the answer. */
const nanoUsd = { input: 150, output: 600 };

/** What the server has counted itself. */
let counted = { calls: 0, nano: 0 };

/** As many tokens as a quarter of the bytes, and an answer of 1 to 40. */
const metered: Fault = ({ request, reply }) => {
  const tokens = { prompt_tokens: Math.ceil(request.text.length / 4), completion_tokens: 1 + (counted.calls % 40) };
  counted = {
    calls: counted.calls + 1,
    nano: counted.nano + tokens.prompt_tokens * nanoUsd.input + tokens.completion_tokens * nanoUsd.output,
  };
  const usage = `data: ${JSON.stringify({ choices: [], usage: { ...tokens, total_tokens: 0 } })}\n\n`;
  reply(200, chunk({ content: 'fine' }, 'stop') + usage + doneEvent, sse);
};

const refusedOnce: Fault = (exchange) =>
  exchange.times === 1
    ? exchange.reply(400, { error: { message: 'no', type: 'invalid_request_error' } })
    : metered(exchange);

/** Begins to answer, then the connection breaks. */
const cut: Fault = async ({ head, write, socket }) => {
  head(200, sse);
  await write(chunk({ content: 'begin' }));
  socket.resetAndDestroy();
};

let server: FaultServer;
const troupes: Troupe[] = [];
beforeAll(async () => {
  server = await faultServer({ ...openAiFaults, metered, 'refused-once': refusedOnce, cut });
});
afterEach(() => Promise.all(troupes.splice(0).map((troupe) => troupe.close())));
afterAll(() => server.close());

const price = { inputUsd: nanoUsd.input / 1000, outputUsd: nanoUsd.output / 1000 };
const names = ['metered', 'refused-once', 'cut', '429', 'overload', '500'];
const models = Object.fromEntries(names.map((name) => [`fault:${name}`, price]));

function open(options: TroupeOptions = {}) {
  const store = memoryStore();
  const troupe = createTroupe({
    backends: { server: openai({ endpoint: server.url, apiKey: 'none' }) },
    defaults: { model: 'fault:metered', maxRetries: 0, parameters: { maxTokens: 40 } },
    prices: { date: '2026-11-24', models },
    store,
    ...options,
  });
  troupes.push(troupe);
  const warnings: BudgetWarning[] = [];
  troupe.on('budget', (warning) => warnings.push(warning));
  counted = { calls: 0, nano: 0 };
  return { troupe, store, warnings };
}

test('1,000 asks of 100 agents at the same time: never above the budget, and three books that say the same', async () => {
  const limitUsd = 0.01;
  const { troupe, store, warnings } = open({ budgetUsd: limitUsd });
  const agents = await Promise.all(Array.from({ length: 100 }, (_, at) => troupe.spawn(`agent-${at}`)));
  const asks = agents.flatMap((agent) => Array.from({ length: 10 }, (_, at) => agent.ask(`Question ${at}?`)));
  const settled = await Promise.allSettled(asks);
  const codes = settled.flatMap((one) => (one.status === 'rejected' ? [(one.reason as TroupeError).code] : []));
  expect(new Set(codes)).toEqual(new Set(['TROUPE_ERR_BUDGET_EXCEEDED']));
  expect(settled.length - codes.length).toBe(counted.calls);
  // What was set aside for calls that cost less is free again: until not one more fits.
  for (const agent of agents) while ((await agent.ask('More?').catch(() => undefined)) !== undefined);
  const total = usageReport(await store.ledger(), ['model']).total;
  expect([nanoNearest(troupe.usage().costUsd ?? 0), nanoNearest(total.costUsd ?? 0), total.calls]).toEqual([
    ...[counted.nano, counted.nano, counted.calls],
  ]);
  expect(counted.nano).toBeLessThanOrEqual(limitUsd * 1e9);
  expect(counted.nano).toBeGreaterThan(limitUsd * 1e9 * 0.9);
  expect(warnings.map(({ budget, share }) => [budget, share])).toEqual([['troupe', 0.8]]);
  for (const { spentUsd } of warnings) expect(spentUsd).toBeLessThanOrEqual(limitUsd);
  expect(troupe.health()).toMatchObject({ restarts: 0, backends: [{ state: 'closed', inFlight: 0, failures: 0 }] });
}, 30_000);

describe('room for one call', () => {
  // More than one call may cost, less than two.
  const budgetUsd = 0.000_2;

  test.each(['refused-once', '429', '500'])('a refusal (%s) costs nothing', async (name) => {
    const { troupe } = open({ budgetUsd });
    const agent = await troupe.spawn('worker', { model: `fault:${name}` });
    await expect(agent.ask('hi')).rejects.toMatchObject({ backend: 'server' });
    const other = await troupe.spawn('other');
    expect((await other.ask('hi')).text).toBe('fine');
    expect(nanoNearest(troupe.usage().costUsd ?? 0)).toBe(counted.nano);
  });

  test('nobody at the other end costs nothing', async () => {
    const gone = await faultServer({});
    await gone.close();
    const backends = {
      gone: openai({ endpoint: gone.url, apiKey: 'none' }),
      server: openai({ endpoint: server.url, apiKey: 'none' }),
    };
    const { troupe } = open({ budgetUsd, backends });
    const agent = await troupe.spawn('worker', { fallback: ['server'] });
    expect((await agent.ask('hi')).attempts.map(({ backend, error }) => [backend, error?.code])).toEqual([
      ['gone', 'TROUPE_ERR_BACKEND_UNREACHABLE'],
      ['server', undefined],
    ]);
  });

  test('an answer that broke off costs what was set aside', async () => {
    const { troupe } = open({ budgetUsd });
    const agent = await troupe.spawn('worker', { model: 'fault:cut' });
    await expect(agent.ask('hi')).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_STREAM_CUT', costUsd: undefined });
    const other = await troupe.spawn('other');
    await expect(other.ask('hi')).rejects.toMatchObject({ code: 'TROUPE_ERR_BUDGET_EXCEEDED' });
  });
});
