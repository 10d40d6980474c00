/** What a store on disk does when the disk does not: nothing throws, nothing is lost, and it goes on afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type SqliteStoreOptions, storeOn } from '../../../actors/store/sqlite.ts';
import type { Connection } from '../../../actors/store/sqlite-connection.ts';
import type { SqliteStoreEvent } from '../../../actors/store/sqlite-events.ts';
import { openStoreFile } from '../../../actors/store/sqlite-file.ts';
import { currentSchema } from '../../../actors/store/sqlite-schema.ts';
import type { Store, StoredAgent } from '../../../actors/store/store.ts';
import { agent, ask, call, entry, group, reply } from './stores.ts';

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
let path: string;
let events: SqliteStoreEvent[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-faults-'));
  path = join(folder, 'troupe.db');
  events = [];
});

afterEach(() => rmSync(folder, { recursive: true }));

interface Fault {
  /** Numbers of the calls of SQLite that fail, from 0. */
  readonly at: (count: number) => boolean;
  readonly code: string;
}

/** A store whose calls of SQLite can be made to fail, and counted. */
function open(options: SqliteStoreOptions = {}) {
  const file = openStoreFile(path, currentSchema, () => {});
  const { connection } = file;
  const calls: { all: number; commits: number; during?: () => void } = { all: 0, commits: 0 };
  let fault: Fault | undefined;
  const meet = () => {
    const number = calls.all++;
    if (fault?.at(number)) throw Object.assign(new Error(`failed on purpose at ${number}`), { code: fault.code });
  };
  const faulty: Connection = {
    ...connection,
    get inTransaction() {
      return connection.inTransaction;
    },
    exec: (sql) => {
      meet();
      connection.exec(sql);
    },
    run: (statement) => {
      meet();
      connection.run(statement);
    },
    commit: async () => {
      meet();
      calls.commits += 1;
      calls.during?.();
      await connection.commit();
    },
  };
  const store = storeOn({ ...file, connection: faulty }, { ...options, onEvent: (event) => events.push(event) });
  const fail = (next: Fault | undefined) => {
    fault = next;
    calls.all = 0;
  };
  return { store, calls, fail, connection };
}

const always = { at: () => true, code: 'SQLITE_FULL' };
const codeOf = (error: { readonly code: string }) => error.code;

/** Something of everything. */
function writeAll(store: Store): void {
  store.putAgent(agent('a'));
  store.putAsk(ask('1'));
  store.beginCall(call('1'));
  store.putStep('a', '1', { role: 'assistant', content: '' });
  store.startTool('a', '1', 'c');
  store.appendGroup('a', group('x'), '1');
  store.putView('a', { groupCount: 1, head: [], kept: [] });
  store.settleAsk('a', '1', reply('done'));
  store.addUsage(entry({ askId: '1', costUsd: 1 }));
  store.putAgent(agent('b', { parent: { name: 'a', groupCount: 1 } }));
  store.removeAgent('a');
}

const readAll = async (store: Store) => ({
  agents: await store.agents(),
  groups: await store.groups('b'),
  calls: await store.openCalls(),
  ledger: await store.ledger(),
});

describe.each(['SQLITE_FULL', 'SQLITE_IOERR_WRITE', 'SQLITE_IOERR_FSYNC', 'SQLITE_READONLY', 'SQLITE_CANTOPEN'])(
  '%s',
  (code) => {
    test('at each call: the barrier rejects, and the next one makes everything durable, once', async () => {
      const healthy = open();
      writeAll(healthy.store);
      await healthy.store.barrier();
      const expected = await readAll(healthy.store);
      const count = healthy.calls.all;
      await healthy.store.close();
      expect(expected.groups).toEqual([group('x')]);
      for (let at = 0; at < count; at += 1) {
        rmSync(path);
        const { store, fail } = open();
        fail({ at: (number) => number === at, code });
        writeAll(store);
        await expect(store.barrier(), `call ${at}`).rejects.toMatchObject({
          code: 'TROUPE_ERR_STORE_FAILED',
          message: expect.stringContaining(code),
        });
        await store.barrier();
        expect(await readAll(store), `call ${at}`).toEqual(expected);
        await store.close();
        const later = open();
        expect(await readAll(later.store), `call ${at}`).toEqual(expected);
        await later.store.close();
      }
      expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['write-failed']));
    });
  },
);

