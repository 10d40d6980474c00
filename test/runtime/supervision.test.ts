/** Fallback, forks, deaths and the store's barrier, on scripted backends and the virtual clock. */
import { describe, expect, test } from 'vitest';
import { type ScriptedStep, scripted } from '../../actors/backends/scripted.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import type { Store } from '../../actors/store/store.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

async function scene(
  scripts: { readonly [backend: string]: readonly ScriptedStep[] },
  spec: AgentSpec = {},
  options: TroupeOptions = {},
) {
  const clock = new VirtualClock();
  const backends = Object.fromEntries(
    Object.entries(scripts).map(([name, script]) => [name, scripted(script, { clock, model: `model-of-${name}` })]),
  );
  const troupe = createTroupe({ backends, clock, random: () => 0.5, ...options });
  const fallback = Object.keys(scripts).slice(1);
  const agent = await troupe.spawn('worker', { fallback, ...spec });
  return { clock, backends, troupe, agent };
}

const down = new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'nobody listens');
const noKey = new TroupeError('TROUPE_ERR_BACKEND_AUTH', 'wrong key');

describe('fallback', () => {
  test('the next backend of the chain answers; the reply lists every attempt', async () => {
    const { agent, clock, backends } = await scene(
      { first: [{ error: down }, { error: down }], second: [{ text: 'ok' }] },
      { maxRetries: 1 },
    );
    const asked = agent.ask('hi');
    await clock.runUntilIdle();
    const { text, attempts } = await asked;
    expect(text).toBe('ok');
    expect(attempts.map(({ backend, model, error }) => [backend, model, error?.code])).toEqual([
      ['first', 'model-of-first', 'TROUPE_ERR_BACKEND_UNREACHABLE'],
      ['first', 'model-of-first', 'TROUPE_ERR_BACKEND_UNREACHABLE'],
      ['second', 'model-of-second', undefined],
    ]);
    expect(backends['second']?.calls[0]?.messages.map(({ content }) => content)).toEqual(['hi']);
  });

  test('a failure that a repeat cannot mend goes on at once, and every ask begins at the first backend', async () => {
    const { agent, clock } = await scene({
      first: [{ error: noKey }, { text: 'well again' }],
      second: [{ text: 'ok' }],
    });
    expect((await agent.ask('a')).text).toBe('ok');
    expect((await agent.ask('b')).text).toBe('well again');
    expect(clock.now()).toBe(0);
  });

  test('each target has its own model', async () => {
    const spec = { model: 'mine', fallback: [{ backend: 'second', model: 'theirs' }] };
    const { agent } = await scene({ first: [{ error: noKey }], second: [{ text: 'ok' }] }, spec);
    expect((await agent.ask('a')).attempts.map(({ model }) => model)).toEqual(['mine', 'theirs']);
  });

  test('when all fail, one error names each backend and holds each cause', async () => {
    const { agent } = await scene(
      { first: [{ error: noKey }], second: [{ error: noKey }], third: [{ error: down }] },
      { maxRetries: 0 },
    );
    const error = await agent.ask('a').catch((thrown: TroupeError) => thrown);
    expect(error).toMatchObject({
      code: 'TROUPE_ERR_BACKENDS_EXHAUSTED',
      message: 'No backend could answer. first: wrong key | second: wrong key | third: nobody listens',
      retryable: true,
      cause: {
        errors: [{ backend: 'first', class: 'auth' }, { backend: 'second' }, { backend: 'third', class: 'transient' }],
      },
    });
    expect((error as TroupeError).attempts.length).toBe(3);
  });

  test('text that a reader has seen is not answered a second time', async () => {
    const cut = new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', 'cut');
    const { agent, backends } = await scene({ first: [{ text: 'begin', error: cut }], second: [] });
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of agent.stream('a')) seen.push(event.type);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_STREAM_CUT', partialText: 'begin' });
    expect([seen, backends['second']?.calls]).toEqual([['step-start', 'text-delta'], []]);
  });

  test('nobody saw the text of a plain ask, so the next backend answers it', async () => {
    const cut = new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', 'cut');
    const { agent, clock } = await scene(
      { first: [{ text: 'begin', error: cut }], second: [{ text: 'whole' }] },
      { maxRetries: 0 },
    );
    const asked = agent.ask('a');
    await clock.runUntilIdle();
    expect((await asked).text).toBe('whole');
  });

  test('a backend that is silent is given up after its first-event time', async () => {
    const spec = { timeouts: { firstEventMs: 100 }, maxRetries: 0 };
    const { agent, clock } = await scene({ first: [{ delayMs: 1000, text: 'late' }], second: [{ text: 'ok' }] }, spec);
    const asked = agent.ask('a');
    await clock.runUntilIdle();
    expect((await asked).attempts.map(({ durationMs, error }) => [durationMs, error?.class])).toEqual([
      [100, 'timeout'],
      [0, undefined],
    ]);
  });
});

