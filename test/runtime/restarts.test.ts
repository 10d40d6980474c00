/** Crashes and restarts: policies, intensity, groups, orphans. Gated backends, virtual clock. */
import { describe, expect, test } from 'vitest';
import { TroupeError } from '../../src/core/errors.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import type { AgentDown } from '../../src/runtime/troupe-events.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

const died = new TroupeError('TROUPE_ERR_PROCESS_DIED', 'the process is gone');

function scene(defaults: AgentSpec = {}) {
  const clock = new VirtualClock();
  const one = gatedBackend();
  const released: string[] = [];
  const backend = { ...one, release: async (agent: string) => void released.push(agent) };
  const troupe = createTroupe({ backends: { one: backend }, clock, defaults: { maxRetries: 0, ...defaults } });
  const downs: Omit<AgentDown, 'error'>[] = [];
  const errors: (string | undefined)[] = [];
  const dead: string[] = [];
  troupe.on('agent-down', ({ error, ...down }) => {
    downs.push(down);
    errors.push(error?.code);
  });
  troupe.on('agent-dead', (name) => dead.push(name));
  /** Lets the call of an agent crash. */
  const crash = async (agent: string) => {
    one.next(agent).reject(died);
    await settle();
  };
  const names = () => troupe.agents().map(({ name }) => name);
  return { clock, one, troupe, downs, errors, dead, released, crash, names };
}

const toolOf = (name: string, run: () => Promise<unknown>) => ({
  definition: { name, description: '', parameters: {} },
  check: async (value: unknown) => ({ value }),
  run,
});

const outcome = (asked: Promise<{ text: string }>) =>
  asked.then(
    ({ text }) => text,
    ({ code, message }: TroupeError) => `${code}: ${message}`,
  );

describe('one agent', () => {
  test('comes back with its handle, its conversation and the asks that wait; the ask in hand has failed', async () => {
    const { troupe, one, crash, downs, errors, dead, released } = scene();
    const agent = await troupe.spawn('a', { system: 'Be brief.' });
    const first = agent.ask('one');
    await settle();
    one.next().resolve({ text: 'first' });
    await first;
    const actor = agent.ref;
    const [second, third] = [agent.ask('two'), agent.ask('three')].map(outcome);
    await settle();
    await crash('a');
    expect(await second).toBe('TROUPE_ERR_PROCESS_DIED: the process is gone');
    expect([agent.ref === actor, actor.getSnapshot().status, troupe.agent('a') === agent]).toEqual([
      false,
      'done',
      true,
    ]);
    one.next('a').resolve({ text: 'third' });
    expect(await third).toBe('third');
    expect(agent.messages().map(({ content }) => content)).toEqual(['Be brief.', 'one', 'first', 'three', 'third']);
    expect(downs).toEqual([{ agent: 'a', why: 'crashed', comesBack: true, restarts: 1 }]);
    expect([errors, dead, released]).toEqual([['TROUPE_ERR_PROCESS_DIED'], [], ['a']]);
    expect([troupe.agents()[0]?.restarts, troupe.health().restarts]).toEqual([1, 1]);
  });

  test('the ask that crashed it is not asked again', async () => {
    const { troupe, one, crash } = scene();
    const agent = await troupe.spawn('a');
    const asked = outcome(agent.ask('poison'));
    await settle();
    await crash('a');
    await asked;
    expect([one.calls.length, one.pending.length, agent.state]).toEqual([1, 0, 'idle']);
  });

  test('a backend that throws what it must not throw is a crash, too', async () => {
    const { troupe, one, downs } = scene();
    const agent = await troupe.spawn('a');
    const asked = outcome(agent.ask('x'));
    await settle();
    one.next().reject(new TypeError('a bug'));
    expect(await asked).toBe('TROUPE_ERR_AGENT_CRASHED: Backend "one" threw: a bug');
    expect(downs).toHaveLength(1);
  });

  test('temporary: a crash is its end, and what waits is rejected', async () => {
    const { troupe, crash, downs, dead, names } = scene();
    const agent = await troupe.spawn('a', { restart: 'temporary' });
    const asked = [agent.ask('one'), agent.ask('two')].map(outcome);
    await settle();
    await crash('a');
    expect(await Promise.all(asked)).toEqual([
      'TROUPE_ERR_PROCESS_DIED: the process is gone',
      'TROUPE_ERR_AGENT_DEAD: Agent "a" is dead (it crashed too often, or is not to come back); spawn another.',
    ]);
    expect(downs).toEqual([{ agent: 'a', why: 'crashed', comesBack: false, restarts: 0 }]);
    expect([dead, names()]).toEqual([['a'], []]);
  });

  test.each([
    ['permanent', ['a'], true],
    ['transient', [], false],
    ['temporary', [], false],
  ] as const)('%s, killed by a tool of its own: %j', async (restart, left, comesBack) => {
    const { troupe, one, downs, names } = scene();
    const leave = toolOf('leave', () => agent.kill('done'));
    const agent = await troupe.spawn('a', { restart, tools: [leave] });
    const asked = outcome(agent.ask('go'));
    await settle();
    one.next().resolve({ toolCalls: [{ id: '1', name: 'leave', arguments: '{}' }] });
    expect(await asked).toBe('TROUPE_ERR_AGENT_DEAD: Agent "a" is dead (done); spawn another.');
    await settle();
    expect(names()).toEqual(left);
    expect(downs).toEqual([{ agent: 'a', why: 'killed', comesBack, restarts: comesBack ? 1 : 0 }]);
  });

  test('permanent, killed by somebody else: stays dead', async () => {
    const { troupe, downs, names } = scene();
    const agent = await troupe.spawn('a', { restart: 'permanent' });
    await agent.kill();
    expect([names(), downs]).toEqual([[], [{ agent: 'a', why: 'killed', comesBack: false, restarts: 0 }]]);
  });
});

