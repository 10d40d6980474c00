/** The agent machine by itself: what it would do, as data, and how it is built. */

import { describe, expect, test } from 'vitest';
import { initialTransition, transition } from 'xstate';
import { agentMachine } from '../../machines/agent.ts';
import type { AgentContext, AgentEvent, AgentInput, AgentLimits } from '../../machines/agent-types.ts';

type Snapshot = ReturnType<typeof initialTransition<typeof agentMachine>>[0];
type AnyEvent = AgentEvent | { type: `xstate.${string}`; output?: unknown; error?: unknown; actorId?: string };

const limits: AgentLimits = {
  ...{ maxSteps: 3, maxRetries: 1, mailboxLimit: 2, dropOldest: false, compressAtTokens: 1000, sticky: false },
};
const input: AgentInput = { name: 'worker', backend: 'first', limits, messages: 1, tokens: 10, mailbox: [] };

function start(overrides: Partial<typeof input> = {}): Snapshot {
  return initialTransition(agentMachine, { ...input, ...overrides })[0];
}

/** Feeds events; gives the last state, and per event the effects that it lists. */
function run(snapshot: Snapshot, ...events: AnyEvent[]) {
  const effects: string[][] = [];
  let state = snapshot;
  for (const event of events) {
    const [next, actions] = transition(agentMachine, state, event as AgentEvent);
    state = next;
    effects.push(actions.map(({ type, params }) => nameOf(type, params)));
  }
  return { state, value: state.value, context: state.context as AgentContext, effects };
}

function nameOf(type: string, params: unknown): string {
  const { id } = (params ?? {}) as { id?: string };
  return type.startsWith('@xstate') || type.startsWith('xstate.')
    ? `${type.replace(/^@?xstate\./, '')} ${id ?? ''}`.trim()
    : type;
}

const ask = (askId: string, tokens = 20): AgentEvent => ({ type: 'ask', askId, tokens });
const done = (id: string, output: unknown): AnyEvent => ({ type: `xstate.done.actor.${id}`, output, actorId: id });
const failed = (id: string): AnyEvent => ({ type: `xstate.error.actor.${id}`, error: new Error('boom'), actorId: id });
const measured = { messages: 3, tokens: 50, costUsd: 0.5 };
const text = (askId: string, attempt = 1) => done('callModel', { kind: 'text', askId, attempt, ...measured });
const tools = (askId: string, attempt = 1, approvals: string[] = []) =>
  done('callModel', { kind: 'tool-calls', askId, attempt, approvals, ...measured });
const ran = (askId: string, attempt: number, tokens = 60) => done('runTools', { askId, attempt, messages: 5, tokens });
const failure = (askId: string, attempt: number, errorClass = 'transient', retryInMs: number | null = 5) =>
  done('callModel', { kind: 'failed', askId, attempt, class: errorClass, retryInMs, shown: false });

const giveUp = (crashed: boolean) => done('chooseBackend', { kind: 'give-up', crashed });

describe('transition() lists effects as data', () => {
  test('an ask that is answered by text', () => {
    const { value, context, effects } = run(start(), ask('a'), text('a'));
    expect(effects).toEqual([
      ['spawnChild callModel'],
      ['stopChild callModel', 'append the step', 'resolve the ask', 'let in who waits outside'],
    ]);
    expect(value).toBe('idle');
    expect(context).toEqual({
      ...input,
      home: 'first',
      mailbox: [],
      askId: null,
      step: 1,
      attempt: 0,
      retries: 0,
      retryInMs: 0,
      overflowed: false,
      approvals: [],
      death: null,
      waitingTokens: 0,
      wantsCompression: false,
      ...measured,
    });
  });

  test('tools, then text: each step is appended whole before the next call', () => {
    const { effects, value } = run(start(), ask('a'), tools('a'), ran('a', 1), text('a', 2));
    expect(effects).toEqual([
      ['spawnChild callModel'],
      ['stopChild callModel', 'spawnChild runTools'],
      ['stopChild runTools', 'append the step', 'spawnChild callModel'],
      ['stopChild callModel', 'append the step', 'resolve the ask', 'let in who waits outside'],
    ]);
    expect(value).toBe('idle');
  });

  test('effects carry the context and the event that caused them', () => {
    const [state] = transition(agentMachine, start(), ask('a'));
    const [, actions] = transition(agentMachine, state, text('a') as AgentEvent);
    const resolve = actions.find(({ type }) => type === 'resolve the ask') as unknown as {
      info: { context: AgentContext; event: { output: unknown } };
    };
    expect(resolve.info.context.askId).toBe('a');
    expect(resolve.info.event.output).toEqual({ kind: 'text', askId: 'a', attempt: 1, ...measured });
  });

  test('what an invoked actor is told is small', () => {
    const [, actions] = transition(agentMachine, start(), ask('a'));
    const spawned = actions.map(({ params }) => params as { id?: string; input?: unknown } | undefined);
    expect(spawned.find((params) => params?.id === 'callModel')?.input).toEqual({
      name: 'worker',
      askId: 'a',
      step: 1,
      attempt: 1,
      retries: 0,
      backend: 'first',
      length: 1,
    });
  });
});

