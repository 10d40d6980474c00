/**
 * The store that outlives its process: one SQLite file.
 * Writes go through a queue that is committed once a tick; reads are plain queries. A fork is a row that points into
 * its parent's log.
 */

import type { Group } from '../../src/core/conversation.ts';
import { TroupeError } from '../../src/core/errors.ts';
import { GroupCommit } from './group-commit.ts';
import { type Redact, redactAgent, redactAnswer, redactAsk, redactGroup, redactOutcome, redactView } from './redact.ts';
import { storeError } from './sqlite-errors.ts';
import type { SqliteStoreEvent } from './sqlite-events.ts';
import { openStoreFile, type StoreFile } from './sqlite-file.ts';
import { collectGarbage } from './sqlite-garbage.ts';
import * as reads from './sqlite-reads.ts';
import { currentSchema, type Schema } from './sqlite-schema.ts';
import * as writes from './sqlite-writes.ts';
import type { Store } from './store.ts';

export interface SqliteStoreOptions {
  /** Settled asks that each agent keeps, for repeated ask ids. Default 100. */
  readonly keepSettled?: number;
  /** Writes that may wait for the disk, in bytes. What comes past it is lost and told. Default 256 MiB. */
  readonly maxQueuedBytes?: number;
  /** What is stored of every text of messages, prompts, replies and errors. Default: the text itself. */
  readonly redact?: Redact;
  /** Told what was recovered, migrated, failed and lost. Called in the middle of things: it must be quick. */
  readonly onEvent?: (event: SqliteStoreEvent) => void;
}

export interface SqliteStore extends Store {
  /**
   * Puts everything into the one file and gives it back. Rejects when that needs space that is not there: it is open
   * still then, nothing that was acknowledged is lost, and `close` can be called again.
   */
  close(): Promise<void>;
  /**
   * Frees what removed agents left and no fork needs, for what is written next. The store does the same by and by, a little
   * with every commit. `shrink` also gives the space back to the disk: it writes the file anew, and blocks as long.
   */
  gc(options?: { readonly shrink?: boolean }): Promise<void>;
}

/**
 * Opens the store at `path`; makes it, readable by this user alone, when there is none. One process at a time has it.
 * Throws `TROUPE_ERR_STORE_LOCKED`, `TROUPE_ERR_STORE_DAMAGED`, `TROUPE_ERR_STORE_NEWER`, `TROUPE_ERR_STORE_FAILED`;
 * `TROUPE_ERR_OPTION_INVALID` when the file is a database of something else.
 */
export function sqliteStore(path: string, options: SqliteStoreOptions = {}): SqliteStore {
  return openStore(path, options, currentSchema);
}

/** The same with tables of another version. */
export function openStore(path: string, options: SqliteStoreOptions, schema: Schema): SqliteStore {
  if (typeof path !== 'string' || path === '' || path === ':memory:' || path.includes('\0')) {
    const message = '`path` of sqliteStore must name a file. For a store in memory take memoryStore().';
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
  const tell = quiet(options.onEvent);
  return storeOn(openStoreFile(path, schema, tell), options);
}

/** A store on a file that is open. */
export function storeOn(file: StoreFile, options: SqliteStoreOptions = {}): SqliteStore {
  const { connection } = file;
  const { keepSettled = 100, maxQueuedBytes = 256 * 1024 * 1024, redact } = options;
  let mayHaveGarbage = true;
  let closing: Promise<void> | undefined;
  /** Groups that were lost, by agent, so that later ones keep their numbers. */
  const lostGroups = new Map<string, number>();
  const queue = new GroupCommit({
    path: file.path,
    connection,
    maxQueuedBytes,
    tidy: () => {
      mayHaveGarbage = collectGarbage(connection);
    },
    tell: quiet(options.onEvent),
  });
  const write = (build: () => writes.Write) =>
    queue.enqueue(() => {
      if (closing !== undefined) throw new Error('it is closed');
      return build();
    });
  const read = async <T>(query: () => T): Promise<T> => {
    await queue.settled();
    try {
      return query();
    } catch (thrown) {
      throw storeError(file.path, thrown);
    }
  };
  const clean = <T>(data: T, redacted: (data: T, redact: Redact) => T) =>
    redact === undefined ? data : redacted(data, redact);
  const close = async () => {
    const failure = await queue.barrier().catch((thrown: unknown) => thrown);
    await queue.settled();
    try {
      file.release();
    } catch (thrown) {
      closing = undefined;
      throw storeError(file.path, thrown);
    }
    if (failure !== undefined) throw failure;
  };
  return {
    isDurable: true,
    putAgent: (agent) => void write(() => writes.putAgent(clean(agent, redactAgent))),
    removeAgent: (name) => void write(() => writes.removeAgent(name)),
    appendGroup: (agent, group, askId) => {
      const lost = lostGroups.get(agent) ?? 0;
      const isIn = write(() => writes.appendGroup({ agent, group: clean(group, redactGroup), askId, lost }));
      if (!isIn) lostGroups.set(agent, lost + 1);
      else if (lost > 0) lostGroups.delete(agent);
    },
    putView: (agent, view) => void write(() => writes.putView(agent, clean(view, redactView))),
    putAsk: (ask) => void write(() => writes.putAsk(clean(ask, redactAsk))),
    settleAsk: (agent, askId, outcome) =>
      void write(() => writes.settleAsk({ agent, askId, outcome: clean(outcome, redactOutcome), keepSettled })),
    putStep: (agent, askId, message) => void write(() => writes.putStep(agent, askId, clean(message, redactAnswer))),
    startTool: (agent, askId, callId) => void write(() => writes.startTool(agent, askId, callId)),
    beginCall: (call) => void write(() => writes.beginCall(call)),
    addUsage: (entry) => void write(() => writes.addUsage(entry)),
    barrier: () => queue.barrier(),
    agents: () => read(() => reads.agents(connection)),
    groups: (agent): Promise<readonly Group[]> => read(() => reads.groups(connection, agent)),
    view: (agent) => read(() => reads.view(connection, agent)),
    asks: (agent) => read(() => reads.asks(connection, agent)),
    openCalls: () => read(() => reads.openCalls(connection)),
    ledger: () => read(() => reads.ledger(connection)),
    gc: async ({ shrink = false } = {}) => {
      do await queue.commitNext();
      while (mayHaveGarbage);
      if (shrink) await read(() => connection.exec('vacuum'));
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

/** An observer that throws is nothing to a store. */
function quiet(observe: SqliteStoreOptions['onEvent']): (event: SqliteStoreEvent) => void {
  return (event) => {
    try {
      observe?.(event);
    } catch {
      // It was told.
    }
  };
}
