/** What a store on disk must survive: other processes, ends of processes, other versions. */
import { cpSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { openStore, sqliteStore } from '../../../actors/store/sqlite.ts';
import { connect } from '../../../actors/store/sqlite-connection.ts';
import { currentSchema, type Schema } from '../../../actors/store/sqlite-schema.ts';
import { code, files, fill, folder, groups, look, path, random, start } from './store-files.ts';

vi.setConfig({ testTimeout: 300_000 });

describe('one process at a time', () => {
  test('a second store is refused and told who has it, in another process and in this one', async () => {
    const writer = start('writer', '1');
    while ((await writer.line()) !== 'done');
    expect(() => sqliteStore(path)).toThrow(
      expect.objectContaining({
        code: 'TROUPE_ERR_STORE_LOCKED',
        message: `The store ${path} is open in process ${writer.pid}. Close it there first, or give this one another \`path\`.`,
      }),
    );
    // The same without the file that names the holder: the lock is the system's.
    rmSync(`${path}-holder`);
    expect(() => sqliteStore(path)).toThrow(`The store ${path} is open in another process.`);
    await writer.kill();
    const store = sqliteStore(path);
    expect(() => sqliteStore(path)).toThrow(`is open in process ${process.pid}, this one.`);
    expect(await store.groups('a')).toEqual(groups(1));
    await store.close();
  });

  test('what a killed process left locked is recovered, and told', async () => {
    const writer = start('writer', '3');
    while ((await writer.line()) !== 'done');
    await writer.kill();
    const { events } = await look();
    expect(events).toEqual([
      { type: 'recovered', frames: expect.any(Number), droppedFrames: 0, droppedBytes: 0, droppedCommits: 0 },
      { type: 'lock-recovered', pid: writer.pid },
    ]);
    expect((await look()).events).toEqual([]);
    expect(files()).toEqual(['troupe.db']);
  });

  test('1,000 opens by two processes in turn', async () => {
    await fill(0);
    const openers = [start('opener'), start('opener')];
    for (let turn = 0; turn < 1_000; turn += 1) {
      const opener = openers[turn % 2]!;
      opener.tell('1');
      expect(await opener.line()).toBe('1');
    }
    const found = (await look()).groups.map(([message]) => message!.content);
    expect(found).toEqual(Array.from({ length: 1_000 }, (_, turn) => `${openers[turn % 2]!.pid}`));
  });

  test('two processes at once: each has it or is refused, and nothing is lost', async () => {
    await fill(0);
    const openers = [start('opener'), start('opener')];
    for (const opener of openers) opener.tell('300');
    const counts = await Promise.all(openers.map(async (opener) => Number(await opener.line())));
    const found = (await look()).groups.map(([message]) => message!.content);
    expect(openers.map(({ pid }) => found.filter((content) => content === `${pid}`).length)).toEqual(counts);
  });
});

describe('ends', () => {
  test('killed at 50 instants: what was acknowledged is there, and the writes of one tick all or none', async () => {
    const seed = Date.now() % 100_000;
    const next = random(seed);
    let least = 0;
    for (let round = 0; round < 50; round += 1) {
      const writer = start('writer');
      expect(await writer.line(), `seed ${seed}, round ${round}`).toBe(`ready ${least}`);
      for (let left = Math.floor(next() * 40); left > 0; left -= 1) await writer.line();
      const last = (await writer.kill()).findLast((line) => /^\d+$/.test(line)) ?? least;
      const found = await look();
      const count = found.groups.length;
      expect(count, `seed ${seed}, round ${round}`).toBeGreaterThanOrEqual(Number(last));
      expect(found.groups).toEqual(groups(count));
      expect(found.ledger.map(({ calls }) => calls)).toEqual(count === 0 ? [] : [count]);
      expect(found.asks.map(({ outcome }) => outcome?.kind)).toEqual(found.asks.map(() => 'reply'));
      least = count;
    }
    expect(least).toBeGreaterThan(50);
  });

  test('a log that is cut at any 512 bytes: the whole commits before the cut are there, the rest is told and kept', async () => {
    const writer = start('writer', '8');
    while ((await writer.line()) !== 'done');
    await writer.kill();
    const { size } = statSync(`${path}-wal`);
    const frameSize = 24 + 4096;
    let before = 0;
    for (let at = 0; at <= size; at += 512) {
      const cut = join(folder, 'cut', 'troupe.db');
      rmSync(join(folder, 'cut'), { recursive: true, force: true });
      for (const end of ['', '-wal']) cpSync(`${path}${end}`, `${cut}${end}`);
      truncateSync(`${cut}-wal`, at);
      const found = await look(cut);
      expect(found.groups).toEqual(groups(found.groups.length));
      expect(found.groups.length, `cut at ${at}`).toBeGreaterThanOrEqual(before);
      before = found.groups.length;
      const [event] = found.events;
      const frames = event?.type === 'recovered' ? event.frames : 0;
      const droppedBytes = frames === 0 && at <= 32 ? at : at - 32 - frames * frameSize;
      const droppedFrames = Math.floor(droppedBytes / frameSize);
      if (at === 0) expect(event).toBeUndefined();
      else {
        const kept = droppedBytes === 0 ? {} : { keptAt: `${cut}-wal-dropped` };
        expect(event).toEqual({ type: 'recovered', frames, droppedFrames, droppedBytes, droppedCommits: 0, ...kept });
        if (droppedBytes > 0) expect(statSync(`${cut}-wal-dropped`).size).toBe(at);
      }
    }
    const all = await look();
    expect(all.groups).toEqual(groups(8));
  });

  test('a flipped bit inside the log: commits behind it are told as dropped', async () => {
    const writer = start('writer', '8');
    while ((await writer.line()) !== 'done');
    await writer.kill();
    const wal = readFileSync(`${path}-wal`);
    const at = Math.floor(wal.length / 2);
    wal[at] = wal[at]! ^ 1;
    writeFileSync(`${path}-wal`, wal);
    const { groups: found, events } = await look();
    const [event] = events;
    if (event?.type !== 'recovered') throw new Error('nothing was told');
    expect(event.droppedCommits).toBeGreaterThan(0);
    expect(found).toEqual(groups(found.length));
    expect(readFileSync(`${path}-wal-dropped`)).toEqual(wal);
  });
});

describe('versions', () => {
  const third: Schema = {
    ...currentSchema,
    version: 3,
    migrations: new Map([
      [1, "alter table agents add column note text; update agents set note = json_extract(agent, '$.name')"],
      [2, 'alter table agents rename column note to remark; create index agents_by_remark on agents (remark)'],
    ]),
  };

  test('an older file is migrated step by step on a copy, and kept', async () => {
    await fill(5);
    const before = readFileSync(path);
    const found = await look(path, third);
    const backup = `${path}-v1-backup`;
    expect(found.groups).toEqual(groups(5));
    expect(found.events).toEqual([{ type: 'migrated', from: 1, to: 3, backup }]);
    expect(readFileSync(path).readInt32BE(60)).toBe(3);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(before.equals(readFileSync(path))).toBe(false);
    expect((await look(backup)).groups).toEqual(groups(5));
    expect((await look(path, third)).events).toEqual([]);
    expect(files()).toEqual(['troupe.db', 'troupe.db-v1-backup']);
  });

  test('what a killed process left in the log of an older file is migrated too', async () => {
    const writer = start('writer', '5');
    while ((await writer.line()) !== 'done');
    await writer.kill();
    expect((await look(path, third)).groups).toEqual(groups(5));
    expect((await look(`${path}-v1-backup`)).groups).toEqual(groups(5));
  });

  test('a migration that fails leaves everything as it was', async () => {
    await fill(5);
    const broken = { ...third, migrations: new Map([...third.migrations, [2, 'alter table nothing add column x']]) };
    expect(() => openStore(path, {}, broken)).toThrow(
      expect.objectContaining({ code: 'TROUPE_ERR_STORE_FAILED', message: expect.stringContaining('version 1 to 3') }),
    );
    expect(files()).toEqual(['troupe.db']);
    expect((await look()).groups).toEqual(groups(5));
  });

  test('a newer file is refused before anything is written, also when its version stands in the log alone', async () => {
    await fill(5);
    await look(path, third);
    const bytes = readFileSync(path);
    expect(() => sqliteStore(path)).toThrow(
      expect.objectContaining({
        code: 'TROUPE_ERR_STORE_NEWER',
        message: expect.stringContaining('it has version 3, this troupe knows versions up to 1'),
      }),
    );
    expect(readFileSync(path)).toEqual(bytes);
    expect(files()).toEqual(['troupe.db', 'troupe.db-v1-backup']);
    const other = join(folder, 'other.db');
    const connection = connect(`${path}-v1-backup`);
    connection.exec('pragma journal_mode = wal; pragma user_version = 9');
    for (const end of ['', '-wal']) cpSync(`${path}-v1-backup${end}`, `${other}${end}`);
    connection.close();
    const before = ['', '-wal'].map((end) => readFileSync(`${other}${end}`));
    expect(() => sqliteStore(other)).toThrow('it has version 9');
    expect(['', '-wal'].map((end) => readFileSync(`${other}${end}`))).toEqual(before);
  });

  test('a version that there never was is damage', async () => {
    await fill(1);
    const bytes = readFileSync(path);
    bytes.writeInt32BE(-4, 60);
    writeFileSync(path, bytes);
    expect(code(() => sqliteStore(path))).toBe('TROUPE_ERR_STORE_DAMAGED');
  });
});

test('folder and files are for this user alone', async () => {
  const before = process.umask(0);
  try {
    const deep = join(folder, 'new', 'deep', 'troupe.db');
    const store = sqliteStore(deep);
    store.putAgent({ name: 'a', backend: 'one', createdAt: 1 });
    await store.barrier();
    const mode = (file: string) => (statSync(file).mode & 0o777).toString(8);
    expect([mode(join(folder, 'new')), mode(join(folder, 'new', 'deep'))]).toEqual(['700', '700']);
    const inside = files(join(folder, 'new', 'deep'));
    expect(inside).toEqual(['troupe.db', 'troupe.db-holder', 'troupe.db-wal']);
    expect(inside.map((name) => mode(join(folder, 'new', 'deep', name)))).toEqual(['600', '600', '600']);
    await store.close();
    expect(files(join(folder, 'new', 'deep'))).toEqual(['troupe.db']);
  } finally {
    process.umask(before);
  }
});

test('a path with signs that mean something in an address', async () => {
  const odd = join(folder, `a?b#c%20d'e`, 'troupe.db');
  const writer = sqliteStore(odd);
  writer.putAgent({ name: 'a', backend: 'one', createdAt: 1 });
  await writer.barrier();
  cpSync(join(folder, `a?b#c%20d'e`), join(folder, `copy?#%20'`), { recursive: true });
  rmSync(join(folder, `copy?#%20'`, 'troupe.db-holder'));
  await writer.close();
  expect((await look(join(folder, `copy?#%20'`, 'troupe.db'))).events[0]?.type).toBe('recovered');
});
