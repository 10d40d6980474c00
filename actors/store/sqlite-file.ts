/**
 * The file of a store, from a path to a connection that has it alone, and back.
 *
 * L1  A file that is damaged, newer or not ours is refused before anything is written: it stays as it is.
 * L2  A file is made aside and put in its place whole: an empty one, or one beside a log without it, is damage.
 * L3  While it is open, the file is in WAL mode under an exclusive lock; once closed it is one file without a log. So a
 *     file in WAL mode was not closed, and only then is it checked page by page.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { reasonOf, TroupeError } from '../../src/core/errors.ts';
import { type Connection, connect } from './sqlite-connection.ts';
import { damagedError, isBusy, isDamage, storeError } from './sqlite-errors.ts';
import type { SqliteStoreEvent } from './sqlite-events.ts';
import { becomeHolder, lockedError, refuseIfHeld, resignHolder } from './sqlite-holder.ts';
import { applicationId, type Schema } from './sqlite-schema.ts';
import { readWal, type WalContent } from './sqlite-wal.ts';

export interface StoreFile {
  /** Absolute, links followed. */
  readonly path: string;
  readonly connection: Connection;
  /** Gives the file back, whole and unlocked. */
  release(): void;
}

type Tell = (event: SqliteStoreEvent) => void;

/** Opens the store at `path`, which is made when there is none. */
export function openStoreFile(path: string, schema: Schema, tell: Tell): StoreFile {
  const file = realPath(path);
  try {
    return openWhole(file, schema, tell);
  } catch (thrown) {
    throw isBusy(thrown) ? lockedError(file, thrown) : storeError(file, thrown);
  }
}

function openWhole(file: string, schema: Schema, tell: Tell): StoreFile {
  refuseIfHeld(file);
  if (!existsSync(file)) createStore(file, schema);
  const wal = readWal(`${file}-wal`);
  const header = readHeader(file, wal);
  refuseForeign(file, header, schema);
  if (header.isWal) checkPages(file);
  if (wal !== undefined) tellOfWal(file, wal, tell);
  const connection = connectAlone(file);
  const stale = orClose(connection, () => becomeHolder(file));
  if (stale !== undefined) tell({ type: 'lock-recovered', pid: stale.pid });
  const opened = { path: file, connection, release: () => release(file, connection) };
  if (header.version === schema.version) return opened;
  migrate(opened, header.version, schema, tell);
  return openWhole(file, schema, tell);
}

interface Header {
  readonly application: number;
  readonly version: number;
  /** It was not closed, or never: what counts may stand in its log. */
  readonly isWal: boolean;
}

const magic = 'SQLite format 3\0';
const headerSize = 100;

/** What the file says of itself, in its log if that is newer. Throws when it is no SQLite file, or cut. */
function readHeader(file: string, wal: WalContent | undefined): Header {
  const { size } = statSync(file);
  const start = Buffer.alloc(headerSize);
  const descriptor = openSync(file, 'r');
  readSync(descriptor, start, 0, headerSize, 0);
  closeSync(descriptor);
  if (size === 0) throw damagedError(file, 'it is empty, which a store never is');
  if (start.toString('latin1', 0, magic.length) !== magic)
    throw damagedError(file, 'it does not begin as a SQLite file');
  const isWal = start[18] === 2;
  const pageSize = start.readUInt16BE(16) === 1 ? 65_536 : start.readUInt16BE(16);
  const pages = start.readUInt32BE(28);
  if (!isWal && (wal?.frames ?? 0) > 0) throw damagedError(file, 'the log beside it belongs to another file');
  if (!isWal && size < pages * pageSize) {
    throw damagedError(file, `it has ${size} bytes, its header tells of ${pages * pageSize}`);
  }
  const page = wal?.firstPage ?? start;
  return { application: page.readInt32BE(68), version: page.readInt32BE(60), isWal };
}

