/** Compression while agents work: when it happens, what is sent then, and who comes after it. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Backend, ModelRequest } from '../../actors/backend.ts';
import { slidingWindow, summarize } from '../../actors/compression/index.ts';
import type { CompressionStrategy } from '../../actors/compression/strategy.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import { tool } from '../../actors/tools/tool.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { Message } from '../../src/core/types.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import type { Compression } from '../../src/runtime/compress.ts';
import type { Reply, StreamEvent } from '../../src/runtime/reply.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { assertValidMessages } from '../../src/testing/messages.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';
import { type SizedAnswer, type SizedOptions, sizedBackend, words } from '../helpers/sized-backend.ts';

const troupes: Troupe[] = [];
afterEach(() => Promise.all(troupes.splice(0).map((troupe) => troupe.close())));

/** Each turn takes 114 tokens by our count, 110 by that of the backend: 50 words each way, and what is around them. */
const windowAt600 = { maxTokens: 600, strategy: slidingWindow() };

async function scene(spec: AgentSpec = {}, sized: SizedOptions = {}, options: TroupeOptions = {}) {
  const clock = new VirtualClock();
  const model = sizedBackend(sized);
  const store = memoryStore();
  const troupe = createTroupe({ backends: { model }, clock, store, random: () => 0.5, ...options });
  troupes.push(troupe);
  const compressed: Compression[] = [];
  troupe.on('compressed', (compression) => compressed.push(compression));
  const agent = await troupe.spawn('worker', { system: 'Be brief.', compression: windowAt600, ...spec });
  return { clock, model, troupe, store, agent, compressed };
}

async function talk(agent: Agent, turns: number, from = 1): Promise<Reply[]> {
  const replies: Reply[] = [];
  for (let turn = from; turn < from + turns; turn += 1) replies.push(await agent.ask(words(49, `prompt-${turn}`)));
  return replies;
}

/** What begins each message, which tells them apart. */
function heads(messages: readonly Message[]): string[] {
  return messages.map(({ content }) => content.split(' ')[0] ?? '');
}

/** Answers that can be told apart. */
const numbered = (number: number): SizedAnswer => ({ text: words(49, `answer-${number + 1}`) });

async function until(isSo: () => boolean): Promise<void> {
  for (let round = 0; round < 1000 && !isSo(); round += 1) await settle();
  if (!isSo()) throw new Error('It did not come so far.');
}

