/** Asks, tools, streams, deadlines and kills, on the scripted backend and the virtual clock. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Script, scripted } from '../../actors/backends/scripted.ts';
import { tool } from '../../actors/tools/tool.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import type { StreamEvent } from '../../src/runtime/reply.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

async function scene(script: Script, spec: AgentSpec = {}) {
  const clock = new VirtualClock();
  const backend = scripted(script, { clock });
  const troupe = createTroupe({ backends: { scripted: backend }, clock, random: () => 0.5 });
  const agent = await troupe.spawn('worker', { system: 'Be brief.', ...spec });
  return { clock, backend, troupe, agent };
}

/** What an ask ended with, in one line. */
function outcome(ask: Promise<{ readonly text: string }>): Promise<string> {
  return ask.then(
    ({ text }) => text,
    (error: TroupeError) => error.code,
  );
}

const add = tool({
  name: 'add',
  description: 'Adds two numbers.',
  parameters: z.object({ a: z.number(), b: z.number() }),
  execute: ({ a, b }) => a + b,
});

describe('ask', () => {
  test('a reply says everything about the ask', async () => {
    const { agent, clock } = await scene([
      { text: ['Hel', 'lo'], delayMs: 30, usage: { inputTokens: 7, outputTokens: 2 } },
    ]);
    const asked = agent.ask('Hi', { askId: 'q' });
    await clock.runUntilIdle();
    const usage = { inputTokens: 7, outputTokens: 2, cacheReadTokens: undefined, cacheWriteTokens: undefined };
    expect(await asked).toEqual({
      askId: 'q',
      agent: 'worker',
      text: 'Hello',
      finishReason: { unified: 'stop', raw: undefined },
      steps: 1,
      usage,
      costUsd: 0,
      attempts: [{ backend: 'scripted', model: 'scripted-model', step: 1, durationMs: 30, usage, costUsd: 0 }],
      durationMs: 30,
    });
    expect(agent.messages()).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
    ]);
    expect([agent.state, clock.pending]).toEqual(['idle', 0]);
  });

  test('asks are answered in order, each with the conversation before it', async () => {
    const { agent, backend } = await scene([{ text: 'one' }, { text: 'two' }, { text: 'three' }]);
    const replies = await Promise.all(['1', '2', '3'].map((prompt) => agent.ask(prompt)));
    expect(replies.map(({ text }) => text)).toEqual(['one', 'two', 'three']);
    expect(backend.calls.map(({ messages }) => messages.map(({ content }) => content).join(' '))).toEqual([
      'Be brief. 1',
      'Be brief. 1 one 2',
      'Be brief. 1 one 2 two 3',
    ]);
  });

  test('a failed ask leaves nothing in the conversation, and the next one works', async () => {
    const refused = new TroupeError('TROUPE_ERR_BACKEND_AUTH', 'wrong key');
    const { agent, backend } = await scene([{ text: 'half', error: refused }, { text: 'fine' }]);
    const error = await agent.ask('a').catch((thrown: TroupeError) => thrown);
    expect(error).toMatchObject({
      code: 'TROUPE_ERR_BACKEND_AUTH',
      class: 'auth',
      agent: 'worker',
      backend: 'scripted',
      partialText: 'half',
      attempts: [{ step: 1, error: { code: 'TROUPE_ERR_BACKEND_AUTH', class: 'auth', message: 'wrong key' } }],
    });
    expect(await outcome(agent.ask('b'))).toBe('fine');
    expect(backend.calls[1]?.messages.map(({ content }) => content)).toEqual(['Be brief.', 'b']);
  });

  test('a transient failure is repeated after a wait, and both calls are listed', async () => {
    const reset = new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'reset');
    const { agent, clock } = await scene([{ error: reset }, { text: 'second' }]);
    const asked = agent.ask('a');
    await clock.runUntilIdle();
    const { attempts, durationMs } = await asked;
    expect(attempts.map(({ error }) => error?.code)).toEqual(['TROUPE_ERR_BACKEND_UNREACHABLE', undefined]);
    expect(durationMs).toBe(250);
  });

  test('wrong options are named, all at once', async () => {
    const { agent, troupe } = await scene([]);
    await expect(agent.ask('x', { timeoutMs: -1, askId: '' })).rejects.toThrow(
      '`timeoutMs` must be a number of milliseconds above 0, not -1; `askId` must be a non-empty string, not ""',
    );
    await expect(troupe.spawn('b', { maxStep: 3, maxSteps: 0 } as AgentSpec)).rejects.toThrow(
      /`maxStep` is no option; there are .*`maxSteps` must be a whole number above 0, not 0/,
    );
    await expect(troupe.spawn('b', { backend: 'olama' })).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_UNKNOWN' });
    await expect(troupe.spawn('worker')).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_NAME_TAKEN' });
  });
});

