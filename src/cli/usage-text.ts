/** A usage report as text for a terminal of 80 columns. */
import { usdText } from '../core/money.ts';
import type { UsageReport, UsageSum } from '../core/usage-report.ts';
import type { WhatIf } from '../core/what-if.ts';
import { count, oneLine, table, wrap } from './terminal.ts';

const columns = 80;

/** The whole report. `?` is what is not known; `≥` stands before a sum that lacks the price of a call. */
export function usageText(report: UsageReport, other?: WhatIf): string {
  const { lines, total } = report;
  if (lines.length === 0) return 'No calls yet.\n';
  const sections = [usageTable(report)];
  if (total.unpriced > 0)
    sections.push(wrap(`Of ${total.unpriced} of ${count(total.calls, 'call')} no price is known.`, '', columns));
  if (other !== undefined) sections.push(whatIfText(other));
  return `${sections.join('\n\n')}\n`;
}

/** What the other model would have cost, with the arithmetic of the saving. */
export function whatIfText({ model, price, compared, actualUsd, costUsd, savedShare, assumptions }: WhatIf): string {
  const { inputUsd, outputUsd, source = 'no source', date = 'no date' } = price;
  const rates = `${usdText(inputUsd)} in, ${usdText(outputUsd)} out a million tokens (${source}, ${date})`;
  const { inputTokens = 0, outputTokens = 0 } = compared.usage;
  const tokens = `${inputTokens} tokens in and ${outputTokens} out, of ${count(compared.calls, 'call')}`;
  const saved = savedShare === undefined ? '' : `: ${shareText(savedShare, compared.unpriced > 0)}`;
  return [
    wrap(`If ${oneLine(model)} had done it all: ${rates}`, '', columns),
    wrap(tokens, '  ', columns),
    wrap(`${usdText(actualUsd)} was paid instead of ${usdText(costUsd)}${saved}`, '  ', columns),
    ...assumptions.map((assumption) => wrap(assumption, '  ', columns)),
  ].join('\n');
}

function usageTable({ by, lines, total }: UsageReport): string {
  const names = [by, ...lines.map(({ key }) => key.map(oneLine)), by.map((_, index) => (index === 0 ? 'total' : ''))];
  const figures = [['calls', 'input', 'cached', 'output', 'USD'], ...lines.map(cells), cells(total)];
  const taken = widthsOf(figures).reduce((sum, width) => sum + width + 2, 0);
  const shown = fitted(names, { width: columns - taken, whole: by.indexOf('day') });
  const rows = shown.map((row, index) => [...row, ...(figures[index] ?? [])]);
  return table(
    rows,
    [0, 1, 2, 3, 4].map((column) => by.length + column),
  );
}

function cells({ calls, unpriced, usage, costUsd }: UsageSum): string[] {
  const { inputTokens, cacheReadTokens, outputTokens } = usage;
  const tokens = [inputTokens, cacheReadTokens, outputTokens].map((known) => (known === undefined ? '?' : `${known}`));
  const usd = costUsd === undefined ? '?' : `${unpriced > 0 ? '≥ ' : ''}${costUsd.toFixed(6)}`;
  return [String(calls), ...tokens, usd];
}

/** The columns cut so that they fit, the widest first, all but `whole`; a text that was cut ends in an ellipsis. */
function fitted(rows: readonly (readonly string[])[], { width, whole }: { width: number; whole: number }): string[][] {
  const widths = widthsOf(rows);
  const widest = () => Math.max(...widths.filter((_, column) => column !== whole));
  const isTooWide = () => widths.reduce((sum, each) => sum + each, 2 * (widths.length - 1)) > width;
  while (isTooWide() && widest() > 5) {
    const size = widest();
    const column = widths.findIndex((each, index) => each === size && index !== whole);
    widths[column] = size - 1;
  }
  const cut = (text: string, size: number) => (text.length > size ? `${text.slice(0, size - 1)}…` : text);
  return rows.map((row) => row.map((text, column) => cut(text, widths[column] ?? 0)));
}

function widthsOf(rows: readonly (readonly string[])[]): number[] {
  return (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
}

function shareText(share: number, isAtMost: boolean): string {
  const percent = (Math.abs(share) * 100).toFixed(1);
  return share < 0 ? `${percent} % more` : `${isAtMost ? 'at most ' : ''}${percent} % less`;
}
