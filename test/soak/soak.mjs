/**
 * Asks, cancels, kills and forks agents at random for a long time, and counts: what went in must come out, nothing may be
 * left behind. Runs on the built package: `node --expose-gc test/soak/soak.mjs [--asks 100000] [--agents 100] [--seed 1]
 * [--dist ../../dist]`. Exits with 1 when something was lost, doubled, mixed up or leaked.
 */
import { getEventListeners, setMaxListeners } from 'node:events';
import { parseArgs } from 'node:util';
import { slopeOf } from './figures.mjs';
import { generator } from './random.mjs';

const checkpoints = 20;
/** Checkpoints that are not part of the slope: code is compiled and pools grow. */
const warmUp = 5;
const largestSlope = 50;

/** Answers after some turns of the event loop with who was asked what; now and then it wants a tool, or fails. */
function echoBackend(random) {
  return {
    kind: 'echo',
    model: 'echo',
    info: { inference: 'embedded', price: 'free', capabilities: ['tools'], setup: '-' },
    async call({ agent, conversation, prompt, onEvent, signal }) {
      const last = prompt.at(-1);
      const draw = random();
      if (draw < 0.5) await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      if (draw < 0.02) throw new Error('the backend failed');
      onEvent({ type: 'text-delta', text: '…' });
      const usage = { inputTokens: 10, outputTokens: 2, cacheReadTokens: undefined, cacheWriteTokens: undefined };
      if (last !== undefined && draw > 0.9) {
        const toolCalls = [{ id: 'c1', name: 'look', arguments: '{}' }];
        return { text: '', toolCalls, finishReason: { unified: 'tool-calls', raw: undefined }, usage, costUsd: 0 };
      }
      const asked = last ?? conversation.messages().findLast(({ role }) => role === 'user');
      const text = `${agent}: ${asked.content}`;
      return { text, toolCalls: [], finishReason: { unified: 'stop', raw: undefined }, usage, costUsd: 0 };
    },
  };
}

const look = {
  definition: { name: 'look', description: 'Looks.', parameters: {} },
  check: async (value) => ({ value }),
  run: async () => 'seen',
};

