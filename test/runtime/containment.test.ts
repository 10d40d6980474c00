/** Whatever is plugged in may throw, anywhere: the ask gets its one typed end, the process and the sibling notice nothing. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Backend, ModelRequest, ModelResponse } from '../../actors/backend.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import type { Store } from '../../actors/store/store.ts';
import type { Tool } from '../../actors/tools/tool.ts';
import { isTroupeError } from '../../src/core/errors.ts';
import { unknownUsage } from '../../src/core/usage.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { askAll } from '../../src/runtime/ask-many.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import type { TroupeEvents } from '../../src/runtime/troupe-events.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

/** What reaches the process. The listeners of the test runner are put aside meanwhile: they would end the run. */
const strays: unknown[] = [];
const events = ['uncaughtException', 'unhandledRejection'] as const;
const others = new Map<string, NodeJS.UncaughtExceptionListener[]>();
const note = (reason: unknown) => strays.push(reason);
beforeEach(() => {
  for (const event of events) {
    others.set(event, process.listeners(event as 'uncaughtException'));
    process.removeAllListeners(event);
    process.on(event, note);
  }
});
afterEach(async () => {
  await timersOfOthers();
  for (const event of events) {
    process.off(event, note);
    for (const listener of others.get(event) ?? []) process.on(event as 'uncaughtException', listener);
  }
  expect(strays.splice(0).map(String)).toEqual([]);
});

/** XState throws what an observer threw from a timer of its own. */
async function timersOfOthers(): Promise<void> {
  await settle();
  await new Promise((resolve) => setTimeout(resolve, 0));
  await settle();
}

const boom = new Error('boom');
const explode = (): never => {
  throw boom;
};

const echo: Backend['call'] = async ({ prompt, conversation, onEvent }) => {
  onEvent({ type: 'text-delta', text: 'e' });
  return answer(`echo ${[...conversation.messages(), ...prompt].findLast(({ role }) => role === 'user')?.content}`);
};

function answer(text: string, more: Partial<ModelResponse> = {}): ModelResponse {
  const finishReason = { unified: more.toolCalls ? 'tool-calls' : 'stop', raw: undefined } as const;
  return { text, toolCalls: [], finishReason, usage: { ...unknownUsage, inputTokens: 1 }, costUsd: 0, ...more };
}

function backendOf(call: Backend['call']): Backend {
  return {
    kind: 'test',
    model: 'm',
    info: { inference: 'embedded', price: 'free', capabilities: [], setup: '-' },
    call,
  };
}

/** A backend whose first call is `first`, and that then echoes. */
function firstThenEcho(first: (request: ModelRequest) => unknown): Backend {
  let calls = 0;
  return backendOf((request) => {
    calls += 1;
    return calls === 1 ? (first(request) as Promise<ModelResponse>) : echo(request);
  });
}

/** A backend that wants the tool `t` once, and then says what came back. */
function wantsTool(): Backend {
  return backendOf(async (request) => {
    const last = [...request.conversation.messages(), ...request.prompt].at(-1);
    if (last?.role === 'tool') return answer(`tool said ${last.content}`);
    if (last?.content !== 'use it') return echo(request);
    return answer('', { toolCalls: [{ id: 'c', name: 't', arguments: '{}' }] });
  });
}

async function scene(backend: Backend, spec: AgentSpec = {}, options: TroupeOptions = {}) {
  const clock = new VirtualClock();
  const backends = { backend, good: backendOf(echo), bad: backendOf(explode) };
  const limits = { bad: { allowedFailures: 0 } };
  const troupe = createTroupe({ backends, limits, clock, random: () => 0.5, ...options });
  const agent = await troupe.spawn('worker', { maxRetries: 0, ...spec });
  const sibling = await troupe.spawn('sibling', { backend: 'good' });
  return { clock, troupe, agent, sibling };
}
type Scene = Awaited<ReturnType<typeof scene>>;

/** The end of an ask in one line; an error that is not typed says so. */
function outcome(ask: Promise<{ readonly text: string }>): Promise<string> {
  return ask.then(
    ({ text }) => text,
    (error: unknown) => (isTroupeError(error) ? error.code : `not typed: ${String(error)}`),
  );
}

/** What a promise resolves to, if nothing but time or I/O can keep it. */
function orHangs<Value>(promise: Promise<Value>): Promise<Value | 'hangs'> {
  return Promise.race([promise, settle().then(() => 'hangs' as const)]);
}

/** The agent and its sibling are as good as new. */
async function expectAlive({ agent, sibling, troupe }: Scene): Promise<void> {
  expect(await outcome(agent.ask('still there?'))).toBe('echo still there?');
  expect(await outcome(sibling.ask('you too?'))).toBe('echo you too?');
  expect([agent, sibling].map(({ ref }) => ref.getSnapshot().status)).toEqual(['active', 'active']);
  expect(troupe.agents().map(({ name }) => name)).toEqual(['worker', 'sibling']);
}