test('two backends that say nothing leave the third time enough, by default', async () => {
  const silent = Array<ScriptedStep>(3).fill({ text: 'late', delayMs: 3_600_000 });
  const { agent, clock } = await scene({ first: silent, second: silent, third: [{ text: 'ok' }] });
  const asked = agent.ask('hi');
  await clock.runUntilIdle();
  const { text, attempts } = await asked;
  const tried = ['first', 'first', 'second', 'third'];
  expect([text, attempts.map(({ backend }) => backend)]).toEqual(['ok', tried]);
});

test('the last of a chain is asked again after it has said nothing', async () => {
  const { agent, clock } = await scene({
    first: [{ error: noKey }],
    second: [{ text: 'late', delayMs: 3_600_000 }, { text: 'ok' }],
  });
  const asked = agent.ask('hi');
  await clock.runUntilIdle();
  expect((await asked).attempts.map(({ backend }) => backend)).toEqual(['first', 'second', 'second']);
});

describe('fork', () => {
  test('shares what was said, and nothing of what comes', async () => {
    const { agent, backends } = await scene({ one: [{ text: '1' }, { text: '2' }, { text: '3' }] });
    await agent.ask('a');
    const twin = await agent.fork('twin', { system: 'Be other.' });
    await agent.ask('b');
    await twin.ask('c');
    expect(
      backends['one']?.calls.map(({ agent: name, messages }) => [
        name,
        messages.map(({ content }) => content).join(' '),
      ]),
    ).toEqual([
      ['worker', 'a'],
      ['worker', 'a 1 b'],
      ['twin', 'Be other. a 1 c'],
    ]);
  });

  test('of a busy agent: what its ask has not finished is not in it', async () => {
    const { agent, clock } = await scene({ one: [{ text: '1' }, { text: '2', delayMs: 10 }] });
    await agent.ask('a');
    const asked = agent.ask('b');
    await settle();
    const twin = await agent.fork('twin');
    const short = await agent.fork('short', { at: 1 });
    await clock.runUntilIdle();
    await asked;
    expect([agent, twin, short].map((one) => one.messages().length)).toEqual([4, 2, 0]);
  });

  test('of a dead agent, or to a taken name, is refused', async () => {
    const { agent } = await scene({ one: [] });
    await expect(agent.fork('worker')).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_NAME_TAKEN' });
    await agent.kill();
    await expect(agent.fork('twin')).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
  });

  test('to another backend leaves the model behind', async () => {
    const { agent } = await scene({ one: [], two: [{ text: 'x' }] }, { model: 'big', fallback: [] });
    const twin = await agent.fork('twin', { backend: 'two' });
    expect((await twin.ask('a')).attempts[0]?.model).toBe('model-of-two');
  });
});

test('experts that take 300, 200 and 400 ms together take 400', async () => {
  const clock = new VirtualClock();
  const script = { a: [{ delayMs: 300 }], b: [{ delayMs: 200 }], c: [{ delayMs: 400 }] };
  const troupe = createTroupe({ backends: { one: scripted(script, { clock }) }, clock });
  const agents = await Promise.all(Object.keys(script).map((name) => troupe.spawn(name)));
  const asked = Promise.all(agents.map((agent) => agent.ask('go')));
  await clock.runUntilIdle();
  expect((await asked).map(({ durationMs }) => durationMs)).toEqual([300, 200, 400]);
  expect(clock.now()).toBe(400);
});

