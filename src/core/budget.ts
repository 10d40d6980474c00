/**
 * Budgets in a tree: that of an ask within its agent's, that within its group's, that within the troupe's.
 *
 * B1  The most that a call may cost is set aside before it is made, in its budget and all above it, or in none of them.
 *     Nothing waits in between: of any number of calls for which there is room for one, one is made.
 * B2  What is spent and what is set aside never pass the limit, unless a call costs more than was set aside for it, or
 *     something is charged that was never asked for. Then nothing more is let through but what is free.
 * B3  A reservation ends once. What ends it again changes nothing.
 * B4  Sums are exact: whole nano-USD, each amount rounded up, a limit rounded down. Memory and time are O(depth).
 */
import { TroupeError } from './errors.ts';
import { isAmount, maxUsd, nanoDown, nanoUp, usdOf, usdText } from './money.ts';
import { checkOptions } from './options.ts';

export interface BudgetOptions {
  /** The budget that this one is within; what is spent here is spent there. Absent at the top. */
  readonly parent?: Budget | undefined;
  /** Shares of the limit at which spending is worth a warning. Default 0.8 and 1. */
  readonly warnAt?: readonly number[];
  /** Takes each of these warnings once, when the sums are right. What it throws, whoever charged gets. */
  readonly onWarning?: (warning: BudgetWarning) => void;
}

/** A share of a budget is spent. */
export interface BudgetWarning {
  readonly budget: string;
  /** The share, as in `warnAt`. */
  readonly share: number;
  readonly spentUsd: number;
  readonly limitUsd: number;
}

/** Room for one call. Whoever has it ends it: by `settle` when the call was made, by `release` when it was not. */
export interface Reservation {
  readonly granted: true;
  readonly reservedUsd: number;
  /**
   * Charges what the call has cost, all of it. When that is not known, what was set aside is charged.
   * Undefined when the reservation was over already.
   */
  settle(actualUsd: number | undefined): Settlement | undefined;
  /** Charges nothing. False when the reservation was over already. */
  release(): boolean;
}

export interface Settlement {
  readonly chargedUsd: number;
  /** By how much the call passed what was set aside for it; 0 when it did not. */
  readonly overshootUsd: number;
  /** Whether the cost was not known, so that the most that it could be was charged. */
  readonly isEstimated: boolean;
}

/** No room: which budget said so, and how it stood. */
export interface Refusal {
  readonly granted: false;
  /** The nearest to the call of those that have no room. */
  readonly budget: string;
  readonly limitUsd: number;
  readonly spentUsd: number;
  readonly reservedUsd: number;
  /** The most that the call might have cost. */
  readonly worstUsd: number;
}

/** A limit on spending. */
export class Budget {
  readonly name: string;
  /** Undefined when it has none of its own: then it only counts. */
  readonly limitUsd: number | undefined;
  readonly #parent: Budget | undefined;
  readonly #limit: number;
  readonly #onWarning: BudgetOptions['onWarning'];
  /** Shares that were not passed yet, the lowest first. */
  #warnAt: readonly number[];
  #spent = 0;
  #reserved = 0;
  #estimated = 0;

  /** A limit of 0 lets through what is free and nothing else. */
  constructor(name: string, limitUsd: number | undefined, options: BudgetOptions = {}) {
    const { parent, warnAt = [0.8, 1], onWarning } = options;
    checkOptions(`Budget "${name}"`, { limitUsd, warnAt }, { limitUsd: amountRule, warnAt: sharesRule });
    this.name = name;
    this.limitUsd = limitUsd;
    this.#parent = parent;
    this.#limit = limitUsd === undefined ? Number.POSITIVE_INFINITY : nanoDown(limitUsd);
    this.#onWarning = onWarning;
    this.#warnAt = limitUsd === undefined ? [] : [...new Set(warnAt)].sort((a, b) => a - b);
  }