function refuseForeign(file: string, { application, version }: Header, schema: Schema): void {
  if (application !== applicationId) {
    const message = `\`path\` names ${file}, which is a SQLite file of something else. Give another path.`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
  if (version > schema.version) {
    const versions = `it has version ${version}, this troupe knows versions up to ${schema.version}`;
    const message = `The store ${file} was written by a newer troupe: ${versions}. Update troupe, or give another path.`;
    throw new TroupeError('TROUPE_ERR_STORE_NEWER', message);
  }
  if (version < schema.version && !schema.migrations.has(version)) {
    throw damagedError(file, `it has version ${version}, which there never was`);
  }
}

/** Looks at every page. A connection that only reads leaves file and log as they are. */
function checkPages(file: string): void {
  const connection = connect(file, { isReadonly: true });
  try {
    connection.exec(failWhenDamaged);
  } catch (thrown) {
    if (isDamage(thrown) || /integer overflow/.test(reasonOf(thrown))) {
      throw damagedError(file, 'its pages contradict each other', thrown);
    }
    throw thrown;
  } finally {
    connection.close();
  }
}

/** A statement whose rows are not read can only answer by failing. */
const failWhenDamaged = `
  select case when exists (select 1 from pragma_quick_check where quick_check <> 'ok')
  then abs(-9223372036854775807 - 1) end`;

function tellOfWal(file: string, wal: WalContent, tell: Tell): void {
  const { firstPage: _, ...counts } = wal;
  const keptAt = `${file}-wal-dropped`;
  if (counts.droppedBytes > 0) copyFileSync(`${file}-wal`, keptAt);
  tell({ type: 'recovered', ...counts, ...(counts.droppedBytes > 0 ? { keptAt } : {}) });
}

/** A connection with the exclusive lock. Nothing but `exec` before it is had: see N3. */
function connectAlone(file: string): Connection {
  const connection = connect(file);
  orClose(connection, () => {
    connection.exec('pragma locking_mode = exclusive; begin exclusive; commit');
    connection.exec('pragma journal_mode = wal; pragma synchronous = full; pragma fullfsync = on');
    connection.exec('pragma trusted_schema = off; pragma cell_size_check = on; pragma temp_store = memory');
  });
  return connection;
}

function orClose<T>(connection: Connection, action: () => T): T {
  try {
    return action();
  } catch (thrown) {
    connection.close();
    throw thrown;
  }
}

function release(file: string, connection: Connection): void {
  // What the log holds goes into the file first, which may fail. A lock is given back with the next look at the file.
  connection.exec('pragma journal_mode = delete; pragma locking_mode = normal');
  resignHolder(file);
  connection.exec('select 1 from logs limit 1');
  rmSync(`${file}-shm`, { force: true });
  connection.close();
}

function createStore(file: string, schema: Schema): void {
  if (existsSync(`${file}-wal`)) {
    throw damagedError(file, 'only its log is there, the file itself is not');
  }
  const draft = `${file}-new-${process.pid}`;
  try {
    writeFileSync(draft, '', { mode: 0o600 });
    setUp(draft, `pragma application_id = ${applicationId}; ${schema.create}`, schema.version);
    linkSync(draft, file);
  } catch (thrown) {
    // Another process was faster: its file is as good.
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(file);
}

/** Migrates a copy, keeps the file as a backup, and puts the copy in its place. The file is closed then, in any case. */
function migrate(opened: StoreFile, from: number, schema: Schema, tell: Tell): void {
  const { path, connection } = opened;
  const draft = `${path}-new-${process.pid}`;
  const backup = freeName(`${path}-v${from}-backup`);
  try {
    orRelease(opened, () => {
      writeFileSync(draft, '', { mode: 0o600 });
      connection.exec(`vacuum into '${draft.replaceAll("'", "''")}'`);
      for (let version = from; version < schema.version; version += 1) {
        setUp(draft, schema.migrations.get(version) ?? missingMigration, version + 1);
      }
      checkPages(draft);
    });
    opened.release();
    linkSync(path, backup);
    renameSync(draft, path);
    syncFolder(path);
  } catch (thrown) {
    connection.close();
    rmSync(draft, { force: true });
    const what = `could not be brought from version ${from} to ${schema.version}`;
    const message = `The store ${path} ${what}: ${reasonOf(thrown)}. It is as it was.`;
    throw new TroupeError('TROUPE_ERR_STORE_FAILED', message, { cause: thrown });
  }
  tell({ type: 'migrated', from, to: schema.version, backup });
}

const missingMigration = 'select * from missing_migration';

function orRelease(opened: StoreFile, action: () => void): void {
  try {
    action();
  } catch (thrown) {
    opened.release();
    throw thrown;
  }
}

/** Runs SQL on a file that nobody else knows of, all or nothing. */
function setUp(file: string, sql: string, version: number): void {
  const connection = connect(file);
  try {
    connection.exec(`pragma synchronous = full; begin; ${sql}; pragma user_version = ${version}; commit`);
  } finally {
    connection.close();
  }
}

function realPath(path: string): string {
  const file = resolve(path);
  try {
    if (existsSync(file)) return realpathSync(file);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    return join(realpathSync(dirname(file)), basename(file));
  } catch (thrown) {
    throw storeError(file, thrown);
  }
}

function freeName(wanted: string): string {
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? wanted : `${wanted}-${count}`;
    if (!existsSync(name)) return name;
  }
}

/** Makes a name in a folder durable. Windows knows no such thing. */
function syncFolder(file: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(dirname(file), 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
