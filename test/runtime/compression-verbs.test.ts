/** Compression on demand, and for one ask alone. */
import { afterEach, describe, expect, test } from 'vitest';
import type { ModelRequest } from '../../actors/backend.ts';
import { slidingWindow } from '../../actors/compression/sliding-window.ts';
import type { CompressionStrategy } from '../../actors/compression/strategy.ts';
import { tool } from '../../actors/tools/tool.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { StreamEvent } from '../../src/runtime/reply.ts';
import { assertValidMessages } from '../../src/testing/messages.ts';
import {
  closeScenes,
  compressionScene,
  gatedStrategy,
  heads,
  numbered,
  talk,
  until,
  windowAt600,
} from '../helpers/compression-scene.ts';
import { type SizedAnswer, words } from '../helpers/sized-backend.ts';

afterEach(closeScenes);

describe('`agent.compress()`', () => {
  test('of an idle agent: at once, to about a half', async () => {
    const { agent, compressed } = await compressionScene({ compression: slidingWindow() }, { answer: numbered });
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
    const { agent, compressed } = await compressionScene();
    expect(await agent.compress()).toMatchObject({ by: 'nothing', tokensBefore: 0, tokensAfter: 0 });
    expect([compressed, agent.messages({ sent: true }).length]).toEqual([[], 1]);
  });

  test('of a busy agent: as soon as it is idle, before the next ask; called twice it is one', async () => {
    const { agent, model, compressed } = await compressionScene({ compression: slidingWindow() }, { answer: numbered });
    await talk(agent, 5);
    const asked = agent.ask('a');
    const waiting = agent.ask('b');
    const [one, two] = await Promise.all([agent.compress(), agent.compress()]);
    expect([one, compressed]).toEqual([two, [one]]);
    await Promise.all([asked, waiting]);
    expect([model.calls[5]?.messages.length, (model.calls[6]?.messages.length ?? 0) < 8]).toEqual([12, true]);
  });

  test('wanted while it is being compressed for an ask: that was it, or it is done then', async () => {
    const { strategy, open } = gatedStrategy();
    const { agent, compressed } = await compressionScene(
      { compression: { strategy, maxTokens: 600 } },
      { answer: numbered },
    );
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
    const { agent, compressed } = await compressionScene({ compression: windowAt600 }, { answer: numbered });
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
    const { agent, clock } = await compressionScene({ compression: hanging }, { answer: numbered });
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
    const { agent } = await compressionScene({ compression: strategy }, { answer: numbered });
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
    const { agent, model, compressed, store } = await compressionScene(
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
    const { agent, model, compressed } = await compressionScene({}, { answer: numbered });
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
    const { agent, compressed } = await compressionScene({ compression: slidingWindow() }, { answer });
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
    const { agent, model, compressed } = await compressionScene({ stateless: true, tools: [look] }, { answer });
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
    const { agent, model } = await compressionScene({}, { answer });
    await talk(agent, 8);
    const schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } as const;
    const reply = await agent.ask(words(49, 'prompt-9'), { schema });
    expect([reply.output, reply.attempts.length]).toEqual([{ n: 5 }, 2]);
    for (const { messages } of model.calls.slice(8)) assertValidMessages(messages);
    expect(heads(agent.messages({ sent: true })).slice(-2)).toEqual(['prompt-9', '{"n":5}']);
  });
});