  /** What calls have cost here and in the budgets within. */
  get spentUsd(): number {
    return usdOf(this.#spent);
  }

  /** The part of it that is a guess: calls whose cost is not known, at the most that they could have cost. */
  get estimatedUsd(): number {
    return usdOf(this.#estimated);
  }

  /** What is set aside for calls that are being made. */
  get reservedUsd(): number {
    return usdOf(this.#reserved);
  }

  /** The most that can be set aside here now, by the limits of this budget and all above; undefined when there is none. */
  get leftUsd(): number | undefined {
    const left = Math.min(...this.#line().map((level) => level.#limit - level.#spent - level.#reserved));
    return Number.isFinite(left) ? usdOf(Math.max(0, left)) : undefined;
  }

  /**
   * Sets aside the most that a call may cost. What is free passes, also when everything is spent.
   * Throws `TROUPE_ERR_OPTION_INVALID` for what is no amount.
   */
  reserve(worstUsd: number): Reservation | Refusal {
    const worst = nanoOf('worstUsd', worstUsd);
    const line = this.#line();
    const full = line.find((level) => worst > 0 && level.#spent + level.#reserved + worst > level.#limit);
    if (full !== undefined) return full.#refusal(worst);
    for (const level of line) level.#reserved += worst;
    let isOpen = true;
    const end = (charged: number, estimated: number) => {
      isOpen = false;
      for (const level of line) level.#reserved -= worst;
      this.#spend(charged, estimated);
    };
    return {
      granted: true,
      reservedUsd: usdOf(worst),
      settle(actualUsd) {
        if (!isOpen) return undefined;
        const isEstimated = !isAmount(actualUsd);
        const charged = isEstimated ? worst : nanoUp(actualUsd);
        end(charged, isEstimated ? worst : 0);
        return { chargedUsd: usdOf(charged), overshootUsd: usdOf(Math.max(0, charged - worst)), isEstimated };
      },
      release() {
        if (!isOpen) return false;
        end(0, 0);
        return true;
      },
    };
  }

  /** Counts a cost for which nothing was set aside, limit or not: it is spent already. Throws as `reserve` does. */
  charge(usd: number): void {
    this.#spend(nanoOf('usd', usd), 0);
  }

  /** This budget and those above it, up to the top. */
  #line(): Budget[] {
    const line: Budget[] = [];
    for (let level: Budget | undefined = this; level !== undefined; level = level.#parent) line.push(level);
    return line;
  }

  #spend(nano: number, estimated: number): void {
    if (nano === 0) return;
    const line = this.#line();
    for (const level of line) {
      level.#spent += nano;
      level.#estimated += estimated;
    }
    for (const level of line) level.#warn();
  }

  #warn(): void {
    const { name, limitUsd = 0, spentUsd } = this;
    const isPassed = (share: number) => this.#spent >= Math.round(share * this.#limit);
    const passed = this.#warnAt.filter(isPassed);
    if (passed.length === 0) return;
    this.#warnAt = this.#warnAt.slice(passed.length);
    for (const share of passed) this.#onWarning?.({ budget: name, share, spentUsd, limitUsd });
  }

  #refusal(worst: number): Refusal {
    const { name, limitUsd = 0, spentUsd, reservedUsd } = this;
    return { granted: false, budget: name, limitUsd, spentUsd, reservedUsd, worstUsd: usdOf(worst) };
  }
}

/** The error of a call for which there is no room. */
export function budgetExceeded({ budget, limitUsd, spentUsd, reservedUsd, worstUsd }: Refusal): TroupeError {
  return new TroupeError(
    'TROUPE_ERR_BUDGET_EXCEEDED',
    `The budget "${budget}" has no room for this call, which may cost ${usdText(worstUsd)}: of ${usdText(limitUsd)} ` +
      `${usdText(spentUsd)} is spent and ${usdText(reservedUsd)} is set aside for calls that are being made. ` +
      'Raise its limit, lower `maxTokens`, or use a cheaper model or a free backend.',
  );
}

function nanoOf(name: string, usd: number): number {
  checkOptions('A budget', { [name]: usd ?? null }, { [name]: amountRule });
  return nanoUp(usd);
}

function amountRule(value: unknown): string | undefined {
  return isAmount(value) ? undefined : `a number of USD from 0 to ${maxUsd}`;
}

function sharesRule(value: unknown): string | undefined {
  const isShare = (share: unknown) => typeof share === 'number' && share > 0 && Number.isFinite(share);
  return Array.isArray(value) && value.every(isShare) ? undefined : 'an array of numbers above 0, 1 being the limit';
}
