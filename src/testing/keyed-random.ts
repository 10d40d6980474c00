/**
 * Chance and ids that a seed decides.
 *
 * K1  A draw depends on the seed, its purpose, and how many draws that purpose has had: on no other purpose's draws.
 */
import { createHash } from 'node:crypto';
import type { Ids } from '../core/seams.ts';

/** A number in [0, 1): the next one of a purpose. It is a `Random`, too: without a purpose it draws for one of its own. */
export type KeyedRandom = (purpose?: string) => number;

/** Makes a random source in which every purpose has numbers of its own, as `random('delay of agent-3')`. */
export function keyedRandom(seed: number | string): KeyedRandom {
  const draws = new Map<string, number>();
  return (purpose = '') => {
    const draw = (draws.get(purpose) ?? 0) + 1;
    draws.set(purpose, draw);
    return digest(seed, purpose, draw).readUIntBE(0, 6) / 2 ** 48;
  };
}

/** Counts each kind: `ask-1`, `ask-2`. With a seed the ids of two seeds differ: `ask-5f2c01-1`. */
export function idMaker(seed?: number | string): Ids {
  const mark = seed === undefined ? '' : `${digest(seed, 'ids', 0).toString('hex', 0, 3)}-`;
  const counts = new Map<string, number>();
  return (kind) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return `${kind}-${mark}${count}`;
  };
}

function digest(...parts: readonly (number | string)[]): Buffer {
  return createHash('sha256').update(JSON.stringify(parts)).digest();
}
