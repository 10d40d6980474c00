/**
 * How many repeats all calls together may make: so that a storm of failures does not multiply the calls.
 * A small use never notices; a large one may repeat `reserve` calls, and from then on a fifth of what it calls.
 */
export interface RetryBudgetOptions {
  /** Repeats that each first call earns. Default 0.2. */
  readonly ratio?: number;
  /** Repeats that it has at the start and at most. Default 100. */
  readonly reserve?: number;
}

export class RetryBudget {
  readonly #ratio: number;
  readonly #reserve: number;
  #left: number;

  constructor({ ratio = 0.2, reserve = 100 }: RetryBudgetOptions = {}) {
    this.#ratio = ratio;
    this.#reserve = reserve;
    this.#left = reserve;
  }

  /** Counts the first call of a step, whatever becomes of it. */
  call(): void {
    this.#left = Math.min(this.#reserve, this.#left + this.#ratio);
  }

  /** Takes a repeat from the budget; false when none is left. */
  mayRetry(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