describe('intensity', () => {
  test('one crash more than allowed within the time is the end; each wait is twice the last', async () => {
    const { troupe, one, clock, crash, downs } = scene({
      restart: { maxRestarts: 3, withinMs: 10_000, backOffMs: 100 },
    });
    const agent = await troupe.spawn('a');
    const calledAt: number[] = [];
    for (const waitMs of [0, 0, 100, 200]) {
      void outcome(agent.ask('x'));
      await settle();
      expect(one.pending).toHaveLength(waitMs === 0 ? 1 : 0);
      await clock.advance(waitMs);
      calledAt.push(clock.now());
      await crash('a');
    }
    expect(calledAt).toEqual([0, 0, 100, 300]);
    expect(downs.map(({ comesBack, restarts }) => [comesBack, restarts])).toEqual([
      [true, 1],
      [true, 2],
      [true, 3],
      [false, 3],
    ]);
    expect(await outcome(agent.ask('x'))).toContain('TROUPE_ERR_AGENT_DEAD');
  });

  test('crashes further apart are forgiven', async () => {
    const { troupe, clock, crash, names } = scene({ restart: { maxRestarts: 1, withinMs: 1000 } });
    const agent = await troupe.spawn('a');
    for (let time = 0; time < 5; time += 1) {
      void outcome(agent.ask('x'));
      await settle();
      await crash('a');
      await clock.advance(1000);
    }
    expect(names()).toEqual(['a']);
  });

  test('an ask may be cancelled, or its time be over, while it waits for the back-off', async () => {
    const { troupe, clock, crash, one } = scene({ restart: { backOffMs: 5000 } });
    const agent = await troupe.spawn('a');
    for (let time = 0; time < 2; time += 1) {
      void outcome(agent.ask('x'));
      await settle();
      await crash('a');
    }
    const late = outcome(agent.ask('late', { timeoutMs: 1000 }));
    await clock.advance(1000);
    expect(await late).toContain('TROUPE_ERR_ASK_TIMEOUT');
    const handle = agent.askAsync('unwanted');
    await settle();
    handle.cancel();
    expect(await outcome(handle.wait())).toContain('TROUPE_ERR_ASK_CANCELLED');
    expect([one.calls.length, clock.pending]).toEqual([2, 0]);
  });

  test('wrong options are refused, all at once', async () => {
    const { troupe } = scene();
    const restart = { policy: 'always', maxRestarts: -1 } as never;
    await expect(troupe.spawn('a', { restart })).rejects.toMatchObject({
      message:
        'spawn("a"), `restart`: `policy` must be "permanent", "transient" or "temporary", not "always"; ' +
        '`maxRestarts` must be a whole number, 0 or more, not -1.',
    });
  });
});

