/** An inspection of a real troupe: what it tells, what it keeps to itself, and that it stands in nobody's way. */
import { expect, test } from 'vitest';
import { TroupeError } from '../../src/core/errors.ts';
import { inspectTroupe } from '../../src/inspect/inspect-troupe.ts';
import { memorySink } from '../../src/inspect/memory-sink.ts';
import type { Feed, Sink } from '../../src/inspect/sink.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { lookUp, plain, stage, usage } from './stage.ts';

const overloaded = new TroupeError('TROUPE_ERR_BACKEND_OVERLOADED', 'Too many requests.');

test('an ask is told step by step', async () => {
  // What checks arguments is loaded now, so that it takes no part in the order of things.
  await lookUp.check({});
  const { clock, troupe } = stage([
    { delayMs: 100, toolCalls: [{ name: 'look_up', id: 'call-a' }], usage },
    { delayMs: 200, text: 'done', usage },
  ]);
  const sink = memorySink();
  inspectTroupe(troupe, { sinks: [sink] });
  const agent = await troupe.spawn('a', { backend: 'one', tools: [lookUp] });
  const reply = agent.ask('go', { askId: 'ask-x' });
  await clock.advance(300);
  await reply;
  await settle();

  const call = { askId: 'ask-x', backend: 'one', model: 'scripted-model' };
  const tools = { askId: 'ask-x', callId: 'call-a', tool: 'look_up' };
  const zero = { costUsd: 0 };
  expect(sink.messages.map(({ at: _at, seq: _seq, ...message }) => message)).toEqual([
    {
      agent: 'a',
      kind: 'spawned',
      view: {
        name: 'a',
        machine: 'agent-v1',
        state: 'idle',
        backend: 'one',
        createdAt: expect.any(Number),
        depth: 0,
        restarts: 0,
        messages: 0,
        tokens: 0,
        total: {},
      },
    },
    { agent: 'a', kind: 'ask', phase: 'accepted', askId: 'ask-x' },
    { agent: 'a', kind: 'state', from: 'idle', to: 'awaiting.calling', event: 'ask', source: 'idle' },
    { agent: 'a', kind: 'call', phase: 'begin', ...call, step: 1 },
    {
      ...{ agent: 'a', kind: 'call', phase: 'end', ...call, step: 1, durationMs: 100, ...usage, ...zero },
      total: { ...usage, ...zero },
    },
    {
      ...{ agent: 'a', kind: 'state', from: 'awaiting.calling', to: 'tool-loop.running' },
      ...{ event: 'callModel done', source: 'awaiting.calling' },
    },
    { agent: 'a', kind: 'context', messages: 2, tokens: 15 },
    { agent: 'a', kind: 'tool', phase: 'begin', ...tools },
    { agent: 'a', kind: 'tool', phase: 'end', ...tools, durationMs: 0, isError: false },
    {
      ...{ agent: 'a', kind: 'state', from: 'tool-loop.running', to: 'awaiting.calling' },
      ...{ event: 'runTools done', source: 'tool-loop.running' },
    },
    { agent: 'a', kind: 'context', messages: 3, tokens: 15 },
    { agent: 'a', kind: 'call', phase: 'begin', ...call, step: 2 },
    {
      ...{ agent: 'a', kind: 'call', phase: 'end', ...call, step: 2, durationMs: 200, ...usage, ...zero },
      total: { inputTokens: 20, outputTokens: 10, ...zero },
    },
    {
      ...{ agent: 'a', kind: 'state', from: 'awaiting.calling', to: 'idle' },
      ...{ event: 'callModel done', source: 'awaiting.calling' },
    },
    { agent: 'a', kind: 'context', messages: 4, tokens: 15 },
    { agent: 'a', kind: 'ask', phase: 'settled', askId: 'ask-x', outcome: 'replied', durationMs: 300 },
  ]);
  expect(sink.messages.map(({ seq }) => seq)).toEqual(sink.messages.map((_, index) => index + 1));
});

