/** Every backend that speaks HTTP, streaming and not, against every fault of a response. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../actors/backend.ts';
import { anthropic } from '../../../actors/backends/anthropic.ts';
import { type OllamaOptions, ollama } from '../../../actors/backends/ollama.ts';
import { openai } from '../../../actors/backends/openai.ts';
import { llamaCpp, lmStudio, localAi, vllm } from '../../../actors/backends/presets.ts';
import { createTroupe, type Troupe } from '../../../src/runtime/troupe.ts';
import { type Fault, type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { settle, VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { anthropicFaults, anthropicJsonFaults } from '../../helpers/anthropic-wire.ts';
import { type Expected, expectedOf, faultTable, type Protocol } from '../../helpers/fault-table.ts';
import { allOf, failure, modelRequest } from '../../helpers/model-request.ts';
import { ollamaFaults, ollamaJsonFaults } from '../../helpers/ollama-wire.ts';
import { openAiFaults, openAiJsonFaults } from '../../helpers/openai-wire.ts';

const key = 'canary-0123456789';
const rows = Object.entries(faultTable).flatMap(([group, faults]) =>
  Object.entries(faults).map(([fault, row]) => ({ group, fault, row })),
);

type Make = (options: Pick<OllamaOptions, 'endpoint' | 'stream' | 'maxReplyBytes' | 'maxEventBytes'>) => Backend;

const kinds: Readonly<Record<string, { protocol: Protocol; make: Make }>> = {
  openai: { protocol: 'openai', make: (options) => openai({ ...options, apiKey: key }) },
  llamaCpp: { protocol: 'openai', make: (options) => llamaCpp({ ...options, apiKey: key }) },
  vllm: { protocol: 'openai', make: (options) => vllm({ ...options, apiKey: key }) },
  lmStudio: { protocol: 'openai', make: (options) => lmStudio({ ...options, apiKey: key }) },
  localAi: { protocol: 'openai', make: (options) => localAi({ ...options, apiKey: key }) },
  anthropic: { protocol: 'anthropic', make: (options) => anthropic({ ...options, apiKey: key }) },
  ollama: {
    protocol: 'ollama',
    make: (options) => ollama({ ...options, headers: { authorization: `Bearer ${key}` } }),
  },
};

const served: Readonly<Record<string, Readonly<Record<string, Fault>>>> = {
  'openai stream': openAiFaults,
  'openai whole': openAiJsonFaults,
  'anthropic stream': anthropicFaults,
  'anthropic whole': anthropicJsonFaults,
  'ollama stream': ollamaFaults,
  'ollama whole': ollamaJsonFaults,
};
const servers = new Map<string, FaultServer>();
const backends: Backend[] = [];
const troupes: Troupe[] = [];
const tallies = new Map<string, { met: number; run: number; cannot: number }>();

beforeAll(async () => {
  for (const [name, faults] of Object.entries(served)) servers.set(name, await faultServer(faults));
});
afterEach(async () => {
  await Promise.all(troupes.splice(0).map((troupe) => troupe.close()));
  await Promise.all(backends.splice(0).map((backend) => backend.close?.()));
});
afterAll(async () => {
  const lines = [...tallies].map(
    ([name, { met, run, cannot }]) => `${name}: met ${met} / run ${run} (${cannot} cannot exist there)`,
  );
  const sum = (of: 'met' | 'run') => [...tallies.values()].reduce((total, tally) => total + tally[of], 0);
  process.stdout.write(`${[...lines, `total: met ${sum('met')} / run ${sum('run')}`].join('\n')}\n`);
  await Promise.all([...servers.values()].map((server) => server.close()));
});

describe.each(Object.entries(kinds))('%s', (kind, { protocol, make }) => {
  describe.each(['stream', 'whole'] as const)('%s', (mode) => {
    const tally = { met: 0, run: 0, cannot: 0 };
    tallies.set(`${kind} ${mode === 'stream' ? 'stream' : 'JSON'}`, tally);
    const cases = rows.map((row) => ({ ...row, expected: expectedOf(row.row, protocol, mode) }));
    tally.cannot = cases.filter(({ expected }) => expected.kind === 'cannot').length;

    it.each(cases.filter(({ expected }) => expected.kind !== 'cannot'))('$group: $fault', async (one) => {
      tally.run += 1;
      const server = servers.get(`${protocol} ${mode}`)!;
      const caps = one.group.startsWith('F19') ? { maxReplyBytes: 300_000, maxEventBytes: 100_000 } : {};
      const backend = make({ endpoint: server.url, stream: mode === 'stream', ...caps });
      backends.push(backend);
      const { elsewhere } = server.counts;
      await check(one.expected, { server, backend, fault: one.fault });
      expect(server.counts.elsewhere).toBe(elsewhere);
      expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
      tally.met += 1;
    });
  });
});

it.each(Object.keys(served))('the table has a row for each fault of a server, and a fault for each row: %s', (name) => {
  const [protocol, mode] = name.split(' ') as [Protocol, 'stream' | 'whole'];
  const possible = rows.filter(({ row }) => expectedOf(row, protocol, mode).kind !== 'cannot');
  const names = (list: readonly string[]) => [...new Set(list)].sort();
  expect(names(possible.map(({ fault }) => fault))).toEqual(names(Object.keys(served[name] ?? {})));
});

interface Trial {
  readonly server: FaultServer;
  readonly backend: Backend;
  readonly fault: string;
}

async function check(expected: Expected, trial: Trial): Promise<void> {
  const call = () => trial.backend.call(modelRequest({ model: `fault:${trial.fault}` }));
  if (expected.kind === 'hangs') return hangs(trial);
  if (expected.kind === 'fails') return fails(await failure(call()), expected.error, trial);
  // A connection that is used again may fail where a new one does not.
  const times = trial.fault === 'idle-race' ? 3 : 1;
  for (let time = 0; time < times; time += 1) {
    const response = await call();
    if (expected.kind === 'gives') expect(response).toMatchObject(expected.response);
    if (expected.kind !== 'calls') continue;
    expect(response.toolCalls.map(({ name, arguments: text }) => [name, parsed(text)])).toEqual(expected.calls);
    expect(new Set(response.toolCalls.map(({ id }) => id).filter(Boolean)).size).toBe(expected.calls.length);
    expect(response.finishReason.unified).toBe('tool-calls');
  }
}

function fails(error: Awaited<ReturnType<typeof failure>>, expected: object, { backend, fault }: Trial): void {
  expect(error).toMatchObject({ backend: backend.kind, model: `fault:${fault}`, ...expected });
  expect(allOf(error)).not.toContain(key);
  expect(error.message.length).toBeLessThan(500);
  if (fault !== 'endless-line') expect(error.message).toContain(backend.kind);
  if (backend.kind !== 'openai') expect(error.message).not.toMatch(/openai/i);
}

/** Nothing but a timer ends the call, and the server sees it end. */
async function hangs({ server, backend, fault }: Trial): Promise<void> {
  const clock = new VirtualClock();
  const troupe = createTroupe({ backends: { server: backend }, clock });
  troupes.push(troupe);
  const agent = await troupe.spawn('a', { model: `fault:${fault}`, maxRetries: 0 });
  const before = { ...server.counts };
  const failed = failure(agent.ask('Hi', { timeoutMs: 1_000_000 }));
  await server.when(({ requests }) => requests > before.requests);
  await settle();
  await clock.advance(500_000);
  expect(await failed).toMatchObject({ code: 'TROUPE_ERR_BACKEND_TIMEOUT', class: 'timeout', retryable: true });
  await server.when(({ aborted, openSockets }) => aborted > before.aborted && openSockets <= before.openSockets);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
