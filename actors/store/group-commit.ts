/**
 * The queue of writes, and the one transaction that all writes of a tick share.
 *
 * Q1  Writes are committed in the order they came in, and those of one tick all or none.
 * Q2  Nothing leaves the queue before it is durable: after a failure it is tried again with the next barrier.
 * Q3  The queue has a cap. What comes in past it is lost, which the next barrier tells.
 */
import { setImmediate as endOfTick } from 'node:timers/promises';
import { reasonOf, TroupeError } from '../../src/core/errors.ts';
import type { Connection } from './sqlite-connection.ts';
import { isCondition, storeError } from './sqlite-errors.ts';
import type { SqliteStoreEvent } from './sqlite-events.ts';
import type { Write } from './sqlite-writes.ts';

export interface GroupCommitOptions {
  /** Of the file, for errors. */
  readonly path: string;
  readonly connection: Connection;
  readonly maxQueuedBytes: number;
  /** Work for the same transaction, behind the writes. */
  readonly tidy: () => void;
  readonly tell: (event: SqliteStoreEvent) => void;
}

/** The writes of one tick. */
interface Batch {
  readonly writes: Write[];
  bytes: number;
}

interface Loss {
  readonly count: number;
  readonly cause: unknown;
}

/** Batches are committed together up to here: what a transaction that fails costs again each time. */
const transactionBytes = 4 * 1024 * 1024;

const idle = Promise.resolve();

export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #batches: Batch[] = [];
  #isTickOpen = false;
  #queuedBytes = 0;
  #lost: Loss | undefined;
  #running: Promise<void> = idle;
  #next: Promise<void> | undefined;
  #isFailing = false;
  /** Whether somebody waits for the next commit: only then is a loss told by it. */
  #isAwaited = false;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** Whether it was taken in. Never throws. */
  enqueue(build: () => Write): boolean {
    try {
      const write = build();
      const bytes = sizeOf(write);
      if (this.#queuedBytes + bytes > this.#options.maxQueuedBytes) throw this.#overfull();
      this.#add(write, bytes);
      return true;
    } catch (cause) {
      this.#lose(cause);
      return false;
    }
  }

  /** Resolves when everything that was enqueued is durable. */
  barrier(): Promise<void> {
    if (this.#batches.length === 0 && this.#lost === undefined) return this.#running;
    this.#isAwaited = true;
    return this.commitNext();
  }

  /** Resolves when nothing is being committed. */
  async settled(): Promise<void> {
    await this.#running.catch(() => {});
  }

  /** Commits what is in the queue by the end of the tick, or tidies alone. */
  commitNext(): Promise<void> {
    if (this.#next === undefined) {
      const next = this.#afterTick();
      next.catch(() => {});
      this.#next = next;
    }
    return this.#next;
  }

  #add(write: Write, bytes: number): void {
    const last = this.#isTickOpen ? this.#batches.at(-1) : undefined;
    const batch = last ?? { writes: [], bytes: 0 };
    if (last === undefined) this.#batches.push(batch);
    this.#isTickOpen = true;
    batch.writes.push(write);
    batch.bytes += bytes;
    this.#queuedBytes += bytes;
    // As long as the disk does not take it, only who waits for it has it tried again.
    if (!this.#isFailing) void this.commitNext();
    else if (last === undefined) setImmediate(this.#endTick);
  }

  readonly #endTick = () => {
    this.#isTickOpen = false;
  };

  async #afterTick(): Promise<void> {
    await this.settled();
    await endOfTick();
    this.#endTick();
    this.#next = undefined;
    const isAwaited = this.#isAwaited;
    this.#isAwaited = false;
    // It is known to run before it begins: what it tells of may lead to writes.
    this.#running = idle.then(() => this.#commitAll(isAwaited));
    try {
      await this.#running;
    } finally {
      this.#running = idle;
    }
  }

  async #commitAll(isAwaited: boolean): Promise<void> {
    let left = this.#batches.length;
    do {
      const batches = this.#take(left);
      await this.#commit(batches);
      left -= batches.length;
    } while (left > 0);
    if (isAwaited) this.#tellLoss();
  }

  /** The first batches of the queue, as many as one transaction takes. They stay in it. */
  #take(limit: number): readonly Batch[] {
    const taken: Batch[] = [];
    let bytes = 0;
    for (const batch of this.#batches.slice(0, limit)) {
      if (taken.length > 0 && bytes + batch.bytes > transactionBytes) break;
      taken.push(batch);
      bytes += batch.bytes;
    }
    return taken;
  }

  async #commit(batches: readonly Batch[]): Promise<void> {
    const { connection, tidy } = this.#options;
    let current: Write | undefined;
    try {
      connection.exec('begin immediate');
      for (current of batches.flatMap(({ writes }) => writes))
        for (const statement of current) connection.run(statement);
      current = undefined;
      tidy();
      await connection.commit();
    } catch (thrown) {
      this.#rollBack();
      if (current === undefined || isCondition(thrown)) throw this.#failed(thrown);
      this.#giveUp(current, batches, thrown);
      return this.#commit(batches);
    }
    this.#isFailing = false;
    this.#batches.splice(0, batches.length);
    for (const { bytes } of batches) this.#queuedBytes -= bytes;
  }

  #rollBack(): void {
    const { connection } = this.#options;
    try {
      // After some failures SQLite has done so itself.
      if (connection.inTransaction) connection.exec('rollback');
    } catch {
      // The next `begin` tells what is wrong.
    }
  }

  /** A write that no disk will ever take does not hold up the others. */
  #giveUp(write: Write, batches: readonly Batch[], cause: unknown): void {
    const batch = batches.find(({ writes }) => writes.includes(write));
    batch?.writes.splice(batch.writes.indexOf(write), 1);
    this.#lose(cause);
  }

  #lose(cause: unknown): void {
    this.#lost = { count: (this.#lost?.count ?? 0) + 1, cause: this.#lost?.cause ?? cause };
  }

  #tellLoss(): void {
    if (this.#lost === undefined) return;
    const { count, cause } = this.#lost;
    this.#lost = undefined;
    const what = `${count} ${count === 1 ? 'write is' : 'writes are'} lost`;
    const message = `The store ${this.#options.path} could not take everything: ${what}: ${reasonOf(cause)}`;
    const error = new TroupeError('TROUPE_ERR_STORE_FAILED', message, { cause });
    this.#options.tell({ type: 'writes-dropped', count, error });
    throw error;
  }

  #failed(thrown: unknown): TroupeError {
    this.#isFailing = true;
    const error = storeError(this.#options.path, thrown);
    this.#options.tell({ type: 'write-failed', error });
    return error;
  }

  #overfull(): Error {
    return new Error(`more than ${this.#options.maxQueuedBytes} bytes wait for the disk (\`maxQueuedBytes\`)`);
  }
}

/** About how much memory it takes. */
function sizeOf(write: Write): number {
  let bytes = 0;
  for (const statement of write) {
    for (const value of statement) bytes += typeof value === 'string' ? value.length : 8;
  }
  return bytes;
}