test('a disk that is really full: what is there stays readable, and the rest comes once there is space', async () => {
  const { store, connection } = open();
  store.putAgent(agent('a'));
  store.appendGroup('a', group('before'));
  await store.barrier();
  connection.exec('pragma max_page_count = 30');
  for (let number = 0; number < 50; number += 1) store.appendGroup('a', group('x'.repeat(3_000)));
  await expect(store.barrier().catch(codeOf)).resolves.toBe('TROUPE_ERR_STORE_FAILED');
  expect(await store.groups('a')).toEqual([group('before')]);
  store.appendGroup('a', group('meanwhile'));
  await expect(store.barrier()).rejects.toThrow('Free some space');
  connection.exec('pragma max_page_count = 100000');
  await store.barrier();
  expect((await store.groups('a')).length).toBe(52);
  await store.close();
});

test('a failing disk is tried again only for who waits for it', async () => {
  const { store, calls, fail } = open();
  fail(always);
  store.putAgent(agent('a'));
  await expect(store.barrier()).rejects.toThrow('SQLITE_FULL');
  const before = calls.all;
  for (let tick = 0; tick < 20; tick += 1) {
    store.appendGroup('a', group(`${tick}`));
    await new Promise(setImmediate);
  }
  expect(calls.all).toBe(before);
  fail(undefined);
  await store.barrier();
  expect((await store.groups('a')).length).toBe(20);
  store.appendGroup('a', group('after'));
  await store.close();
  const later = open();
  expect((await later.store.groups('a')).length).toBe(21);
  await later.store.close();
});

test('past its cap the queue loses writes and tells how many; later groups keep their numbers', async () => {
  const { store, fail } = open({ maxQueuedBytes: 20_000 });
  store.putAgent(agent('a'));
  store.appendGroup('a', group('first'));
  await store.barrier();
  fail(always);
  for (let number = 1; number <= 40; number += 1) store.appendGroup('a', group(`${number} ${'x'.repeat(1_000)}`));
  await expect(store.barrier()).rejects.toThrow('SQLITE_FULL');
  fail(undefined);
  await expect(store.barrier()).rejects.toThrow('`maxQueuedBytes`');
  const kept = (await store.groups('a')).length;
  expect(kept).toBeLessThan(20);
  const last = events.at(-1);
  expect(last?.type === 'writes-dropped' ? last.count : last).toBe(41 - kept);
  await store.barrier();
  // What the runtime counts as group 41 is the next one here, and its views and forks mean it.
  store.appendGroup('a', group('last'));
  store.putView('a', { groupCount: 41, head: [], kept: [0, 30, 40] });
  store.putView('a', { groupCount: 42, head: [], kept: [0, 30, 41] });
  store.putAgent(agent('early', { parent: { name: 'a', groupCount: 41 } }));
  await store.barrier();
  expect((await store.groups('a')).at(-1)).toEqual(group('last'));
  expect(await store.view('a')).toEqual({ groupCount: kept + 1, head: [], kept: [0, kept] });
  expect((await store.groups('early')).length).toBe(kept);
  await store.close();
});

test('what is no data is lost alone, and told; write methods never throw', async () => {
  const { store } = open();
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  store.putAgent({ ...agent('bad'), spec: cycle } as unknown as StoredAgent);
  store.putAgent({ ...agent('big'), createdAt: 1n } as unknown as StoredAgent);
  store.addUsage(entry({ at: Number.NaN }));
  store.putAgent(agent('good'));
  await expect(store.barrier()).rejects.toThrow('3 writes are lost');
  await store.barrier();
  expect(await store.agents()).toEqual([agent('good')]);
  await store.close();
});

test('a write that no disk takes does not hold up the others', async () => {
  const { store, fail } = open();
  fail({ at: (number) => number === 2, code: 'SQLITE_TOOBIG' });
  store.putAgent(agent('a'));
  store.putAgent(agent('b'));
  await expect(store.barrier()).rejects.toThrow('1 write is lost');
  expect(await store.agents()).toEqual([agent('b')]);
  await store.close();
});

