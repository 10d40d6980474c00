/** What the same tokens would cost on another model. An estimate, which says what it takes for granted. */
import { costOf } from './costs.ts';
import type { ModelPrice } from './models.ts';
import { nanoNearest, usdOf, usdText } from './money.ts';
import { type PriceTable, priceTable } from './prices.ts';
import { sumOf, type UsageRow, type UsageSum } from './usage-report.ts';

export interface WhatIf {
  readonly model: string;
  readonly price: ModelPrice;
  /** What was compared: rows of which tokens and cost are known. */
  readonly compared: UsageSum;
  /** Calls of the other rows. */
  readonly leftOut: number;
  /** What the compared calls have cost. */
  readonly actualUsd: number;
  /** What they would have cost. */
  readonly costUsd: number;
  /** The part of it that was saved; below 0 when the other model is cheaper, undefined when that is free. */
  readonly savedShare: number | undefined;
  /** One sentence each. */
  readonly assumptions: readonly string[];
}

/** The calls of these rows at the price of another model; undefined when that is not known. */
export function whatIf(
  rows: readonly UsageRow[],
  model: string,
  prices: PriceTable = priceTable(),
): WhatIf | undefined {
  const price = prices.priceOf(model);
  if (price === undefined) return undefined;
  const { longPrompt: _, ...shortPrice } = price;
  const costs = rows.map((row) => (row.costUsd === undefined ? undefined : costOf(row.usage, { price: shortPrice })));
  const compared = sumOf(rows.filter((_row, index) => costs[index] !== undefined));
  const leftOut = sumOf(rows.filter((_row, index) => costs[index] === undefined)).calls;
  const actualUsd = compared.costUsd ?? 0;
  const cost = costs.reduce<number>((sum, usd) => sum + nanoNearest(usd ?? 0), 0);
  const savedShare = cost === 0 ? undefined : (cost - nanoNearest(actualUsd)) / cost;
  const assumptions = assumptionsOf(price, compared, leftOut);
  return { model, price, compared, leftOut, actualUsd, costUsd: usdOf(cost), savedShare, assumptions };
}

function assumptionsOf(price: ModelPrice, { usage, unpriced }: UsageSum, leftOut: number): string[] {
  const { cacheReadUsd, cacheWriteUsd, inputUsd, longPrompt } = price;
  const hasCached = (usage.cacheReadTokens ?? 0) + (usage.cacheWriteTokens ?? 0) > 0;
  const cacheText = `read at ${usdText(cacheReadUsd ?? inputUsd)}, written at ${usdText(cacheWriteUsd ?? inputUsd)}`;
  return [
    'The other model is taken to need the same tokens: it may count and answer differently.',
    ...(hasCached ? [`What was cached is taken to be cached there, too: ${cacheText} a million tokens.`] : []),
    ...(longPrompt === undefined
      ? []
      : [`No prompt is taken to have more than ${longPrompt.aboveTokens} tokens, above which it costs more there.`]),
    ...(unpriced === 0
      ? []
      : [
          `${callsText(unpriced)} of those compared had no price, so that at least this was paid and at most this saved.`,
        ]),
    ...(leftOut === 0 ? [] : [`${callsText(leftOut)} left out, of which the tokens or the cost are not known.`]),
  ];
}

function callsText(calls: number): string {
  return calls === 1 ? '1 call' : `${calls} calls`;
}