describe('before the ask that passes the limit', () => {
  test('what is sent becomes shorter, the log stays whole, and both are told', async () => {
    const { agent, model, compressed, store } = await scene({}, { answer: numbered });
    const states: string[] = [];
    await talk(agent, 5);
    expect([compressed, model.calls.length]).toEqual([[], 5]);
    agent.ref.subscribe(({ value }) => states.push(typeof value === 'string' ? value : (Object.keys(value)[0] ?? '')));
    const events: StreamEvent[] = [];
    for await (const event of agent.stream(words(49, 'prompt-6'))) events.push(event);
    const [compression] = compressed;
    expect(compressed).toEqual([
      {
        agent: 'worker',
        askId: 'ask-6',
        by: 'sliding-window',
        tokensBefore: 570,
        tokensAfter: 228,
        problem: undefined,
      },
    ]);
    expect(events[0]).toEqual({
      type: 'compressed',
      tokensBefore: compression?.tokensBefore,
      tokensAfter: compression?.tokensAfter,
    });
    expect([...new Set(states)]).toEqual(['compressing', 'awaiting', 'idle']);
    expect(heads(agent.messages())).toEqual([
      'Be',
      ...[1, 2, 3, 4, 5, 6].flatMap((turn) => [`prompt-${turn}`, `answer-${turn}`]),
    ]);
    expect(heads(model.calls[5]?.messages ?? [])).toEqual([
      'Be',
      'prompt-4',
      'answer-4',
      'prompt-5',
      'answer-5',
      'prompt-6',
    ]);
    expect(heads(agent.messages({ sent: true }))).toEqual([
      ...['Be', 'prompt-4', 'answer-4', 'prompt-5', 'answer-5', 'prompt-6', 'answer-6'],
    ]);
    expect([(await store.groups('worker')).length, await store.view('worker')]).toEqual([
      6,
      { groupCount: 5, head: [], kept: [3, 4] },
    ]);
  });

  test('every request is the view with the prompt, for 60 turns, and never longer than the limit', async () => {
    const { agent, model, compressed } = await scene({}, { answer: numbered });
    for (let turn = 1; turn <= 60; turn += 1) {
      const asked = agent.ask(words(49, `prompt-${turn}`));
      await asked;
      const { messages = [] } = model.calls.at(-1) ?? {};
      assertValidMessages(messages);
      expect(messages).toEqual(agent.messages({ sent: true }).slice(0, -1));
      expect(messages.reduce((sum, { content }) => sum + content.split(' ').length + 5, 3)).toBeLessThanOrEqual(600);
    }
    expect(agent.messages().length).toBe(121);
    // Three more turns fit after each.
    expect(compressed.length).toBe(Math.floor((60 - 3) / 3));
  });

  test('an agent far below its limit never counts: no compression, nothing loaded', async () => {
    const { agent, compressed } = await scene({ compression: { maxTokens: 100_000 } });
    await talk(agent, 20);
    expect([compressed, agent.messages({ sent: true })]).toEqual([[], agent.messages()]);
  });

  test('tools count, also before the first call that offers them', async () => {
    const big = tool({
      name: 'big',
      description: words(300),
      parameters: { type: 'object', properties: {} },
      execute: () => 'done',
    });
    const { agent, model } = await scene({ tools: [big] }, { answer: numbered });
    await talk(agent, 4);
    // 440 tokens of conversation and more than 400 of the tool: what is sent leaves room for both.
    expect(heads(model.calls[3]?.messages ?? [])).toEqual(['Be', 'prompt-3', 'answer-3', 'prompt-4']);
  });

  test('an ask that waited is compressed for, too', async () => {
    const { agent, model } = await scene({}, { answer: numbered });
    await Promise.all(Array.from({ length: 9 }, (_, at) => agent.ask(words(49, `prompt-${at + 1}`))));
    for (const { messages } of model.calls) {
      assertValidMessages(messages);
      expect(messages.length).toBeLessThanOrEqual(12);
    }
    expect(agent.messages().length).toBe(19);
  });

  test('in the middle of a tool loop: pairs stay whole and the request of the turn is repeated', async () => {
    const look = tool({
      name: 'look',
      description: 'Looks.',
      parameters: { type: 'object' },
      execute: () => words(120),
    });
    const answer = (number: number): SizedAnswer =>
      number % 8 === 7
        ? { text: 'done' }
        : { toolCalls: [{ id: `call-${number}`, name: 'look', arguments: `{"at":${number}}` }] };
    const { agent, model, compressed } = await scene({ tools: [look] }, { answer });
    const reply = await agent.ask(words(49, 'prompt-1'));
    expect([reply.text, reply.steps]).toEqual(['done', 8]);
    for (const { messages } of model.calls) assertValidMessages(messages);
    expect(compressed.map(({ askId }) => askId)).toEqual(compressed.map(() => 'ask-1'));
    expect(compressed.length).toBeGreaterThan(0);
    const { messages = [] } = model.calls.at(-1) ?? {};
    expect([messages[0]?.role, messages[1]?.role, messages[1]?.content.includes('prompt-1')]).toEqual([
      ...['system', 'user'],
      true,
    ]);
    expect(agent.messages().filter(({ role }) => role === 'tool').length).toBe(7);
  });

  test('`none` sends everything until a server refuses it', async () => {
    const strategy: AgentSpec = {
      compression: { strategy: (await import('../../actors/compression/none.ts')).none() },
    };
    const { agent, model, compressed } = await scene(strategy, {
      info: { inference: 'local' },
      describeModel: async () => ({ contextTokens: 600 }),
    });
    await talk(agent, 12);
    expect([compressed, model.calls.at(-1)?.messages.length]).toEqual([[], 24]);
  });

  test('wrong settings are refused by name', async () => {
    const { troupe } = await scene();
    for (const compression of [null, 'window', { maxTokens: 0 }, { atShare: 2 }, { writer: 5 }, { keepLast: 0 }])
      await expect(
        troupe.spawn('other', { compression } as unknown as AgentSpec),
        JSON.stringify(compression),
      ).rejects.toMatchObject({
        code: 'TROUPE_ERR_OPTION_INVALID',
        message: expect.stringContaining('`compression`') as unknown,
      });
    await expect((await troupe.spawn('other')).ask('hi', { compression: { maxTokens: 0.5 } })).rejects.toMatchObject({
      code: 'TROUPE_ERR_OPTION_INVALID',
    });
  });
});

