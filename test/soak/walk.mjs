/**
 * The walk: many callers ask agents whose three backends fail at random, on the real clock, while agents are killed, forked and
 * respawned under new names. It goes in rounds; after each everything has ended, so that the heap can be compared.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { toolResultOf } from './answers.mjs';
import { drawAsk, makeAsk, Tally, untilDone } from './asking.mjs';
import { heapAfter, held, leftSince, rounded, slopeOf, spreadOf, touchSockets } from './figures.mjs';
import { generator, pick } from './random.mjs';
import { backendsFor, startServers } from './servers.mjs';

/** Rounds that are no part of the slope: code is compiled and pools grow. */
const warmUp = 3;
const callersAnAgent = 2;
const ways = {
  ...{ stream: 0.4, tool: 0.15, tight: 0.2, cancel: 0.05 },
  ...{ replays: [false, true, 'continue'], generousMs: 20_000 },
};
const kinds = ['openai', 'anthropic', 'ollama'];

/** Runs the walk with a built or a source module of troupe; gives the figures. */
export async function walk(module, { seed, agents: agentCount, seconds, asks, rounds, rate, gc }) {
  await touchSockets();
  const atStart = held();
  const random = generator(seed);
  const servers = await startServers({ seed, rates: { openai: rate, anthropic: rate, ollama: rate } });
  const beforeTroupe = held();
  const troupe = module.createTroupe({ backends: backendsFor(module, servers.endpoints), random: generator(seed + 1) });
  const tally = new Tally();
  const seen = watch(troupe, tally);
  const cast = new Cast(troupe, random, agentCount, specsFor(module, random));
  const startedAt = performance.now();
  const samples = [];
  let lost = 0;
  await cast.renew();
  for (let round = 1; round <= rounds && lost === 0; round += 1) {
    const endsAt = performance.now() + (seconds * 1000) / rounds;
    const enough = Math.ceil((asks * round) / rounds);
    const isOver = () => performance.now() > endsAt || tally.sent >= enough;
    const callers = Array(cast.size * callersAnAgent).fill({ tally, cast, random, isOver, module });
    lost = await untilDone(tally, callers.map(callAgain));
    await cast.renew();
    if (round > warmUp) samples.push({ asks: tally.sent, ...(await heapAfter(gc)) });
  }
  const health = troupe.health();
  await troupe.close();
  const left = await leftSince(beforeTroupe);
  const served = await servers.close();
  return {
    ...figuresOf(tally),
    ...{ lost, seconds: rounded((performance.now() - startedAt) / 1000), kills: cast.kills, forks: cast.forks },
    ...{ ...seen, lateResults: health.lateResults, fallbacks: health.fallbacks, restarts: health.restarts },
    backends: health.backends.map(({ backend, state, calls, failures }) => ({ backend, state, calls, failures })),
    served: { requests: served.requests, faults: served.faults, invalid: served.invalid.length },
    ...slopesOf(samples),
    dataKb: samples.map(({ data }) => Math.round(data / 1000)),
    left,
    leftAtEnd: await leftSince(atStart),
    notes: [...tally.notes, ...served.invalid.slice(0, 5)],
  };
}

/** One caller: asks, and asks again when that has ended; now and then several at once, or an agent is replaced. */
async function callAgain({ tally, cast, random, isOver, module }) {
  while (!isOver()) {
    if (random() < 0.02) await cast.replace();
    const burst = random() < 0.1 ? 4 : 1;
    const asks = Array.from({ length: burst }, () => {
      const drawn = drawAsk(random, tally.sent + 1, ways);
      return makeAsk(tally, cast.any(), module.isTroupeError, drawn);
    });
    await Promise.all(asks);
    // Who is refused at once does not ask again at once.
    await sleep(random() * 20);
  }
}

/** The agents that are there. One that takes the place of one that was killed has a new name; those of a round's start do not. */
class Cast {
  kills = 0;
  forks = 0;
  #troupe;
  #random;
  #nextSpec;
  #agents;
  #count = 0;

  constructor(troupe, random, size, nextSpec) {
    this.#troupe = troupe;
    this.#random = random;
    this.#nextSpec = nextSpec;
    this.#agents = Array(size).fill(undefined);
  }

  get size() {
    return this.#agents.length;
  }

