/**
 * Money as whole nano-USD (a billionth of a dollar), so that sums are exact in any order: up to nine million USD.
 * A token of the cheapest models costs tens of them.
 */

/** The most that is counted exactly. */
export const maxUsd = 9_000_000;

/** The nano-USD of a cost, rounded up: what is charged or set aside is never too little. Something is never nothing. */
export function nanoUp(usd: number): number {
  return usd > 0 ? Math.max(1, Math.ceil(withoutNoise(usd))) : 0;
}

/** The nano-USD of a limit, rounded down. */
export function nanoDown(usd: number): number {
  return Math.floor(withoutNoise(usd));
}

/** The nano-USD that are nearest: for sums that are shown. */
export function nanoNearest(usd: number): number {
  return Math.round(usd * 1e9);
}

export function usdOf(nano: number): number {
  return nano / 1e9;
}

/** Whether a value can be a cost. */
export function isAmount(usd: unknown): usd is number {
  return typeof usd === 'number' && usd >= 0 && usd <= maxUsd;
}

/** `$0.10`, `$0.000128`: exact to the nano-USD, cents at least, never with an exponent. */
export function usdText(usd: number): string {
  return `$${usd.toFixed(9).replace(/0{1,7}$/, '')}`;
}

/** Without what floating point adds or takes away, as in 0.1 + 0.2: rounded up, it would be a whole nano-USD. */
function withoutNoise(usd: number): number {
  const nano = usd * 1e9;
  const nearest = Math.round(nano);
  return Math.abs(nano - nearest) < Math.max(1e-6, nano * 4 * Number.EPSILON) ? nearest : nano;
}
