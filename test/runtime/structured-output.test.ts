/** Answers in the form of a schema: how they are asked for, read, sent back and refused. */
import { afterEach, describe, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import type { Backend, ModelRequest } from '../../actors/backend.ts';
import { claudeCli } from '../../actors/backends/claude-cli.ts';
import { type ScriptedStep, scripted } from '../../actors/backends/scripted.ts';
import type { StandardSchema } from '../../actors/tools/schema.ts';
import { tool } from '../../actors/tools/tool.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { Json, ModelParameters } from '../../src/core/types.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { type AskResult, askAll, race } from '../../src/runtime/ask-many.ts';
import type { Reply, StreamEvent } from '../../src/runtime/reply.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';
import { modelServer } from '../contract/server.ts';
import { fakeClaude } from '../helpers/fake-claude.ts';

const trip = z.object({ city: z.string(), days: z.number() });
const rome = { city: 'Rome', days: 3 };
const romeText = JSON.stringify(rome);
const tripSchema = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'number' } },
  required: ['city', 'days'],
} as const;
const closedTrip = { ...tripSchema, additionalProperties: false };
const instruction = `Give your answer as JSON only, with no other text. It must fit this JSON Schema:\n${JSON.stringify(closedTrip)}`;
const usage = { inputTokens: 10, outputTokens: 2, cacheReadTokens: undefined, cacheWriteTokens: undefined };

const look = tool({ name: 'look', description: 'Looks.', execute: () => 'sunny' });

const troupes: Troupe[] = [];
afterEach(async () => {
  await Promise.all(troupes.splice(0).map((troupe) => troupe.close()));
});

interface Place extends TroupeOptions {
  /** Where the scripted model runs, when its server can keep to a schema. */
  readonly holdsAt?: 'cloud' | 'local';
  readonly spec?: AgentSpec;
}

/** An agent on a script, and what its backend was sent. */
async function scene(script: readonly ScriptedStep[], { holdsAt, spec = {}, ...options }: Place = {}) {
  const clock = new VirtualClock();
  const plain = scripted(script, { clock });
  const requests: ModelRequest[] = [];
  const capabilities = ['tools', 'streaming', 'structured-output'] as const;
  const backend: Backend = {
    kind: 'scripted',
    model: plain.model,
    info: holdsAt === undefined ? plain.info : { ...plain.info, inference: holdsAt, capabilities },
    call: (request) => {
      requests.push(request);
      return plain.call(request);
    },
    close: () => plain.close?.() ?? Promise.resolve(),
  };
  const troupe = createTroupe({ ...options, backends: { scripted: backend, ...options.backends }, clock });
  troupes.push(troupe);
  const agent = await troupe.spawn('worker', { backend: 'scripted', ...spec });
  const sent = () => plain.calls.map(({ messages }) => messages.map(({ role, content }) => `${role}: ${content}`));
  const parameters = (): ModelParameters[] => requests.map((request) => request.parameters);
  return { clock, troupe, agent, sent, parameters };
}

async function failureOf(promise: Promise<unknown>): Promise<TroupeError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(TroupeError);
  return outcome as TroupeError;
}

