/** Compression that leaves everything as it is. What is over the target is then cut by the last resort of the plan. */
import type { CompressionStrategy } from './strategy.ts';

/** Makes the strategy that keeps every group. */
export function none(): CompressionStrategy {
  return {
    name: 'none',
    async compress({ groups, previous, candidates = groups.map((_, number) => number) }) {
      return { head: previous?.head ?? [], kept: candidates };
    },
  };
}