describe('who comes after it', () => {
  test('a fork at the end goes on with the view, and neither sees what the other says', async () => {
    const { agent, model, store } = await scene({}, { answer: numbered });
    await talk(agent, 6);
    const twin = await agent.fork('twin');
    expect(twin.messages({ sent: true })).toEqual(agent.messages({ sent: true }));
    await agent.ask('mine');
    await twin.ask('yours');
    expect(heads(model.calls.at(-1)?.messages ?? [])).toEqual([
      ...['Be', 'prompt-4', 'answer-4', 'prompt-5', 'answer-5', 'prompt-6', 'answer-6', 'yours'],
    ]);
    expect(heads(agent.messages({ sent: true })).slice(-2)).toEqual(['mine', 'answer-7']);
    expect(await store.view('twin')).toEqual(await store.view('worker'));
    const other = await agent.fork('other', { system: 'Be long.' });
    expect(other.messages({ sent: true })[0]).toEqual({ role: 'system', content: 'Be long.' });
  });

  test('a fork back behind it has the log again, and is compressed before it sends that', async () => {
    const { agent, model, compressed, store } = await scene({}, { answer: numbered });
    await talk(agent, 6);
    const early = await agent.fork('early', { at: 9 });
    expect([early.messages({ sent: true }).length, await store.view('early')]).toEqual([9, undefined]);
    await early.ask(words(200, 'long'));
    expect([compressed.at(-1)?.agent, compressed.at(-1)?.tokensBefore]).toEqual(['early', 456]);
    expect(heads(model.calls.at(-1)?.messages ?? [])).toEqual(['Be', 'prompt-4', 'answer-4', 'long']);
    expect(heads(agent.messages({ sent: true })).slice(0, 2)).toEqual(['Be', 'prompt-4']);
  });

  test('what comes back after a crash sends the view', async () => {
    let isWell = true;
    const answer = (number: number): SizedAnswer => {
      if (!isWell) throw new Error('a bug');
      return numbered(number);
    };
    const { agent, model, compressed } = await scene({}, { answer });
    await talk(agent, 6);
    isWell = false;
    await expect(agent.ask('hi')).rejects.toMatchObject({ class: 'crashed' });
    isWell = true;
    await agent.ask('again');
    expect(heads(model.calls.at(-1)?.messages ?? [])).toEqual([
      ...['Be', 'prompt-4', 'answer-4', 'prompt-5', 'answer-5', 'prompt-6', 'answer-6', 'again'],
    ]);
    expect(compressed.length).toBe(1);
  });

  test('marks of sessions are gone on with only where the session has heard what is sent', async () => {
    const answer = (number: number): SizedAnswer => ({
      ...numbered(number),
      session: { backend: 'sized', id: 'one', entry: `entry-${number + 1}` },
    });
    const { agent, model } = await scene({}, { answer });
    const marks = () =>
      model.calls.at(-1)?.messages.flatMap((message) => (message.role === 'assistant' ? [message.session?.entry] : []));
    await talk(agent, 5);
    expect(marks()).toEqual(['entry-1', 'entry-2', 'entry-3', 'entry-4']);
    await talk(agent, 1, 6);
    expect(marks()).toEqual([undefined, undefined]);
    await talk(agent, 1, 7);
    expect(marks()).toEqual([undefined, undefined, 'entry-6']);
    // A session that was sent less for one ask alone has not heard the rest.
    await agent.ask('briefly', { compression: { maxTokens: 300 } });
    expect(marks()?.every((mark) => mark === undefined)).toBe(true);
    await agent.ask('and now');
    expect(marks()).toEqual([undefined, undefined, 'entry-6', 'entry-7', undefined]);
  });
});

