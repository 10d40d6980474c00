/** Ending a process and everybody it started. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ChildProcess, type ProcessOptions, startProcess } from '../../../actors/wire/process.ts';
import { hostToken } from '../../../actors/wire/process-marker.ts';
import { argumentsOf, childrenOf, isAlive, killAll, pidsWith, program, until } from '../../helpers/processes.ts';

// Programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let stateDir: string;

beforeAll(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'troupe-process-tree-'));
});

afterEach(async () => {
  const left = pidsWith(hostToken());
  killAll(left);
  expect(left).toEqual([]);
  await until(() => watchdogs().length === 0, 'the watchdog ends with the last child');
});

afterAll(() => rmSync(stateDir, { recursive: true }));

function watchdogs(): number[] {
  return childrenOf(process.pid).filter((pid) => argumentsOf(pid).includes('troupe-watchdog'));
}

interface Started {
  readonly child: ChildProcess;
  /** What its first line says: the pid of the last one of the chain. */
  readonly innermost: number;
  readonly lines: readonly string[];
}

/** Starts a program and waits for its first line. */
async function start(name: string, args: string[] = [], options: Partial<ProcessOptions> = {}): Promise<Started> {
  let say: (pid: number) => void = () => {};
  const said = new Promise<number>((resolve) => {
    say = resolve;
  });
  const lines: string[] = [];
  const onLine = (line: string) => {
    lines.push(line);
    say(Number(line));
  };
  const child = await startProcess({
    command: process.execPath,
    args: [program(name), ...args],
    onLine,
    stateDir,
    ...options,
  });
  return { child, innermost: await said, lines };
}

const hour = 3_600_000;

describe('end', () => {
  it('gives SIGTERM, and waits for those who tidy up', async () => {
    const { child } = await start('polite');
    expect(await child.end({ termGraceMs: hour })).toEqual({ code: 7, signal: undefined, stderr: '' });
  });

  it('gives no signal to who exits at the end of its input', async () => {
    const child = await startProcess({
      command: process.execPath,
      args: [program('echo')],
      onLine: () => {},
      stateDir,
    });
    expect(await child.end({ inputGraceMs: hour })).toEqual({ code: 0, signal: undefined, stderr: '' });
  });

  it('gives SIGKILL to who ignores SIGTERM, once the grace is over', async () => {
    const { child } = await start('stubborn');
    expect(await child.end({ termGraceMs: 50 })).toEqual({ code: undefined, signal: 'SIGKILL', stderr: '' });
  });

  it.each(['during', 'before'])('gives SIGKILL at once when its signal is aborted %s', async (when) => {
    const { child } = await start('stubborn');
    const hurry = new AbortController();
    if (when === 'before') hurry.abort();
    const ending = child.end({ inputGraceMs: hour, termGraceMs: hour, signal: hurry.signal });
    hurry.abort();
    expect((await ending).signal).toBe('SIGKILL');
  });

  it('is the same end however often it is called, and a later signal counts', async () => {
    const { child } = await start('stubborn');
    const first = child.end({ termGraceMs: hour });
    const second = child.end({ signal: AbortSignal.abort() });
    const exits = await Promise.all([first, second, child.exited]);
    expect(exits).toEqual(Array(3).fill({ code: undefined, signal: 'SIGKILL', stderr: '' }));
    expect(await child.end()).toEqual(exits[0]);
  });

  it('reaches a grandchild in a session of its own', async () => {
    const { child, innermost } = await start('leave-behind', ['stay', 'stubborn']);
    expect((await child.end({ termGraceMs: 50 })).signal).toBe('SIGKILL');
    expect(isAlive(innermost)).toBe(false);
  });

  it('reaches a grandchild without our mark, of which only its parent tells', async () => {
    const { child, innermost } = await start('leave-behind', ['stay', 'stubborn', 'bare']);
    await child.end({ termGraceMs: 50 });
    expect(isAlive(innermost)).toBe(false);
  });

  it('reaches a grandchild without our mark that has lost its parent on the way', async () => {
    const { child, innermost } = await start('leave-behind', ['obey', 'stubborn', 'bare']);
    expect((await child.end({ termGraceMs: 200 })).signal).toBe('SIGTERM');
    expect(isAlive(innermost)).toBe(false);
  });

  it('spares others', async () => {
    const other = spawn(process.execPath, [program('stubborn')], { detached: true });
    await new Promise((resolve) => other.stdout.once('data', resolve));
    const { child } = await start('stubborn');
    await child.end({ termGraceMs: 0 });
    expect(isAlive(other.pid ?? 0)).toBe(true);
    other.kill('SIGKILL');
  });
});

describe('a leader that exits', () => {
  it('is told of although a grandchild holds its stdout, and that one is ended', async () => {
    const { child, innermost } = await start('leave-behind', ['exit', 'stubborn'], { outputGraceMs: 50 });
    expect(await child.exited).toEqual({ code: 0, signal: undefined, stderr: '' });
    expect(isAlive(innermost)).toBe(true);
    expect(await child.end({ signal: AbortSignal.abort() })).toEqual({ code: 0, signal: undefined, stderr: '' });
    expect(isAlive(innermost)).toBe(false);
  });

  it('has those whom it left asked once, and they may tidy up', async () => {
    const { child, innermost, lines } = await start('leave-behind', ['exit', 'tidy'], { outputGraceMs: hour });
    await child.end({ termGraceMs: hour });
    expect(lines).toEqual([`${innermost}`, 'asked 1']);
  });

  it('has those ended as well who have no mark but are in its group', async () => {
    const args = ['exit', 'stubborn', 'bare', 'grouped'];
    const { child, innermost } = await start('leave-behind', args, { outputGraceMs: 0 });
    await until(() => !isAlive(innermost), 'the grandchild is ended');
    await child.end();
  });

  it('has no more to say', async () => {
    const { child, innermost, lines } = await start('leave-behind', ['exit', 'stubborn'], { outputGraceMs: 0 });
    await child.exited;
    await child.end();
    expect(lines).toEqual([`${innermost}`]);
  });

  it('is cleaned up after without anybody asking', async () => {
    const { child, innermost } = await start('leave-behind', ['exit', 'stubborn'], { outputGraceMs: 0 });
    await until(() => !isAlive(innermost), 'the grandchild is ended');
    await child.end();
  });

  it('leaves nobody and nothing, fifty times over', async () => {
    const openFiles = () => readdirSync('/proc/self/fd').length;
    const before = openFiles();
    for (let round = 0; round < 5; round += 1) {
      const ten = await Promise.all(Array.from({ length: 10 }, () => start('leave-behind', ['exit', 'stubborn'])));
      await Promise.all(ten.map(({ child }) => child.end({ termGraceMs: 20 })));
      expect(ten.map(({ innermost }) => innermost).filter(isAlive)).toEqual([]);
      expect(pidsWith(hostToken())).toEqual([]);
    }
    expect(readdirSync(stateDir)).toEqual([]);
    await until(() => openFiles() <= before, 'all pipes are closed');
  });
});