test('retries, fallbacks, mail and dead letters are told', async () => {
  const { clock, troupe } = stage([{ error: overloaded }, { error: overloaded }], [{ text: 'here' }, { text: 'next' }]);
  const sink = memorySink();
  inspectTroupe(troupe, { sinks: [sink] });
  const agent = await troupe.spawn('a', { backend: 'one', fallback: ['two'], maxRetries: 1 });
  const reply = agent.ask('go', { askId: 'ask-x' });
  const other = agent.ask('and then', { askId: 'ask-y' });
  await clock.advance(60_000);
  await Promise.all([reply, other]);
  await agent.kill();
  await agent.ask('too late', { askId: 'ask-z' }).catch(() => {});

  const error = { code: overloaded.code, class: overloaded.class };
  const told = sink.messages.filter(({ kind }) => ['retry', 'fallback', 'mail', 'dead-letter', 'dead'].includes(kind));
  expect(told.map(({ seq: _seq, at: _at, ...message }) => message)).toEqual([
    { agent: 'a', kind: 'mail', depth: 1 },
    { agent: 'a', kind: 'retry', askId: 'ask-x', backend: 'one', retryInMs: expect.any(Number), error },
    { agent: 'a', kind: 'fallback', askId: 'ask-x', from: 'one', to: 'two', error },
    { agent: 'a', kind: 'mail', depth: 0 },
    {
      ...{ agent: 'a', kind: 'fallback', askId: 'ask-y', from: 'one', to: 'two' },
      error: { code: 'TROUPE_ERR_SCRIPT_UNEXPECTED', class: 'invalid' },
    },
    { agent: 'a', kind: 'dead' },
    { agent: 'a', kind: 'dead-letter', askId: 'ask-z', code: 'TROUPE_ERR_AGENT_DEAD' },
  ]);
});

test('a restart and an open breaker are told', async () => {
  const died = new TroupeError('TROUPE_ERR_PROCESS_DIED', 'It is gone.', { retryable: false });
  const broke = new TroupeError('TROUPE_ERR_BACKEND_QUOTA', 'No credit.');
  const { troupe } = stage([{ error: died }, { error: broke }]);
  const sink = memorySink();
  inspectTroupe(troupe, { sinks: [sink] });
  const agent = await troupe.spawn('a', { backend: 'one' });
  await agent.ask('crash').catch(() => {});
  await settle();
  await agent.ask('refused').catch(() => {});
  const told = sink.messages.filter(({ kind }) => ['restart', 'breaker', 'state', 'dead'].includes(kind));
  expect(told.map(({ seq: _seq, at: _at, ...message }) => message)).toEqual([
    { agent: 'a', kind: 'state', from: 'idle', to: 'awaiting.calling', event: 'ask', source: 'idle' },
    {
      ...{ agent: 'a', kind: 'state', from: 'awaiting.calling', to: 'awaiting.failing' },
      ...{ event: 'callModel done', source: 'awaiting.calling' },
    },
    {
      ...{ agent: 'a', kind: 'state', from: 'awaiting.failing', to: 'dead' },
      ...{ event: 'chooseBackend done', source: 'awaiting.failing' },
    },
    { agent: 'a', kind: 'restart', restarts: 1, error: { code: died.code, class: died.class } },
    { agent: 'a', kind: 'state', from: 'dead', to: 'idle', event: 'restart', source: '' },
    { agent: 'a', kind: 'state', from: 'idle', to: 'awaiting.calling', event: 'ask', source: 'idle' },
    {
      agent: '@supervisor',
      kind: 'breaker',
      backend: 'one',
      state: 'open',
      class: 'quota',
      retryAt: expect.any(Number),
    },
    {
      ...{ agent: 'a', kind: 'state', from: 'awaiting.calling', to: 'awaiting.failing' },
      ...{ event: 'callModel done', source: 'awaiting.calling' },
    },
    {
      ...{ agent: 'a', kind: 'state', from: 'awaiting.failing', to: 'idle' },
      ...{ event: 'chooseBackend done', source: 'awaiting.failing' },
    },
  ]);
});

test('who comes late gets everything as it is', async () => {
  const { clock, troupe } = stage([{ text: 'hello', usage }, { hang: true }]);
  const agent = await troupe.spawn('a', { backend: 'one', group: 'g' });
  await agent.ask('hi');
  void agent.ask('and', { askId: 'ask-y' }).catch(() => {});
  await settle();
  const inspection = inspectTroupe(troupe);
  const { machines, ...snapshot } = inspection.snapshot();
  expect(Object.keys(machines).map((id) => id.replace(/-v\d+$/, ''))).toEqual(['agent', 'supervisor']);
  expect(snapshot).toEqual({
    ...{ at: clock.now(), seq: 0, content: 'none', total: { ...usage, costUsd: 0 } },
    agents: [
      {
        ...{ name: 'a', machine: 'agent-v1', state: 'awaiting.calling', backend: 'one', model: 'scripted-model' },
        ...{
          group: 'g',
          createdAt: expect.any(Number),
          askId: 'ask-y',
          depth: 0,
          restarts: 0,
          messages: 2,
          tokens: 15,
        },
        total: { ...usage, costUsd: 0 },
      },
    ],
  });
  await agent.kill();
});

