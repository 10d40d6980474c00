/** Types of soak.mjs, for its test. */
export interface SoakFigures {
  readonly replied: number;
  readonly failed: number;
}
export function soak(
  module: { readonly createTroupe: unknown; readonly isTroupeError: unknown },
  options: {
    readonly asks: number;
    readonly agents: number;
    readonly seed: number;
    readonly gc: (() => void) | undefined;
  },
): Promise<SoakFigures>;
export function faultsOf(figures: SoakFigures, measuresHeap: boolean): readonly string[];