describe('states', () => {
  const cases: [string, AnyEvent[], unknown][] = [
    ['an ask calls the model', [ask('a')], { awaiting: 'calling' }],
    ['an ask that grew too much is compressed first', [ask('a', 1001)], 'compressing'],
    ['compressed, it calls', [ask('a', 1001), done('compress', { tokens: 400 })], { awaiting: 'calling' }],
    [
      'a compression that fails is no failure of the ask',
      [ask('a', 1001), failed('compress')],
      { awaiting: 'calling' },
    ],
    ['one that waited and whose prompt is long, too', [ask('a'), ask('b', 1001), text('a')], 'compressing'],
    [
      'and what waits behind it begins anew',
      [ask('a'), ask('b', 1001), text('a'), done('compress', { tokens: 4 }), ask('c'), text('b', 1)],
      { awaiting: 'calling' },
    ],
    ['compress without an ask', [{ type: 'compress' }], 'compressing'],
    ['compress while busy waits for its turn', [ask('a'), { type: 'compress' }], { awaiting: 'calling' }],
    ['and has it', [ask('a'), { type: 'compress' }, text('a')], 'compressing'],
    ['compress without an ask ends idle', [{ type: 'compress' }, done('compress', { tokens: 4 })], 'idle'],
    ['tools run', [ask('a'), tools('a')], { 'tool-loop': 'running' }],
    ['tools that grew too much', [ask('a'), tools('a'), ran('a', 1, 2000)], 'compressing'],
    ['a call to approve waits', [ask('a'), tools('a', 1, ['x', 'y'])], { 'tool-loop': 'approving' }],
    [
      'one of two approvals',
      [ask('a'), tools('a', 1, ['x', 'y']), { type: 'approve', callId: 'x' }],
      { 'tool-loop': 'approving' },
    ],
    [
      'the last approval runs the tools, and a repeated one does not count',
      [
        ask('a'),
        tools('a', 1, ['x', 'y']),
        ...['x', 'x', 'y'].map((callId): AgentEvent => ({ type: 'approve', callId })),
      ],
      { 'tool-loop': 'running' },
    ],
    ['a failure backs off', [ask('a'), failure('a', 1)], { awaiting: 'backing-off' }],
    ['then calls again', [ask('a'), failure('a', 1), done('wait', undefined)], { awaiting: 'calling' }],
    ['retries used up', [ask('a'), failure('a', 1), done('wait', undefined), failure('a', 2)], { awaiting: 'failing' }],
    ['a failure that is not to be retried', [ask('a'), failure('a', 1, 'auth', null)], { awaiting: 'failing' }],
    ['no other backend', [ask('a'), failure('a', 1, 'auth', null), giveUp(false)], 'idle'],
    [
      'another backend',
      [
        ask('a'),
        failure('a', 1, 'auth', null),
        done('chooseBackend', { kind: 'use', backend: 'b', compressFirst: false }),
      ],
      { awaiting: 'calling' },
    ],
    [
      'another backend with a smaller window',
      [
        ask('a'),
        failure('a', 1, 'auth', null),
        done('chooseBackend', { kind: 'use', backend: 'b', compressFirst: true }),
      ],
      'compressing',
    ],
    ['too long for the model: compress', [ask('a'), failure('a', 1, 'context-overflow', null)], 'compressing'],
    [
      'too long twice: fail',
      [
        ask('a'),
        failure('a', 1, 'context-overflow', null),
        done('compress', { tokens: 1 }),
        failure('a', 2, 'context-overflow', null),
      ],
      { awaiting: 'failing' },
    ],
    ['an outcome of another ask is stale', [ask('a'), text('b')], { awaiting: 'calling' }],
    ['an outcome of another attempt is stale', [ask('a'), text('a', 2)], { awaiting: 'calling' }],
    ['callModel that throws', [ask('a'), failed('callModel')], 'dead'],
    ['runTools that throws', [ask('a'), tools('a'), failed('runTools')], 'dead'],
    ['a crash', [ask('a'), failure('a', 1, 'crashed', null), giveUp(true)], 'dead'],
    ['stopped with its group', [ask('a'), { type: 'stop', reason: 'x' }], 'dead'],
    ['killed', [ask('a'), { type: 'kill', reason: 'x' }], 'dead'],
    ['cancelled', [ask('a'), { type: 'cancel', askId: 'a' }], 'idle'],
    ['cancelled: another ask', [ask('a'), { type: 'cancel', askId: 'b' }], { awaiting: 'calling' }],
    ['expired in the tools', [ask('a'), tools('a'), { type: 'expire', askId: 'a' }], 'idle'],
    ['the next in the mailbox', [ask('a'), ask('b'), text('a')], { awaiting: 'calling' }],
  ];
  test.each(cases)('%s', (_name, events, value) => {
    expect(run(start(), ...events).value).toEqual(value);
  });

  test('the step limit ends the ask', () => {
    const events = [ask('a'), tools('a', 1), ran('a', 1), tools('a', 2), ran('a', 2), tools('a', 3)];
    const { value, effects } = run(start(), ...events);
    expect(value).toBe('idle');
    expect(effects.at(-1)).toContain('reject the ask');
  });

  test('the mailbox keeps order and its bound', () => {
    const { context, effects } = run(start(), ask('a'), ask('b'), ask('c'), ask('d'));
    expect(context.mailbox).toEqual(['b', 'c']);
    expect(effects.at(-1)).toEqual(['refuse the ask']);
  });

  test('a full mailbox may drop its oldest ask instead', () => {
    const dropping = start({ limits: { ...limits, dropOldest: true } });
    const { context, effects } = run(dropping, ask('a'), ask('b'), ask('c'), ask('d'));
    expect(context.mailbox).toEqual(['c', 'd']);
    expect(effects.at(-1)).toEqual(['reject the oldest']);
  });

  test('a queued ask is cancelled and expires without touching the one in hand', () => {
    const { context, effects, value } = run(
      start(),
      ...[ask('a'), ask('b'), ask('c')],
      { type: 'cancel', askId: 'b' },
      { type: 'expire', askId: 'c' },
    );
    expect(context.mailbox).toEqual([]);
    expect(effects.slice(-2)).toEqual([['reject the queued ask'], ['reject the queued ask']]);
    expect(value).toEqual({ awaiting: 'calling' });
  });
});