describe('what is asked for', () => {
  test('a server that keeps to schemas is given the schema, and the prompt as it is', async () => {
    const spec: AgentSpec = { parameters: { temperature: 0.5, responseFormat: { type: 'json' } } };
    const { agent, sent, parameters } = await scene([{ text: romeText }, { text: 'Hi.' }], { holdsAt: 'cloud', spec });
    expect((await agent.ask('Where to?', { schema: trip })).output).toEqual(rome);
    await agent.ask('Hello');
    expect(sent()[0]).toEqual(['user: Where to?']);
    expect(parameters()).toEqual([
      { temperature: 0.5, responseFormat: { type: 'schema', name: 'output', schema: closedTrip } },
      spec.parameters,
    ]);
  });

  test('a JSON Schema goes as it is', async () => {
    const { agent, parameters } = await scene([{ text: romeText }], { holdsAt: 'cloud' });
    const { output } = await agent.ask('Where to?', { schema: tripSchema });
    expect(output).toEqual(rome);
    expect(parameters()).toEqual([{ responseFormat: { type: 'schema', name: 'output', schema: tripSchema } }]);
  });

  test('objects within are closed, data that looks like a schema is not', async () => {
    const { agent, parameters } = await scene([{ text: '{"default":{"a":1},"list":[]}' }], { holdsAt: 'cloud' });
    const data = { type: 'object', properties: {} };
    const inner = z.object({ a: z.number() });
    const schema = z.object({ default: inner, list: z.array(inner), kept: z.looseObject({}).default(data).optional() });
    await agent.ask('Go', { schema });
    const innerJson = {
      ...{ type: 'object', properties: { a: { type: 'number' } }, required: ['a'], additionalProperties: false },
    };
    expect(parameters()[0]?.responseFormat).toEqual({
      type: 'schema',
      name: 'output',
      schema: {
        type: 'object',
        properties: {
          default: innerJson,
          list: { type: 'array', items: innerJson },
          kept: { type: 'object', properties: {}, additionalProperties: {}, default: data },
        },
        required: ['default', 'list'],
        additionalProperties: false,
      },
    });
  });

  test('where no server keeps to it the prompt says it, in every call of the ask and in none of the next', async () => {
    const reset = new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'reset');
    const script = [{ error: reset }, { toolCalls: [{ name: 'look' }] }, { text: romeText }, { text: 'Hi.' }];
    const { agent, sent, parameters, clock } = await scene(script, { spec: { tools: [look], system: 'Be brief.' } });
    const asked = agent.ask('Where to?', { schema: trip });
    await clock.runUntilIdle();
    expect((await asked).output).toEqual(rome);
    await agent.ask('Hello');
    const first = ['system: Be brief.', `user: Where to?\n\n${instruction}`];
    expect(sent().slice(0, 3)).toEqual([first, first, [...first, 'assistant: ', 'tool: sunny']]);
    expect(parameters()).toEqual([{}, {}, {}, {}]);
    const log = ['system: Be brief.', 'user: Where to?', 'assistant: ', 'tool: sunny', `assistant: ${romeText}`];
    expect(sent()[3]).toEqual([...log, 'user: Hello']);
  });

  test('a list, which no server keeps to, is asked for in the prompt', async () => {
    const spec: AgentSpec = { parameters: { responseFormat: { type: 'json' } } };
    const { agent, sent, parameters } = await scene([{ text: '[1, 2]' }], { holdsAt: 'cloud', spec });
    expect((await agent.ask('Count', { schema: z.array(z.number()) })).output).toEqual([1, 2]);
    expect(sent()[0]?.[0]).toContain('JSON Schema:\n{"type":"array"');
    expect(parameters()).toEqual([{}]);
  });

  test('a local server is given both, but nothing to keep to while it may call tools', async () => {
    const script = [{ text: romeText }, { toolCalls: [{ name: 'look' }] }, { text: 'Rome!' }, { text: romeText }];
    const { agent, sent, parameters } = await scene(script, { holdsAt: 'local' });
    await agent.ask('Where to?', { schema: trip });
    agent.addTools(look);
    expect((await agent.ask('And then?', { schema: trip })).output).toEqual(rome);
    const held = { responseFormat: { type: 'schema', name: 'output', schema: closedTrip } };
    expect(parameters()).toEqual([held, {}, {}, held]);
    expect(sent()[0]).toEqual([`user: Where to?\n\n${instruction}`]);
    expect(sent()[2]?.at(-3)).toBe(`user: And then?\n\n${instruction}`);
  });
});

describe('what is read', () => {
  test.each([
    ['JSON', romeText],
    ['blanks around', `\n ${romeText} \n`],
    ['a block of code', `\`\`\`json\n${romeText}\n\`\`\``],
    ['words around', `Here [1] it is: ${romeText} Enjoy {it}!`.replace(' Enjoy {it}!', ' Enjoy!')],
    ['a block and words with brackets', `It is {so}:\n\`\`\`\n${romeText}\n\`\`\`\nSee [2].`],
    ['almost JSON', "{city: 'Rome', days: 3,}"],
    ['almost JSON in a block', "Sure:\n```json\n{city: 'Rome', // which else\n days: 3}\n```"],
    ['almost JSON with words around', "Sure! {'city': 'Rome', 'days': 3} Enjoy."],
    ['no end', '{"city": "Rome", "days": 3'],
    ['more than asked for', '{"city": "Rome", "days": 3, "why": "pasta"}'],
  ])('%s', async (_name, text) => {
    const { agent } = await scene([{ text }]);
    const reply = await agent.ask('Where to?', { schema: trip });
    expect([reply.output, reply.text, reply.attempts.length]).toEqual([rome, text, 1]);
  });

  test('the output is what the schema makes of it', async () => {
    const schema = z.object({ at: z.string().transform((text) => text.length) });
    const { agent } = await scene([{ text: '{"at":"Rome"}' }]);
    expect((await agent.ask('Where?', { schema })).output).toEqual({ at: 4 });
  });

  test('no schema, no output', async () => {
    const { agent } = await scene([{ text: romeText }]);
    expect((await agent.ask('Where to?')).output).toBeUndefined();
  });
});