test('an agent whose machine fails takes nobody with it', async () => {
  const { agent, troupe, clock } = await scene({ one: [{ hang: true }, { text: 'alive' }] });
  const other = await troupe.spawn('other');
  const asked = agent.ask('a').catch((thrown: TroupeError) => thrown);
  await settle();
  const broken = agent.ref as unknown as { logic: { transition: () => never } };
  broken.logic = Object.assign(Object.create(broken.logic), {
    transition: () => {
      throw new Error('a bug');
    },
  });
  agent.ref.send({ type: 'compress' });
  expect(await asked).toMatchObject({
    code: 'TROUPE_ERR_AGENT_CRASHED',
    class: 'crashed',
    cause: { message: 'a bug' },
  });
  expect([troupe.agents().map(({ name, state }) => `${name} ${state}`), clock.pending]).toEqual([
    ['worker idle', 'other idle'],
    0,
  ]);
  expect((await other.ask('b')).text).toBe('alive');
});

describe('the barrier', () => {
  /** A memory store whose barriers wait until they are let through. */
  function slowStore() {
    const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
    const store: Store = Object.assign(memoryStore(), {
      barrier: () => new Promise<void>((resolve, reject) => void waiting.push({ resolve, reject })),
    });
    return {
      store,
      pass: () => waiting.shift()?.resolve(),
      fail: () => waiting.shift()?.reject(new Error('disk full')),
    };
  }

  test('no request leaves before the ask is durable, no reply before its messages are', async () => {
    const { store, pass } = slowStore();
    const { agent, backends } = await scene({ one: [{ text: 'x' }] }, {}, { store });
    let replied = false;
    const asked = agent.ask('a').finally(() => {
      replied = true;
    });
    await settle();
    expect([backends['one']?.calls.length, replied]).toEqual([0, false]);
    pass();
    await settle();
    expect([backends['one']?.calls.length, replied, await store.groups('worker')]).toEqual([
      1,
      false,
      [
        [
          { role: 'user', content: 'a' },
          { role: 'assistant', content: 'x' },
        ],
      ],
    ]);
    pass();
    await asked;
  });

  test('a store that fails is told of, and the ask is answered', async () => {
    const { store, fail } = slowStore();
    const { agent, troupe } = await scene({ one: [{ text: 'x' }] }, {}, { store });
    const failures: string[] = [];
    troupe.on('store-failed', ({ code, message }) => failures.push(`${code} ${message}`));
    const asked = agent.ask('a');
    fail();
    await settle();
    fail();
    expect((await asked).text).toBe('x');
    const failure = 'TROUPE_ERR_STORE_FAILED The store could not make a write durable: disk full';
    expect(failures).toEqual([failure, failure]);
  });

  test('an ask whose barrier fails was not accepted, and is answered all the same', async () => {
    const { store, fail, pass } = slowStore();
    const { agent } = await scene({ one: [{ text: 'x' }] }, {}, { store });
    const handle = agent.askAsync('a');
    pass();
    fail();
    await expect(handle.accepted).rejects.toMatchObject({ code: 'TROUPE_ERR_STORE_FAILED' });
    await settle();
    pass();
    pass();
    expect((await handle.wait()).text).toBe('x');
  });

  test('a store that hangs costs an ask its deadline, not more', async () => {
    const { store, pass } = slowStore();
    const { agent, troupe, clock } = await scene({ one: [{ text: 'x' }] }, {}, { store });
    const failures: string[] = [];
    troupe.on('store-failed', ({ message }) => failures.push(message));
    const asked = agent.ask('a', { askId: 'q', timeoutMs: 500 });
    pass();
    await clock.advance(500);
    expect((await asked).text).toBe('x');
    const first = agent.ask('b', { timeoutMs: 500 }).catch((error: TroupeError) => error.code);
    await clock.advance(500);
    await clock.runUntilIdle();
    expect(failures).toEqual(['The store could not make a write durable: a barrier took longer than the ask "q" had']);
    pass();
    pass();
    pass();
    expect(await first).toBe('TROUPE_ERR_ASK_TIMEOUT');
  });

  test('a store that throws at every write stops nothing', async () => {
    const store = new Proxy(memoryStore(), {
      get: () => () => {
        throw new Error('gone');
      },
    });
    const { agent, troupe } = await scene({ one: [{ text: 'x' }] }, {}, { store });
    const failures: string[] = [];
    troupe.on('store-failed', ({ code }) => failures.push(code));
    expect((await agent.ask('a')).text).toBe('x');
    expect(new Set(failures)).toEqual(new Set(['TROUPE_ERR_STORE_FAILED']));
    await agent.kill();
    await expect(troupe.close()).rejects.toThrow('gone');
  });
});
