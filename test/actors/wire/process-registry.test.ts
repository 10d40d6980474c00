/** What is written down of a child, and what a sweep does with what others wrote. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startProcess } from '../../../actors/wire/process.ts';
import { hostToken, markerVariable, newMarker } from '../../../actors/wire/process-marker.ts';
import { sweepProcesses } from '../../../actors/wire/process-registry.ts';
import { identityOf } from '../../../actors/wire/process-table.ts';
import { isAlive, program, until } from '../../helpers/processes.ts';

// Programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let home: string;
let stateDir: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'troupe-registry-'));
  stateDir = join(home, 'processes');
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

function start(options: { readonly stateDir?: string; readonly args?: string[] } = {}) {
  const args = [program('polite'), ...(options.args ?? [])];
  return startProcess({
    command: process.execPath,
    onLine: () => {},
    stateDir,
    ...options,
    args,
    env: { KEY: 'canary' },
  });
}

/** The one file that is written for a child of ours. */
async function ownRecord(): Promise<Record<string, unknown>> {
  const child = await start();
  const [name = ''] = readdirSync(stateDir);
  const record = JSON.parse(readFileSync(join(stateDir, name), 'utf8'));
  await child.end();
  return record;
}

const longGone = { pid: 4_194_000, startedAt: '1' };
const others: ChildProcess[] = [];

/** A process that nobody started for us, with the mark of another host. */
async function bystander(marker: string): Promise<{ readonly pid: number; readonly startedAt: string }> {
  const other = spawn(process.execPath, [program('polite')], {
    detached: true,
    env: { ...process.env, [markerVariable]: marker },
  });
  others.push(other);
  await new Promise((resolve) => other.stdout.once('data', resolve));
  const { pid, startedAt } = (await identityOf(other.pid ?? 0)) ?? longGone;
  return { pid, startedAt };
}

afterEach(() => {
  for (const other of others.splice(0)) other.kill('SIGKILL');
});

describe('a child on disk', () => {
  it('is one small file that only we can read, says nothing of what the child was told, and goes with it', async () => {
    const child = await start({ args: [join(home, 'canary')] });
    const [name = '', ...more] = readdirSync(stateDir);
    const file = join(stateDir, name);
    const record = JSON.parse(readFileSync(file, 'utf8'));
    const { marker } = record;
    expect(record).toEqual({
      pid: child.pid,
      startedAt: (await identityOf(child.pid))?.startedAt,
      marker: expect.stringMatching(new RegExp(`^${hostToken()}\\.\\d+$`)),
      command: 'node',
      place: expect.any(String),
      host: { pid: process.pid, startedAt: (await identityOf(process.pid))?.startedAt },
    });
    expect({ name, more, mode: statSync(file).mode & 0o777, folder: statSync(stateDir).mode & 0o777 }).toEqual({
      name: `${child.pid}-${marker}.json`,
      more: [],
      mode: 0o600,
      folder: 0o700,
    });
    await child.end();
    expect(readdirSync(stateDir)).toEqual([]);
  });

  it.each([
    ['TROUPE_STATE_DIR', (folder: string) => folder],
    ['XDG_STATE_HOME', (folder: string) => join(folder, 'troupe', 'processes')],
    ['HOME', (folder: string) => join(folder, '.local', 'state', 'troupe', 'processes')],
  ])('is where %s says', async (name, folderOf) => {
    vi.stubEnv('TROUPE_STATE_DIR', undefined);
    vi.stubEnv('XDG_STATE_HOME', undefined);
    vi.stubEnv(name, stateDir);
    const child = await startProcess({ command: process.execPath, args: [program('polite')], onLine: () => {} });
    expect(readdirSync(folderOf(stateDir)).length).toBe(1);
    await child.end();
  });

  it.each([
    ['cannot be made', (folder: string) => writeFileSync(folder, '')],
    ['others can write', (folder: string) => mkdirSync(folder) ?? chmodSync(folder, 0o777)],
    ['is a link', (folder: string) => symlinkSync(home, folder)],
  ])('is in the temporary folder when the wanted one %s', async (_what, make) => {
    const temporary = join(home, 'temporary');
    mkdirSync(temporary);
    vi.stubEnv('TMPDIR', temporary);
    make(stateDir);
    const child = await start();
    const folder = join(temporary, `troupe-processes-${process.getuid?.()}`);
    expect(readdirSync(folder)).toEqual([expect.stringMatching(`^${child.pid}-`)]);
    await child.end();
  });

  it('is not there when no folder will do, and the child runs', async () => {
    writeFileSync(join(home, 'file'), '');
    vi.stubEnv('TMPDIR', join(home, 'file'));
    const child = await start({ stateDir: join(home, 'file') });
    expect((await child.end()).failure).toBeUndefined();
  });
});

