/** What a case of the contract is. */
import type { Need, World } from './worlds.ts';

export interface Case {
  readonly name: string;
  /** What a world must have for it; a world that lacks some of it cannot be asked. */
  readonly needs: readonly Need[];
  /** Other reasons for which a world cannot be asked. */
  readonly cannot?: (world: World) => string | undefined;
  run(world: World): Promise<void>;
}
