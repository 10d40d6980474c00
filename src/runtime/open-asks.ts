/** How many asks of a troupe are open, and waiting until none is. */
import type { Clock } from '../core/seams.ts';

export class OpenAsks {
  #count = 0;
  #stop: (() => void) | undefined;

  begin(): void {
    this.#count += 1;
  }

  end(): void {
    this.#count -= 1;
    if (this.#count === 0) this.stopWaiting();
  }

  /** Resolves when no ask is open, after `ms` milliseconds at the latest. */
  none(clock: Clock, ms: number): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = clock.setTimeout(() => this.stopWaiting(), ms);
      this.#stop = () => {
        clock.clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the waiting, whatever is open. */
  stopWaiting(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}
