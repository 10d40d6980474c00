/**
 * The ledger as a report: what was called, how many tokens, how much money.
 *
 * U1  Unknown is never 0: an unknown count or cost is undefined, and calls without a known price are counted.
 * U2  Money is summed in whole nano-USD, so that the lines of a report add up to its total, in any order of the rows.
 */

import { nanoNearest, usdOf } from './money.ts';
import type { Usage } from './types.ts';
import { addUsage, unknownUsage } from './usage.ts';

/** Sums of some calls, as the ledger of a store gives them. */
export interface UsageRow {
  readonly agent: string;
  readonly backend: string;
  readonly model: string;
  /** UTC, as `2026-11-24`. */
  readonly day: string;
  readonly calls: number;
  /** Calls of which no price is known. */
  readonly unpriced: number;
  readonly usage: Usage;
  /** USD of the other calls; undefined when there is none. */
  readonly costUsd: number | undefined;
}

export const usageKeys = ['agent', 'model', 'backend', 'day'] as const;

/** What a report may tell apart. */
export type UsageKey = (typeof usageKeys)[number];

/** Sums over some calls. */
export interface UsageSum {
  readonly calls: number;
  readonly unpriced: number;
  readonly usage: Usage;
  readonly costUsd: number | undefined;
}

export interface UsageLine extends UsageSum {
  /** What its calls have in common, in the order of the report's `by`. */
  readonly key: readonly string[];
}

export interface UsageReport {
  readonly by: readonly UsageKey[];
  /** In the order of their keys. */
  readonly lines: readonly UsageLine[];
  readonly total: UsageSum;
}

/** Sums of the rows that have these keys in common. */
export function usageReport(rows: readonly UsageRow[], by: readonly UsageKey[]): UsageReport {
  const groups = new Map<string, { readonly key: readonly string[]; readonly rows: UsageRow[] }>();
  for (const row of rows) {
    const key = by.map((name) => row[name]);
    const id = JSON.stringify(key);
    const group = groups.get(id) ?? { key, rows: [] };
    group.rows.push(row);
    groups.set(id, group);
  }
  const lines = [...groups.values()].map((group) => ({ key: group.key, ...sumOf(group.rows) }));
  return { by, lines: lines.sort(byKey), total: sumOf(rows) };
}

/** Sum of all rows. */
export function sumOf(rows: readonly UsageSum[]): UsageSum {
  const costs = rows.map(({ costUsd }) => costUsd).filter((usd) => usd !== undefined);
  return {
    calls: rows.reduce((sum, { calls }) => sum + calls, 0),
    unpriced: rows.reduce((sum, { unpriced }) => sum + unpriced, 0),
    usage: rows.reduce((sum, { usage }) => addUsage(sum, usage), unknownUsage),
    costUsd: costs.length === 0 ? undefined : usdOf(costs.reduce((sum, usd) => sum + nanoNearest(usd), 0)),
  };
}

/** The report as JSON, with what else belongs to it; null is what is not known. */
export function toJson(report: UsageReport, more: object = {}): string {
  const unknownAsNull = (_name: string, value: unknown) => (value === undefined ? null : value);
  return JSON.stringify({ ...report, ...more }, unknownAsNull, 2);
}

/**
 * The lines of the report as RFC 4180 has it; an empty field is what is not known. No total, which whoever reads it sums.
 * A text that a spreadsheet would take for a formula, or that begins with an apostrophe, gets an apostrophe before it.
 */
export function toCsv({ by, lines }: UsageReport): string {
  const head = [...by, ...counts, 'costUsd'];
  const rows = lines.map(({ key, calls, unpriced, usage, costUsd }) => [
    ...key.map(inertText),
    ...[calls, unpriced, usage.inputTokens, usage.outputTokens, usage.cacheReadTokens, usage.cacheWriteTokens].map(
      numberText,
    ),
    costUsd === undefined ? '' : costUsd.toFixed(9),
  ]);
  return [head, ...rows].map((row) => `${row.map(csvField).join(',')}\r\n`).join('');
}

const counts = ['calls', 'unpriced', 'inputTokens', 'outputTokens', 'cacheReadTokens', 'cacheWriteTokens'];

function byKey({ key: a }: UsageLine, { key: b }: UsageLine): number {
  const differs = a.findIndex((part, index) => part !== b[index]);
  if (differs === -1) return 0;
  return (a[differs] ?? '') < (b[differs] ?? '') ? -1 : 1;
}

function inertText(text: string): string {
  return /^[=+\-@\t\r\n']/.test(text) ? `'${text}` : text;
}

function numberText(value: number | undefined): string {
  return value === undefined ? '' : String(value);
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
