/** troupe/usage: prices, bills, budgets, and reports of what was spent. */
export { loadPrices } from '../../actors/price-file.ts';
export type { LedgerEntry, LedgerSum } from '../../actors/store/store.ts';
export {
  Budget,
  type BudgetOptions,
  type BudgetWarning,
  type Refusal,
  type Reservation,
  type Settlement,
} from '../core/budget.ts';
export { type BillLine, billOf, costOf, type Priced } from '../core/costs.ts';
export { freePrice, type HourlyPrice, type PriceList, type PriceTable, priceTable } from '../core/prices.ts';
export {
  sumOf,
  toCsv,
  toJson,
  type UsageLine,
  type UsageReport,
  usageReport,
} from '../core/usage-report.ts';
export { type WhatIf, whatIf } from '../core/what-if.ts';
export { type CallBounds, worstCaseUsd } from '../core/worst-case.ts';