test('a troupe is watched only while somebody looks', async () => {
  const { troupe } = stage([{ text: '1' }, { text: '2' }, { text: '3' }]);
  const counts = countObservers(troupe);
  const lazy = lookingAtTimes();
  const inspection = inspectTroupe(troupe, { sinks: [lazy] });
  const agent = await troupe.spawn('a', { backend: 'one' });
  await agent.ask('unseen');
  expect({ ...counts, isWatching: inspection.isWatching, seen: lazy.seen }).toEqual({
    ...{ systems: 0, listeners: 0, isWatching: false, seen: 0 },
  });

  lazy.feed?.want(true);
  await agent.ask('seen');
  const seen = lazy.seen;
  expect({ systems: counts.systems, isWatching: inspection.isWatching }).toEqual({ systems: 1, isWatching: true });
  expect(seen).toBeGreaterThan(0);

  lazy.feed?.want(false);
  await agent.ask('unseen again');
  expect({ ...counts, isWatching: inspection.isWatching, seen: lazy.seen }).toEqual({
    ...{ systems: 0, listeners: 0, isWatching: false, seen },
  });

  lazy.feed?.want(true);
  await inspection.stop();
  lazy.feed?.want(true);
  expect(counts).toEqual({ systems: 0, listeners: 0 });
});

test('sinks and redactors that throw harm nobody', async () => {
  const { troupe } = stage([{ text: 'fine' }]);
  const explode = (): never => {
    throw new Error('boom');
  };
  const good = memorySink();
  const bad: Sink = { join: explode, write: explode };
  const late: Sink = { write: explode };
  inspectTroupe(troupe, { sinks: [bad, late, good], content: 'full', redact: explode });
  const agent = await troupe.spawn('a', { backend: 'one' });
  expect((await agent.ask('hi')).text).toBe('fine');
  expect(good.messages.map(({ kind }) => kind)).toContain('call');
  expect(troupe.ref.getSnapshot().status).toBe('active');
});

test('stop rejects with what a sink cannot close with', async () => {
  const { troupe } = stage([]);
  const full = new TroupeError('TROUPE_ERR_STORE_FAILED', 'full');
  const inspection = inspectTroupe(troupe, { sinks: [{ write() {}, close: () => Promise.reject(full) }] });
  await expect(inspection.stop()).rejects.toBe(full);
});

test('wrong options are named', () => {
  const { troupe } = stage([]);
  expect(() => inspectTroupe(troupe, { content: 'all' as 'full' })).toThrow(
    'inspectTroupe: `content` must be "none", "preview" or "full", not "all".',
  );
  expect(() => memorySink(0)).toThrow('`limit` must be a whole number above 0, not 0.');
});

test('a memory sink keeps the last messages', async () => {
  const { troupe } = stage([{ text: '1' }]);
  const [all, few] = [memorySink(), memorySink(3)];
  inspectTroupe(troupe, { sinks: [all, few] });
  const agent = await troupe.spawn('a', { backend: 'one' });
  await agent.ask('hi');
  expect(few.messages.map(plain)).toEqual(all.messages.slice(-3).map(plain));
  expect(few.dropped).toBe(all.messages.length - 3);
});

/** Counts who watches the actors' system, and who listens to the troupe. */
function countObservers(troupe: ReturnType<typeof stage>['troupe']) {
  const counts = { systems: 0, listeners: 0 };
  const { system } = troupe.ref;
  const { inspect } = system;
  system.inspect = (observer) => {
    counts.systems += 1;
    const subscription = inspect(observer);
    return {
      unsubscribe() {
        counts.systems -= 1;
        subscription.unsubscribe();
      },
    };
  };
  const { on, off } = troupe;
  troupe.on = (name, listener) => {
    counts.listeners += 1;
    return on.call(troupe, name, listener as never) as typeof troupe;
  };
  troupe.off = (name, listener) => {
    counts.listeners -= 1;
    return off.call(troupe, name, listener as never) as typeof troupe;
  };
  return counts;
}

function lookingAtTimes() {
  const sink = {
    seen: 0,
    feed: undefined as Feed | undefined,
    join(feed: Feed) {
      sink.feed = feed;
    },
    write() {
      sink.seen += 1;
    },
  };
  return sink;
}