  any() {
    return pick(this.#agents, this.#random());
  }

  /** Kills one, whatever it is doing, and puts another in its place: new, or the fork of a third that is asked meanwhile. */
  async replace() {
    const at = Math.floor(this.#random() * this.#agents.length);
    const parent = this.#random() < 0.5 ? this.any() : undefined;
    this.kills += 1;
    const isGone = this.#agents[at].kill();
    this.#agents[at] = (await this.#forked(parent)) ?? (await this.#spawned(this.#newName()));
    await isGone;
  }

  async renew() {
    for (const [at, agent] of this.#agents.entries()) {
      await agent?.kill();
      this.#agents[at] = await this.#spawned(`first-${at}`);
    }
  }

  /** The parent may be dead by now. */
  async #forked(parent) {
    const fork = await parent?.fork(this.#newName()).catch(() => undefined);
    if (fork !== undefined) this.forks += 1;
    return fork;
  }

  #spawned(name) {
    return this.#troupe.spawn(name, this.#nextSpec());
  }

  #newName() {
    this.#count += 1;
    return `agent-${this.#count}`;
  }
}

/** Chains of all three protocols in any order, each as a stream or whole. */
function specsFor({ tool }, random) {
  const look = tool({
    name: 'look',
    description: 'Looks.',
    execute: (_args, { agent, askId }) => toolResultOf({ agent, askId }),
  });
  return () => {
    const first = Math.floor(random() * kinds.length);
    const order = random() < 0.5 ? kinds : [...kinds].reverse();
    const chain = kinds.map((_kind, at) => {
      return `${order[(first + at) % kinds.length]}${random() < 0.3 ? '-whole' : ''}`;
    });
    const [backend, ...fallback] = chain;
    const timeouts = { firstEventMs: 2000, idleMs: 1500 };
    return { backend, fallback, timeouts, tools: [look], mailboxLimit: 8 };
  };
}

/** Bytes an ask: of the whole heap, and of the data on it. */
function slopesOf(samples) {
  return { heapSlope: slopeOf(samples), dataSlope: slopeOf(samples.map(({ asks, data }) => ({ asks, heap: data }))) };
}

/** Counts what a troupe tells. */
function watch(troupe, tally) {
  const seen = { retries: 0, breakerOpenings: 0, openedBy: {}, deadLetters: 0, settledTwice: 0, storeFailures: 0 };
  troupe.on('call-failed', ({ retryInMs }) => {
    if (retryInMs !== undefined) seen.retries += 1;
  });
  troupe.on('breaker', ({ state, class: errorClass }) => {
    if (state !== 'open') return;
    seen.breakerOpenings += 1;
    seen.openedBy[errorClass] = (seen.openedBy[errorClass] ?? 0) + 1;
  });
  troupe.on('dead-letter', () => {
    seen.deadLetters += 1;
  });
  troupe.on('store-failed', () => {
    seen.storeFailures += 1;
  });
  troupe.on('ask-settled', ({ askId }) => {
    const ask = tally.pending.get(askId);
    if (ask === undefined || ask.isSettled === true) seen.settledTwice += 1;
    else ask.isSettled = true;
  });
  return seen;
}

function figuresOf(tally) {
  const { pending: _none, notes: _later, overruns, timers, attempts, mostAttempts, ...counts } = tally;
  const { sent } = counts;
  return {
    ...counts,
    attemptsPerAsk: { mean: Math.round((attempts / sent) * 100) / 100, max: mostAttempts },
    deadlineOverrunMs: spreadOf(overruns.values),
    timerLatenessMs: spreadOf(timers.values),
  };
}

/** What is wrong with the figures of a walk; empty when nothing is. */
export function faultsOfWalk(figures, { measuresTime, measuresHeap }) {
  const zero = ['lost', 'crossWired', 'doubled', 'truncated', 'altered', 'untyped', 'crashed', 'overCalled'];
  const faults = [...zero, 'settledTwice', 'storeFailures', 'restarts'].flatMap((name) =>
    figures[name] === 0 ? [] : [`${name} is ${figures[name]}`],
  );
  const { sent, replied, failed, served, left, leftAtEnd, dataSlope, deadlineOverrunMs, timerLatenessMs } = figures;
  if (sent !== replied + failed) faults.push(`${sent} asks, ${replied} replies and ${failed} errors`);
  if (served.invalid > 0) faults.push(`${served.invalid} requests were invalid`);
  for (const [what, count] of [...Object.entries(left), ...Object.entries(leftAtEnd)])
    if (count > 0) faults.push(`${count} ${what} left`);
  for (const name of ['replied', 'failed', 'kills', 'forks', 'cancels', 'streams', 'withTools', 'retries', 'fallbacks'])
    if (figures[name] === 0) faults.push(`${name} is 0`);
  if (measuresTime && deadlineOverrunMs.p99 > 100 + timerLatenessMs.p99)
    faults.push(`deadline overrun p99 is ${deadlineOverrunMs.p99} ms`);
  if (measuresHeap && !(dataSlope < 50)) faults.push(`the heap grows by ${dataSlope} bytes of data an ask`);
  return faults;
}
