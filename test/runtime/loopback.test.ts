/** Agents on a real HTTP server: what reaches the wire, and what a server can do to an ask. */
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openai } from '../../actors/backends/openai.ts';
import { tool } from '../../actors/tools/tool.ts';
import type { TroupeError } from '../../src/core/errors.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import { type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { chunk, doneEvent, openAiFaults, wholeText } from '../helpers/openai-wire.ts';

const key = 'canary-key-4711';
const sse = { 'content-type': 'text/event-stream' };

/** Wants one more addition until ten were made. */
const tenSteps: Fault = ({ request, reply }) => {
  const messages = request.body?.['messages'] as { role: string; content: string }[];
  const results = messages.filter(({ role }) => role === 'tool');
  if (results.length === 10)
    return reply(200, chunk({ content: `= ${results.at(-1)?.content}` }, 'stop') + doneEvent, sse);
  const sum = Number(results.at(-1)?.content ?? 0);
  const call = {
    index: 0,
    id: `c${results.length}`,
    function: { name: 'add', arguments: JSON.stringify({ a: sum, b: 1 }) },
  };
  reply(200, chunk({ tool_calls: [call] }) + chunk({}, 'tool_calls') + doneEvent, sse);
};

/** Says something as long as somebody listens. */
const drip: Fault = async ({ head, write }) => {
  head(200, sse);
  while (await write(chunk({ content: 'on and ' }))) await new Promise((resolve) => setImmediate(resolve));
};

/** Asks to wait for two seconds, then answers. */
const busyOnce: Fault = ({ reply, times }) =>
  times === 1
    ? reply(429, { error: { message: 'slow down', type: 'rate_limit_error' } }, { 'retry-after': '2' })
    : reply(200, chunk({ content: wholeText }, 'stop') + doneEvent, sse);

let server: FaultServer;
const troupes: Troupe[] = [];

beforeAll(async () => {
  server = await faultServer({ ...openAiFaults, 'ten-steps': tenSteps, drip, '429-once': busyOnce });
});
afterEach(() => Promise.all(troupes.splice(0).map((troupe) => troupe.close())));
afterAll(() => server.close());

async function spawn(model: string, spec: AgentSpec = {}) {
  const troupe = createTroupe({ backends: { server: openai({ endpoint: server.url, apiKey: key }) } });
  troupes.push(troupe);
  return troupe.spawn('worker', { model, maxRetries: 0, ...spec });
}

function fail(ask: Promise<unknown>): Promise<TroupeError> {
  return ask.then(
    (reply) => {
      throw new Error(`It did not fail: ${inspect(reply)}`);
    },
    (error: TroupeError) => error,
  );
}

test('ask', async () => {
  const agent = await spawn('fault:ok', {
    system: 'Be brief.',
    parameters: { temperature: 0.5, maxTokens: 9, seed: 3 },
  });
  const reply = await agent.ask('Hi');
  expect([reply.text, reply.usage, reply.finishReason]).toEqual([
    wholeText,
    { inputTokens: 12, outputTokens: 5, cacheReadTokens: 4, cacheWriteTokens: undefined },
    { unified: 'stop', raw: 'stop' },
  ]);
  const { body, headers } = server.requests.at(-1) ?? {};
  expect(headers?.authorization).toBe(`Bearer ${key}`);
  expect(body).toEqual({
    model: 'fault:ok',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ],
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: 9,
    temperature: 0.5,
    seed: 3,
  });
});

test('stream', async () => {
  const agent = await spawn('fault:ok');
  const texts: string[] = [];
  for await (const event of agent.stream('Hi')) if (event.type === 'text-delta') texts.push(event.text);
  expect(texts.join('')).toBe(wholeText);
});

test('ten tool steps', async () => {
  const add = tool<{ a: number; b: number }>({
    name: 'add',
    description: 'Adds.',
    parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] },
    execute: ({ a, b }) => a + b,
  });
  const agent = await spawn('fault:ten-steps', { tools: [add] });
  const reply = await agent.ask('Count to ten.');
  expect([reply.text, reply.steps, agent.messages().length]).toEqual(['= 10', 11, 22]);
});

test('a kill in the middle of a stream reaches the socket: not one further piece is sent', async () => {
  const agent = await spawn('fault:drip');
  const stream = agent.stream('Talk.');
  const aborted = server.counts.aborted;
  const reading = (async () => {
    for await (const event of stream) if (event.type === 'text-delta') await agent.kill('enough');
  })();
  expect((await fail(reading)).code).toBe('TROUPE_ERR_AGENT_DEAD');
  await server.when((counts) => counts.aborted > aborted);
  const { pieces } = server.counts;
  await agent.kill();
  await new Promise((resolve) => setImmediate(resolve));
  expect(server.counts.pieces).toBe(pieces);
});

