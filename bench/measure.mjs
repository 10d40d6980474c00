/** CPU time of this process, medians, and pairs of rounds. */

export function median(values) {
  return quantile(values, 0.5);
}

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)];
  return low + (sorted[Math.ceil(at)] - low) * (at - Math.floor(at));
}

/**
 * Collects young garbage, so that one measurement hardly pays for the one before; the second time moves what survived the
 * first to the old generation, where preparing belongs. A full collection here would double what is measured after it:
 * V8 shrinks its young generation and forgets what it learnt.
 */
function collectYoung() {
  globalThis.gc?.({ type: 'minor' });
  globalThis.gc?.({ type: 'minor' });
}

/** Bytes that are held after full collections. */
export function heldBytes() {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/**
 * Runs `work`: CPU microseconds (user and system, all threads of the process) and wall microseconds.
 * @param {() => unknown} work
 */
export async function timed(work) {
  collectYoung();
  const before = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const wall = (performance.now() - startedAt) * 1000;
  const { user, system } = process.cpuUsage(before);
  return { cpu: user + system, wall };
}

/**
 * Measures two ways to do the same work in alternating rounds: what drifts on the machine hits both.
 * A side is prepared outside the measurement; it returns `run` and, if there is something to tidy up, `clean`.
 * Its parameter is a prefix for the names of its agents.
 * @typedef {(prefix?: string) => Promise<{ run: () => Promise<void>, clean?: () => Promise<void> }>} Side
 * @param {{ bare: Side, troupe: Side, asks: number }} workload
 * @param {{ rounds: number, warmUp: number, count: () => Promise<number> }} options
 */
export async function compare({ bare, troupe, asks }, { rounds, warmUp, count }) {
  const pairs = [];
  for (let round = -warmUp; round < rounds; round += 1) {
    const order = round % 2 === 0 ? ['bare', 'troupe'] : ['troupe', 'bare'];
    const pair = {};
    const requests = {};
    for (const name of order) {
      const before = await count();
      pair[name] = (await side(name === 'bare' ? bare : troupe)).cpu / asks;
      requests[name] = (await count()) - before;
    }
    if (requests.bare !== requests.troupe) throw new Error(`Not the same work: ${JSON.stringify(requests)} requests.`);
    if (round >= 0) pairs.push(pair);
  }
  const ratios = pairs.map((pair) => pair.troupe / pair.bare);
  return {
    bareUs: median(pairs.map((pair) => pair.bare)),
    troupeUs: median(pairs.map((pair) => pair.troupe)),
    overheadUs: median(pairs.map((pair) => pair.troupe - pair.bare)),
    ratio: median(ratios),
    spread: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    rounds,
  };
}

async function side(prepare) {
  const { run, clean } = await prepare();
  const time = await timed(run);
  await clean?.();
  return time;
}
