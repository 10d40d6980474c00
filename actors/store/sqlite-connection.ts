/**
 * One connection to a SQLite file, by package `libsql`, which is loaded with the first one.
 *
 * N1  SQL is ours; whatever comes from outside is a parameter.
 * N2  Text goes in and comes out as JSON: the driver cuts a string at NUL and replaces lone surrogates.
 * N3  The driver closes a connection for good only when no statement of it is left to the garbage collector. So a
 *     connection that may have to be given up again is used through `exec` alone, which leaves none.
 */
import { createRequire } from 'node:module';
import type Database from 'libsql';

type Value = string | number | null;

/** What a column may hold. */
export type Column = Value | Uint8Array;

/** One statement with its parameters. */
export type BoundStatement = readonly [sql: string, ...values: Value[]];

/** What a store needs of SQLite. All but `commit` block. What they throw has a `code` of SQLite's, as `SQLITE_FULL`. */
export interface Connection {
  exec(sql: string): void;
  /** Runs a statement whose rows nobody wants. Its plan is kept. */
  run(statement: BoundStatement): void;
  /** The rows, each an array of its columns. */
  rows(statement: BoundStatement): readonly (readonly Column[])[];
  /** Commits on another thread: nobody waits for the disk but who awaits it. */
  commit(): Promise<void>;
  readonly inTransaction: boolean;
  close(): void;
}

export interface ConnectOptions {
  /** Neither the file nor its log is written then. */
  readonly isReadonly?: boolean;
}

/** Opens a file that exists, by its absolute path. */
export function connect(path: string, options: ConnectOptions = {}): Connection {
  const { Sqlite, execElsewhere } = loadDriver();
  const database = new Sqlite(options.isReadonly ? readonlyAddress(path) : path);
  const statements = new Map<string, Database.Statement>();
  let isOpen = true;
  const whileOpen = () => {
    // The driver would end the whole process.
    if (!isOpen) throw new Error('it is closed');
    return database;
  };
  const prepared = (sql: string) => {
    const known = statements.get(sql) ?? whileOpen().prepare(sql);
    statements.set(sql, known);
    return known;
  };
  return {
    exec: (sql) => void whileOpen().exec(sql),
    run: ([sql, ...values]) => void prepared(sql).run(values),
    rows: ([sql, ...values]) => prepared(sql).raw().all(values) as Column[][],
    commit: async () => execElsewhere(whileOpen(), 'commit'),
    get inTransaction() {
      return isOpen && database.inTransaction;
    },
    close: () => {
      statements.clear();
      if (isOpen) database.close();
      isOpen = false;
    },
  };
}

interface Driver {
  readonly Sqlite: typeof Database;
  readonly execElsewhere: (database: Database.Database, sql: string) => Promise<void>;
}

let driver: Driver | undefined;

function loadDriver(): Driver {
  if (driver !== undefined) return driver;
  const require = createRequire(import.meta.url);
  const Sqlite = require('libsql') as typeof Database;
  // The package's second face differs in this alone: its `exec` does the same to the same connection, on a thread.
  const { prototype } = require('libsql/promise') as { prototype: { exec(sql: string): Promise<void> } };
  driver = { Sqlite, execElsewhere: (database, sql) => prototype.exec.call(database, sql) };
  return driver;
}

function readonlyAddress(path: string): string {
  const escaped = path.replace(/[%?#]/g, (character) => encodeURIComponent(character));
  return `file:${escaped}?mode=ro`;
}
