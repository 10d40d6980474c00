/** The backend for Claude Code against the real one, whose API is the scripted model of the contract. */
import { afterAll, describe, expect, it, test } from 'vitest';
import { claudeCli } from '../../actors/backends/claude-cli.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { contractCases } from '../contract/cases.ts';
import { type Place, processWorld, type World } from '../contract/worlds.ts';
import { argumentsOf, until } from '../helpers/processes.ts';
import { claudeCommand } from './claude-command.ts';

const world: World = processWorld(
  'the real claude',
  (options) =>
    claudeCli({
      ...{ command: claudeCommand(), apiKey: 'contract-key', configDir: options.cwd, model: 'claude-sonnet-5-5' },
      ...{ builtInTools: ['Bash'], allowedTools: ['Bash'], maxProcesses: 4, ...options },
    }),
  { timeoutMs: 120_000, repeats: ['400', '404'] },
);

const cases = contractCases(world);
const tally = { met: 0, run: 0 };

describe('the contract', () => {
  const possible = cases.filter(({ cannot }) => cannot === undefined).map(({ name, run }) => [name, run] as const);
  it.each(possible)('%s', { timeout: world.timeoutMs }, async (_name, run) => {
    tally.run += 1;
    await run();
    tally.met += 1;
  });

  afterAll(() => {
    const cannot = cases.filter((one) => one.cannot !== undefined).map((one) => `${one.name}: ${one.cannot}`);
    process.stdout.write(`the real claude: met ${tally.met} / run ${tally.run}, cannot ${cannot.length}\n`);
    for (const line of cannot) process.stdout.write(`  ${line}\n`);
  });
});

async function withPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const place = await world.make({});
  const troupe = createTroupe({ backends: { claude: place.backend } });
  try {
    await work(place);
  } finally {
    await troupe.close();
    await place.close();
  }
}

test('three asks, a fork and two more asks cost what the server counted, to the cent', () =>
  withPlace(async ({ backend, server }) => {
    const troupe = createTroupe({ backends: { claude: backend } });
    const agent = await troupe.spawn('agent');
    for (const prompt of ['say one', 'say two', 'say three']) await agent.ask(prompt);
    const twin = await agent.fork('twin');
    await twin.ask('say four');
    await agent.ask('say five');
    expect(server.ledger.usd).toBeGreaterThan(0);
    expect(troupe.usage().costUsd).toBeCloseTo(server.ledger.usd, 10);
    expect((agent.costUsd ?? 0) + (twin.costUsd ?? 0)).toBeCloseTo(server.ledger.usd, 10);
    await troupe.close();
  }));

test('five agents that come and go leave no process', () =>
  withPlace(async ({ backend, processes }) => {
    const troupe = createTroupe({ backends: { claude: backend } });
    for (let number = 1; number <= 5; number += 1) {
      const agent = await troupe.spawn(`agent ${number}`);
      const asked = agent.askAsync('call Bash {"command":"sleep 60"}');
      await until(() => processes().some((pid) => argumentsOf(pid)[0] === 'sleep'), 'the command of the tool runs');
      await agent.kill();
      await asked.wait().catch(() => {});
      expect(processes()).toEqual([]);
    }
    await troupe.close();
  }));
