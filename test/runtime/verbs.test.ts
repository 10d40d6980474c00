/** askAsync, askAll, race, roles, groups, stateless agents, mailbox policies, tools of a living agent. */
import { describe, expect, test } from 'vitest';
import { type ScriptedStep, scripted } from '../../actors/backends/scripted.ts';
import { tool } from '../../actors/tools/tool.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { askAll, race } from '../../src/runtime/ask-many.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

async function scene(script: readonly ScriptedStep[], spec: AgentSpec = {}) {
  const clock = new VirtualClock();
  const backend = scripted(script, { clock });
  const troupe = createTroupe({ backends: { scripted: backend }, clock, random: () => 0.5 });
  return { clock, backend, troupe, agent: await troupe.spawn('worker', spec) };
}

/** Agents that answer with their name after so many milliseconds. */
async function cast(times: Readonly<Record<string, number>>) {
  const clock = new VirtualClock();
  const script = Object.fromEntries(Object.entries(times).map(([name, delayMs]) => [name, [{ text: name, delayMs }]]));
  const troupe = createTroupe({ backends: { scripted: scripted(script, { clock }) }, clock });
  const agents = await Promise.all(Object.keys(times).map((name) => troupe.spawn(name, { maxRetries: 0 })));
  return { clock, troupe, requests: agents.map((agent) => ({ agent, prompt: 'go' })) };
}

function outcome(ask: Promise<{ readonly text: string }>): Promise<string> {
  return ask.then(
    ({ text }) => text,
    (error: TroupeError) => error.code,
  );
}

const down = new TroupeError('TROUPE_ERR_BACKEND_AUTH', 'no');

describe('askAsync', () => {
  test('gives a handle at once that knows how far the ask is', async () => {
    const { agent, clock } = await scene([{ text: 'a', delayMs: 10 }, { text: 'b', delayMs: 10 }, { error: down }]);
    const handles = ['1', '2', '3'].map((askId) => agent.askAsync('x', { askId }));
    const statuses = () => handles.map(({ status }) => status);
    await Promise.all(handles.map(({ accepted }) => accepted));
    expect([handles.map(({ askId }) => askId), statuses()]).toEqual([
      ['1', '2', '3'],
      ['running', 'waiting', 'waiting'],
    ]);
    await clock.advance(10);
    expect(statuses()).toEqual(['replied', 'running', 'waiting']);
    await clock.runUntilIdle();
    expect(statuses()).toEqual(['replied', 'replied', 'failed']);
    expect(await Promise.all(handles.map((handle) => outcome(handle.wait())))).toEqual([
      'a',
      'b',
      'TROUPE_ERR_BACKEND_AUTH',
    ]);
  });

  test('a wait that is over leaves the ask running, and no timer', async () => {
    const { agent, clock } = await scene([{ text: 'late', delayMs: 100 }]);
    const handle = agent.askAsync('x');
    const first = outcome(handle.wait(99));
    await clock.advance(99);
    expect([await first, handle.status]).toEqual(['TROUPE_ERR_WAIT_TIMEOUT', 'running']);
    const second = outcome(handle.wait(50));
    await clock.advance(1);
    expect([await second, clock.pending]).toEqual(['late', 0]);
  });

  test('cancel, of a running and a waiting ask, twice, and of one that is answered', async () => {
    const { agent, clock } = await scene([{ text: 'x', hang: true }, { text: 'fine' }]);
    const [running, waiting, last] = ['1', '2', '3'].map((askId) => agent.askAsync('x', { askId }));
    await settle();
    waiting?.cancel();
    running?.cancel();
    running?.cancel();
    expect(await Promise.all([running, waiting, last].map((handle) => outcome(handle!.wait())))).toEqual([
      ...['TROUPE_ERR_ASK_CANCELLED', 'TROUPE_ERR_ASK_CANCELLED', 'fine'],
    ]);
    last?.cancel();
    expect([last?.status, clock.pending]).toEqual(['replied', 0]);
  });

  test('an ask that is refused is never accepted, and a handle that nobody waits for harms nobody', async () => {
    const { agent } = await scene([]);
    await agent.kill();
    const handle = agent.askAsync('x');
    await expect(handle.accepted).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
    expect(handle.status).toBe('failed');
    agent.askAsync('y');
    await settle();
  });

  test('an id is that of one prompt: the same again joins it, also when it is answered; another is refused', async () => {
    const { agent } = await scene([{ text: 'a' }, { text: 'b' }]);
    const first = agent.askAsync('x', { askId: 'same' });
    const joined = agent.ask('x', { askId: 'same' });
    expect(await outcome(agent.askAsync('y', { askId: 'same' }).wait())).toBe('TROUPE_ERR_OPTION_INVALID');
    expect(await outcome(first.wait())).toBe('a');
    expect(await joined).toEqual(await first.wait());
    expect(await agent.ask('x', { askId: 'same' })).toEqual(await first.wait());
    expect(await outcome(agent.ask('z', { askId: 'same' }))).toBe('TROUPE_ERR_OPTION_INVALID');
    expect(agent.messages().map(({ content }) => content)).toEqual(['x', 'a']);
  });

  test('a failed ask may be made again under its id', async () => {
    const { agent } = await scene([{ error: down }, { text: 'a' }]);
    expect(await outcome(agent.ask('x', { askId: 'same' }))).toBe('TROUPE_ERR_BACKEND_AUTH');
    expect(await outcome(agent.ask('x', { askId: 'same' }))).toBe('a');
  });
});

