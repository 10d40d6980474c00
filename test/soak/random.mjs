/** Chance that can be had again: a generator for a walk, and draws that depend on what they are for and on nothing else. */
import { createHash } from 'node:crypto';

/** A small seeded generator of numbers in [0, 1). */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Two numbers in [0, 1) for this thing under this seed, whenever and in whatever order they are drawn. */
export function drawsFor(seed, thing) {
  const digest = createHash('sha256').update(`${seed} ${thing}`).digest();
  return [digest.readUInt32BE(0) / 2 ** 32, digest.readUInt32BE(4) / 2 ** 32];
}

/** One of a list, by a number in [0, 1). */
export function pick(list, draw) {
  return list[Math.floor(draw * list.length)];
}