describe('what does not fit', () => {
  test('is sent back once, with what is wrong; the log has the prompt and the answer that fits', async () => {
    const wrong = '{"city":"Rome"}';
    const { agent, sent, clock } = await scene([
      { text: wrong, usage, delayMs: 10 },
      { text: romeText, usage, delayMs: 30 },
    ]);
    const asked = agent.ask('Where to?', { schema: trip });
    await clock.runUntilIdle();
    const reply = await asked;
    const message = 'The answer does not fit the `schema`: days: Invalid input: expected number, received undefined.';
    const call = { backend: 'scripted', model: 'scripted-model', step: 1, usage, costUsd: 0 };
    expect(reply).toMatchObject({ output: rome, text: romeText, steps: 1 });
    expect(reply.usage).toMatchObject({ inputTokens: 20, outputTokens: 4 });
    expect(reply.attempts).toEqual([
      { ...call, durationMs: 10, error: { code: 'TROUPE_ERR_OUTPUT_INVALID', class: 'protocol', message } },
      { ...call, durationMs: 30 },
    ]);
    const problem = 'That does not fit: days: Invalid input: expected number, received undefined.';
    expect(sent()[1]).toEqual([
      `user: Where to?\n\n${instruction}`,
      `assistant: ${wrong}`,
      `user: ${problem}\n\n${instruction}`,
    ]);
    expect(agent.messages()).toEqual([
      { role: 'user', content: 'Where to?' },
      { role: 'assistant', content: romeText },
    ]);
    expect(agent.usage()).toMatchObject({ inputTokens: 20, outputTokens: 4 });
    expect([agent.state, clock.pending]).toEqual(['idle', 0]);
  });

  test('a stream is told that the text so far is replaced', async () => {
    const { agent } = await scene([{ text: 'Rome.' }, { text: romeText }]);
    const events: StreamEvent<unknown>[] = [];
    for await (const event of agent.stream('Where to?', { schema: trip })) events.push(event);
    expect(events.map(({ type }) => type)).toEqual([
      ...['step-start', 'text-delta', 'repair', 'text-delta', 'step-end', 'reply'],
    ]);
    expect(events[2]).toMatchObject({ error: { message: expect.stringContaining('there is no JSON in it') } });
    expect(events.at(-1)).toMatchObject({ reply: { output: rome, text: romeText } });
  });

  test('twice is an error with the text and what is wrong, and leaves nothing in the log', async () => {
    const { agent, sent } = await scene([
      { text: 'Rome.', usage },
      { text: '{"city":"Rome","days":"3"}', usage },
      { text: 'Hi.' },
    ]);
    const error = await failureOf(agent.ask('Where to?', { schema: trip }));
    expect(error).toMatchObject({
      code: 'TROUPE_ERR_OUTPUT_INVALID',
      class: 'protocol',
      retryable: false,
      partialText: '{"city":"Rome","days":"3"}',
      agent: 'worker',
    });
    expect(error.message).toContain('days: Invalid input: expected number, received string');
    expect(error.attempts.map((attempt) => [attempt.error?.code, attempt.usage])).toEqual([
      ['TROUPE_ERR_OUTPUT_INVALID', usage],
      ['TROUPE_ERR_OUTPUT_INVALID', usage],
    ]);
    await agent.ask('Hello');
    expect(sent()[2]).toEqual(['user: Hello']);
  });

  test('twice goes on with the next backend, unless a listener has seen text', async () => {
    const twice = [{ text: 'Rome.' }, { text: 'Rome!' }];
    const other = scripted([{ text: romeText }]);
    const spec: AgentSpec = { fallback: ['other'] };
    const { agent } = await scene([...twice, ...twice], { spec, backends: { other } });
    const reply = await agent.ask('Where to?', { schema: trip });
    expect(reply.attempts.map(({ backend }) => backend)).toEqual(['scripted', 'scripted', 'other']);
    const stream = agent.stream('Where to?', { schema: trip });
    expect(await failureOf(stream.reply)).toMatchObject({ code: 'TROUPE_ERR_OUTPUT_INVALID' });
  });

  test.each(['length', 'content-filter'] as const)('an answer cut short by %s is not sent back', async (reason) => {
    const { agent, sent } = await scene([{ text: romeText, finishReason: reason }]);
    const error = await failureOf(agent.ask('Where to?', { schema: trip }));
    expect([error.code, error.partialText, sent().length]).toEqual(['TROUPE_ERR_OUTPUT_INVALID', romeText, 1]);
    expect(error.message).toContain(`it was cut short (${reason})`);
    expect(error.attempts[0]?.error?.code).toBe('TROUPE_ERR_OUTPUT_INVALID');
  });

  test('instead of a repair the model may call a tool; what was wrong is in no message', async () => {
    const script = [{ text: 'Let me look.' }, { toolCalls: [{ name: 'look' }] }, { text: romeText }];
    const { agent } = await scene(script, { spec: { tools: [look] } });
    const reply = await agent.ask('Where to?', { schema: trip });
    expect([reply.output, reply.steps]).toEqual([rome, 2]);
    expect(agent.messages().map(({ role, content }) => `${role}: ${content}`)).toEqual([
      ...['user: Where to?', 'assistant: ', 'tool: sunny', `assistant: ${romeText}`],
    ]);
  });

  test('a repair that fails is repeated like any call', async () => {
    const reset = new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'reset');
    const { agent, clock, sent } = await scene([{ text: 'Rome.' }, { error: reset }, { text: romeText }]);
    const asked = agent.ask('Where to?', { schema: trip });
    await clock.runUntilIdle();
    expect((await asked).attempts.map(({ error }) => error?.code)).toEqual([
      ...['TROUPE_ERR_OUTPUT_INVALID', 'TROUPE_ERR_BACKEND_UNREACHABLE', undefined],
    ]);
    expect(sent()[2]).toHaveLength(1);
  });

  test('a repair is watched for silence, and the deadline holds for both calls together', async () => {
    const spec: AgentSpec = { maxRetries: 0, timeouts: { firstEventMs: 100 } };
    const script: ScriptedStep[] = [{ text: 'Rome.', delayMs: 90 }, { hang: true }, { text: 'Rome.' }, { hang: true }];
    const { agent, clock } = await scene(script, { spec });
    const silent = failureOf(agent.ask('Where to?', { schema: trip }));
    await clock.runUntilIdle();
    expect([(await silent).code, clock.now()]).toEqual(['TROUPE_ERR_BACKEND_TIMEOUT', 190]);
    const late = failureOf(agent.ask('Where to?', { schema: trip, timeoutMs: 50 }));
    await clock.runUntilIdle();
    expect([(await late).code, clock.now(), clock.pending]).toEqual(['TROUPE_ERR_ASK_TIMEOUT', 240, 0]);
  });

  test('a schema that never ends its check is ended by the deadline, and the call is accounted for', async () => {
    const standard = trip['~standard'] as unknown as StandardSchema<unknown>['~standard'];
    const schema: StandardSchema = { '~standard': { ...standard, validate: () => new Promise(() => {}) } };
    const { agent, clock } = await scene([{ text: romeText, usage }, { text: 'Hi.' }]);
    const late = failureOf(agent.ask('Where to?', { schema, timeoutMs: 50 }));
    await clock.runUntilIdle();
    expect((await late).attempts.map((attempt) => attempt.usage)).toEqual([usage]);
    expect((await agent.ask('Hello')).text).toBe('Hi.');
  });

  test('a schema that throws fails its ask and no other', async () => {
    const schema = z.object({}).refine(() => {
      throw new Error('no mood');
    });
    const { agent } = await scene([{ text: '{}', usage }, { text: 'Hi.' }]);
    const error = await failureOf(agent.ask('Where to?', { schema }));
    expect([error.code, error.attempts[0]?.error?.code, error.attempts[0]?.usage]).toEqual([
      ...['TROUPE_ERR_AGENT_CRASHED', 'TROUPE_ERR_AGENT_CRASHED', usage],
    ]);
    expect((await agent.ask('Hello')).text).toBe('Hi.');
  });
});