describe('askAll', () => {
  test('all at once, the results in the order of the requests, progress in that of the ends', async () => {
    const { clock, requests } = await cast({ a: 300, b: 100, c: 200 });
    const seen: string[] = [];
    const all = askAll(requests, { onProgress: ({ agent }, ended, total) => seen.push(`${agent} ${ended}/${total}`) });
    await clock.runUntilIdle();
    expect([(await all).map(({ reply }) => reply?.text), seen, clock.now()]).toEqual([
      ['a', 'b', 'c'],
      ['b 1/3', 'c 2/3', 'a 3/3'],
      300,
    ]);
  });

  test('with a limit', async () => {
    const { clock, requests } = await cast({ a: 100, b: 100, c: 100 });
    const all = askAll(requests, { limit: 2 });
    await clock.runUntilIdle();
    expect([(await all).length, clock.now()]).toEqual([3, 200]);
  });

  test('one that fails harms no other, unless it shall', async () => {
    const scripts = {
      a: [{ error: down }, { error: down }],
      b: [{ text: 'ok', delayMs: 10 }, { hang: true as const }],
    };
    const clock = new VirtualClock();
    const troupe = createTroupe({ backends: { scripted: scripted(scripts, { clock }) }, clock });
    const requests = await Promise.all(
      ['a', 'b'].map(async (name) => ({ agent: await troupe.spawn(name), prompt: 'go' })),
    );
    const isolated = askAll(requests);
    await clock.runUntilIdle();
    expect((await isolated).map(({ reply, error }) => reply?.text ?? error?.code)).toEqual([
      'TROUPE_ERR_BACKEND_AUTH',
      'ok',
    ]);
    await expect(askAll(requests, { failFast: true })).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_AUTH' });
    await settle();
    expect([troupe.agents().map(({ state }) => state), clock.pending]).toEqual([['idle', 'idle'], 0]);
  });
});

test('one signal cancels all asks of a batch, those that were not made yet too', async () => {
  const { requests, clock } = await cast({ a: 100, b: 100, c: 100 });
  const abort = new AbortController();
  const all = askAll(requests, { limit: 2, signal: abort.signal });
  await settle();
  abort.abort();
  await clock.runUntilIdle();
  expect((await all).map(({ error }) => error?.code)).toEqual(Array(3).fill('TROUPE_ERR_ASK_CANCELLED'));
});

describe('race', () => {
  test('the first reply wins and the others are cancelled', async () => {
    const { clock, requests, troupe } = await cast({ slow: 200, fast: 100 });
    const winner = race(requests);
    await clock.advance(100);
    expect([(await winner).text, clock.pending]).toEqual(['fast', 0]);
    expect(troupe.agents().map(({ state }) => state)).toEqual(['idle', 'idle']);
  });

  test('when all fail, one error holds every cause', async () => {
    const { agent } = await scene([{ error: down }, { error: down }]);
    const requests = [1, 2].map((number) => ({ agent, prompt: String(number) }));
    await expect(race(requests)).rejects.toMatchObject({
      code: 'TROUPE_ERR_ASKS_FAILED',
      message: 'None of 2 asks was answered. worker: no | worker: no',
    });
    await expect(race([])).rejects.toMatchObject({ code: 'TROUPE_ERR_OPTION_INVALID' });
  });
});

