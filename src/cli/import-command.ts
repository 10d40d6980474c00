/** `troupe import FILE`: keeps an agent that was exported. */
import { readFile, stat } from 'node:fs/promises';
import type { SqliteStore } from '../../actors/store/sqlite.ts';
import { reasonOf, TroupeError } from '../core/errors.ts';
import { checkOptions } from '../core/options.ts';
import { isName } from '../runtime/troupe-options.ts';
import { type KeptCopy, readRecords } from './kept-records.ts';
import { openStore, type StoreFlags } from './kept-store.ts';
import { count, note, oneLine } from './terminal.ts';

export interface ImportFlags extends StoreFlags {
  /** Name to keep it under. Default: the one that it had. */
  readonly as?: string;
}

/** Keeps the agent and says where it will go; the exit code is 0. */
export async function importCommand(path: string, flags: ImportFlags): Promise<number> {
  const copy = readRecords(path, await read(path));
  const name = flags.as ?? copy.agent.name;
  checkOptions('import', { name }, { name: isName });
  const store = await openStore(flags);
  try {
    await put(store, name, copy);
  } finally {
    await store.close();
  }
  const { backend, model } = copy.agent;
  const where = model === undefined ? backend : `${backend}/${model}`;
  note(`${name} is kept, with ${count(copy.groups.flat().length, 'message')}. It asks ${oneLine(where)}.`);
  return 0;
}

async function put(store: SqliteStore, name: string, { agent, groups, view }: KeptCopy): Promise<void> {
  if ((await store.agents()).some((stored) => stored.name === name)) {
    const message = `An agent "${name}" is kept already. Give another name by \`--as\`.`;
    throw new TroupeError('TROUPE_ERR_AGENT_NAME_TAKEN', message);
  }
  // In one tick, which is all or nothing. Here it is new, so that it is not taken for one that nobody has used for long.
  store.putAgent({ ...agent, name, createdAt: Date.now() });
  for (const group of groups) store.appendGroup(name, group);
  if (view !== undefined) store.putView(name, view);
  await store.barrier();
}

const maxBytes = 256 * 1024 * 1024;

async function read(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`);
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new TroupeError('TROUPE_ERR_PATH_REFUSED', `Cannot read ${path}: ${reasonOf(error)}.`);
  }
}
