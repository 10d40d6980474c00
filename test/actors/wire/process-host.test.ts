/** What becomes of the children when their host dies. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startProcess } from '../../../actors/wire/process.ts';
import {
  argumentsOf,
  childrenOf,
  distFolder,
  isAlive,
  killAll,
  pidsWith,
  program,
  until,
} from '../../helpers/processes.ts';

// Programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let stateDir: string;
const hosts: Host[] = [];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'troupe-host-'));
});

afterEach(() => {
  for (const { pid, watchdog = 0, token, innermost } of hosts.splice(0))
    killAll([pid, watchdog, ...pidsWith(`${token}.`), ...innermost]);
  rmSync(stateDir, { recursive: true });
});

interface Host {
  readonly process: ChildProcess;
  readonly pid: number;
  /** Who said its pid: the two innermost. */
  readonly innermost: readonly number[];
  readonly watchdog: number | undefined;
  /** What all marks of its children begin with. */
  readonly token: string;
  readonly exited: Promise<unknown>;
}

/** Starts a host and waits until both its children have spoken. */
async function startHost(name: string, ...args: string[]): Promise<Host> {
  const options = [program('host'), distFolder(), stateDir, program(name), ...args];
  const host = spawn(process.execPath, options, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  const exited = new Promise((resolve) => host.once('exit', (...exit) => resolve(exit)));
  const pid = host.pid ?? 0;
  const innermost: number[] = [];
  for await (const line of createInterface({ input: host.stdout })) {
    innermost.push(Number(line));
    if (innermost.length === 2) break;
  }
  const watchdog = childrenOf(pid).find((child) => argumentsOf(child).includes('troupe-watchdog'));
  const [file = ''] = readdirSync(stateDir);
  const token = /-([0-9a-f]{32})\./.exec(file)?.[1] ?? 'no file';
  const started = { process: host, pid, innermost, watchdog, token, exited };
  hosts.push(started);
  return started;
}

it('all of them are ended by the watchdog when its group is killed, whatever they ignore and wherever they are', async () => {
  const host = await startHost('leave-behind', 'stay', 'stubborn');
  expect(pidsWith(`${host.token}.`).length).toBe(4);
  process.kill(-host.pid, 'SIGKILL');
  await until(() => pidsWith(`${host.token}.`).length === 0, 'the watchdog ends all');
  await until(() => !isAlive(host.watchdog ?? 0), 'the watchdog ends itself');
  expect(host.innermost.filter(isAlive)).toEqual([]);
});

it('they are asked first when it is killed, and may tidy up', async () => {
  const notes = join(stateDir, 'notes');
  const host = await startHost('polite', notes);
  process.kill(host.watchdog ?? 0, 'SIGSTOP');
  host.process.kill('SIGKILL');
  await host.exited;
  expect(host.innermost.filter(isAlive)).toEqual(host.innermost);
  process.kill(host.watchdog ?? 0, 'SIGCONT');
  await until(() => pidsWith(`${host.token}.`).length === 0, 'the watchdog ends all');
  expect(readFileSync(notes, 'utf8')).toBe('asked\nasked\n');
});

it('they are ended by the next start when the watchdog was killed as well', async () => {
  const host = await startHost('leave-behind', 'stay', 'stubborn');
  process.kill(host.watchdog ?? 0, 'SIGKILL');
  host.process.kill('SIGKILL');
  await host.exited;
  expect(pidsWith(`${host.token}.`).length).toBe(4);
  const next = await startProcess({ command: process.execPath, args: [program('polite')], onLine: () => {}, stateDir });
  await until(() => pidsWith(`${host.token}.`).length === 0, 'the sweep ends all');
  await until(() => readdirSync(stateDir).length === 1, 'the sweep removes their files');
  await next.end();
});

it('they are asked when it exits, not only by the watchdog', async () => {
  const notes = join(stateDir, 'notes');
  const host = await startHost('polite', notes);
  process.kill(host.watchdog ?? 0, 'SIGSTOP');
  host.process.stdin?.write('exit');
  expect(await host.exited).toEqual([0, null]);
  await until(() => host.innermost.every((pid) => !isAlive(pid)), 'they end');
  expect(readFileSync(notes, 'utf8')).toBe('asked\nasked\n');
  process.kill(host.watchdog ?? 0, 'SIGCONT');
  await until(() => !isAlive(host.watchdog ?? 0), 'the watchdog ends');
});

it('it exits by itself once its children have: neither the watchdog nor a timer keeps it', async () => {
  const host = await startHost('polite');
  process.kill(host.watchdog ?? 0, 'SIGSTOP');
  for (const pid of host.innermost) process.kill(pid, 'SIGTERM');
  expect(await host.exited).toEqual([0, null]);
  process.kill(host.watchdog ?? 0, 'SIGCONT');
  await until(() => !isAlive(host.watchdog ?? 0), 'the watchdog ends');
  expect(readdirSync(stateDir)).toEqual([]);
});
