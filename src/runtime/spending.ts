/**
 * Money of a model call: what is set aside before it is made, and what it has cost.
 *
 * M1  A call of an agent with a budget anywhere above it is made only when the most that it may cost is set aside.
 * M2  A call that a server refused before it answered costs nothing. One that broke off costs what was set aside, since nobody
 *     knows better; what is learnt later comes on top as a late spend.
 */
import type { Backend, ModelResponse } from '../../actors/backend.ts';
import { type Budget, budgetExceeded, type Reservation } from '../core/budget.ts';
import { costOf } from '../core/costs.ts';
import { TroupeError } from '../core/errors.ts';
import type { PriceTable } from '../core/prices.ts';
import type { Spend } from '../core/usage.ts';
import { worstCaseUsd } from '../core/worst-case.ts';

/** A call that is about to be made. */
export interface PricedCall {
  readonly backend: Pick<Backend, 'info'>;
  readonly model: string;
  /** The most tokens that its prompt can have. Asked for only when there is a budget. */
  readonly promptTokens: () => number;
  readonly maxOutputTokens: number;
}

/** What a request asks for when nobody says how long the answer may be. */
export const defaultMaxTokens = 4096;

/** Sets aside what a call may cost at most; undefined without a budget. Throws `TROUPE_ERR_BUDGET_EXCEEDED`. */
export function setAside(budget: Budget | undefined, prices: PriceTable, call: PricedCall): Reservation | undefined {
  if (budget === undefined) return undefined;
  const { backend, model, promptTokens, maxOutputTokens } = call;
  const price = prices.priceOf(model, backend.info);
  if (price === undefined) throw unpriced(budget, model);
  const isFree = price.inputUsd === 0 && price.outputUsd === 0;
  const bounds = { promptTokens: isFree ? 0 : promptTokens(), maxOutputTokens };
  const result = budget.reserve(worstCaseUsd(bounds, { price }) ?? 0);
  if (!result.granted) throw budgetExceeded(result);
  return result;
}

/** What an answer has cost: as its backend says, else by the price of its model. */
export function spendOf(
  prices: PriceTable,
  { info }: Pick<Backend, 'info'>,
  model: string,
  response: ModelResponse,
): Spend {
  const { usage, costUsd, toolPhase } = response;
  const price = prices.priceOf(model, info);
  // A backend with a tool loop of its own says at the loop's end what all of it has cost.
  const listed = toolPhase === undefined || info.price === 'free' ? costOf(usage, { price }) : undefined;
  return { usage, costUsd: costUsd ?? (isFree(price) ? 0 : listed) };
}

/** Whether a failed call can have cost nothing: nobody heard it, or the server refused it. */
export function costsNothing({
  status,
  partialText,
  cause,
}: Pick<TroupeError, 'status' | 'partialText' | 'cause'>): boolean {
  if (neverConnected.has(String((cause as { readonly code?: unknown } | undefined)?.code))) return true;
  return status !== undefined && status >= 400 && partialText === undefined;
}

const neverConnected: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH']);

function isFree(price: ReturnType<PriceTable['priceOf']>): boolean {
  return price !== undefined && price.inputUsd === 0 && price.outputUsd === 0;
}

function unpriced({ name }: Budget, model: string): TroupeError {
  const message = `The budget "${name}" cannot be kept: no price is known for the model "${model}". Name it in \`prices\`.`;
  return new TroupeError('TROUPE_ERR_BUDGET_EXCEEDED', message);
}
