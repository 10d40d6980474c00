/** Scenarios that a seed decides. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { scripted } from '../../actors/backends/scripted.ts';
import { answeringBackend } from '../../src/testing/answering-backend.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { agentInvariants } from '../../src/testing/invariants.ts';
import { keyedRandom } from '../../src/testing/keyed-random.ts';
import { SimulationError, simulate } from '../../src/testing/simulate.ts';
import { logDifference, parseLog } from '../../src/testing/simulation-log.ts';
import { distFolder, program } from '../helpers/processes.ts';

const simulation = program('').replace('processes/.mjs', 'testing/simulation.mjs');

/** Runs the simulation of the fixture in a process of its own. */
async function inProcess(seed: number, asks: number) {
  const child = spawn(process.execPath, [simulation, distFolder(), String(seed), String(asks)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  expect(code).toBe(0);
  return JSON.parse(output);
}

test('20 agents with 300 asks each: the same seed gives the same bytes in two processes', async () => {
  const [one, other] = await Promise.all([inProcess(1, 300), inProcess(1, 300)]);
  expect(other).toEqual(one);
  expect(one).toEqual({ ...one, asks: 6000, problems: [] });
  expect(one.lines).toBeGreaterThan(50_000);
}, 120_000);

test('another seed gives other bytes', async () => {
  const [one, other] = await Promise.all([inProcess(1, 5), inProcess(2, 5)]);
  expect(one.sha256).not.toBe(other.sha256);
}, 60_000);

test('time moves while the scenario waits, the log says what happened, and the result is what it resolved to', async () => {
  const { log, entries, result, virtualMs } = await simulate({
    seed: 1,
    backends: ({ clock }) => ({ slow: scripted([{ text: 'Rain.', delayMs: 86_400_000 }], { clock }) }),
    agents: { a: { system: 'Be brief.', timeouts: { askMs: 1e9, firstEventMs: 1e9, idleMs: 1e9 } } },
    run: async ({ agents, sleep, clock }) => {
      await sleep(5);
      return [(await agents.a.ask('weather')).text, clock.now()];
    },
  });
  expect([result, virtualMs]).toEqual([['Rain.', 86_400_005], 86_400_005]);
  expect(parseLog(log)).toEqual(entries);
  expect(entries.flatMap((entry) => (entry.kind === 'ask' ? [[entry.at, entry.phase]] : []))).toEqual([
    [5, 'accepted'],
    [86_400_005, 'settled'],
  ]);
  expect(entries.at(-1)).toMatchObject({
    kind: 'conversation',
    messages: [{ role: 'system' }, { role: 'user', content: 'weather' }, { role: 'assistant', content: 'Rain.' }],
  });
  expect(agentInvariants(log)).toEqual([]);
});

const echo = { echo: answeringBackend(({ last }) => ({ text: last?.content ?? '' })) };

test.each([
  ['waits for nothing', () => new Promise<never>(() => {}), 'no time brings'],
  ['throws', () => Promise.reject(new Error('It is wrong.')), 'It is wrong.'],
])('a scenario that %s fails, with its seed and its log', async (_, wrong, message) => {
  const failed = await simulate({
    ...{ seed: 'pears', backends: echo, agents: { a: {} } },
    run: async ({ agents }) => {
      await agents.a.ask('hello');
      await wrong();
    },
  }).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(SimulationError);
  const { message: says, log, seed } = failed as SimulationError;
  expect([says.includes(message), says.includes('"pears"'), seed, log.includes('"text":"hello"')]).toEqual([
    ...[true, true, 'pears', true],
  ]);
});

test('a scenario that takes for ever fails', async () => {
  const wait = async ({ sleep }: { sleep: (ms: number) => Promise<void> }) => {
    for (;;) await sleep(1000);
  };
  await expect(simulate({ seed: 1, backends: echo, maxVirtualMs: 10_000, run: wait })).rejects.toThrow(
    '`maxVirtualMs`',
  );
});

test('a script that was not used up fails the simulation', async () => {
  const backends = { a: scripted([{ text: 'unheard' }]) };
  await expect(simulate({ seed: 1, backends, run: async () => 1 })).rejects.toThrow('never asked for');
});

test('forks, kills, cancelled asks and late answers keep the invariants', async () => {
  const late = gatedBackend({ ignoreAbort: true });
  const { entries } = await simulate({
    seed: 3,
    backends: { ...echo, late },
    agents: { a: {}, b: { backend: 'late' } },
    run: async ({ troupe, agents, sleep }) => {
      await agents.a.ask('one');
      const twin = await agents.a.fork('twin');
      await Promise.all([agents.a.ask('two'), twin.ask('three')]);
      const given = agents.b.askAsync('given up');
      await sleep(1);
      await Promise.all([given.cancel(), given.wait(1).catch(() => {})]);
      late.calls[0]?.resolve({ text: 'too late' });
      const lost = agents.b.ask('lost').catch(() => {});
      await sleep(1);
      await agents.b.kill('enough');
      await lost;
      await expect(agents.b.ask('dead')).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
      await troupe.close();
    },
  });
  expect(agentInvariants(entries)).toEqual([]);
});

test('a draw of one purpose shifts none of another', () => {
  const plain = keyedRandom(7);
  const busy = keyedRandom(7);
  const draws = Array.from({ length: 100 }, () => {
    busy('other');
    return [plain('mine'), busy('mine')] as const;
  });
  expect(draws.every(([one, other]) => one === other && one >= 0 && one < 1)).toBe(true);
  expect(new Set(draws.map(([one]) => one)).size).toBe(100);
  expect(keyedRandom(8)('mine')).not.toBe(keyedRandom(7)('mine'));
});

test('the first line that differs is told', () => {
  expect(logDifference('a\nb\n', 'a\nb\n')).toBe(undefined);
  expect(logDifference('a\nb\n', 'a\nc\n')).toBe('line 2: b | c');
  expect(logDifference('a', 'a\nb')).toBe('line 2: no more | b');
});