describe('schemas that are none', () => {
  const { jsonSchema: _none, ...dumb } = trip['~standard'] as unknown as StandardSchema['~standard'];

  test.each([
    ['a text', 'trip', /`schema` must be an object/],
    ['no JSON Schema to be had', { '~standard': dumb }, /`schema` is a zod schema that gives no JSON Schema/],
  ])('%s is refused before anything is sent', async (_name, schema, message) => {
    const { agent } = await scene([]);
    expect(await failureOf(agent.ask('Hi', { schema: schema as never }))).toMatchObject({
      code: 'TROUPE_ERR_OPTION_INVALID',
      message: expect.stringMatching(message),
    });
  });

  test('a JSON Schema that cannot be used fails the ask', async () => {
    const { agent } = await scene([{ text: '{}' }]);
    const error = await failureOf(agent.ask('Hi', { schema: { type: 'objekt' } }));
    expect([error.code, error.message]).toEqual([
      ...['TROUPE_ERR_OPTION_INVALID', '`schema` is no usable JSON Schema.'],
    ]);
  });
});

describe('types', () => {
  test('the output has the type of the schema, in every way to ask', async () => {
    const texts = Array.from({ length: 7 }, () => ({ text: romeText }));
    const { agent } = await scene([...texts, { text: romeText }]);
    const plain = await agent.ask('1');
    expectTypeOf(plain).toEqualTypeOf<Reply>();
    expectTypeOf(plain.output).toEqualTypeOf<undefined>();
    const typed = await agent.ask('2', { schema: trip });
    expectTypeOf(typed.output).toEqualTypeOf<{ city: string; days: number }>();
    const json = await agent.ask('3', { schema: { type: 'object' } });
    expectTypeOf(json.output).toEqualTypeOf<Json>();
    const handle = agent.askAsync('4', { schema: trip, timeoutMs: 1000 });
    expectTypeOf(await handle.wait()).toEqualTypeOf<Reply<{ city: string; days: number }>>();
    const stream = agent.stream('5', { schema: trip });
    expectTypeOf(await stream.reply).toEqualTypeOf<Reply<{ city: string; days: number }>>();
    const [first, second] = await askAll([
      { agent, prompt: '6', schema: trip },
      { agent, prompt: '7' },
    ]);
    expectTypeOf(first).toEqualTypeOf<AskResult<{ city: string; days: number }>>();
    expectTypeOf(second).toEqualTypeOf<AskResult>();
    expect([first.reply?.output, second.reply?.output]).toEqual([rome, undefined]);
    const fastest = await race([{ agent, prompt: '8', schema: trip }]);
    expectTypeOf(fastest.output).toEqualTypeOf<{ city: string; days: number }>();
    expect(fastest.output.city).toBe('Rome');
  });
});