test.each([
  ['a cut stream', 'reset-mid-stream', 'TROUPE_ERR_BACKEND_STREAM_CUT'],
  ['a stream that ends before its finish reason', 'empty-stream', 'TROUPE_ERR_BACKEND_STREAM_CUT'],
  ['an HTML page', 'html-200', 'TROUPE_ERR_BACKEND_PROTOCOL'],
  ['an empty 200', 'empty-200', 'TROUPE_ERR_BACKEND_PROTOCOL'],
  ['a redirect', 'redirect-307', 'TROUPE_ERR_BACKEND_REDIRECT'],
])('%s is an error and never an answer', async (_name, fault, code) => {
  const agent = await spawn(`fault:${fault}`);
  const error = await fail(agent.ask('Hi'));
  expect([error.code, error.backend, error.agent, agent.messages()]).toEqual([code, 'server', 'worker', []]);
  expect(server.counts.elsewhere).toBe(0);
});

test('a key that a server echoes appears nowhere', async () => {
  const agent = await spawn('fault:401-echo');
  const troupe = troupes.at(-1);
  const error = await fail(agent.ask('Hi'));
  expect(error.code).toBe('TROUPE_ERR_BACKEND_AUTH');
  const shown = [error, agent, troupe, troupe?.agents(), agent.ref.getSnapshot(), agent.ref.getPersistedSnapshot()];
  const texts = shown.flatMap((value) => [
    inspect(value, { depth: 12, showHidden: true }),
    JSON.stringify(value) ?? '',
  ]);
  expect(
    [...texts, String(error.stack), String((error.cause as Error)?.message)].filter((text) => text.includes(key)),
  ).toEqual([]);
});

describe('a chain of two servers', () => {
  /** An agent on the fault server under one fault, then on the same server in good health; time is virtual. */
  async function chain(fault: string, fallback: readonly string[] = ['healthy']) {
    const clock = new VirtualClock();
    const nobody = 'http://127.0.0.1:9';
    const backends = {
      first: openai({ endpoint: fault === 'dead' ? nobody : server.url, model: `fault:${fault}` }),
      healthy: openai({ endpoint: server.url, model: 'fault:ok' }),
      dead: openai({ endpoint: nobody, model: 'm' }),
    };
    const troupe = createTroupe({ backends, clock, random: () => 0 });
    troupes.push(troupe);
    const timeouts = { firstEventMs: 100_000, idleMs: 100_000 };
    const agent = await troupe.spawn('worker', { backend: 'first', fallback, maxRetries: 1, timeouts });
    return { agent, clock };
  }

  /** Lets a hundred milliseconds pass for every real one, until the ask has ended: sockets need real time. */
  async function ended<Result>(ask: Promise<Result>, clock: VirtualClock): Promise<Result> {
    let over = false;
    const end = () => {
      over = true;
    };
    ask.then(end, end);
    while (!over) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await clock.advance(100);
    }
    return ask;
  }

  const codes = (attempts: TroupeError['attempts']) =>
    attempts.map(({ backend, error }) => `${backend} ${error?.code ?? 'ok'}`);

  test.each([
    ['429-once', ['first TROUPE_ERR_BACKEND_OVERLOADED', 'first ok']],
    ['429-huge', ['first TROUPE_ERR_BACKEND_OVERLOADED', 'healthy ok']],
    ['dead', ['first TROUPE_ERR_BACKEND_UNREACHABLE', 'first TROUPE_ERR_BACKEND_UNREACHABLE', 'healthy ok']],
    ['hang-headers', ['first TROUPE_ERR_BACKEND_TIMEOUT', 'first TROUPE_ERR_BACKEND_TIMEOUT', 'healthy ok']],
    ['hang-body', ['first TROUPE_ERR_BACKEND_TIMEOUT', 'first TROUPE_ERR_BACKEND_TIMEOUT', 'healthy ok']],
    ['401-echo', ['first TROUPE_ERR_BACKEND_AUTH', 'healthy ok']],
  ])('%s: the reply lists what was tried', async (fault, attempts) => {
    const { agent, clock } = await chain(fault);
    const reply = await ended(agent.ask('Hi'), clock);
    expect([reply.text, codes(reply.attempts)]).toEqual([wholeText, attempts]);
  });

  test('all dead: the error names each and holds each cause', async () => {
    const { agent, clock } = await chain('dead', ['dead']);
    const error = await ended(fail(agent.ask('Hi')), clock);
    expect([error.code, codes(error.attempts)]).toEqual([
      'TROUPE_ERR_BACKENDS_EXHAUSTED',
      [
        ...Array(2).fill('first TROUPE_ERR_BACKEND_UNREACHABLE'),
        ...Array(2).fill('dead TROUPE_ERR_BACKEND_UNREACHABLE'),
      ],
    ]);
    expect(error.message).toMatch(/^No backend could answer. first: No answer from .* \| dead: No answer from /);
    expect((error.cause as AggregateError).errors.length).toBe(2);
  });
});