describe('`agent.compress()`', () => {
  test('of an idle agent: at once, to about a half', async () => {
    const { agent, compressed } = await scene({ compression: slidingWindow() }, { answer: numbered });
    await talk(agent, 8);
    const done = await agent.compress();
    expect(done).toEqual({
      ...{ agent: 'worker', askId: undefined, by: 'sliding-window', problem: undefined },
      ...{ tokensBefore: 912, tokensAfter: 228 },
    });
    expect([compressed, agent.state, agent.messages().length]).toEqual([[done], 'idle', 17]);
    expect(heads(agent.messages({ sent: true }))).toEqual(['Be', 'prompt-7', 'answer-7', 'prompt-8', 'answer-8']);
  });

  test('of an agent that has said nothing: nothing', async () => {
    const { agent, compressed } = await scene();
    expect(await agent.compress()).toMatchObject({ by: 'nothing', tokensBefore: 0, tokensAfter: 0 });
    expect([compressed, agent.messages({ sent: true }).length]).toEqual([[], 1]);
  });

  test('of a busy agent: as soon as it is idle, before the next ask; called twice it is one', async () => {
    const { agent, model, compressed } = await scene({ compression: slidingWindow() }, { answer: numbered });
    await talk(agent, 5);
    const asked = agent.ask('a');
    const waiting = agent.ask('b');
    const [one, two] = await Promise.all([agent.compress(), agent.compress()]);
    expect([one, compressed]).toEqual([two, [one]]);
    await Promise.all([asked, waiting]);
    expect([model.calls[5]?.messages.length, (model.calls[6]?.messages.length ?? 0) < 8]).toEqual([12, true]);
  });

  test('wanted while it is being compressed for an ask: that was it, or it is done then', async () => {
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const strategy: CompressionStrategy = {
      name: 'slow',
      async compress(input) {
        await gate;
        return slidingWindow().compress(input);
      },
    };
    const { agent, compressed } = await scene({ compression: { strategy, maxTokens: 600 } }, { answer: numbered });
    await talk(agent, 5);
    const asked = agent.ask(words(49, 'prompt-6'));
    await until(() => agent.state === 'compressing');
    const wanted = agent.compress();
    open();
    expect([await wanted, compressed.length]).toEqual([compressed[0], 1]);
    await asked;
    expect(agent.state).toBe('idle');
  });

  test('wanted while nothing had to be done for an ask: it is done all the same', async () => {
    const { agent, compressed } = await scene({ compression: windowAt600 }, { answer: numbered });
    await talk(agent, 4);
    // Its bytes pass the limit, its tokens do not.
    const asked = agent.ask(`${'w'.repeat(400)}`);
    await until(() => agent.state === 'compressing');
    const wanted = agent.compress();
    expect(await wanted).toMatchObject({ by: 'sliding-window' });
    await asked;
    expect(compressed.length).toBe(1);
  });

  test('of a dead agent, and of one that is killed meanwhile', async () => {
    const hanging: CompressionStrategy = { name: 'hanging', compress: () => new Promise(() => {}) };
    const { agent, clock } = await scene({ compression: hanging }, { answer: numbered });
    await talk(agent, 3);
    const wanted = agent.compress();
    await until(() => agent.state === 'compressing');
    const waiting = agent.ask('behind it');
    await agent.kill('enough');
    await expect(wanted).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
    await expect(waiting).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
    await expect(agent.compress()).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
    await until(() => clock.pending === 0);
  });

  test('of an agent that is stopped with its group meanwhile: done when it is back', async () => {
    let isSlow = true;
    const strategy: CompressionStrategy = {
      name: 'slow once',
      compress: (input) => (isSlow ? new Promise(() => {}) : slidingWindow().compress(input)),
    };
    const { agent } = await scene({ compression: strategy }, { answer: numbered });
    await talk(agent, 6);
    const wanted = agent.compress();
    await until(() => agent.state === 'compressing');
    isSlow = false;
    agent.ref.send({ type: 'stop', reason: 'its group' });
    expect(await wanted).toMatchObject({ by: 'slow once' });
    expect(agent.state).toBe('idle');
  });
});

