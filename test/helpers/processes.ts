/** Small real programs, and who of them is still there: read from /proc without the code under test. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** The path of one of the programs in `test/fixtures/processes`. */
export function program(name: string): string {
  return new URL(`../fixtures/processes/${name}.mjs`, import.meta.url).pathname;
}

/** Resolves once the condition holds; fails when it does not within 20 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited 20 s in vain: ${what}`);
    await sleep(10);
  }
}

/** The pids of the living whose environment holds this text. */
export function pidsWith(text: string): number[] {
  return pids().filter((pid) => read(`/proc/${pid}/environ`).includes(text) && isAlive(pid));
}

/** Whether a process runs; one that waits to be reaped does not. */
export function isAlive(pid: number): boolean {
  return /\) [^ZX] /.test(read(`/proc/${pid}/stat`));
}

/** The pids of the living whom this process started. */
export function childrenOf(pid: number): number[] {
  return startedBy(pid, '[^ZX]');
}

/** The pids of the dead whom this process started and has not reaped. */
export function zombiesOf(pid: number): number[] {
  return startedBy(pid, 'Z');
}

/** Ends what a failed test left. */
export function killAll(left: readonly number[]): void {
  for (const pid of left.filter(isAlive)) process.kill(pid, 'SIGKILL');
}

/** The arguments of a process. */
export function argumentsOf(pid: number): string[] {
  return read(`/proc/${pid}/cmdline`).split('\0').slice(0, -1);
}

/** The built package: what a program in a fixture imports. */
export function distFolder(): string {
  const folder = process.env['TROUPE_TEST_DIST'] ?? new URL('../../dist', import.meta.url).pathname;
  if (!existsSync(`${folder}/actors/wire/process.js`)) throw new Error(`${folder} is not built: npm run build`);
  return folder;
}

function startedBy(pid: number, state: string): number[] {
  const parent = new RegExp(`\\) ${state} ${pid} `);
  return pids().filter((child) => parent.test(read(`/proc/${child}/stat`)));
}

function pids(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