describe('a full mailbox', () => {
  const asks = ['1', '2', '3', '4'];

  test('refuses the new ask, with what waits and the limit', async () => {
    const { agent } = await scene([{ text: 'a' }, { text: 'b' }], { mailboxLimit: 1 });
    const [first, second, third] = asks.slice(0, 3).map((prompt) => agent.ask(prompt));
    await expect(third).rejects.toMatchObject({
      code: 'TROUPE_ERR_MAILBOX_FULL',
      waiting: 1,
      limit: 1,
      retryable: true,
    });
    expect(await Promise.all([first!, second!].map(outcome))).toEqual(['a', 'b']);
  });

  test('drops its oldest ask', async () => {
    const { agent } = await scene([{ text: 'a' }, { text: 'b' }], { mailboxLimit: 1, mailboxPolicy: 'drop-oldest' });
    expect(await Promise.all(asks.slice(0, 3).map((prompt) => outcome(agent.ask(prompt))))).toEqual([
      ...['a', 'TROUPE_ERR_MAILBOX_FULL', 'b'],
    ]);
  });

  test('lets asks wait outside, in order; there they can be cancelled, expire and die too', async () => {
    const script = [{ text: 'a', delayMs: 10 }, { text: 'b' }, { text: 'c' }];
    const { agent, clock, troupe } = await scene(script, { mailboxLimit: 1, mailboxPolicy: 'wait' });
    const handles = asks.map((askId) => agent.askAsync('x', { askId, ...(askId === '4' && { timeoutMs: 5 }) }));
    const late = agent.askAsync('x', { askId: '5' });
    late.cancel();
    expect(troupe.agents()[0]?.waiting).toBe(3);
    await clock.runUntilIdle();
    expect(await Promise.all([...handles, late].map((handle) => outcome(handle.wait())))).toEqual([
      ...['a', 'b', 'c', 'TROUPE_ERR_ASK_TIMEOUT', 'TROUPE_ERR_ASK_CANCELLED'],
    ]);
    const dying = asks.map(() => outcome(agent.ask('y')));
    await agent.kill();
    expect([new Set(await Promise.all(dying)), clock.pending]).toEqual([new Set(['TROUPE_ERR_AGENT_DEAD']), 0]);
  });

  test("is the flooded agent's own: another answers at once", async () => {
    const { troupe, agent, clock } = await scene(
      Array.from({ length: 1002 }, () => ({ text: 'x', delayMs: 10 })),
      { mailboxLimit: 2000 },
    );
    const other = await troupe.spawn('other');
    const flood = Array.from({ length: 1000 }, () => agent.ask('flood'));
    const asked = other.ask('one');
    await clock.advance(10);
    expect((await asked).durationMs).toBe(10);
    await clock.runUntilIdle();
    expect((await Promise.all(flood)).at(-1)?.durationMs).toBe(10_000);
  });
});

describe('specs', () => {
  test('a role is a spec by name; what is given wins over it', async () => {
    const backend = scripted([{ text: 'x' }]);
    const roles = { fetcher: { backend: 'scripted', model: 'haiku', system: 'Fetch.', maxSteps: 3 } };
    const troupe = createTroupe({ backends: { other: scripted([]), scripted: backend }, roles });
    const agent = await troupe.spawn('f', { role: 'fetcher', system: 'Fetch more.' });
    expect((await agent.ask('go')).attempts[0]?.model).toBe('haiku');
    expect(agent.messages()[0]?.content).toBe('Fetch more.');
    await expect(troupe.spawn('g', { role: 'fetchr' })).rejects.toThrow(
      'There is no `role` "fetchr"; there are "fetcher".',
    );
  });

  test('a group is found by its name, without the dead', async () => {
    const { troupe } = await scene([]);
    for (const name of ['a', 'b', 'c']) await troupe.spawn(name, { group: 'experts' });
    await troupe.agent('b')?.kill();
    expect(troupe.group('experts').map(({ name }) => name)).toEqual(['a', 'c']);
  });

  test('a stateless agent begins at its system message every time, its tool steps within an ask included', async () => {
    const look = tool({ name: 'look', description: 'Looks.', execute: () => 'seen' });
    const script = [{ toolCalls: [{ name: 'look' }] }, { text: '1' }, { text: '2' }];
    const { agent, backend } = await scene(script, { stateless: true, system: 's', tools: [look] });
    await agent.ask('a');
    await agent.ask('b');
    expect(backend.calls.map(({ messages }) => messages.map(({ role }) => role).join(' '))).toEqual([
      'system user',
      'system user assistant tool',
      'system user',
    ]);
    expect(agent.messages()).toEqual([{ role: 'system', content: 's' }]);
  });

  test('tools come and go from one call to the next', async () => {
    const make = (name: string) => tool({ name, description: name, execute: () => name });
    const calls = [{ name: 'a' }, { name: 'b' }];
    const { agent } = await scene([{ toolCalls: calls }, { text: 'x' }, { toolCalls: calls }, { text: 'y' }], {
      tools: [make('a')],
    });
    agent.addTools(make('b'));
    expect(agent.tools).toEqual(['a', 'b']);
    await agent.ask('1');
    agent.removeTools('a', 'unknown');
    await agent.ask('2');
    const results = agent.messages().filter((message) => message.role === 'tool');
    expect(results.map(({ content }) => content)).toEqual(['a', 'b', 'There is no tool "a". Tools: b.', 'b']);
    expect(() => agent.addTools(make('b'))).toThrow('a name of its own');
  });
});
