/**
 * A day: 30 asks over five agents on a store in a file, tools of both kinds, a fork, a kill, a compression and a fallback.
 * Every process goes about the same day, and each ask has its id: what is done stays done.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a day needs of the built package. */
export async function modulesOf(dist) {
  const { sqliteStore } = await import(`${dist}/actors/store/sqlite.js`);
  return { ...(await import(`${dist}/src/index.js`)), sqliteStore };
}

/**
 * Goes about the day to its end. Says `open` (model calls that the process before had in flight), `accepted`, `answered`, and at
 * the end `over` with what the store holds.
 */
export async function runDay(modules, { folder, endpoint, wrap = (store) => store, say }) {
  const { createTroupe, openai, sqliteStore } = modules;
  const path = join(folder, 'store.db');
  const store = sqliteStore(path);
  say({ type: 'open', calls: (await store.openCalls()).filter(isCounted).length });
  const at = (name) => openai({ endpoint: `${endpoint}/${name}`, apiKey: 'none', model: name });
  const tools = [noting(modules, folder, 'note', true), noting(modules, folder, 'pay', false)];
  const troupe = createTroupe({
    ...{ backends: { good: at('good'), bad: at('bad') }, store: wrap(store) },
    defaults: { backend: 'good', tools, maxRetries: 0 },
  });
  const failed = [];
  troupe.on('resume-failed', ({ agent, error }) => failed.push(`${agent}: ${error.message}`));
  troupe.on('store-failed', ({ message }) => failed.push(message));
  await troupe.resumed;
  await Promise.all([worker, queue, falling, talker, twin].map((part) => part(troupe, say)));
  await troupe.close();
  say({ type: 'over', failed, ...(await contentOf(sqliteStore(path))) });
}

/** How far a call of somebody who is killed has come is a matter of chance. */
const isCounted = ({ agent }) => agent !== 'victim';

const anything = {
  '~standard': {
    ...{ version: 1, vendor: 'day', validate: (value) => ({ value }) },
    jsonSchema: { input: () => ({ type: 'object' }) },
  },
};

/** A tool that writes down that it runs, and then takes a moment. */
function noting({ tool }, folder, name, idempotent) {
  const execute = async (_, { callId }) => {
    appendFileSync(join(folder, name), `${callId}\n`);
    await new Promise((resolve) => setTimeout(resolve, 1));
    return `${name} done`;
  };
  return tool({ name, description: `Does ${name}.`, parameters: anything, idempotent, execute });
}

async function living(troupe, name, spec) {
  return troupe.agent(name) ?? troupe.spawn(name, { system: `You are ${name}.`, ...spec });
}

async function ask(say, agent, askId, wish) {
  const handle = agent.askAsync(`${askId} ${wish}`.trim(), { askId });
  await handle.accepted;
  say({ type: 'accepted', agent: agent.name, askId });
  const { text } = await handle.wait();
  say({ type: 'answered', askId, text });
}

async function inTurn(say, agent, name, wishes) {
  for (const [index, wish] of wishes.entries()) await ask(say, agent, `${name}${index + 1}`, wish);
}

/** Tools of both kinds, one step after the other. */
async function worker(troupe, say) {
  await inTurn(say, await living(troupe, 'w'), 'w', ['note', 'pay', 'note pay', 'pay note pay', '', 'pay pay']);
}

/** Asks that wait for one another in the mailbox. */
async function queue(troupe, say) {
  const agent = await living(troupe, 'q');
  const wishes = ['note', '', 'pay', '', 'pay', 'note'];
  await Promise.all(wishes.map((wish, index) => ask(say, agent, `q${index + 1}`, wish)));
}

/** A first backend that always fails. */
async function falling(troupe, say) {
  const agent = await living(troupe, 'f', { backend: 'bad', fallback: ['good'] });
  await inTurn(say, agent, 'f', ['', 'pay', '', 'note', 'pay', '']);
}

/** A conversation that is compressed. */
async function talker(troupe, say) {
  const agent = await living(troupe, 't', { compression: { maxTokens: 400 } });
  const long = 'long '.repeat(60);
  await inTurn(say, agent, 't', [long, long, long, `pay ${long}`, long, long]);
}

/** A fork that goes on alone, and somebody who is killed amid an ask. */
async function twin(troupe, say) {
  const agent = await living(troupe, 'o');
  await ask(say, agent, 'o1', 'note');
  const fork = troupe.agent('twin') ?? (await agent.fork('twin'));
  const victim = await living(troupe, 'victim');
  victim.ask('victim1 pay').catch(() => {});
  await inTurn(say, fork, 'k', ['', 'pay', 'note', '', 'pay']);
  await victim.kill();
}

async function contentOf(store) {
  const agents = {};
  const open = [];
  for (const { name } of await store.agents()) {
    agents[name] = (await store.groups(name)).flat();
    for (const { askId, outcome } of await store.asks(name)) if (outcome === undefined) open.push(askId);
  }
  const openCalls = (await store.openCalls()).length;
  const ledger = (await store.ledger()).filter(isCounted).reduce((sum, { calls }) => sum + calls, 0);
  await store.close();
  return { agents, open, openCalls, ledger };
}