describe('tools', () => {
  const nullObject = Object.create(null) as unknown;
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const raise = (thrown: unknown) => () => {
    throw thrown;
  };
  const tools: [string, Partial<Pick<Tool, 'check' | 'run'>>, string | RegExp][] = [
    ['throws at once', { run: raise(boom) }, 'boom'],
    ['rejects', { run: () => Promise.reject(boom) }, 'boom'],
    ['throws a text', { run: raise('text') }, 'text'],
    ['throws nothing', { run: raise(undefined) }, 'undefined'],
    ['returns no promise', { run: (() => 5) as unknown as Tool['run'] }, /./],
    ['returns what is no JSON', { run: async () => circular }, /circular/],
    ['returns a number beyond JSON', { run: async () => 5n }, /BigInt/],
    ['has a check that throws', { check: raise(boom) as Tool['check'] }, 'boom'],
    ['has a check that rejects', { check: () => Promise.reject(boom) }, 'boom'],
    ['has a check that says nothing', { check: (async () => undefined) as unknown as Tool['check'] }, /./],
    ['throws what has no text', { run: raise(nullObject) }, /./],
  ];
  test.each(tools)('one that %s gives the model a result', async (_name, behaviour, result) => {
    const definition = { name: 't', description: 'Test.', parameters: {} };
    const tool: Tool = { definition, check: async (value) => ({ value }), run: async () => 'fine', ...behaviour };
    const here = await scene(wantsTool(), { tools: [tool] });
    const said = await outcome(here.agent.ask('use it'));
    expect(said).toMatch(/^tool said ./);
    expect(said.slice('tool said '.length)).toMatch(result);
    await expectAlive(here);
    expect(here.clock.pending).toBe(0);
  });

  test('one that kills its own agent ends the ask and nothing else', async () => {
    const here = await scene(wantsTool(), {
      tools: [
        {
          definition: { name: 't', description: 'Test.', parameters: {} },
          check: async (value) => ({ value }),
          run: async () => {
            await here.agent.kill('from inside');
            return 'late';
          },
        },
      ],
    });
    expect(await outcome(here.agent.ask('use it'))).toBe('TROUPE_ERR_AGENT_DEAD');
    expect([here.agent.state, await outcome(here.sibling.ask('b')), here.clock.pending]).toEqual(['dead', 'echo b', 0]);
  });
});

