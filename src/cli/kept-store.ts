/** The store that commands keep their agents in: `.troupe/troupe.db` of the working directory, unless another is named. */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { SqliteStore } from '../../actors/store/sqlite.ts';
import type { SqliteStoreEvent } from '../../actors/store/sqlite-events.ts';
import type { StoredAgent } from '../../actors/store/store.ts';
import { TroupeError } from '../core/errors.ts';
import type { Logger } from '../runtime/log.ts';
import { note, oneLine } from './terminal.ts';

export interface StoreFlags {
  /** File of the store. Default: the variable `TROUPE_STORE`, else `.troupe/troupe.db`. */
  readonly store?: string;
}

const folderName = '.troupe';

/** The file of the store. */
export function storePath({ store }: StoreFlags): string {
  return store ?? (process.env['TROUPE_STORE'] || join(folderName, 'troupe.db'));
}

/** Opens the store; makes it when there is none. */
export async function openStore(flags: StoreFlags): Promise<SqliteStore> {
  const path = storePath(flags);
  if (dirname(path) === folderName) makeFolder();
  return open(path);
}

/** Opens the store; throws `TROUPE_ERR_PATH_REFUSED` when there is none: opening it would make an empty one. */
export async function openExistingStore(flags: StoreFlags): Promise<SqliteStore> {
  const path = storePath(flags);
  if (existsSync(path)) return open(path);
  const message = `There is no store at ${path}. Name its file by \`--store\`; \`troupe ask --agent NAME\` makes one.`;
  throw new TroupeError('TROUPE_ERR_PATH_REFUSED', message);
}

/** Works with the store, which must exist, and closes it. */
export async function withStore<Result>(
  flags: StoreFlags,
  work: (store: SqliteStore) => Promise<Result>,
): Promise<Result> {
  const store = await openExistingStore(flags);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** The agent of this name. Throws `TROUPE_ERR_OPTION_INVALID` when the store has none. */
export async function storedAgent(store: SqliteStore, name: string): Promise<StoredAgent> {
  const agents = await store.agents();
  const agent = agents.find((stored) => stored.name === name);
  if (agent !== undefined) return agent;
  const names = agents.map((stored) => oneLine(stored.name)).join(', ');
  const known = names === '' ? 'The store is empty' : `There are ${names}`;
  throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `No agent "${oneLine(name)}" is kept. ${known}.`);
}

/** Tells on standard error what goes wrong with the store, and with who comes back from it. */
export const keptLogger: Logger = {
  warn: () => {},
  error: (_fields, message) => note(oneLine(message)),
};

async function open(path: string): Promise<SqliteStore> {
  refuseShared(path);
  const { sqliteStore } = await import('../../actors/store/sqlite.ts');
  return sqliteStore(path, { onEvent: tell });
}

/** A folder for this user alone, whose content goes into no repository. */
function makeFolder(): void {
  if (existsSync(folderName)) return;
  mkdirSync(folderName, { mode: 0o700 });
  writeFileSync(join(folderName, '.gitignore'), '*\n', { mode: 0o600 });
}

/**
 * A store says where its agents' prompts go. One that came with a repository or an archive is readable by others, since
 * those do not keep that a file is private.
 */
function refuseShared(path: string): void {
  if (process.platform === 'win32' || !existsSync(path)) return;
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  const message = `The store ${path} is open to others (mode ${mode.toString(8)}), as troupe never makes it. If it is yours: chmod 600 it.`;
  throw new TroupeError('TROUPE_ERR_PATH_REFUSED', message);
}

function tell(event: SqliteStoreEvent): void {
  if (event.type === 'write-failed' || event.type === 'writes-dropped') note(oneLine(event.error.message));
  else if (event.type === 'migrated') note(`The store is brought up to date; as it was, it is at ${event.backup}.`);
  else if (event.type === 'recovered' && event.droppedCommits > 0)
    note(`The store lost ${event.droppedCommits} commits to the disk; its log is kept at ${event.keptAt}.`);
}
