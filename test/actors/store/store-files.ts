/** A store on disk for each test, programs that have it too, and a look at what is in it. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach } from 'vitest';
import { openStore, sqliteStore } from '../../../actors/store/sqlite.ts';
import type { SqliteStoreEvent } from '../../../actors/store/sqlite-events.ts';
import { currentSchema, type Schema } from '../../../actors/store/sqlite-schema.ts';
import { distFolder } from '../../helpers/processes.ts';

export let folder: string;
export let path: string;
let children: ChildProcessByStdio<Writable, Readable, null>[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-sqlite-'));
  path = join(folder, 'troupe.db');
  children = [];
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

/** A program of the fixtures, and its lines one after the other. */
export function start(name: string, ...args: string[]) {
  const program = new URL(`../../fixtures/store/${name}.mjs`, import.meta.url).pathname;
  const child = spawn(process.execPath, [program, distFolder(), path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const exit = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    pid: child.pid,
    tell: (line: string) => child.stdin.write(`${line}\n`),
    line: async () => {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${name} has ended`);
      return value;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exit;
      const rest: string[] = [];
      for await (const line of { [Symbol.asyncIterator]: () => lines }) rest.push(line);
      return rest;
    },
  };
}

const text = (number: number) => `${number} ${'x'.repeat((number * 37) % 3000)}`;
export const groups = (count: number) => Array.from({ length: count }, (_, n) => [{ role: 'user', content: text(n) }]);

/** Opens, looks at everything, and closes. */
export async function look(file = path, schema: Schema = currentSchema) {
  const events: SqliteStoreEvent[] = [];
  const store = openStore(file, { onEvent: (event) => events.push(event) }, schema);
  const found = { groups: await store.groups('a'), asks: await store.asks('a'), ledger: await store.ledger(), events };
  await store.close();
  return found;
}

export async function fill(count: number): Promise<void> {
  const store = sqliteStore(path);
  store.putAgent({ name: 'a', backend: 'one', createdAt: 1 });
  for (const group of groups(count)) store.appendGroup('a', group as never);
  await store.close();
}

export const files = (of = folder) => readdirSync(of).sort();
export const code = (run: () => unknown) => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
};

/** Numbers in [0, 1) that a seed tells again: mulberry32. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
