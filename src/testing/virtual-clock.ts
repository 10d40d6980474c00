/**
 * Time that moves only when a test says so.
 *
 * V1  A due timer runs at its own due time: what it starts counts from there, not from where `advance` ends.
 * V2  Timers that are due at the same time run in the order they were made.
 * V3  Between two timers everything that promises can do without time is done, and files that are being read are read.
 * V4  It never goes back, though several move it at once.
 */
import { sleep } from '../../actors/clock.ts';
import type { Clock } from '../core/seams.ts';

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  readonly #timers = new Set<Timer>();
  #now: number;
  #made = 0;

  /** `startAt` is in milliseconds since the epoch. Default 0. */
  constructor(startAt = 0) {
    this.#now = startAt;
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer is due, in milliseconds since the epoch; undefined when none waits. */
  get nextDueAt(): number | undefined {
    return this.#next()?.dueAt;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): unknown {
    this.#made += 1;
    const timer = { dueAt: this.#now + (ms > 0 ? ms : 0), order: this.#made, callback };
    this.#timers.add(timer);
    return timer;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as Timer);
  }

  /** Resolves once time has moved by `ms`; rejects with the signal's reason once it is aborted, and leaves no timer. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleep(this, ms, signal);
  }

  /** Moves time by `ms`, running what falls due on the way. Rejects with what a timer throws, or when `ms` is negative. */
  async advance(ms: number): Promise<void> {
    if (!(ms >= 0)) throw new Error(`Time moves by 0 ms or more, not by ${ms}.`);
    const end = this.#now + ms;
    await settle();
    for (let timer = this.#next(); timer !== undefined && timer.dueAt <= end; timer = this.#next())
      await this.#run(timer);
    this.#now = Math.max(this.#now, end);
  }

  /** Moves time from timer to timer until none waits. Throws after `maxTimers` (default 100,000): something repeats for ever. */
  async runUntilIdle(maxTimers = 100_000): Promise<void> {
    await settle();
    for (let count = 0, timer = this.#next(); timer !== undefined; count += 1, timer = this.#next()) {
      if (count === maxTimers) throw new Error(`The clock ran ${maxTimers} timers and is still not idle.`);
      await this.#run(timer);
    }
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (
        first === undefined ||
        timer.dueAt < first.dueAt ||
        (timer.dueAt === first.dueAt && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    return first;
  }

  async #run(timer: Timer): Promise<void> {
    this.#now = Math.max(this.#now, timer.dueAt);
    this.#timers.delete(timer);
    timer.callback();
    await settle();
  }
}

/**
 * Waits until promises, however long their chain, have nothing left to do but wait for time or I/O. Files that are being read
 * are waited for: a module that is loaded at first use takes no virtual time.
 */
export async function settle(): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve));
  while (process.getActiveResourcesInfo().some((name) => /^(?:FS|Close)Req/.test(name)));
}