test('all writes of a tick, of all agents, are one transaction', async () => {
  const { store, calls } = open();
  const writers = Array.from({ length: 100 }, async (_, number) => {
    store.putAgent(agent(`${number}`));
    await store.barrier();
    store.appendGroup(`${number}`, group('x'));
    store.appendGroup(`${number}`, group('y'));
    await store.barrier();
  });
  await Promise.all(writers);
  expect(calls.commits).toBe(2);
  await Promise.all(Array.from({ length: 10 }, () => store.barrier()));
  expect(calls.commits).toBe(2);
  await store.close();
});

test('what comes while a commit is under way is in the next one', async () => {
  const { store, calls } = open();
  const barriers: Promise<void>[] = [];
  calls.during = () => {
    if (calls.commits > 5) return;
    store.putAgent(agent(`${calls.commits}`));
    barriers.push(store.barrier());
  };
  store.putAgent(agent('0'));
  await store.barrier();
  for (const barrier of barriers) await barrier;
  expect((await store.agents()).map(({ name }) => name)).toEqual(['0', '1', '2', '3', '4', '5']);
  expect(calls.commits).toBe(6);
  await store.close();
});

test('writes that nobody waits for are committed too', async () => {
  const { store, calls } = open();
  store.putAgent(agent('a'));
  await vi.waitUntil(() => calls.commits === 1, { timeout: 20_000 });
  await store.close();
});

test('a closed store: writes are lost and told, reads reject, `close` again is fine', async () => {
  const { store } = open();
  store.putAgent(agent('a'));
  await store.close();
  store.putAgent(agent('b'));
  await expect(store.barrier().catch(codeOf)).resolves.toBe('TROUPE_ERR_STORE_FAILED');
  await expect(store.agents().catch(codeOf)).resolves.toBe('TROUPE_ERR_STORE_FAILED');
  await store.close();
});

test('a file that cannot be put away stays open and locked, and `close` can be called again', async () => {
  const file = openStoreFile(path, currentSchema, () => {});
  const failure = Object.assign(new Error('no space'), { code: 'SQLITE_FULL' });
  const release = vi.fn(file.release).mockImplementationOnce(() => {
    throw failure;
  });
  const store = storeOn({ ...file, release });
  store.putAgent(agent('a'));
  await expect(store.close().catch(codeOf)).resolves.toBe('TROUPE_ERR_STORE_FAILED');
  expect(await store.agents()).toEqual([agent('a')]);
  expect(() => openStoreFile(path, currentSchema, () => {})).toThrow('this one');
  await store.close();
  const later = open();
  expect(await later.store.agents()).toEqual([agent('a')]);
  await later.store.close();
});

test('what could not be written by `close` is told by it, and the file is given back', async () => {
  const { store, fail } = open();
  fail(always);
  store.putAgent(agent('a'));
  await expect(store.close()).rejects.toThrow('SQLITE_FULL');
  const later = open();
  expect(await later.store.agents()).toEqual([]);
  await later.store.close();
});