describe('backends', () => {
  const call = { id: 'c', name: 't', arguments: '{}' };
  const garbage: [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['a text', 'text'],
    ['an empty object', {}],
    ['no finish reason', answer('x', { finishReason: undefined as never })],
    ['no usage', answer('x', { usage: undefined as never })],
    ['no tool calls', answer('x', { toolCalls: undefined as never })],
    ['tool calls that are no list', answer('x', { toolCalls: 'c' as never })],
    ['tool calls that are nothing', answer('x', { toolCalls: [undefined] as never })],
    ['two tool calls of one id', answer('x', { toolCalls: [call, call] })],
    ['a tool call without arguments', answer('x', { toolCalls: [{ id: 'c', name: 't' }] as never })],
    ['no text', answer('x', { text: undefined as never })],
  ];
  describe.each(garbage)('one that answers %s', (_name, response) => {
    test('fails the ask with a typed error', async () => {
      const here = await scene(firstThenEcho(async () => response));
      expect(await orHangs(outcome(here.agent.ask('a')))).toMatch(/^TROUPE_ERR_|^echo a$/);
      await expectAlive(here);
      expect(here.clock.pending).toBe(0);
    });

    test('is followed by the next of the chain, or a typed error', async () => {
      const here = await scene(
        firstThenEcho(async () => response),
        { fallback: ['good'] },
      );
      expect(await orHangs(outcome(here.agent.ask('a')))).toMatch(/^TROUPE_ERR_|^echo a$/);
      await expectAlive(here);
    });
  });

  const throwing: [string, (request: ModelRequest) => unknown][] = [
    ['throws at once', explode],
    ['returns no promise', () => 5],
    ['rejects', () => Promise.reject(boom)],
    ['rejects with a text', () => Promise.reject('text')],
    ['rejects with nothing', () => Promise.reject(undefined)],
    ['rejects with what has no text', () => Promise.reject(Object.create(null))],
    ['returns a thenable that throws', () => Object.defineProperty({}, 'then', { value: explode })],
  ];
  test.each(throwing)('one that %s fails the ask with a typed error', async (_name, first) => {
    const here = await scene(firstThenEcho(first));
    expect(await outcome(here.agent.ask('a'))).toMatch(/^TROUPE_ERR_/);
    await expectAlive(here);
    expect(here.clock.pending).toBe(0);
  });

  test.each(throwing)('one that %s is followed by the next of the chain', async (_name, first) => {
    const here = await scene(firstThenEcho(first), { fallback: ['good'] });
    expect(await outcome(here.agent.ask('a'))).toBe('echo a');
    await expectAlive(here);
  });

  test('one that speaks after its end is not heard', async () => {
    let speak = () => {};
    const backend = firstThenEcho(async (request) => {
      speak = () => request.onEvent({ type: 'text-delta', text: 'late' });
      return answer('first');
    });
    const here = await scene(backend);
    const seen: string[] = [];
    const stream = here.agent.stream('a');
    for await (const event of stream) {
      if (event.type === 'text-delta') seen.push(event.text);
      if (event.type === 'step-end') speak();
    }
    speak();
    expect([seen, (await stream.reply).text, here.clock.pending]).toEqual([[], 'first', 0]);
    await expectAlive(here);
    expect(here.clock.pending).toBe(0);
  });

  test.each(['before its first event', 'in its first event'])('one that kills its agent %s', async (when) => {
    const here = await scene(
      backendOf(async (request) => {
        if (when !== 'in its first event') void here.agent.kill('from inside');
        request.onEvent({ type: 'text-delta', text: 'x' });
        return answer('late');
      }),
    );
    const stream = here.agent.stream('a');
    const reading = (async () => {
      for await (const event of stream) if (event.type === 'text-delta') void here.agent.kill('from inside');
    })();
    expect(await outcome(stream.reply)).toBe('TROUPE_ERR_AGENT_DEAD');
    await expect(reading).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
    expect([here.agent.state, await outcome(here.sibling.ask('b')), here.clock.pending]).toEqual(['dead', 'echo b', 0]);
  });

  test('one whose close throws does not keep the troupe open', async () => {
    const backend: Backend = { ...backendOf(echo), close: explode };
    const here = await scene(backend);
    await expect(here.troupe.close()).rejects.toThrow('boom');
    expect([here.troupe.agents(), await outcome(here.agent.ask('a'))]).toEqual([[], 'TROUPE_ERR_TROUPE_CLOSED']);
  });
});

describe('listeners', () => {
  const names: (keyof TroupeEvents)[] = [
    ...(['agent-spawned', 'agent-down', 'agent-dead', 'dead-letter', 'ask-settled', 'store-failed'] as const),
    ...(['call-failed', 'breaker', 'fallback'] as const),
  ];
  async function live(here: Scene): Promise<void> {
    expect(await outcome(here.agent.ask('a'))).toBe('echo a');
    const fragile = await here.troupe.spawn('fragile', { backend: 'bad' });
    const careful = await here.troupe.spawn('careful', { backend: 'bad', fallback: ['good'] });
    expect(await outcome(fragile.ask('b'))).toBe('TROUPE_ERR_AGENT_CRASHED');
    expect([await outcome(careful.ask('c')), fragile.state]).toEqual(['echo c', 'idle']);
    await Promise.all([fragile.kill(), careful.kill()]);
    const third = await here.troupe.spawn('third');
    await third.kill();
    expect(await outcome(third.ask('b'))).toBe('TROUPE_ERR_AGENT_DEAD');
    await expectAlive(here);
  }

  test('of a troupe, that throw', async () => {
    const store = Object.assign(memoryStore(), { barrier: () => Promise.reject(boom) });
    const logger = { warn: explode, error: explode };
    const here = await scene(backendOf(echo), {}, { store, logger });
    for (const name of names) here.troupe.on(name, explode);
    await live(here);
  });

  test('of a troupe, that reject', async () => {
    const rejects: () => unknown = () => Promise.reject(boom);
    const here = await scene(backendOf(echo), {}, { logger: { warn: rejects, error: rejects } });
    for (const name of names) here.troupe.on(name, rejects);
    await live(here);
  });

  test('a reader of a stream that throws cancels its ask', async () => {
    const here = await scene(
      firstThenEcho(({ onEvent }) => new Promise(() => onEvent({ type: 'text-delta', text: 'x' }))),
    );
    const stream = here.agent.stream('a');
    const reading = (async () => {
      for await (const event of stream) if (event.type === 'text-delta') explode();
    })();
    await expect(reading).rejects.toBe(boom);
    expect(await outcome(stream.reply)).toBe('TROUPE_ERR_ASK_CANCELLED');
    await expectAlive(here);
  });

  test('an observer of the machine that throws', async () => {
    const here = await scene(backendOf(echo));
    here.agent.ref.subscribe(explode);
    await live(here);
  });

  test('an inspector that throws', async () => {
    const here = await scene(backendOf(echo));
    here.agent.ref.system.inspect(explode);
    await live(here);
  });

  test('of a troupe, that spawn: a name is given once', async () => {
    const here = await scene(backendOf(echo));
    const spawned: Promise<string>[] = [];
    const spawn = () =>
      here.troupe.spawn('third').then(
        () => 'spawned',
        ({ code }) => code,
      );
    here.troupe.on('agent-dead', () => spawned.push(spawn(), spawn()));
    const first = await here.troupe.spawn('first');
    await first.kill();
    expect(await Promise.all(spawned)).toEqual(['spawned', 'TROUPE_ERR_AGENT_NAME_TAKEN']);
    expect(here.troupe.agents().map(({ name }) => name)).toEqual(['worker', 'sibling', 'third']);
  });

  test.each(['agent-spawned', 'agent-dead', 'ask-settled'] as const)(
    'of a troupe, that close it at %s',
    async (name) => {
      const here = await scene(backendOf(echo));
      const closed: Promise<void>[] = [];
      here.troupe.on(name, () => closed.push(here.troupe.close()));
      await outcome(here.agent.ask('a'));
      const third = await here.troupe.spawn('third').catch(() => undefined);
      await third?.kill();
      await Promise.all(closed);
      expect([here.troupe.agents(), here.agent.state, here.sibling.state]).toEqual([[], 'dead', 'dead']);
      expect(await outcome(here.agent.ask('b'))).toBe('TROUPE_ERR_TROUPE_CLOSED');
      expect(here.clock.pending).toBe(0);
    },
  );

  test('the progress of askAll that throws', async () => {
    const here = await scene(backendOf(echo));
    const requests = ['a', 'b'].map((prompt) => ({ agent: here.agent, prompt }));
    const results = await askAll(requests, { onProgress: explode });
    expect(results.map(({ reply }) => reply?.text)).toEqual(['echo a', 'echo b']);
    await expectAlive(here);
  });
});