describe('tools', () => {
  test('calls run in parallel and their results stand in the order of the calls', async () => {
    const clock = new VirtualClock();
    const wait = tool<{ ms: number }>({
      name: 'wait',
      description: 'Waits.',
      parameters: { type: 'object', properties: { ms: { type: 'number' } }, required: ['ms'] },
      execute: ({ ms }) => new Promise((resolve) => clock.setTimeout(() => resolve(`${ms}`), ms)),
    });
    const backend = scripted([
      { toolCalls: [30, 20, 40].map((ms) => ({ name: 'wait', arguments: { ms } })) },
      { text: 'ok' },
    ]);
    const troupe = createTroupe({ backends: { scripted: backend }, clock });
    const agent = await troupe.spawn('worker', { tools: [wait] });
    const asked = agent.ask('go');
    await clock.runUntilIdle();
    expect((await asked).durationMs).toBe(40);
    expect(agent.messages().flatMap((message) => (message.role === 'tool' ? [message.content] : []))).toEqual([
      '30',
      '20',
      '40',
    ]);
  });

  test('whatever is wrong with a call goes back to the model', async () => {
    const broken = tool({
      name: 'broken',
      description: 'Throws.',
      execute: () => {
        throw new Error('no disk');
      },
    });
    const calls = [
      { name: 'add', arguments: { a: 1, b: 2 } },
      { name: 'add', arguments: { a: 1 } },
      { name: 'add', arguments: '{"a": 1,' },
      { name: 'subtract', arguments: {} },
      { name: 'broken', arguments: {} },
    ];
    const { agent } = await scene([{ toolCalls: calls }, { text: 'done' }], { tools: [add, broken] });
    expect(await outcome(agent.ask('go'))).toBe('done');
    const results = agent.messages().filter((message) => message.role === 'tool');
    expect(results.map(({ isError = false }) => isError)).toEqual([false, true, true, true, true]);
    expect(results[0]?.content).toBe('3');
    expect(results[1]?.content).toContain('The arguments do not fit: b: ');
    expect(results[2]?.content).toContain('The arguments are no valid JSON: ');
    expect(results[3]?.content).toBe('There is no tool "subtract". Tools: add, broken.');
    expect(results[4]?.content).toBe('no disk');
  });

  test('a long result is cut and says so', async () => {
    const dump = tool({ name: 'dump', description: 'Much.', execute: () => 'x'.repeat(100_003) });
    const { agent } = await scene([{ toolCalls: [{ name: 'dump' }] }, { text: 'ok' }], { tools: [dump] });
    await agent.ask('go');
    expect(
      agent
        .messages()
        .find(({ role }) => role === 'tool')
        ?.content.slice(-28),
    ).toBe('xxx\n[cut: 3 more characters]');
  });

  test('calls of an answer that was cut never run', async () => {
    const { agent } = await scene([{ text: 'so', toolCalls: [{ name: 'add' }], finishReason: 'length' }], {
      tools: [add],
    });
    const reply = await agent.ask('go');
    expect([reply.text, reply.finishReason.unified, reply.steps]).toEqual(['so', 'length', 1]);
    expect(agent.messages().at(-1)).toEqual({ role: 'assistant', content: 'so' });
  });

  test('the step limit is an error, not an empty success', async () => {
    const call = { toolCalls: [{ name: 'add', arguments: { a: 1, b: 1 } }] };
    const { agent } = await scene([call, call, call], { tools: [add], maxSteps: 3 });
    const error = await agent.ask('go').catch((thrown: TroupeError) => thrown);
    expect(error).toMatchObject({
      code: 'TROUPE_ERR_ASK_STEPS_EXCEEDED',
      message: expect.stringContaining('`maxSteps`'),
    });
  });

  test('a tool that takes too long gets a result that says so', async () => {
    const stuck = tool({ name: 'stuck', description: 'Never ends.', execute: () => new Promise(() => {}) });
    const { agent, clock } = await scene([{ toolCalls: [{ name: 'stuck' }] }, { expect: '100 ms', text: 'went on' }], {
      tools: [stuck],
      timeouts: { toolMs: 100 },
    });
    const asked = outcome(agent.ask('go'));
    await clock.advance(100);
    expect(await asked).toBe('went on');
  });
});