describe('Claude Code', () => {
  test('keeps to the schema by itself, and a repair goes on before the answer that did not fit', async () => {
    const server = await modelServer();
    const claude = await fakeClaude(server.url);
    const troupe = createTroupe({ backends: { claude: claudeCli(claude.options()) } });
    try {
      const agent = await troupe.spawn('worker', { maxRetries: 0 });
      await agent.ask('say Hello');
      expect((await agent.ask('json', { schema: trip })).output).toEqual({ city: 'text', days: 7 });
      let checks = 0;
      const second = trip.refine(() => {
        checks += 1;
        return checks > 1;
      }, 'not at the first time');
      const reply = await agent.ask('json', { schema: second });
      expect(reply.output).toEqual({ city: 'text', days: 7 });
      expect(reply.attempts.map(({ error }) => error?.code)).toEqual(['TROUPE_ERR_OUTPUT_INVALID', undefined]);
      expect(agent.messages().map(({ role }) => role)).toEqual(
        [...'uauaua'].map((c) => (c === 'u' ? 'user' : 'assistant')),
      );
      const { texts } = JSON.parse((await agent.ask('count')).text);
      expect(JSON.stringify(texts)).not.toContain('That does not fit');
      expect(server.violations).toEqual([]);
    } finally {
      await troupe.close();
      await server.close();
      await claude.remove();
    }
  });
});

test('a cancelled repair ends at once', async () => {
  const { agent, clock } = await scene([{ text: 'Rome.' }, { hang: true }]);
  const handle = agent.askAsync('Where to?', { schema: trip });
  await settle();
  handle.cancel();
  expect((await failureOf(handle.wait())).code).toBe('TROUPE_ERR_ASK_CANCELLED');
  expect([agent.state, clock.pending]).toEqual(['idle', 0]);
});
