/** `troupe usage`: what the calls that a store knows of have taken, and what another model would have taken. */
import { loadPrices } from '../../actors/price-file.ts';
import type { Store } from '../../actors/store/store.ts';
import { TroupeError } from '../core/errors.ts';
import { priceTable } from '../core/prices.ts';
import { toCsv, toJson, type UsageKey, usageKeys, usageReport } from '../core/usage-report.ts';
import { whatIf } from '../core/what-if.ts';
import { openExistingStore, type StoreFlags } from './kept-store.ts';
import { usageText } from './usage-text.ts';

export interface UsageFlags extends StoreFlags {
  /** What to tell apart. Default `agent`. */
  readonly by?: readonly string[];
  /** A model to compare with. */
  readonly whatIf?: string;
  /** A file of prices, which go before the list prices. */
  readonly prices?: string;
  readonly json?: true;
  readonly csv?: true;
}

/** Opens the store that the flags name. */
export type OpenStore = (flags: StoreFlags) => Promise<Store>;

/** Prints the report; the exit code is 0. */
export async function usageCommand(flags: UsageFlags, open: OpenStore = openExistingStore): Promise<number> {
  const by = keysOf(flags.by ?? ['agent']);
  if (flags.csv && (flags.json || flags.whatIf !== undefined))
    throw invalid('`--csv` goes with neither `--json` nor `--what-if`: leave one of them out.');
  const prices = priceTable(flags.prices === undefined ? undefined : await loadPrices(flags.prices));
  if (flags.whatIf !== undefined && prices.priceOf(flags.whatIf) === undefined)
    throw invalid(`No price of the model "${flags.whatIf}" is known. Give it in a file by \`--prices\`.`);
  const rows = await readLedger(flags, open);
  const report = usageReport(rows, by);
  const other = flags.whatIf === undefined ? undefined : whatIf(rows, flags.whatIf, prices);
  if (flags.csv) process.stdout.write(toCsv(report));
  else if (flags.json) process.stdout.write(`${toJson(report, other && { whatIf: other })}\n`);
  else process.stdout.write(usageText(report, other));
  return 0;
}

async function readLedger(flags: StoreFlags, open: OpenStore) {
  const store = await open(flags);
  try {
    return await store.ledger();
  } finally {
    await store.close();
  }
}

function keysOf(names: readonly string[]): UsageKey[] {
  const keys = [...new Set(names)].map((name) => usageKeys.find((key) => key === name));
  const wrong = names.filter((name) => !usageKeys.some((key) => key === name));
  if (wrong.length > 0)
    throw invalid(`\`--by\` takes ${usageKeys.join(', ')}, not ${wrong.map((name) => `"${name}"`).join(', ')}.`);
  return keys.filter((key) => key !== undefined);
}

function invalid(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
