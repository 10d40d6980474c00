/** Figures for the yearly report. */
import type { Loan } from './loans.ts';

/** How often each book was lent. */
export function lendingCounts(loans: readonly Loan[]): Record<string, number> {
  return loans.reduce<Record<string, number>>(
    (counts, loan) => ({ ...counts, [loan.bookId]: (counts[loan.bookId] ?? 0) + 1 }),
    {},
  );
}

/** The ids of the books that were lent most often, most frequent first. */
export function favourites(loans: readonly Loan[], count: number): string[] {
  return Object.entries(lendingCounts(loans))
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([bookId]) => bookId);
}

export function averageDays(loans: readonly Loan[]): number {
  const days = loans.flatMap(({ since, returned }) =>
    returned === undefined ? [] : [(Date.parse(returned) - Date.parse(since)) / 86_400_000],
  );
  return days.length === 0 ? 0 : days.reduce((sum, one) => sum + one, 0) / days.length;
}