describe('groups', () => {
  async function group(options: Parameters<ReturnType<typeof scene>['troupe']['group']>[1]) {
    const all = scene();
    all.troupe.group('crew', options);
    const [a, b, c] = [
      await all.troupe.spawn('a', { group: 'crew' }),
      await all.troupe.spawn('b', { group: 'crew' }),
      await all.troupe.spawn('c', { group: 'crew', restart: 'temporary' }),
    ];
    await all.troupe.spawn('other');
    return { ...all, a, b, c };
  }

  test('one-for-one: the others do not notice', async () => {
    const { a, b, one, crash, downs } = await group({});
    const asked = [a, b].map((agent) => outcome(agent.ask('x')));
    await settle();
    await crash('a');
    one.next('b').resolve({ text: 'fine' });
    expect(await asked[1]).toBe('fine');
    expect(downs.map(({ agent }) => agent)).toEqual(['a']);
  });

  test('one-for-all: all start anew, what they have in hand fails, what waits stays, who is temporary ends', async () => {
    const { a, b, c, one, crash, downs, names, troupe } = await group({ strategy: 'one-for-all' });
    const asked = [a.ask('x'), b.ask('x'), b.ask('y'), c.ask('x')].map(outcome);
    await settle();
    await crash('a');
    one.next('b').resolve({ text: 'after' });
    expect(await Promise.all(asked)).toEqual([
      'TROUPE_ERR_PROCESS_DIED: the process is gone',
      'TROUPE_ERR_AGENT_CRASHED: Agent "b" was started anew: "a" of its group crashed.',
      'after',
      'TROUPE_ERR_AGENT_DEAD: Agent "c" is dead ("a" of its group crashed); spawn another.',
    ]);
    expect(downs).toEqual([
      { agent: 'a', why: 'crashed', comesBack: true, restarts: 1 },
      { agent: 'b', why: 'stopped', comesBack: true, restarts: 1 },
      { agent: 'c', why: 'killed', comesBack: false, restarts: 0 },
    ]);
    expect([names(), troupe.group('crew').map(({ name }) => name)]).toEqual([
      ['a', 'b', 'other'],
      ['a', 'b'],
    ]);
  });

  test('one-for-all, too often: the group is at its end, and nobody else', async () => {
    const { a, crash, downs, names } = await group({ strategy: 'one-for-all', maxRestarts: 1 });
    for (let time = 0; time < 2; time += 1) {
      void outcome(a.ask('x'));
      await settle();
      await crash('a');
    }
    expect(names()).toEqual(['other']);
    expect(downs.filter(({ comesBack }) => !comesBack).map(({ agent, why }) => `${agent} ${why}`)).toEqual([
      'c killed',
      'a crashed',
      'b killed',
    ]);
  });

  test('a group that nobody spoke of is forgotten with its last member', async () => {
    const { troupe } = scene();
    const agent = await troupe.spawn('a', { group: 'g' });
    await agent.kill();
    expect(troupe.group('g')).toEqual([]);
    expect(() => troupe.group('g', { strategy: 'all' } as never)).toThrow('"one-for-one" or "one-for-all"');
  });
});

describe('agents that a tool spawned', () => {
  async function family(child: AgentSpec) {
    const all = scene();
    const bear = toolOf('bear', async () => void (await all.troupe.spawn('child', child)));
    const parent = await all.troupe.spawn('parent', { tools: [bear] });
    const asked = parent.ask('go');
    await settle();
    all.one.next().resolve({ toolCalls: [{ id: '1', name: 'bear', arguments: '{}' }] });
    await settle();
    all.one.next('parent').resolve({ text: 'done' });
    await asked;
    return { ...all, parent };
  }

  test.each([
    [{}, []],
    [{ whenOrphaned: 'adopt' }, ['child']],
  ] as const)('%j: after the death of who spawned it there is %j', async (spec, left) => {
    const { parent, names } = await family(spec);
    await parent.kill();
    await settle();
    expect(names()).toEqual(left);
  });

  test('a parent that comes back keeps its children', async () => {
    const { parent, crash, names } = await family({});
    void outcome(parent.ask('x'));
    await settle();
    await crash('parent');
    expect(names()).toEqual(['parent', 'child']);
  });
});

test('a closed troupe brings nobody back', async () => {
  const { troupe, crash, names } = scene();
  const agent = await troupe.spawn('a');
  void outcome(agent.ask('x'));
  await settle();
  const closing = troupe.close();
  await expect(crash('a')).rejects.toThrow();
  await closing;
  expect(names()).toEqual([]);
});