describe('an ask that does not end by itself', () => {
  test('its deadline counts the time in the mailbox', async () => {
    const { agent, clock } = await scene([{ text: 'slow', delayMs: 500 }, { text: 'next' }]);
    const first = outcome(agent.ask('a'));
    const second = outcome(agent.ask('b', { timeoutMs: 200 }));
    await clock.advance(200);
    expect(await second).toBe('TROUPE_ERR_ASK_TIMEOUT');
    await clock.runUntilIdle();
    expect([await first, await outcome(agent.ask('c'))]).toEqual(['slow', 'next']);
  });

  test('a signal cancels, before and during, and leaves no listener', async () => {
    const { agent, clock } = await scene([{ text: 'partial', hang: true }, { text: 'fine' }]);
    const abort = new AbortController();
    const asked = agent.ask('a', { signal: abort.signal }).catch((thrown: TroupeError) => thrown);
    await settle();
    abort.abort();
    expect(await asked).toMatchObject({
      code: 'TROUPE_ERR_ASK_CANCELLED',
      partialText: 'partial',
      attempts: [{ step: 1 }],
    });
    expect(await outcome(agent.ask('b', { signal: abort.signal }))).toBe('TROUPE_ERR_ASK_CANCELLED');
    expect(await outcome(agent.ask('c'))).toBe('fine');
    expect(clock.pending).toBe(0);
  });

  test('interrupted tools get results, so the next request is whole', async () => {
    const stuck = tool({ name: 'stuck', description: 'Never ends.', execute: () => new Promise(() => {}) });
    const calls = [{ name: 'add', arguments: { a: 1, b: 2 } }, { name: 'stuck' }];
    const { agent, backend } = await scene([{ toolCalls: calls }, { text: 'fine' }], { tools: [add, stuck] });
    const abort = new AbortController();
    const asked = outcome(agent.ask('a', { signal: abort.signal }));
    await settle();
    await settle();
    abort.abort();
    expect(await asked).toBe('TROUPE_ERR_ASK_CANCELLED');
    expect(await outcome(agent.ask('b'))).toBe('fine');
    expect(backend.calls[1]?.messages.map(({ role }) => role)).toEqual([
      'system',
      'user',
      'assistant',
      'tool',
      'tool',
      'user',
    ]);
    expect(backend.calls[1]?.messages[4]?.content).toContain('interrupted');
  });

  test('silence before the first content, and between contents', async () => {
    const spec = { timeouts: { firstEventMs: 100, idleMs: 40 }, maxRetries: 0 };
    const { agent, clock } = await scene(
      [
        { text: 'late', delayMs: 101 },
        { text: 'stuck', hang: true },
      ],
      spec,
    );
    const first = agent.ask('a').catch((thrown: TroupeError) => thrown);
    await clock.runUntilIdle();
    expect(await first).toMatchObject({
      code: 'TROUPE_ERR_BACKEND_TIMEOUT',
      message: expect.stringContaining('100 ms'),
    });
    const second = agent.ask('b').catch((thrown: TroupeError) => thrown);
    await clock.runUntilIdle();
    expect(await second).toMatchObject({ message: expect.stringContaining('40 ms'), partialText: 'stuck' });
  });

  test('kill rejects what is in hand and what waits; afterwards an ask is a dead letter', async () => {
    const { agent, troupe, clock } = await scene([{ hang: true }]);
    const letters: string[] = [];
    troupe.on('dead-letter', ({ agent: name, askId }) => letters.push(`${name} ${askId}`));
    const asks = [agent.ask('a'), agent.ask('b')].map(outcome);
    await settle();
    await agent.kill('done with it');
    await agent.kill();
    expect(await Promise.all(asks)).toEqual(['TROUPE_ERR_AGENT_DEAD', 'TROUPE_ERR_AGENT_DEAD']);
    expect([agent.state, troupe.agent('worker'), clock.pending]).toEqual(['dead', undefined, 0]);
    expect(await outcome(agent.ask('c', { askId: 'late' }))).toBe('TROUPE_ERR_AGENT_DEAD');
    expect(letters).toEqual(['worker late']);
    await expect(troupe.spawn('worker')).resolves.toMatchObject({ name: 'worker' });
  });
});