/** Runs the soak with a built or a source module of troupe; gives the figures. */
export async function soak({ createTroupe, isTroupeError }, { asks, agents: agentCount, seed, gc }) {
  const random = generator(seed);
  const counts = {
    asked: 0,
    replied: 0,
    failed: 0,
    untyped: 0,
    crossWired: 0,
    doubled: 0,
    kills: 0,
    forks: 0,
    cancels: 0,
  };
  const errors = {};
  const longLived = new AbortController();
  setMaxListeners(0, longLived.signal);
  const clock = countingClock();
  const troupe = createTroupe({ backends: { echo: echoBackend(random) }, clock, random });
  const ended = new Map();
  troupe.on('ask-settled', ({ askId }) => {
    if (ended.get(askId) !== 0) counts.doubled += 1;
    ended.set(askId, 1);
  });
  const before = resources();
  const spec = { tools: [look], mailboxLimit: 8, maxRetries: 0 };
  const names = Array.from({ length: agentCount }, (_, index) => `agent-${index}`);
  let pending = [];
  const samples = [];

  function ask(agent) {
    counts.asked += 1;
    const askId = `ask-${counts.asked}`;
    const prompt = `prompt ${counts.asked}`;
    ended.set(askId, 0);
    const handle = agent.askAsync(prompt, { askId, signal: longLived.signal });
    const done = handle.wait().then(
      (reply) => {
        counts.replied += 1;
        const wired = reply.askId === askId && reply.agent === agent.name && reply.text === `${agent.name}: ${prompt}`;
        if (!wired) counts.crossWired += 1;
      },
      (error) => {
        counts.failed += 1;
        if (!isTroupeError(error)) counts.untyped += 1;
        if (error.askId !== askId) counts.crossWired += 1;
        errors[error.code] = (errors[error.code] ?? 0) + 1;
      },
    );
    pending.push(done.finally(() => ended.delete(askId)));
    if (random() < 0.1) {
      counts.cancels += 1;
      handle.cancel();
    }
  }

  /** The agent of this name is killed and a new one takes its place: spawned, or forked from another. */
  async function replace(name) {
    counts.kills += 1;
    await troupe.agent(name)?.kill();
    const parent = random() < 0.5 ? troupe.agent(names[Math.floor(random() * names.length)]) : undefined;
    if (parent !== undefined) counts.forks += 1;
    await (parent?.fork(name) ?? troupe.spawn(name, spec));
  }

  async function renew() {
    await Promise.all(pending);
    pending = [];
    for (const name of names) await troupe.agent(name)?.kill();
    for (const name of names) await troupe.spawn(name, spec);
    await new Promise((resolve) => setImmediate(resolve));
    gc?.();
    samples.push({ asks: counts.asked, heap: process.memoryUsage().heapUsed });
  }

  await renew();
  while (counts.asked < asks) {
    const target = Math.min(asks, counts.asked + Math.ceil(asks / checkpoints));
    while (counts.asked < target) {
      for (let burst = Math.min(20, target - counts.asked); burst > 0; burst -= 1)
        ask(troupe.agent(names[Math.floor(random() * names.length)]));
      if (random() < 0.3) await replace(names[Math.floor(random() * names.length)]);
      if (random() < 0.5) await Promise.all(pending.splice(0));
      else await new Promise((resolve) => setImmediate(resolve));
    }
    await renew();
  }
  const held = { listeners: getEventListeners(longLived.signal, 'abort').length, timers: clock.pending };
  await troupe.close();
  await new Promise((resolve) => setImmediate(resolve));
  return {
    ...counts,
    lost: counts.asked - counts.replied - counts.failed,
    unsettled: ended.size,
    errors,
    slope: slopeOf(samples.slice(warmUp)),
    listenersLeft: held.listeners + getEventListeners(longLived.signal, 'abort').length,
    timersLeft: held.timers + clock.pending,
    agentsLeft: troupe.agents().length,
    resourcesLeft: Math.max(0, resources() - before),
  };
}

/** What is wrong with the figures; empty when nothing is. */
export function faultsOf(figures, measuresHeap) {
  const zero = [
    'lost',
    'unsettled',
    'doubled',
    'crossWired',
    'untyped',
    'listenersLeft',
    'timersLeft',
    'agentsLeft',
    'resourcesLeft',
  ];
  const faults = zero.filter((name) => figures[name] !== 0).map((name) => `${name} is ${figures[name]}`);
  for (const name of ['replied', 'kills', 'forks', 'cancels']) if (figures[name] === 0) faults.push(`${name} is 0`);
  if (measuresHeap && !(figures.slope < largestSlope)) faults.push(`the heap grows by ${figures.slope} bytes an ask`);
  return faults;
}

/** The process's clock, and how many of its timers wait. */
function countingClock() {
  const live = new Set();
  return {
    get pending() {
      return live.size;
    },
    now: () => performance.now(),
    setTimeout(callback, ms) {
      const handle = setTimeout(() => {
        live.delete(handle);
        callback();
      }, ms);
      live.add(handle);
      return handle;
    },
    clearTimeout(handle) {
      live.delete(handle);
      clearTimeout(handle);
    },
  };
}

function resources() {
  return process.getActiveResourcesInfo().filter((kind) => kind !== 'Immediate').length;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const text = (value) => ({ type: 'string', default: value });
  const options = { asks: text('100000'), agents: text('100'), seed: text('1'), dist: text('../../dist') };
  const { values } = parseArgs({ options });
  const module = await import(new URL(`${values.dist}/src/index.js`, import.meta.url).href);
  const { asks, agents, seed } = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, Number(value)]),
  );
  const startedAt = performance.now();
  const figures = await soak(module, { asks, agents, seed, gc: globalThis.gc });
  const faults = faultsOf(figures, globalThis.gc !== undefined);
  const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
  process.stdout.write(`${JSON.stringify({ seed, seconds, ...figures }, null, 2)}\n`);
  for (const fault of faults) process.stdout.write(`FAULT: ${fault}\n`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
