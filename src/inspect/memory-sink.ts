/** A sink that keeps the last messages in memory. */
import { checkOptions, rules } from '../core/options.ts';
import type { InspectMessage } from './messages.ts';
import type { Sink } from './sink.ts';

export interface MemorySink extends Sink {
  /** The messages that it still has, oldest first. */
  readonly messages: readonly InspectMessage[];
  /** Messages that made room for later ones. */
  readonly dropped: number;
}

/** Keeps the last `limit` messages (default 10,000). */
export function memorySink(limit = 10_000): MemorySink {
  checkOptions('memorySink', { limit }, { limit: rules.positiveCount });
  const ring: InspectMessage[] = [];
  let count = 0;
  return {
    write(message) {
      ring[count % limit] = message;
      count += 1;
    },
    get messages() {
      const first = count <= limit ? 0 : count % limit;
      return [...ring.slice(first), ...ring.slice(0, first)];
    },
    get dropped() {
      return Math.max(0, count - limit);
    },
  };
}
