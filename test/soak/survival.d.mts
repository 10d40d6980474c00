/** Types of survival.mjs, for its test. */
export interface SurvivalRow {
  readonly name: string;
  readonly healthy: string;
  readonly answered: number;
  readonly of: number;
  readonly notes: readonly string[];
}
export function survival(
  module: object,
  options: {
    readonly seed: number;
    readonly agents: number;
    /** Asks of each row. */
    readonly asks: number;
    /** How likely a request to one of the two others fails. */
    readonly rate: number;
  },
): Promise<readonly SurvivalRow[]>;
export function faultsOfSurvival(rows: readonly SurvivalRow[]): readonly string[];
