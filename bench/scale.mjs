/** Many agents in one process: what each costs to start, to fork, to ask for the first time, to kill and to keep. */
import { heldBytes, median, timed } from './measure.mjs';

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
    [1_000, 11],
    [10_000, 3],
    [100_000, 2],
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
  for (let round = 0; round < (quick ? 3 : 10); round += 1) await lifetime(library, 1_000);
  const rows = [];
  for (const [agents, repeats] of quick ? sizes.quick : sizes.full) {
    const lives = [];
    for (let repeat = 0; repeat < repeats; repeat += 1) lives.push(await lifetime(library, agents));
    const row = { agents, ...(await weight(library, agents)), ...(await beside(library, agents, quick ? 5 : 15)) };
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

const system = 'You are a careful assistant. Answer in one line.';
const question = 'Are you there?';

function namesOf(count) {
  return Array.from({ length: count }, (_, index) => `agent-${index}`);
}

/** One troupe from its first agent to its end, timed. */
export async function lifetime({ createTroupe }, count) {
  const troupe = createTroupe({ backends: { still } });
  const names = namesOf(count);
  const times = {};
  const each = async (key, work) => {
    const { cpu, wall } = await timed(work);
    times[`${key}Us`] = cpu / count;
    times[`${key}WallUs`] = wall / count;
  };
  await each('spawn', async () => {
    for (const name of names) await troupe.spawn(name, { system });
  });
  await each('ask', async () => {
    for (const name of names) await troupe.agent(name).ask(question);
  });
  await each('kill', async () => {
    for (const name of names) await troupe.agent(name).kill();
  });
  const parent = await talkative(troupe);
  await each('fork', async () => {
    for (const name of names) await parent.fork(name);
  });
  await each('close', () => troupe.close());
  return times;
}

/**
 * What one more agent costs beside so many others: batches of 1,000 that are spawned, asked once and killed. The work is
 * the same at every size, so a difference is what the number of agents costs.
 */
async function beside({ createTroupe }, count, batches) {
  const troupe = createTroupe({ backends: { still } });
  for (const name of namesOf(count)) await troupe.spawn(name, { system });
  const names = Array.from({ length: 1_000 }, (_, index) => `one-more-${index}`);
  const times = { spawn: [], ask: [], kill: [] };
  const each = async (key, work) => times[key].push((await timed(work)).cpu / names.length);
  for (let batch = 0; batch < batches; batch += 1) {
    await each('spawn', async () => {
      for (const name of names) await troupe.spawn(name, { system });
    });
    await each('ask', async () => {
      for (const name of names) await troupe.agent(name).ask(question);
    });
    await each('kill', async () => {
      for (const name of names) await troupe.agent(name).kill();
    });
  }
  await troupe.close();
  const { spawn, ask, kill } = times;
  return { spawnBesideUs: median(spawn), askBesideUs: median(ask), killBesideUs: median(kill) };
}

/** Bytes that agents hold, each. Apart from the times: the full collections that it takes would distort them. */
async function weight({ createTroupe }, count) {
  const troupe = createTroupe({ backends: { still } });
  const names = namesOf(count);
  const empty = heldBytes();
  for (const name of names) await troupe.spawn(name, { system });
  const idleBytes = (heldBytes() - empty) / count;
  for (const name of names) await troupe.agent(name).ask(question);
  const askedBytes = (heldBytes() - empty) / count;
  for (const name of names) await troupe.agent(name).kill();
  const parent = await talkative(troupe);
  const beforeForks = heldBytes();
  for (const name of names) await parent.fork(name);
  const forkBytes = (heldBytes() - beforeForks) / count;
  await troupe.close();
  return { idleBytes, askedBytes, forkBytes };
}

/** An agent with 40 messages, to be forked. */
async function talkative(troupe) {
  const parent = await troupe.spawn('parent', { system });
  for (let index = 0; index < 20; index += 1) await parent.ask(question);
  return parent;
}