describe('one ask alone', () => {
  test('sends less, in every step, and leaves the view of the agent as it was', async () => {
    const look = tool({
      name: 'look',
      description: 'Looks.',
      parameters: { type: 'object' },
      execute: () => words(60),
    });
    let wantsTools = false;
    const answer = (number: number): SizedAnswer =>
      wantsTools && number < 14
        ? { toolCalls: [{ id: `call-${number}`, name: 'look', arguments: `{"at":${number}}` }] }
        : numbered(number);
    const { agent, model, compressed, store } = await scene(
      { compression: { maxTokens: 10_000, strategy: slidingWindow() }, tools: [look] },
      { answer },
    );
    await talk(agent, 8);
    wantsTools = true;
    const stream = agent.stream(words(49, 'prompt-9'), { compression: { maxTokens: 500 } });
    const events: StreamEvent[] = [];
    for await (const event of stream) events.push(event);
    expect(events.filter(({ type }) => type === 'compressed').length).toBe(compressed.length);
    expect(compressed.length).toBeGreaterThan(1);
    for (const { messages } of model.calls.slice(8)) {
      assertValidMessages(messages);
      expect(messages.reduce((sum, { content }) => sum + content.split(' ').length + 5, 3)).toBeLessThanOrEqual(500);
    }
    expect([agent.messages({ sent: true }), await store.view('worker')]).toEqual([agent.messages(), undefined]);
    wantsTools = false;
    await agent.ask('and now');
    expect(model.calls.at(-1)?.messages).toEqual(agent.messages().slice(0, -1));
  });

  test('its size says nothing about the conversation: the next ask is compressed for', async () => {
    const { agent, model, compressed } = await scene({}, { answer: numbered });
    await talk(agent, 5);
    await agent.ask(words(49, 'prompt-6'), { compression: { maxTokens: 200 } });
    expect(compressed.map(({ askId, by }) => [askId, by])).toEqual([['ask-6', 'sliding-window']]);
    await agent.ask(words(49, 'prompt-7'));
    expect(compressed.map(({ askId }) => askId)).toEqual(['ask-6', 'ask-7']);
    expect(compressed[1]?.tokensBefore).toBe(684);
    expect((model.calls.at(-1)?.messages.length ?? 0) < 10).toBe(true);
  });

  test('that a server finds too long all the same is compressed for itself', async () => {
    const overflow = new TroupeError('TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW', 'too long');
    const answer = (number: number, { conversation }: ModelRequest): SizedAnswer => {
      if (number >= 8 && conversation.length > 4) throw overflow;
      return numbered(number);
    };
    const { agent, compressed } = await scene({ compression: slidingWindow() }, { answer });
    await talk(agent, 8);
    const reply = await agent.ask(words(49, 'prompt-9'), { compression: { maxTokens: 700 } });
    expect(reply.attempts.map(({ error }) => error?.class)).toEqual(['context-overflow', undefined]);
    expect([compressed.length, agent.messages({ sent: true })]).toEqual([2, agent.messages()]);
  });

  test('of a stateless agent, whose asks begin anew', async () => {
    const look = tool({
      name: 'look',
      description: 'Looks.',
      parameters: { type: 'object' },
      execute: () => words(150),
    });
    const answer = (number: number): SizedAnswer =>
      number % 7 === 6
        ? { text: 'done' }
        : { toolCalls: [{ id: `call-${number}`, name: 'look', arguments: `{"at":${number}}` }] };
    const { agent, model, compressed } = await scene({ stateless: true, tools: [look] }, { answer });
    await agent.ask(words(49, 'prompt-1'));
    await agent.ask(words(49, 'prompt-2'));
    for (const { messages } of model.calls) assertValidMessages(messages);
    expect(compressed.length).toBeGreaterThan(1);
    expect(heads(model.calls[7]?.messages ?? [])).toEqual(['Be', 'prompt-2']);
    expect(agent.messages({ sent: true }).length).toBe(1);
  });

  test('structured output after a compression', async () => {
    const answer = (number: number): SizedAnswer =>
      number === 8 ? { text: 'no JSON' } : number > 8 ? { text: '{"n":5}' } : numbered(number);
    const { agent, model } = await scene({}, { answer });
    await talk(agent, 8);
    const schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } as const;
    const reply = await agent.ask(words(49, 'prompt-9'), { schema });
    expect([reply.output, reply.attempts.length]).toEqual([{ n: 5 }, 2]);
    for (const { messages } of model.calls.slice(8)) assertValidMessages(messages);
    expect(heads(agent.messages({ sent: true })).slice(-2)).toEqual(['prompt-9', '{"n":5}']);
  });
});

