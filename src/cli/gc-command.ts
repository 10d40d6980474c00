/** `troupe gc`: forgets agents that were not used lately, and frees what they took. */

import { statSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import type { SqliteStore } from '../../actors/store/sqlite.ts';
import { TroupeError } from '../core/errors.ts';
import { factsTable } from './agents-command.ts';
import { type KeptFacts, keptFacts } from './kept-facts.ts';
import { type StoreFlags, storePath, withStore } from './kept-store.ts';
import { count, note } from './terminal.ts';

export interface GcFlags extends StoreFlags {
  /** Days that an agent was not used. */
  readonly olderThan: number;
  /** Removes without asking. */
  readonly yes?: true;
}

const dayMs = 86_400_000;

/** Says what it will remove, and removes it when that is allowed; the exit code is 1 when it is not. */
export async function gcCommand(flags: GcFlags): Promise<number> {
  const { olderThan, yes } = flags;
  if (olderThan < 0)
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', '`--older-than` must be a number of days, 0 or more.');
  const path = storePath(flags);
  const removed = await withStore(flags, async (store) => {
    const bytes = statSync(path).size;
    const old = (await keptFacts(store)).filter(({ usedAt }) => usedAt <= Date.now() - olderThan * dayMs);
    if (old.length > 0) process.stdout.write(`${factsTable(old)}\n`);
    if (old.length > 0 && !yes && !(await isAllowed(old))) return undefined;
    await remove(store, old);
    return { agents: old.length, bytes };
  });
  if (removed === undefined) note('Nothing was removed.');
  else {
    const freed = Math.max(0, removed.bytes - statSync(path).size);
    note(`${count(removed.agents, 'agent')} removed, ${Math.ceil(freed / 1024)} KiB freed.`);
  }
  return removed === undefined ? 1 : 0;
}

async function remove(store: SqliteStore, agents: readonly KeptFacts[]): Promise<void> {
  for (const { name } of agents) store.removeAgent(name);
  await store.barrier();
  await store.gc({ shrink: true });
}

/** Asks whoever sits at the terminal; nobody does where there is none. */
async function isAllowed(agents: readonly KeptFacts[]): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    note('To remove what is listed: --yes.');
    return false;
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`Remove ${count(agents.length, 'agent')} for good? [y]es / [n]o `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
