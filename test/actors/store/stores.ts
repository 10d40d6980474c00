/** The kinds of stores that the tests of the contract run on, and the data that they write. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { memoryStore } from '../../../actors/store/memory.ts';
import { sqliteStore } from '../../../actors/store/sqlite.ts';
import type { AskOutcome, LedgerEntry, Store, StoredAgent, StoredCall } from '../../../actors/store/store.ts';
import type { Group } from '../../../src/core/conversation.ts';
import { unknownUsage } from '../../../src/core/usage.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-store-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

export interface Kind {
  readonly open: () => Store;
  /** What a reader sees who comes later: the same store, or one that was closed and opened again. */
  readonly later: (store: Store) => Promise<Store>;
}

/** A store of this kind with what `write` wrote, durable, as a later reader has it. Whoever reads closes it. */
export async function written({ open, later }: Kind, write: (store: Store) => void): Promise<Store> {
  const store = open();
  write(store);
  await store.barrier();
  return later(store);
}

let count = 0;
export const options = { keepSettled: 2 };
const paths = new WeakMap<Store, string>();
const openSqlite = (path: string) => {
  const store = sqliteStore(path, options);
  paths.set(store, path);
  return store;
};
export const fresh = () => {
  count += 1;
  return openSqlite(join(folder, `${count}.db`));
};

export const kinds: [string, Kind][] = [
  ['memory', { open: () => memoryStore(options), later: async (store) => store }],
  ['sqlite', { open: fresh, later: async (store) => store }],
  [
    'sqlite, opened again',
    {
      open: fresh,
      later: async (store) => {
        await store.close();
        return openSqlite(paths.get(store)!);
      },
    },
  ],
];

export const agent = (name: string, rest: Partial<StoredAgent> = {}): StoredAgent => ({
  name,
  backend: 'one',
  createdAt: 1,
  ...rest,
});
export const group = (text: string): Group => [
  { role: 'user', content: text },
  { role: 'assistant', content: text.toUpperCase() },
];
export const ask = (askId: string, of = 'a') => ({
  agent: of,
  askId,
  prompt: `prompt of ${askId}`,
  acceptedAt: 1,
  deadlineAt: 2,
});
export const reply = (text: string): AskOutcome => ({
  kind: 'reply',
  reply: { text, finishReason: { unified: 'stop', raw: 'end' }, steps: 1, attempts: [], durationMs: 5 },
});
export const call = (askId: string, rest: Partial<StoredCall> = {}): StoredCall => ({
  agent: 'a',
  askId,
  backend: 'one',
  model: 'm',
  startedAt: 1,
  ...rest,
});
export const entry = (rest: Partial<LedgerEntry> = {}): LedgerEntry => ({
  agent: 'a',
  backend: 'one',
  model: 'm',
  at: Date.UTC(2026, 10, 24, 23, 59),
  calls: 1,
  usage: unknownUsage,
  costUsd: undefined,
  ...rest,
});
