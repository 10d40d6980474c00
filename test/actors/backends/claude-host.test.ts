/** What becomes of Claude Code, its tools and their children when the process that asked it is killed in mid-ask. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startProcess } from '../../../actors/wire/process.ts';
import { type ModelServer, modelServer } from '../../contract/server.ts';
import { type FakeClaude, fakeClaude } from '../../helpers/fake-claude.ts';
import { argumentsOf, childrenOf, distFolder, isAlive, killAll, until } from '../../helpers/processes.ts';

vi.setConfig({ testTimeout: 60_000 });
const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url));

let server: ModelServer;
let claude: FakeClaude;
let stateDir: string;

beforeEach(async () => {
  server = await modelServer();
  claude = await fakeClaude(server.url);
  stateDir = mkdtempSync(join(tmpdir(), 'troupe-state-'));
});
afterEach(async () => {
  killAll(claude.alive());
  await server.close();
  await claude.remove();
  rmSync(stateDir, { recursive: true });
});

/** A host whose agent is amid a tool: pids of the host, its watchdog and the four processes below Claude Code. */
async function hostInMidAsk() {
  const options = [
    fixture('claude/host.mjs'),
    distFolder(),
    fixture('claude/fake-claude.mjs'),
    server.url,
    claude.home,
  ];
  const env = { ...process.env, TROUPE_STATE_DIR: stateDir };
  const host = spawn(process.execPath, options, { stdio: ['ignore', 'ignore', 'inherit'], env });
  const exited = new Promise((resolve) => host.once('exit', resolve));
  const pid = host.pid ?? 0;
  // The command, its stubborn child, the shell of its tool and what runs in that.
  await until(
    () => claude.alive().some((one) => childrenOf(one).some((it) => argumentsOf(it)[0] === 'sleep')),
    'it sleeps',
  );
  const tree = [...new Set([...claude.alive(), ...claude.alive().flatMap(childrenOf)])];
  expect(tree.length).toBe(4);
  const watchdog = childrenOf(pid).find((child) => argumentsOf(child).includes('troupe-watchdog')) ?? 0;
  return { pid, watchdog, tree, exited };
}

test('the watchdog ends all of them, whatever they ignore', async () => {
  const { pid, tree } = await hostInMidAsk();
  process.kill(pid, 'SIGKILL');
  await until(() => !tree.some(isAlive), 'all of them are gone');
});

test('the next start ends all of them when the watchdog was killed, too', async () => {
  const { pid, watchdog, tree, exited } = await hostInMidAsk();
  process.kill(watchdog, 'SIGKILL');
  process.kill(pid, 'SIGKILL');
  await exited;
  expect(tree.filter(isAlive)).toEqual(tree);
  const next = await startProcess({ command: 'cat', args: [], onLine: () => {}, stateDir });
  await until(() => !tree.some(isAlive), 'all of them are gone');
  await next.end();
});
