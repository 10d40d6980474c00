/**
 * canary-host.mjs <folder of the built package> <kind> <endpoint> <program> <home> <event>…: asks agents of this kind of backend once for
 * each scenario, with a canary for a key, and counts where it is seen. Writes what it counted as JSON to descriptor 3.
 */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';

const [, , dist, kind, endpoint, program, home, ...events] = process.argv;
const troupes = await import(`${dist}/src/index.js`);
const { createTroupe, memoryStore } = troupes;
const canary = 'canary-key-of-';
const key = `${canary}${kind}-0123456789`;

const make = {
  claude: (faults) =>
    troupes.claudeCli({
      ...{ command: process.execPath, args: [program], endpoint, apiKey: key, endGraceMs: 300 },
      env: { HOME: home, FAKE_CLAUDE: faults },
    }),
  subprocess: () => troupes.subprocess({ endpoint, apiKey: key, endGraceMs: 300, env: { HOME: home } }),
  ollama: () => troupes.ollama({ endpoint, headers: { authorization: `Bearer ${key}` } }),
};

/** What is seen, by channel: texts that were looked through, and those in which the canary was. */
const channels = {};
function look(channel, text) {
  channels[channel] ??= { looks: 0, sightings: 0 };
  channels[channel].looks += 1;
  if (String(text).includes(canary)) channels[channel].sightings += 1;
}

/** Everything that a value shows of itself. */
function shown(value) {
  return `${inspect(value, { depth: Infinity, showHidden: true })}${JSON.stringify(value)}`;
}

function lookAtError(error) {
  for (let cause = error; cause !== undefined && cause !== null; cause = cause.cause) {
    look('errors', `${shown(cause)}${cause.stack}${cause.message}${cause}`);
    for (const nested of Array.isArray(cause.cause) ? cause.cause : []) lookAtError(nested);
  }
}

async function play(scenario) {
  const store = memoryStore();
  const backend = (make[kind] ?? (() => troupes[kind]({ endpoint, apiKey: key })))(
    scenario === 'die-with-key' ? scenario : '',
  );
  const troupe = createTroupe({ backends: { it: backend }, store, random: () => 0 });
  for (const name of events) troupe.on(name, (...given) => look('troupe events', shown(given.map(plain))));
  const agent = await troupe.spawn('a', { model: `fault:${scenario}`, maxRetries: 1 });
  const inspection = agent.ref.system.inspect((event) =>
    look('inspector', `${JSON.stringify(event)}${inspect(event, { depth: 5 })}`),
  );
  agent.ref.subscribe((snapshot) => look('snapshots', shown(snapshot.context)));
  const stream = agent.stream('Hi');
  try {
    for await (const event of stream) look('replies', shown(event));
  } catch {
    // The reply says it, too.
  }
  await stream.reply.then((reply) => look('replies', shown(reply)), lookAtError);
  lookAround({ troupe, agent, backend });
  await lookIntoStore(store);
  const pending = agent.askAsync('Hi again');
  await agent.kill();
  await pending.wait().then((reply) => look('replies', shown(reply)), lookAtError);
  lookAround({ troupe, agent, backend });
  await lookIntoStore(store);
  inspection.unsubscribe();
  await troupe.close();
}

function plain(given) {
  return typeof given?.messages === 'function' ? given.messages() : given;
}

function lookAround({ troupe, agent, backend }) {
  look('usage report', shown([troupe.usage(), agent.usage(), agent.costUsd]));
  look('agents', shown(troupe.agents()));
  look('conversation', shown(agent.messages()));
  look('objects', inspect([backend, troupe, agent], { depth: 4, showHidden: true }));
  // Whoever supervises it, too.
  for (let actor = agent.ref; actor !== undefined; actor = actor._parent) {
    look('persisted snapshots', shown(actor.getPersistedSnapshot()));
  }
}

async function lookIntoStore(store) {
  look('store', shown([await store.agents(), await store.groups('a'), await store.asks('a')]));
  look('store', shown([await store.ledger?.(), await store.openCalls?.()]));
}

for (const scenario of ['ok', '401-echo', 'event-error-echo', 'reset-mid-stream', 'crash', 'die-with-key']) {
  if (scenario !== 'die-with-key' || kind === 'claude') await play(scenario);
}
writeSync(3, JSON.stringify(channels));