const perToken = { inference: 'cloud', price: 'per-token' } as const;
const prices = { date: '2026-11-24', models: { cheap: { inputUsd: 1, outputUsd: 2 } } };

describe('summaries', () => {
  const written = { text: words(20, 'SUMMARY') };

  async function withWriter(
    compression: AgentSpec['compression'],
    writer: SizedOptions = {},
    options: TroupeOptions = {},
  ) {
    const helper = sizedBackend({ answer: () => written, kind: 'helper', model: 'cheap', info: perToken, ...writer });
    const made = await scene(
      { compression: { maxTokens: 600, strategy: summarize({ maxTokens: 100 }), writer: helper, ...compression } },
      { answer: numbered },
      { prices, ...options },
    );
    return { ...made, helper };
  }

  test('written elsewhere: in the view, in the attempts, in the costs', async () => {
    const { agent, troupe, helper, compressed, store } = await withWriter({});
    const replies = await talk(agent, 6);
    const [attempt, answered] = replies[5]?.attempts ?? [];
    const costUsd = (helper.calls[0]?.messages[0]?.content.split(/\s+/).length ?? 0) + 8;
    expect(attempt).toEqual({
      ...{ backend: 'helper', model: 'cheap', step: 1, purpose: 'compression', durationMs: 0 },
      usage: { inputTokens: costUsd, outputTokens: 21, cacheReadTokens: undefined, cacheWriteTokens: undefined },
      costUsd: (costUsd + 42) / 1e6,
    });
    expect([answered?.backend, answered?.purpose]).toEqual(['model', undefined]);
    expect(replies[5]?.costUsd).toBeCloseTo((costUsd + 42) / 1e6, 12);
    expect([agent.costUsd, troupe.usage().costUsd]).toEqual([replies[5]?.costUsd, replies[5]?.costUsd]);
    expect((await store.ledger()).map(({ backend, calls }) => [backend, calls])).toEqual([
      ['model', 6],
      ['helper', 1],
    ]);
    expect(compressed[0]?.by).toBe('summarize');
    expect(agent.messages({ sent: true })[1]?.content).toContain('SUMMARY word');
    expect(helper.calls[0]?.agent).toBe('worker (summary)');
  });

  test('by another model of the same backend', async () => {
    const compression = { maxTokens: 600, strategy: summarize({ maxTokens: 100 }), writerModel: 'small' };
    const { agent, model } = await scene({ compression }, { answer: () => written });
    await talk(agent, 20);
    const models = model.calls.map((call) => call.model);
    expect(models.slice(0, 12).includes('small')).toBe(true);
    expect(models.filter((name) => name === 'sized-model').length).toBe(20);
  });

  test('its budget spent: the window does, and the ask is answered', async () => {
    const { agent, helper, compressed, troupe } = await withWriter(
      { writerBudgetUsd: 0.01 },
      { answer: () => ({ ...written, costUsd: 0.01 }) },
    );
    const warnings: string[] = [];
    troupe.on('budget', ({ budget, share }) => warnings.push(`${budget} ${share}`));
    await talk(agent, 20);
    expect([helper.calls.length, warnings]).toEqual([1, ['summaries of "worker" 0.8', 'summaries of "worker" 1']]);
    expect(compressed[0]).toMatchObject({ by: 'summarize', problem: undefined });
    for (const { by, problem } of compressed.slice(1))
      expect([by, problem?.code]).toEqual(['last-resort', 'TROUPE_ERR_BUDGET_EXCEEDED']);
    expect(compressed.length).toBeGreaterThan(2);
  });

  test('a summary must have room in the budget of its ask, too', async () => {
    const { agent, helper, compressed } = await withWriter({ writerBudgetUsd: 1 });
    await talk(agent, 5);
    const reply = await agent.ask(words(49, 'prompt-6'), { budgetUsd: 0.000_1 });
    expect([reply.text.split(' ')[0], helper.calls.length, compressed[0]?.problem?.code]).toEqual([
      ...['answer-6', 0],
      'TROUPE_ERR_BUDGET_EXCEEDED',
    ]);
  });

  test('a writer that fails is in the attempts; the window does', async () => {
    const down = new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'nobody listens');
    const { agent, compressed } = await withWriter({}, { answer: () => Promise.reject(down) });
    const replies = await talk(agent, 6);
    expect(replies[5]?.attempts.map(({ backend, purpose, error }) => [backend, purpose, error?.code])).toEqual([
      ['helper', 'compression', 'TROUPE_ERR_BACKEND_UNREACHABLE'],
      ['model', undefined, undefined],
    ]);
    expect([compressed[0]?.by, compressed[0]?.problem?.code]).toEqual([
      'last-resort',
      'TROUPE_ERR_BACKEND_UNREACHABLE',
    ]);
  });

  test.each([{}, { compression: { maxTokens: 500 } }])(
    'a writer that hangs is given up, place and all: %j',
    async (options) => {
      let aborted = 0;
      const answer = (_: number, { signal }: ModelRequest) =>
        new Promise<never>((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted += 1;
            reject(signal.reason);
          });
        });
      const both = sizedBackend({
        kind: 'both',
        answer: (number, request) => (request.agent === 'worker' ? numbered(number) : answer(number, request)),
      });
      const { troupe, clock, compressed } = await scene(
        {},
        {},
        { limits: { both: { maxConcurrent: 1 } }, backends: { both } },
      );
      await troupe.agent('worker')?.kill();
      const maxTokens = 'compression' in options ? 10_000 : 600;
      const agent = await troupe.spawn('worker', {
        compression: { maxTokens, strategy: summarize({ maxTokens: 100 }) },
      });
      await talk(agent, 5);
      const asked = agent.ask(words(49, 'prompt-6'), options);
      await until(() => both.calls.length === 6);
      await clock.advance(119_999);
      expect([aborted, both.calls.length]).toEqual([0, 6]);
      await clock.advance(1);
      const reply = await asked;
      expect([aborted, reply.attempts.map(({ purpose, error }) => [purpose, error?.code])]).toEqual([
        1,
        [
          ['compression', 'TROUPE_ERR_BACKEND_TIMEOUT'],
          [undefined, undefined],
        ],
      ]);
      expect(compressed[0]?.problem?.code).toBe('TROUPE_ERR_BACKEND_TIMEOUT');
      expect([troupe.health().backends[0]?.inFlight, clock.pending]).toEqual([0, 0]);
    },
  );

  test('an ask that is cancelled while its summary is written: the writer is aborted, the agent goes on', async () => {
    let aborted = 0;
    const answer = (_: number, { signal }: ModelRequest) =>
      new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted += 1;
          reject(signal.reason);
        });
      });
    const { agent, helper, troupe } = await withWriter({}, { answer });
    await talk(agent, 5);
    const handle = agent.askAsync(words(49, 'prompt-6'));
    await until(() => helper.calls.length === 1);
    handle.cancel();
    await expect(handle.wait()).rejects.toMatchObject({ code: 'TROUPE_ERR_ASK_CANCELLED' });
    await until(() => aborted === 1);
    expect([agent.state, agent.messages().length]).toEqual(['idle', 11]);
    await until(() => troupe.health().backends.every(({ inFlight }) => inFlight === 0));
  });
});

test('vectors come from the embedder, and are paid for', async () => {
  const { semantic } = await import('../../actors/compression/semantic.ts');
  const asked: number[] = [];
  const embedder: Backend = {
    ...sizedBackend({ kind: 'vectors', model: 'cheap', info: perToken }),
    embed: async ({ texts }) => {
      asked.push(texts.length);
      const usage = { inputTokens: 1000, outputTokens: 0, cacheReadTokens: undefined, cacheWriteTokens: undefined };
      return { vectors: texts.map((text) => [text.length, 1]), usage, model: 'cheap' };
    },
  };
  const { agent, compressed } = await scene(
    { compression: { maxTokens: 600, strategy: semantic(), embedder } },
    { answer: numbered },
    { prices },
  );
  const replies = await talk(agent, 6);
  expect([compressed[0]?.by, compressed[0]?.problem, asked.length]).toEqual(['semantic', undefined, asked.length]);
  expect(asked.length).toBeGreaterThan(0);
  expect(replies[5]?.costUsd).toBeCloseTo(asked.length * 0.001, 12);
});
