/**
 * What durability costs: `node --expose-gc bench/recovery.mjs [--dist dist] [--agents 10000] [--messages 1000000]`.
 * An ask on a store in a file beside one in memory; a restart with many agents; a fork of a long conversation; the disk.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { heldBytes, median, timed } from './measure.mjs';

const { values } = parseArgs({
  options: {
    dist: { type: 'string', default: 'dist' },
    agents: { type: 'string', default: '10000' },
    messages: { type: 'string', default: '1000000' },
  },
});
const dist = resolve(values.dist);
const { createTroupe, memoryStore } = await import(`${dist}/src/index.js`);
const { sqliteStore } = await import(`${dist}/actors/store/sqlite.js`);
const folder = mkdtempSync(join(tmpdir(), 'troupe-bench-'));
const print = (text) => console.log(text);

const answer = {
  ...{ text: 'An answer of a line or so, as a model gives it.', toolCalls: [], costUsd: undefined },
  finishReason: { unified: 'stop', raw: 'stop' },
  usage: { inputTokens: 20, outputTokens: 2, cacheReadTokens: undefined, cacheWriteTokens: undefined },
};
const still = {
  ...{ kind: 'still', model: 'still', call: async () => answer },
  info: { inference: 'embedded', price: 'free', capabilities: [], setup: 'Nothing to set up.' },
};

let files = 0;
function newFile() {
  files += 1;
  return join(folder, `${files}.db`);
}

/** CPU and wall microseconds of an ask, so many agents asking at the same time. */
async function asking(store, agents, asks) {
  const troupe = createTroupe({ backends: { still }, store });
  const all = await Promise.all(Array.from({ length: agents }, (_, index) => troupe.spawn(`agent-${index}`)));
  const round = async () => {
    for (let ask = 0; ask < asks / agents; ask += 1)
      await Promise.all(all.map((agent) => agent.ask('Is this a question of a line or so?')));
  };
  await round();
  const { cpu, wall } = await timed(round);
  await troupe.close();
  return [cpu / asks, wall / asks];
}

async function askRows() {
  for (const agents of [1, 10, 100]) {
    const asks = Math.max(400, agents * 40);
    const memory = [];
    const file = [];
    for (let repeat = 0; repeat < 5; repeat += 1) {
      memory.push(await asking(memoryStore(), agents, asks));
      file.push(await asking(sqliteStore(newFile()), agents, asks));
    }
    const of = (runs, index) => Math.round(median(runs.map((run) => run[index])));
    const ratio = median(file.map(([cpu], index) => cpu / memory[index][0])).toFixed(2);
    print(
      `ask, ${agents} at once: memory ${of(memory, 0)} µs CPU, file ${of(file, 0)} µs CPU, ratio ${ratio}; file ${of(file, 1)} µs wall`,
    );
  }
}

async function filled(agents, messages) {
  const path = newFile();
  const store = sqliteStore(path);
  const content = 'A line of some eighty characters, which is what a short message of a chat takes.';
  const group = [
    { role: 'user', content },
    { role: 'assistant', content },
  ];
  for (let index = 0; index < agents; index += 1) {
    const name = `agent-${index}`;
    store.putAgent({ name, backend: 'still', system: 'You are careful.', createdAt: Date.now() });
    for (let count = 0; count < messages / agents / 2; count += 1) store.appendGroup(name, group);
    if (index % 20 === 0) await store.barrier();
  }
  await store.close();
  return path;
}

async function restart(agents, messages) {
  const path = await filled(agents, messages);
  const before = heldBytes();
  const opening = await timed(async () => {
    restart.store = sqliteStore(path);
  });
  let troupe;
  let longest = 0;
  let last = performance.now();
  const ticks = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  const { wall, cpu } = await timed(async () => {
    troupe = createTroupe({ backends: { still }, store: restart.store });
    await troupe.resumed;
  });
  clearInterval(ticks);
  const held = heldBytes() - before;
  const ms = (us) => Math.round(us / 1000);
  print(
    `restart, ${troupe.agents().length} agents and ${messages} messages: open ${ms(opening.wall)} ms, resumed ${ms(wall)} ms ` +
      `(CPU ${ms(cpu)} ms, longest pause ${Math.round(longest)} ms), ${Math.round(held / 1e6)} MB, file ${Math.round(statSync(path).size / 1e6)} MB`,
  );
  const one = await timed(() => troupe.agent('agent-7').ask('Are you there?'));
  print(`first ask after it: ${Math.round(one.wall)} µs`);
  await troupe.close();
}

async function forks() {
  const path = await filled(1, 100_000);
  const store = sqliteStore(path);
  const troupe = createTroupe({ backends: { still }, store });
  await troupe.resumed;
  const parent = troupe.agent('agent-0');
  const times = [];
  for (let count = 0; count < 100; count += 1) times.push((await timed(() => parent.fork(`fork-${count}`))).wall);
  await store.barrier();
  const size = statSync(path).size + statSync(`${path}-wal`).size;
  for (let count = 100; count < 200; count += 1) await parent.fork(`fork-${count}`);
  await store.barrier();
  const grown = statSync(path).size + statSync(`${path}-wal`).size - size;
  print(
    `fork of ${parent.messages().length} messages: ${Math.round(median(times))} µs, longest ${Math.round(Math.max(...times))} µs; ${Math.round(grown / 100)} bytes of disk each, log included`,
  );
  await troupe.close();
}

async function disk() {
  const sizes = [];
  for (const asks of [1000, 2000, 4000]) {
    const path = newFile();
    await asking(sqliteStore(path), 1, asks / 2);
    sizes.push(`${asks} asks: ${(statSync(path).size / asks).toFixed(0)} bytes each`);
  }
  print(`disk: ${sizes.join(', ')}`);
}

try {
  await askRows();
  await disk();
  await forks();
  await restart(Number(values.agents), Number(values.messages));
} finally {
  rmSync(folder, { recursive: true });
}