describe('a sweep', () => {
  const marker = `${'0'.repeat(32)}.1`;

  async function write(changes: Record<string, unknown>): Promise<string> {
    const record: Record<string, unknown> = { ...(await ownRecord()), marker, host: longGone, ...changes };
    const name = `${record['pid']}-forged.json`;
    writeFileSync(join(stateDir, name), JSON.stringify(record));
    return name;
  }

  it('ends what a dead host left, and removes its file', async () => {
    const left = await bystander('not of this tree.1');
    await write(left);
    expect(await sweepProcesses({ stateDir })).toBe(1);
    expect(isAlive(left.pid)).toBe(false);
    expect(readdirSync(stateDir)).toEqual([]);
  });

  it('ends who carries the mark of a child that is gone itself', async () => {
    const left = await bystander(`outer.3,${marker}`);
    await write(longGone);
    expect(await sweepProcesses({ stateDir })).toBe(1);
    expect(isAlive(left.pid)).toBe(false);
  });

  it('spares who has the pid by now, and removes the file', async () => {
    const { pid, startedAt } = await bystander(`${'0'.repeat(32)}.10`);
    await write({ pid, startedAt: String(Number(startedAt) - 1) });
    expect(await sweepProcesses({ stateDir })).toBe(0);
    expect(isAlive(pid)).toBe(true);
    expect(readdirSync(stateDir)).toEqual([]);
  });

  it('takes a host for dead when another has its pid', async () => {
    const left = await bystander('');
    await write({ ...left, host: { pid: process.pid, startedAt: '1' } });
    expect(await sweepProcesses({ stateDir })).toBe(1);
    expect(isAlive(left.pid)).toBe(false);
  });

  it.each([
    ['a living host', async () => ({ host: await identityOf(process.pid) })],
    ['another machine, boot or container', async () => ({ place: 'elsewhere' })],
    ['the tree that we are in', async () => vi.stubEnv('TROUPE_CHILD', `outer.1,${marker}`) && {}],
    ['nobody in particular', async () => ({ marker: '' })],
    ['the whole machine', async () => ({ pid: 1 })],
  ])('leaves alone what is of %s', async (_whose, changes) => {
    const left = await bystander(marker);
    const name = await write({ ...left, ...(await changes()) });
    expect(await sweepProcesses({ stateDir })).toBe(0);
    expect(isAlive(left.pid)).toBe(true);
    expect(readdirSync(stateDir)).toEqual([name]);
  });

  it('removes what nobody can use once it is a week old', async () => {
    const elsewhere = await write({ place: 'elsewhere' });
    for (const name of ['cut.json', 'other.txt']) writeFileSync(join(stateDir, name), '{"pid":');
    for (const name of readdirSync(stateDir)) utimesSync(join(stateDir, name), 0, Date.now() / 1_000 - 6 * 86_400);
    await sweepProcesses({ stateDir });
    expect(readdirSync(stateDir).sort()).toEqual([elsewhere, 'cut.json', 'other.txt'].sort());
    for (const name of readdirSync(stateDir)) utimesSync(join(stateDir, name), 0, Date.now() / 1_000 - 8 * 86_400);
    await sweepProcesses({ stateDir });
    expect(readdirSync(stateDir)).toEqual(['other.txt']);
  });

  it('comes before the first child of a folder, whose start does not wait for its end', async () => {
    const left = await bystander(marker);
    await write(left);
    const fresh = join(home, 'fresh');
    mkdirSync(fresh, { mode: 0o700 });
    const [name = ''] = readdirSync(stateDir);
    writeFileSync(join(fresh, name), readFileSync(join(stateDir, name)));
    const child = await start({ stateDir: fresh });
    await until(() => !isAlive(left.pid), 'the left-over process is ended');
    await until(() => !readdirSync(fresh).includes(name), 'its file is removed');
    await child.end();
  });
});

it('marks differ', () => {
  expect(new Set([newMarker(), newMarker(), newMarker()]).size).toBe(3);
});
