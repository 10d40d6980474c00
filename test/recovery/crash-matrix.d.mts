/** Types of crash-matrix.mjs, for its test. */
export interface CrashFigures {
  readonly tried: number;
  readonly survived: number;
  readonly faults: readonly unknown[];
}
export function crashMatrix(options: {
  /** The folder of the built package. */
  readonly dist: string;
  readonly seed: number;
  /** Random instants. */
  readonly random: number;
  /** Of the counted points, every how manieth. Default 1. */
  readonly every?: number;
  /** Default: as many as there are cores. */
  readonly workers?: number;
}): Promise<CrashFigures>;
