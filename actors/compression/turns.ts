/** Turns: what a user message opens, up to the next one. A tool loop is one turn of many groups. */
import type { Group } from '../../src/core/conversation.ts';

/** For each group the number of the one that opens its turn; 0 for what stands before the first user message. */
export function turnStarts(groups: readonly Group[]): readonly number[] {
  let start = 0;
  return groups.map((group, number) => {
    if (group[0]?.role === 'user') start = number;
    return start;
  });
}
