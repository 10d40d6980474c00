/** What is measured against the bare loop: each workload twice, once by hand and once with a troupe. */
import { z } from 'zod';
import { claude } from './claude.mjs';
import { parsing } from './parse.mjs';
import { answerOf } from './server.mjs';

const system = 'You are a careful assistant. Answer in one line and say what you are not sure of.';
const question = 'Is everything all right with the service today, or should somebody look at it before the evening?';
const addition = z.object({ a: z.number(), b: z.number() });

/** How much one round does. */
const sizes = {
  full: { asks: 300, waves: 5, loops: 30, streams: 20, chat: 1000 },
  quick: { asks: 200, waves: 2, loops: 15, streams: 8, chat: 1000 },
};

/** Rounds that are measured, and before them rounds that are not. */
const rounds = {
  full: {
    ...{ ask: [25, 6], 'fan-out': [21, 4], tools: [21, 4], stream: [21, 4], chat: [7, 1] },
    ...{ claude: [21, 4], sse: [21, 4], ndjson: [21, 4] },
  },
  quick: {
    ...{ ask: [7, 3], 'fan-out': [5, 2], tools: [5, 2], stream: [5, 2], chat: [1, 0] },
    ...{ claude: [5, 2], sse: [5, 2], ndjson: [5, 2] },
  },
};

/**
 * @param {{ library: object, bare: import('./bare.mjs').Bare, url: string, dist: string, quick: boolean }} environment
 * @returns one entry for each workload: its troupe is made when it is asked for
 */
export function workloads({ library, bare, url, dist, quick }) {
  const context = { library, bare, url, dist, size: quick ? sizes.quick : sizes.full };
  const sse = (given) => parsing('sse', given);
  const ndjson = (given) => parsing('ndjson', given);
  const make = { ask, 'fan-out': fanOut, tools, stream, chat, claude, sse, ndjson };
  return Object.entries(make).map(([name, build]) => {
    const [count, warmUp] = (quick ? rounds.quick : rounds.full)[name];
    return { name, rounds: count, warmUp, open: () => build(context) };
  });
}

/** Asks one after the other, each of a fresh agent, so that the conversation has one length. */
function ask({ library, bare, url, size }) {
  const troupe = open(library, url, 'ask');
  return {
    ...{ title: 'ask, one after the other', target: 1.5, asks: size.asks, close: () => troupe.close() },
    bare: async () => ({
      run: async () => {
        for (let index = 0; index < size.asks; index += 1) check('ask', await bare.call('ask', first(question)));
      },
    }),
    troupe: async (prefix = 'agent') => {
      const agents = await spawn(troupe, size.asks, prefix);
      return {
        run: async () => {
          for (const agent of agents) check('ask', await agent.ask(question));
        },
        clean: () => kill(agents),
      };
    },
  };
}

/** 100 agents at the same time, one ask each. */
function fanOut({ library, bare, url, size }) {
  const width = 100;
  const troupe = open(library, url, 'ask');
  const waves = Array.from({ length: size.waves });
  return {
    ...{ title: 'fan-out over 100 agents', target: 2, asks: width * size.waves, close: () => troupe.close() },
    bare: async () => ({
      run: async () => {
        for (const _ of waves) {
          const calls = Array.from({ length: width }, () => bare.call('ask', first(question)));
          for (const reply of await Promise.all(calls)) check('ask', reply);
        }
      },
    }),
    troupe: async (prefix = 'agent') => {
      const groups = [];
      for (const _ of waves) groups.push(await spawn(troupe, width, `${prefix}-${groups.length}`));
      return {
        run: async () => {
          for (const agents of groups)
            for (const reply of await Promise.all(agents.map((agent) => agent.ask(question)))) check('ask', reply);
        },
        clean: () => kill(groups.flat()),
      };
    },
  };
}