describe('the end of a life', () => {
  const ends: [string, AnyEvent, string, string[]][] = [
    ['killed, nobody waits any more', { type: 'kill', reason: 'x' }, 'killed', []],
    ['crashed, those that wait are left for who comes after it', failed('callModel'), 'crashed', ['b']],
    ['stopped, the same', { type: 'stop', reason: 'x' }, 'stopped', ['b']],
  ];
  test.each(ends)('%s', (_name, end, death, mailbox) => {
    const { context } = run(start(), ask('a'), ask('b'), end);
    expect(context).toMatchObject({ death, mailbox, askId: null });
  });

  test('who comes after it takes what waits at once', () => {
    const [state, actions] = initialTransition(agentMachine, { ...input, mailbox: ['b', 'c'] });
    expect([state.value, state.context.askId, state.context.mailbox]).toEqual([{ awaiting: 'calling' }, 'b', ['c']]);
    expect(actions.map(({ type, params }) => nameOf(type, params))).toContain('spawnChild callModel');
  });
});

test.each([
  [false, 'first'],
  [true, 'second'],
])('with sticky %s the next ask begins at the %s backend', (sticky, backend) => {
  const use = done('chooseBackend', { kind: 'use', backend: 'second', compressFirst: false });
  const events = [ask('a'), failure('a', 1, 'auth', null), use, text('a', 2), ask('b')];
  expect(run(start({ limits: { ...limits, sticky } }), ...events).context).toMatchObject({ askId: 'b', backend });
});

test('the five states that users know', () => {
  expect(Object.keys(agentMachine.states).sort()).toEqual(['awaiting', 'compressing', 'dead', 'idle', 'tool-loop']);
});
