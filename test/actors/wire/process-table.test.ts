/** The two ways to look at all processes. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { markersIn } from '../../../actors/wire/process-marker.ts';
import {
  identityOf,
  isKnownGone,
  isRunning,
  readProcessTable,
  tableFromPs,
} from '../../../actors/wire/process-table.ts';
import { program } from '../../helpers/processes.ts';

it('`ps` and /proc agree on who we are and who started whom', async () => {
  const child = spawn(process.execPath, [program('polite')], { detached: true });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const tables = [await readProcessTable(), await tableFromPs(), await tableFromPs()];
  const [proc, ps, again] = tables.map((table) =>
    [process.pid, child.pid ?? 0].map((pid) => {
      const { parentPid, groupId, ended, startedAt } = table.get(pid) ?? {};
      return { parentPid, groupId, ended, startedAt };
    }),
  );
  const withoutStart = (entries = proc) => entries?.map(({ startedAt, ...entry }) => entry);
  expect(withoutStart(proc)).toEqual([
    { parentPid: process.ppid, groupId: expect.any(Number), ended: false },
    { parentPid: process.pid, groupId: child.pid, ended: false },
  ]);
  expect(withoutStart(ps)).toEqual(withoutStart(proc));
  expect(ps?.map(({ startedAt }) => startedAt)).toEqual(Array(2).fill(expect.stringMatching(/:\d\d:\d\d \d{4}$/)));
  expect(again).toEqual(ps);
  child.kill('SIGKILL');
});

it('what a program calls itself does not matter', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-table-'));
  const name = join(folder, 'a) R 1 1 (');
  symlinkSync(process.execPath, name);
  const child = spawn(name, [program('polite')]);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  expect((await readProcessTable()).get(child.pid ?? 0)?.parentPid).toBe(process.pid);
  child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

it('those who look at once share a look that began after they asked', async () => {
  const first = readProcessTable();
  const second = readProcessTable();
  await Promise.resolve();
  await Promise.resolve();
  const third = readProcessTable();
  expect(await second).toBe(await first);
  expect(await third).not.toBe(await first);
});

it('a process is known by its start, not by its pid alone', async () => {
  const self = await identityOf(process.pid);
  if (self === undefined) throw new Error('we are not there');
  const another = { pid: self.pid, startedAt: `${self.startedAt}0` };
  expect([await isRunning(self), isKnownGone(self)]).toEqual([true, false]);
  expect([await isRunning(another), isKnownGone(another)]).toEqual([false, true]);
  expect(await identityOf(4_194_303)).toBeUndefined();
});

it.each([
  ['A=1\0TROUPE_CHILD=a.1,b.2\0B=2\0', ['a.1', 'b.2']],
  ['TROUPE_CHILD=a.1\0', ['a.1']],
  ['TROUPE_CHILD=a.1', ['a.1']],
  ['B=2\0TROUPE_CHILD=', []],
  ['NOT_TROUPE_CHILD=a.1\0X=TROUPE_CHILD=b.1\0', []],
  ['', []],
])('marks are read from %j', (environment, markers) => {
  expect(markersIn(Buffer.from(environment))).toEqual(markers);
});
