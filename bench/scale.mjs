/** Many agents in one process: what each costs to start, to fork, to ask for the first time, to kill and to keep. */
import { collect, median, timed } from './measure.mjs';

const answer = {
  text: 'Yes.',
  toolCalls: [],
  finishReason: { unified: 'stop', raw: 'stop' },
  usage: { inputTokens: 20, outputTokens: 2, cacheReadTokens: undefined, cacheWriteTokens: undefined },
  costUsd: undefined,
};

/** A backend that does nothing at all. */
const still = {
  kind: 'still',
  model: 'still',
  info: { inference: 'embedded', price: 'free', capabilities: [], setup: 'Nothing to set up.' },
  call: async () => answer,
};

/** Agents, and how often they are measured. */
const sizes = {
  full: [
    [1_000, 15],
    [10_000, 5],
    [100_000, 3],
  ],
  quick: [
    [1_000, 5],
    [10_000, 1],
  ],
};

/**
 * CPU microseconds for each agent and bytes for each idle agent, by number of agents.
 * @param {object} library what the package exports
 */
export async function measureScale(library, quick) {
  for (let round = 0; round < (quick ? 2 : 5); round += 1) await lifetime(library, 1_000);
  const rows = [];
  for (const [agents, repeats] of quick ? sizes.quick : sizes.full) {
    const lives = [];
    for (let repeat = 0; repeat < repeats; repeat += 1) lives.push(await lifetime(library, agents));
    const row = { agents };
    for (const key of Object.keys(lives[0])) row[key] = median(lives.map((life) => life[key]));
    rows.push(row);
  }
  return rows;
}

/** Largest by smallest of a figure over the sizes; 1 = what one agent costs does not depend on their number. */
export function flatness(rows, key) {
  const values = rows.map((row) => row[key]);
  return Math.max(...values) / Math.min(...values);
}

/** One troupe from its first agent to its end. */
export async function lifetime({ createTroupe }, count) {
  const troupe = createTroupe({ backends: { still } });
  const spec = { system: 'You are a careful assistant. Answer in one line.' };
  const names = Array.from({ length: count }, (_, index) => `agent-${index}`);
  const each = ({ cpu, wall }, key) => ({ [`${key}Us`]: cpu / count, [`${key}WallUs`]: wall / count });

  const empty = heldBytes();
  const spawning = await timed(async () => {
    for (const name of names) await troupe.spawn(name, spec);
  });
  const idleBytes = (heldBytes() - empty) / count;
  const asking = await timed(async () => {
    for (const name of names) await troupe.agent(name).ask('Are you there?');
  });
  const askedBytes = (heldBytes() - empty) / count;
  const killing = await timed(async () => {
    for (const name of names) await troupe.agent(name).kill();
  });

  const parent = await troupe.spawn('parent', spec);
  for (let index = 0; index < 20; index += 1) await parent.ask('Are you there?');
  const beforeForks = heldBytes();
  const forking = await timed(async () => {
    for (const name of names) await parent.fork(name);
  });
  const forkBytes = (heldBytes() - beforeForks) / count;
  const closing = await timed(() => troupe.close());
  return {
    ...each(spawning, 'spawn'),
    ...each(forking, 'fork'),
    ...each(asking, 'ask'),
    ...each(killing, 'kill'),
    ...each(closing, 'close'),
    ...{ idleBytes, askedBytes, forkBytes },
  };
}

function heldBytes() {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