describe('stream', () => {
  async function collect(stream: AsyncIterable<StreamEvent>): Promise<string[]> {
    const seen: string[] = [];
    for await (const event of stream) seen.push(event.type === 'text-delta' ? event.text : event.type);
    return seen;
  }

  test('events in order, the reply last', async () => {
    const { agent } = await scene(
      [{ text: 'Let me see. ', toolCalls: [{ name: 'add', arguments: { a: 1, b: 2 } }] }, { text: 'Three.' }],
      { tools: [add] },
    );
    expect(await collect(agent.stream('1 + 2?'))).toEqual([
      ...['step-start', 'Let me see. ', 'step-end', 'tool-call', 'tool-result'],
      ...['step-start', 'Three.', 'step-end', 'reply'],
    ]);
  });

  test('a failure is thrown after what came before it', async () => {
    const error = new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', 'cut');
    const { agent } = await scene([{ text: 'par', error }]);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of agent.stream('x')) seen.push(event.type);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_STREAM_CUT', partialText: 'par' });
    expect(seen).toEqual(['step-start', 'text-delta']);
  });

  test('text that was seen is never shown again: no retry after it', async () => {
    const error = new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', 'cut');
    const { agent, backend } = await scene([{ text: 'par', error }]);
    await expect(collect(agent.stream('x'))).rejects.toThrow('cut');
    expect(backend.calls.length).toBe(1);
  });

  test('leaving while the model is silent cancels at once', async () => {
    const { agent, clock } = await scene([{ hang: true }, { text: 'fine' }]);
    const stream = agent.stream('x');
    const events = stream[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ type: 'step-start' });
    const silent = events.next();
    await events.return?.();
    expect(await silent).toEqual({ done: true, value: undefined });
    expect(await outcome(stream.reply)).toBe('TROUPE_ERR_ASK_CANCELLED');
    expect(await outcome(agent.ask('y'))).toBe('fine');
    expect(clock.pending).toBe(0);
  });

  test('leaving the loop cancels the ask', async () => {
    const { agent, clock } = await scene([{ text: 'begin', hang: true }, { text: 'fine' }]);
    const stream = agent.stream('x');
    for await (const event of stream) if (event.type === 'text-delta') break;
    expect(await outcome(stream.reply)).toBe('TROUPE_ERR_ASK_CANCELLED');
    expect(await outcome(agent.ask('y'))).toBe('fine');
    expect(clock.pending).toBe(0);
  });
});

describe('a troupe', () => {
  test('lists its agents and what they cost, and closes once', async () => {
    const { troupe, agent, clock } = await scene([{ text: 'x', usage: { inputTokens: 3 } }]);
    await agent.ask('a');
    const usage = { inputTokens: 3, outputTokens: undefined, cacheReadTokens: undefined, cacheWriteTokens: undefined };
    expect(troupe.agents()).toEqual([
      {
        ...{ name: 'worker', state: 'idle', backend: 'scripted', model: 'scripted-model', createdAt: 0 },
        ...{ group: undefined, waiting: 0, restarts: 0 },
        ...{ usage, costUsd: 0 },
      },
    ]);
    await troupe.close();
    await troupe.close();
    expect(troupe.usage()).toEqual({ usage, costUsd: 0 });
    expect([troupe.agents(), clock.pending]).toEqual([[], 0]);
    await expect(troupe.spawn('late')).rejects.toMatchObject({ code: 'TROUPE_ERR_TROUPE_CLOSED' });
  });

  test('a script that is not used up fails the close, one that is used too much fails the ask', async () => {
    const { troupe, agent } = await scene([{ text: 'x' }]);
    await expect(troupe.close()).rejects.toMatchObject({ code: 'TROUPE_ERR_SCRIPT_UNCONSUMED' });
    expect(await outcome(agent.ask('a'))).toBe('TROUPE_ERR_TROUPE_CLOSED');
    const other = await scene([]);
    expect(await outcome(other.agent.ask('a'))).toBe('TROUPE_ERR_SCRIPT_UNEXPECTED');
  });

  test('a listener that throws stops nobody', async () => {
    const { troupe } = await scene([{ text: 'x' }]);
    const heard: string[] = [];
    troupe.on('agent-dead', () => {
      throw new Error('mine');
    });
    troupe.on('agent-dead', (name) => heard.push(name));
    await troupe.agent('worker')?.kill();
    expect(heard).toEqual(['worker']);
  });
});
