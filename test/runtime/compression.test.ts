/** Compression while agents work: when it happens, what is sent then, and who comes after it. */
import { afterEach, describe, expect, test } from 'vitest';
import { none } from '../../actors/compression/none.ts';
import { tool } from '../../actors/tools/tool.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import type { StreamEvent } from '../../src/runtime/reply.ts';
import { assertValidMessages } from '../../src/testing/messages.ts';
import { closeScenes, compressionScene, heads, numbered, talk } from '../helpers/compression-scene.ts';
import { type SizedAnswer, words } from '../helpers/sized-backend.ts';

afterEach(closeScenes);

describe('before the ask that passes the limit', () => {
  test('what is sent becomes shorter, the log stays whole, and both are told', async () => {
    const { agent, model, compressed, store } = await compressionScene({}, { answer: numbered });
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
    const { agent, model, compressed } = await compressionScene({}, { answer: numbered });
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
    const { agent, compressed } = await compressionScene({ compression: { maxTokens: 100_000 } });
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
    const { agent, model } = await compressionScene({ tools: [big] }, { answer: numbered });
    await talk(agent, 4);
    // 440 tokens of conversation and more than 400 of the tool: what is sent leaves room for both.
    expect(heads(model.calls[3]?.messages ?? [])).toEqual(['Be', 'prompt-3', 'answer-3', 'prompt-4']);
  });

  test('an ask that waited is compressed for, too', async () => {
    const { agent, model } = await compressionScene({}, { answer: numbered });
    await Promise.all(Array.from({ length: 9 }, (_, at) => agent.ask(words(49, `prompt-${at + 1}`))));
    for (const { messages } of model.calls) {
      assertValidMessages(messages);
      expect(messages.length).toBeLessThanOrEqual(12);
    }
    expect(agent.messages().length).toBe(19);
  });

  test('a long prompt that waited counts like one that did not', async () => {
    const { agent, model } = await compressionScene({}, { answer: numbered });
    const prompts = ['p1', 'p2', 'p3'].map((name) => words(49, name));
    await Promise.all([...prompts, words(400, 'long'), words(49, 'short')].map((prompt) => agent.ask(prompt)));
    expect(model.calls.map(({ messages }) => heads(messages).slice(1))).toEqual([
      ['p1'],
      ['p1', 'answer-1', 'p2'],
      ['p1', 'answer-1', 'p2', 'answer-2', 'p3'],
      ['p3', 'answer-3', 'long'],
      ['long', 'answer-4', 'short'],
    ]);
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
    const { agent, model, compressed } = await compressionScene({ tools: [look] }, { answer });
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
    const { agent, model, compressed } = await compressionScene(
      { compression: none() },
      {
        info: { inference: 'local' },
        describeModel: async () => ({ contextTokens: 600 }),
      },
    );
    await talk(agent, 12);
    expect([compressed, model.calls.at(-1)?.messages.length]).toEqual([[], 24]);
  });

  test('wrong settings are refused by name', async () => {
    const { troupe } = await compressionScene();
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
    const { agent, model, store } = await compressionScene({}, { answer: numbered });
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
    const { agent, model, compressed, store } = await compressionScene({}, { answer: numbered });
    await talk(agent, 9);
    expect((await store.view('worker'))?.groupCount).toBe(8);
    const early = await agent.fork('early', { at: 15 });
    expect([early.messages({ sent: true }).length, await store.view('early')]).toEqual([15, undefined]);
    await early.ask('hi');
    expect([compressed.at(-1)?.agent, compressed.at(-1)?.tokensBefore]).toEqual(['early', 7 * 114]);
    expect(heads(model.calls.at(-1)?.messages ?? [])).toEqual([
      ...['Be', 'prompt-6', 'answer-6', 'prompt-7', 'answer-7', 'hi'],
    ]);
    expect(heads(agent.messages({ sent: true })).slice(0, 2)).toEqual(['Be', 'prompt-7']);
  });

  test('what comes back after a crash sends the view', async () => {
    let isWell = true;
    const answer = (number: number): SizedAnswer => {
      if (!isWell) throw new Error('a bug');
      return numbered(number);
    };
    const { agent, model, compressed } = await compressionScene({}, { answer });
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
    const { agent, model } = await compressionScene({}, { answer });
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
