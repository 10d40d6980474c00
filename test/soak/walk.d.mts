/** Types of walk.mjs, for its test. */
export interface WalkFigures {
  readonly sent: number;
  readonly replied: number;
  readonly failed: number;
  readonly notes: readonly string[];
}
export function walk(
  module: object,
  options: {
    readonly seed: number;
    readonly agents: number;
    /** It ends after these seconds, or when so many asks were made. */
    readonly seconds: number;
    readonly asks: number;
    readonly rounds: number;
    /** How likely a request fails. */
    readonly rate: number;
    readonly gc: (() => void) | undefined;
  },
): Promise<WalkFigures>;
export function faultsOfWalk(
  figures: WalkFigures,
  measures: { readonly measuresTime: boolean; readonly measuresHeap: boolean },
): readonly string[];