describe('seams', () => {
  const writes = ['putAgent', 'removeAgent', 'appendGroup', 'putAsk', 'settleAsk', 'addUsage'] as const;
  test.each([...writes, 'barrier'] as const)(
    'a store whose %s throws is told of, and the work goes on',
    async (method) => {
      const store: Store = memoryStore();
      const here = await scene(backendOf(echo), {}, { store });
      const failures: string[] = [];
      here.troupe.on('store-failed', ({ code, message }) => failures.push(`${code} ${message.includes('boom')}`));
      store[method] = explode;
      expect(await outcome(here.agent.ask('a'))).toBe('echo a');
      const third = await here.troupe.spawn('third');
      await third.kill();
      expect(await outcome(third.ask('b'))).toBe('TROUPE_ERR_AGENT_DEAD');
      await expectAlive(here);
      expect(new Set(failures)).toEqual(new Set(['TROUPE_ERR_STORE_FAILED true']));
    },
  );

  test('a store whose barrier never ends: an ask ends by its deadline all the same', async () => {
    const store = memoryStore();
    const here = await scene(backendOf(echo), {}, { store });
    store.barrier = () => new Promise(() => {});
    const ends = [here.agent.ask('a', { timeoutMs: 100 }), here.agent.ask('b')].map(outcome);
    await here.clock.advance(100);
    await here.agent.kill();
    await here.clock.runUntilIdle();
    expect(await orHangs(Promise.all(ends))).toEqual(['TROUPE_ERR_ASK_TIMEOUT', 'TROUPE_ERR_AGENT_DEAD']);
  });

  test.each(['ids', 'random', 'now', 'setTimeout', 'clearTimeout'])('%s that throws costs one ask', async (seam) => {
    let broken = false;
    const clock = new VirtualClock();
    const fragile = (name: string) => (broken && name === seam ? explode() : undefined);
    let count = 0;
    const here = await scene(
      firstThenEcho(() => Promise.reject(boom)),
      { maxRetries: 1, fallback: ['good'] },
      {
        clock: {
          now: () => fragile('now') ?? clock.now(),
          setTimeout: (callback, ms) => fragile('setTimeout') ?? clock.setTimeout(callback, ms),
          clearTimeout: (handle) => fragile('clearTimeout') ?? clock.clearTimeout(handle),
        },
        ids: (kind) => fragile('ids') ?? `${kind}-${++count}`,
        random: () => fragile('random') ?? 0.5,
      },
    );
    broken = true;
    const ended = outcome(here.agent.ask('a'));
    await settle();
    await clock.advance(500);
    broken = false;
    await clock.advance(600_000);
    expect(await orHangs(ended)).toMatch(/^TROUPE_ERR_|^echo a$/);
    await expectAlive(here);
  });
});
