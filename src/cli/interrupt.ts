/**
 * How a command ends at a signal.
 *
 * G1  At the first, nothing new is begun. What runs is cancelled by Ctrl-C; after SIGTERM it has some seconds to end by itself.
 * G2  At the second, everything is ended at once; the third is the system's.
 * G3  However it ends, the child processes of the troupe are gone, and the exit code is that of the first signal.
 */
import { isTroupeError, reasonOf } from '../core/errors.ts';
import { createTroupe, type Troupe } from '../runtime/troupe.ts';
import type { TroupeOptions } from '../runtime/troupe-options.ts';
import { note, oneLine } from './terminal.ts';

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

export type StopSignal = keyof typeof exitCodes;

/** What a command is told of signals. */
export interface Stop {
  /** Aborted when nothing new is to be begun. */
  readonly soon: AbortSignal;
  /** Aborted when what runs is to be cancelled. */
  readonly now: AbortSignal;
}

/** How long what runs may go on after SIGTERM. */
const drainMs = 5000;

/** How long the end may take after a second signal. Who is left then dies with this process. */
const lastMs = 1000;

/**
 * Works with a troupe, closes it and gives the exit code: that of the work, or of the signal that ended it. `signals` are those
 * that end the command; any other is the work's to deal with, or the system's.
 */
export async function onTroupe(
  options: TroupeOptions,
  work: (troupe: Troupe, stop: Stop) => Promise<number>,
  signals: readonly StopSignal[] = ['SIGINT', 'SIGTERM'],
): Promise<number> {
  const troupe = createTroupe(options);
  const ending = new Ending(troupe, signals);
  try {
    return ending.codeOr(await work(troupe, ending));
  } catch (error) {
    return ending.codeOf(error);
  } finally {
    await troupe.close();
    ending.release();
  }
}

class Ending implements Stop {
  readonly #troupe: Troupe;
  readonly #signals: readonly StopSignal[];
  readonly #soon = new AbortController();
  readonly #now = new AbortController();
  #code: number | undefined;

  constructor(troupe: Troupe, signals: readonly StopSignal[]) {
    this.#troupe = troupe;
    this.#signals = signals;
    for (const signal of signals) process.on(signal, this.#onSignal);
  }

  get soon(): AbortSignal {
    return this.#soon.signal;
  }

  get now(): AbortSignal {
    return this.#now.signal;
  }

  /** The exit code of the signal, else this one. */
  codeOr(code: number): number {
    return this.#code ?? code;
  }

  /** The exit code of the signal when the work failed, which is told unless the signal is why; throws when there was none. */
  codeOf(error: unknown): number {
    if (this.#code === undefined) throw error;
    const isCancelled = isTroupeError(error) && error.class === 'cancelled';
    note(isCancelled ? 'cancelled' : `troupe: ${oneLine(reasonOf(error))}`);
    return this.#code;
  }

  /** Gives the signals back to the system. */
  release(): void {
    for (const signal of this.#signals) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = (signal: StopSignal): void => {
    const isFirst = this.#code === undefined;
    this.#code ??= exitCodes[signal];
    this.#soon.abort();
    if (signal === 'SIGINT' || !isFirst) this.#now.abort();
    else note(`What runs has ${drainMs / 1000} s to end; a second signal ends it at once.`);
    // Whoever awaits the end is told what goes wrong with it.
    this.#troupe.close({ drainMs }).catch(() => {});
    if (isFirst) return;
    this.release();
    setTimeout(() => process.exit(this.#code), lastMs).unref();
  };
}