/** One ask that takes ten model calls: nine ask for a tool. */
function tools({ library, bare, url, size }) {
  const model = 'tools-9';
  const description = 'Adds two numbers.';
  const execute = ({ a, b }) => a + b;
  const add = library.tool({ name: 'add', description, parameters: addition, execute });
  const wireTools = [{ type: 'function', function: add.definition }];
  const troupe = open(library, url, model);
  return {
    ...{ title: 'tool loop of 10 steps', target: 1.5, asks: size.loops, close: () => troupe.close() },
    bare: async () => ({
      run: async () => {
        const runTool = (_name, args) => execute(addition.parse(args));
        for (let index = 0; index < size.loops; index += 1)
          check(model, await bare.loop(model, first(question), wireTools, runTool));
      },
    }),
    troupe: async (prefix = 'agent') => {
      const agents = await spawn(troupe, size.loops, prefix, { tools: [add] });
      return {
        run: async () => {
          for (const agent of agents) check(model, await agent.ask(question));
        },
        clean: () => kill(agents),
      };
    },
  };
}

/** One answer of 2,000 pieces, taken piece by piece. */
function stream({ library, bare, url, size }) {
  const model = 'stream-2000';
  const troupe = open(library, url, model);
  return {
    ...{ title: 'stream of 2,000 chunks', target: 1.2, asks: size.streams, close: () => troupe.close() },
    bare: async () => ({
      run: async () => {
        for (let index = 0; index < size.streams; index += 1) {
          let length = 0;
          const onText = (text) => {
            length += text.length;
          };
          check(model, await bare.call(model, first(question), { onText }), length);
        }
      },
    }),
    troupe: async (prefix = 'agent') => {
      const agents = await spawn(troupe, size.streams, prefix);
      return {
        run: async () => {
          for (const agent of agents) await readStream(model, agent.stream(question));
        },
        clean: () => kill(agents),
      };
    },
  };
}

async function readStream(model, events) {
  let length = 0;
  for await (const event of events) if (event.type === 'text-delta') length += event.text.length;
  check(model, await events.reply, length);
}

/** One agent, 1,000 asks: the request grows with every one. */
function chat({ library, bare, url, size }) {
  const troupe = open(library, url, 'chat');
  return {
    ...{ title: 'chat of 1,000 asks', target: 0.9, asks: size.chat, close: () => troupe.close() },
    bare: async () => ({
      run: async () => {
        const messages = [{ role: 'system', content: system }];
        for (let index = 0; index < size.chat; index += 1) {
          messages.push({ role: 'user', content: question });
          const reply = await bare.call('chat', messages);
          check('chat', reply);
          messages.push({ role: 'assistant', content: reply.text });
        }
      },
    }),
    troupe: async (prefix = 'agent') => {
      const agents = await spawn(troupe, 1, prefix);
      return {
        run: async () => {
          for (let index = 0; index < size.chat; index += 1) check('chat', await agents[0].ask(question));
        },
        clean: () => kill(agents),
      };
    },
  };
}

function first(prompt) {
  return [
    { role: 'system', content: system },
    { role: 'user', content: prompt },
  ];
}

/** A troupe as users have it: default store, deadlines and events, the latter with somebody who listens. */
function open({ createTroupe, openai }, url, model) {
  const troupe = createTroupe({ backends: { bench: openai({ endpoint: url, model, apiKey: 'none' }) } });
  for (const event of ['agent-spawned', 'agent-dead', 'dead-letter', 'store-failed']) troupe.on(event, () => {});
  return troupe;
}

async function spawn(troupe, count, prefix, spec = {}) {
  const agents = [];
  for (let index = 0; index < count; index += 1)
    agents.push(await troupe.spawn(`${prefix}-${index}`, { system, ...spec }));
  return agents;
}

async function kill(agents) {
  for (const agent of agents) await agent.kill();
}

/** Both sides must have got the whole answer, and its usage. */
function check(model, { text, usage }, streamed = text.length) {
  const { length } = answerOf(model);
  if (text.length !== length || streamed !== length || usage === undefined)
    throw new Error(`A wrong answer of "${model}": ${text.length} characters instead of ${length}.`);
}
