/**
 * Nobody is left behind: agents of a command that starts a stubborn grandchild, spawned and killed again and again in every
 * moment of their lives, and hosts that are killed with all their agents. CYCLES says how many cycles, SEED which.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { claudeCli } from '../../actors/backends/claude-cli.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { failure } from '../helpers/model-request.ts';
import { childrenOf, killAll, pidsWith, until, zombiesOf } from '../helpers/processes.ts';
import { killHost } from './killed-host.ts';

const cycles = Number(process.env['CYCLES'] ?? 100);
const seed = Number(process.env['SEED'] ?? 1);
const program = fileURLToPath(new URL('../fixtures/claude/tiny-claude.sh', import.meta.url));
/** Agents at a time. */
const width = 20;

/** What is done with an agent of a command in this mode before it is killed. */
const lives: Readonly<Record<string, (agent: Agent, random: () => number) => Promise<unknown>>> = {
  obey: async (agent) => expect((await agent.ask('Hi')).text).toBe('ok'),
  stay: async (agent) => expect((await agent.ask('Hi')).text).toBe('ok'),
  hang: async (agent) => {
    const events = agent.stream('Hi')[Symbol.asyncIterator]();
    while ((await events.next()).value?.type !== 'text-delta');
  },
  // Amid its start, wherever that is.
  mute: async (agent, random) => {
    agent.ask('Hi').catch(() => {});
    await sleep(random() * 40);
  },
  die: async (agent) => expect(await failure(agent.ask('Hi'))).toMatchObject({ code: 'TROUPE_ERR_PROCESS_DIED' }),
};

test(`${cycles} agents that are spawned and killed leave no process`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-cycles-'));
  const mark = `MARK=${folder}`;
  const modes = Object.keys(lives);
  const options = { command: '/bin/sh', args: [program], apiKey: 'none', endGraceMs: 200, maxProcesses: width };
  const backends = modes.map((MODE) => [MODE, claudeCli({ ...options, env: { MARK: folder, MODE } })] as const);
  // A backend that dies again and again would not be called any more.
  const limits = { die: { allowedFailures: cycles } };
  const troupe = createTroupe({ backends: Object.fromEntries(backends), limits });
  const random = generator(seed);
  const startedAt = performance.now();
  let most = 0;
  let count = 0;
  const live = async () => {
    for (let number = count++; number < cycles; number = count++) {
      const backend = modes[number % modes.length] ?? '';
      const agent = await troupe.spawn(`agent ${number}`, { backend, maxRetries: 0 });
      await lives[backend]?.(agent, random);
      if (number % width === 0) most = Math.max(most, pidsWith(mark).length);
      await agent.kill();
    }
  };
  try {
    await Promise.all(Array.from({ length: width }, live));
    // Killed is gone: nothing is left to the end of the troupe.
    const left = pidsWith(mark).length;
    await troupe.close();
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    process.stdout.write(
      `${cycles} cycles of CLI agents with grandchildren (seed ${seed}) in ${seconds} s: up to ${most} processes seen at once, ${left} left\n`,
    );
    // Else nobody would have been counted.
    expect(most).toBeGreaterThan(1);
    expect(left).toBe(0);
    const ours = () => [...childrenOf(process.pid), ...zombiesOf(process.pid)];
    await until(() => ours().length === 0, 'the watchdog is gone, and reaped');
  } finally {
    await troupe.close();
    killAll(pidsWith(mark));
    rmSync(folder, { recursive: true });
  }
}, 600_000);

test('a host that is killed leaves no process of Claude Code, of MCP servers and of their children 5 s later', async () => {
  const { before, left, ms } = await killHost(['claude', 'mcp']);
  process.stdout.write(`a host killed by SIGKILL: ${before} processes before, ${left} left after ${ms} ms\n`);
  expect([before, left]).toEqual([4, 0]);
}, 60_000);

/** A small seeded generator of numbers in [0, 1). */
function generator(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