test('a redaction sees every text and nothing else is changed; one that throws stores nothing', async () => {
  const redact = (text: string) => {
    if (text === 'throw') throw new Error('on purpose');
    return text.replaceAll('secret', '***');
  };
  const { store } = open({ redact });
  store.putAgent(agent('a', { system: 'the secret' }));
  store.appendGroup('a', [
    { role: 'user', content: 'secret', images: [{ mediaType: 'image/png', data: 'secret' }] },
    {
      role: 'assistant',
      content: 'a secret',
      reasoning: 'secret?',
      toolCalls: [{ id: 'secret', name: 'n', arguments: '{"a":"secret"}' }],
      thinking: { protocol: 'anthropic', blocks: [{ thinking: 'secret' }] },
    },
    { role: 'tool', callId: 'secret', name: 'n', content: 'secret' },
  ]);
  store.appendGroup('a', [
    { role: 'assistant', content: '', thinking: { protocol: 'p', blocks: [{ thinking: 'x' }] } },
  ]);
  store.putView('a', { groupCount: 1, head: [[{ role: 'user', content: 'secret' }]], kept: [] });
  store.putAsk({ ...ask('1'), prompt: 'secret' });
  store.putAsk(ask('2'));
  store.putAsk(ask('3'));
  store.putStep('a', '3', {
    role: 'assistant',
    content: 'secret',
    toolCalls: [{ id: '1', name: 'n', arguments: 'secret' }],
  });
  const attempt = { backend: 'b', model: 'm', step: 1, durationMs: 1, usage: entry().usage, costUsd: undefined };
  const error = { code: 'TROUPE_ERR_BACKEND_REFUSED', class: 'refused', message: 'secret' } as const;
  const outcome = reply('secret');
  const whole = outcome.kind === 'reply' ? outcome.reply : undefined;
  store.settleAsk('a', '1', {
    kind: 'reply',
    reply: { ...whole!, reasoning: 'secret', output: { secret: ['secret', 1] }, attempts: [{ ...attempt, error }] },
  });
  store.settleAsk('a', '2', { kind: 'error', ...error });
  await store.barrier();
  store.appendGroup('a', [{ role: 'user', content: 'throw' }]);
  await expect(store.barrier()).rejects.toThrow('1 write is lost');
  expect(await store.agents()).toEqual([agent('a', { system: 'the ***' })]);
  expect(await store.groups('a')).toEqual([
    [
      { role: 'user', content: '***', images: [{ mediaType: 'image/png', data: 'secret' }] },
      {
        role: 'assistant',
        content: 'a ***',
        reasoning: '***?',
        toolCalls: [{ id: 'secret', name: 'n', arguments: '{"a":"***"}' }],
      },
      { role: 'tool', callId: 'secret', name: 'n', content: '***' },
    ],
    [{ role: 'assistant', content: '', thinking: { protocol: 'p', blocks: [{ thinking: 'x' }] } }],
  ]);
  expect(await store.view('a')).toEqual({ groupCount: 1, head: [[{ role: 'user', content: '***' }]], kept: [] });
  expect(await store.asks('a')).toEqual([
    {
      ...ask('1'),
      prompt: '***',
      groups: 0,
      outcome: {
        kind: 'reply',
        reply: {
          ...whole!,
          text: '***',
          reasoning: '***',
          output: { secret: ['***', 1] },
          attempts: [{ ...attempt, error: { ...error, message: '***' } }],
        },
      },
    },
    { ...ask('2'), groups: 0, outcome: { kind: 'error', ...error, message: '***' } },
    {
      ...ask('3'),
      groups: 0,
      step: {
        message: { role: 'assistant', content: '***', toolCalls: [{ id: '1', name: 'n', arguments: '***' }] },
        started: [],
      },
    },
  ]);
  await store.close();
});

describe('what removed agents leave', () => {
  const count = (connection: Connection, table: string) =>
    Number(connection.rows([`select cast(count(*) as integer) from ${table}`])[0]![0]);

  test('is freed, but for what a fork shares, and that once the fork is removed', async () => {
    const { store, connection } = open();
    store.putAgent(agent('a'));
    for (let number = 0; number < 5_000; number += 1) store.appendGroup('a', group(`${number}`));
    store.putAgent(agent('b', { parent: { name: 'a', groupCount: 10 } }));
    store.putAgent(agent('c', { parent: { name: 'b', groupCount: 7 } }));
    store.putAsk(ask('1'));
    store.removeAgent('a');
    await store.gc();
    expect([count(connection, 'groups'), count(connection, 'logs'), count(connection, 'asks')]).toEqual([10, 3, 0]);
    store.removeAgent('b');
    await store.gc();
    expect([count(connection, 'groups'), count(connection, 'logs')]).toEqual([10, 3]);
    expect((await store.groups('c')).length).toBe(7);
    store.removeAgent('c');
    await store.gc();
    expect(['groups', 'logs', 'dead_logs'].map((table) => count(connection, table))).toEqual([0, 0, 0]);
    await store.close();
  });

  test('is freed by and by with the commits that come', async () => {
    const { store, connection } = open();
    store.putAgent(agent('a'));
    for (let number = 0; number < 3_000; number += 1) store.appendGroup('a', group(`${number}`));
    store.putAgent(agent('b'));
    store.removeAgent('a');
    for (let tick = 0; tick < 4; tick += 1) {
      store.appendGroup('b', group(`${tick}`));
      await store.barrier();
    }
    expect(count(connection, 'groups')).toBe(4);
    await store.close();
  });
});
