/** Faults of a catalogue as rows: each is run as one test, and all are printed as one table with what came of them. */
import { afterAll, describe, it } from 'vitest';

/** One stimulus of one fault. */
export interface FaultRow {
  /** The number of the fault class: `F33`. */
  readonly fault: string;
  /** Short name of what is done to us. */
  readonly stimulus: string;
  /** What must come of it. */
  readonly requires: string;
  /** Does it and fails when something else comes of it; a text: why it cannot exist. */
  readonly run: (() => Promise<void>) | string;
}

/** Runs the rows as tests and prints the table after the last. */
export function runFaultRows(title: string, rows: readonly FaultRow[]): void {
  const outcomes = new Map<FaultRow, 'met' | 'NOT MET'>();
  describe(title, () => {
    for (const row of rows) {
      const { fault, stimulus, requires, run } = row;
      if (typeof run === 'string') continue;
      it(`${fault} ${stimulus}: ${requires}`, async () => {
        outcomes.set(row, 'NOT MET');
        await run();
        outcomes.set(row, 'met');
      });
    }
  });
  afterAll(() => void process.stdout.write(`${table(title, rows, outcomes).join('\n')}\n`));
}

function table(title: string, rows: readonly FaultRow[], outcomes: ReadonlyMap<FaultRow, string>): string[] {
  const lines = rows.map((row) => [
    row.fault,
    row.stimulus,
    typeof row.run === 'string' ? 'cannot exist' : (outcomes.get(row) ?? 'not run'),
    typeof row.run === 'string' ? row.run : row.requires,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const shown = lines.map((line) => `  ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`);
  const met = [...outcomes.values()].filter((outcome) => outcome === 'met').length;
  const cannot = rows.filter(({ run }) => typeof run === 'string').length;
  return [`${title}:`, ...shown, `${title}: met ${met} / run ${outcomes.size} (${cannot} cannot exist)`];
}
