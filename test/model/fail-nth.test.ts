/**
 * One long scenario, run once for every call that the runtime makes to what is plugged in or hung on: store, clock, backends,
 * tools, ids, chance, log, listeners, subscribers, inspectors, and the guards and actions of the machine itself. In run n the
 * n-th of these calls throws. Every ask must end, typed, its tool call allowed or not; the sibling must not notice.
 */

import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import type { AnyActorRef } from 'xstate';
import type { Backend } from '../../actors/backend.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import type { Tool } from '../../actors/tools/tool.ts';
import { isTroupeError, TroupeError } from '../../src/core/errors.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import type { TroupeEvents } from '../../src/runtime/troupe-events.ts';
import { type GatedCall, gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';
import { Faults } from './faults.ts';

const strays: string[] = [];
const note = (reason: unknown) => strays.push(String(reason));
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(() => void process.off('unhandledRejection', note));

/** Answers by the last prompt: text, a tool, a failure, or nothing at all. */
function plugs(faults: Faults) {
  const clock = faults.in('clock', new VirtualClock(), ['now', 'setTimeout', 'clearTimeout']);
  const storeMethods = [
    'putAgent',
    'removeAgent',
    'appendGroup',
    'putAsk',
    'settleAsk',
    'beginCall',
    'addUsage',
    'barrier',
  ] as const;
  const store = faults.in('store', memoryStore(), storeMethods);
  const first = faults.in('first', answering(true), ['call', 'release']);
  const second = faults.in('second', answering(false), ['call', 'release']);
  const logger = faults.in('log', { warn: () => {}, error: () => {} }, ['warn', 'error']);
  const chance = faults.in('seam', { random: () => 0.5, ids: counter() }, ['random', 'ids']);
  const look: Tool = faults.in(
    'tool',
    {
      definition: { name: 'look', description: 'Looks.', parameters: {} },
      check: async (value: unknown) => ({ value }),
      run: async () => 'seen',
      approve: async () => true,
    },
    ['check', 'run', 'approve'],
  );
  return { clock, store, backends: { first, second }, logger, ...chance, look };
}

function answering(mayFail: boolean): Required<Pick<Backend, 'release'>> & Backend {
  const backend = { ...gatedBackend(), release: async () => {} };
  const { call } = backend;
  backend.call = (request) => {
    const answered = call(request);
    const { messages, resolve, reject, text } = backend.calls.at(-1) as GatedCall;
    const last = messages.at(-1);
    if (last?.content === 'tool') resolve({ toolCalls: [{ id: 'c', name: 'look', arguments: '{}' }] });
    else if (last?.content === 'fail' && mayFail) reject(new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'reset'));
    else if (last?.content === 'crash') reject(new Error('a bug'));
    else if (last?.content !== 'hang') {
      text('re: ');
      resolve({ text: `re: ${last?.content}` });
    }
    return answered;
  };
  return backend;
}

function counter() {
  let count = 0;
  return (kind: string) => `${kind}-${++count}`;
}

/** Events that happen in the scenario. */
const told = [
  ...(['agent-spawned', 'agent-down', 'agent-dead', 'dead-letter', 'approval-needed', 'ask-settled'] as const),
  ...(['call-failed', 'breaker', 'fallback'] as const),
] satisfies (keyof TroupeEvents)[];

/** Actors whose inspection may fail: of the supervisor, of an agent, of a breaker, and of a model call. */
const watched = new Set(['supervisor', 'fragile', 'breaker:first', 'callModel']);

class Scenario {
  readonly faults: Faults;
  readonly clock: VirtualClock;
  readonly #plugs: ReturnType<typeof plugs>;
  readonly #troupe: Troupe;
  readonly #agents: Agent[] = [];
  readonly #ends: Promise<string>[] = [];
  /** What was told of each agent's lives, in order. */
  readonly #lives = new Map<string, string>();
  #started = 0;

  constructor(failAt: number) {
    this.faults = new Faults(failAt);
    this.#plugs = plugs(this.faults);
    const { look: _, ...options } = this.#plugs;
    this.clock = options.clock;
    this.#troupe = createTroupe({ ...options, limits: { first: { allowedFailures: 1, coolDownMs: 1000 } } });
    this.#hangOn();
    this.#troupe.on('approval-needed', ({ agent, call }) => this.#troupe.agent(agent)?.approve(call, 'allow'));
  }

  async run(): Promise<{
    readonly ends: readonly string[];
    readonly statuses: readonly string[];
    readonly after: unknown;
  }> {
    const { look } = this.#plugs;
    const worker = await this.#spawn('worker', {
      ...{ tools: [look], approval: { timeoutMs: 5000 }, fallback: ['second'], maxRetries: 1 },
    });
    const sibling = await this.#spawn('sibling', {});
    for (const prompt of ['tool', 'fail', 'plain']) this.#watch(() => worker.ask(prompt));
    this.#watch(() => worker.stream('streamed').reply);
    await this.clock.advance(10_000);
    this.#watch(() => worker.ask('hang', { timeoutMs: 1000 }));
    this.#watch(() => worker.ask('queued', { timeoutMs: 500 }));
    await this.clock.advance(2000);
    const abort = new AbortController();
    this.#watch(() => worker.ask('hang', { signal: abort.signal }));
    await settle();
    abort.abort();
    await settle();
    const twin = await worker.fork('twin').catch(() => this.#spawn('twin', {}));
    this.#agents.push(twin);
    await this.#crash();
    this.#watch(() => twin.ask('of the twin'));
    this.#watch(() => worker.ask('hang'));
    this.#watch(() => sibling.ask('beside'));
    await settle();
    await worker.kill();
    this.#watch(() => worker.ask('too late'));
    await this.clock.runUntilIdle();
    return { ends: await this.#settled(), statuses: this.#statuses(), after: await this.#after(sibling) };
  }

  async #spawn(name: string, spec: object): Promise<Agent> {
    const agent = await this.#troupe.spawn(name, spec).catch(() => this.#troupe.spawn(name, spec));
    this.#agents.push(agent);
    if (this.#agents.length === 1) this.#openMachine(agent);
    agent.ref.subscribe(() => this.faults.count(`subscriber of ${name}`, 3));
    return agent;
  }

  /** Two agents that start anew together, since one of them crashes. */
  async #crash(): Promise<void> {
    this.#troupe.group('crew', { strategy: 'one-for-all' });
    const [fragile, mate] = [
      await this.#spawn('fragile', { group: 'crew', backend: 'second' }),
      await this.#spawn('mate', { group: 'crew', backend: 'second' }),
    ];
    for (const prompt of ['hang', 'after']) this.#watch(() => mate.ask(prompt));
    for (const prompt of ['crash', 'after']) this.#watch(() => fragile.ask(prompt));
    await settle();
  }

  #live(name: string, event: string): void {
    this.#lives.set(name, `${this.#lives.get(name) ?? ''}${event} `);
  }

  /** Listeners of all events that happen here, a subscriber and an inspector of the whole system. */
  #hangOn(): void {
    for (const name of told) this.#troupe.on(name, () => this.faults.count(`listener of ${name}`, 3));
    this.#troupe.on('agent-down', ({ agent, comesBack }) => this.#live(agent, comesBack ? 'back' : 'gone'));
    this.#troupe.on('agent-dead', (name) => this.#live(name, 'dead'));
    const { ref } = this.#troupe;
    ref.subscribe(() => this.faults.count('subscriber of supervisor', 3));
    ref.system.inspect(({ type, actorRef }) => {
      const { id } = actorRef as AnyActorRef;
      if (watched.has(id)) this.faults.count(`inspector of ${id}: ${type}`, 1);
    });
  }

  /** The machine is one for all agents: its guards and those actions that do something. */
  #openMachine(agent: Agent): void {
    const { machine } = agent.ref.getSnapshot() as unknown as BoundSnapshot;
    for (const [kind, parts] of Object.entries(machine.implementations)) {
      if (kind !== 'guards' && kind !== 'actions') continue;
      for (const [name, part] of Object.entries(parts)) {
        if (typeof part !== 'function' || 'resolve' in part) continue;
        parts[name] = (...args: unknown[]) => {
          this.faults.count(`${kind}: ${name}`, 3);
          return part(...args);
        };
      }
    }
  }

  #watch(ask: () => Promise<{ readonly text: string }>): void {
    this.#started += 1;
    const typed = (error: unknown) => (isTroupeError(error) ? error.code : `not typed: ${String(error)}`);
    try {
      this.#ends.push(ask().then(({ text }) => text, typed));
    } catch (error) {
      this.#ends.push(Promise.resolve(typed(error)));
    }
  }

  #settled(): Promise<string[]> {
    const late = settle().then(() => 'hangs');
    return Promise.all(this.#ends.map((end) => Promise.race([end, late])));
  }

  /** What is wrong with an agent's machine, if anything. */
  #statuses(): string[] {
    return this.#agents.flatMap(({ name, ref }) =>
      ref.getSnapshot().status === 'error' ? [`${name} is in error`] : [],
    );
  }

  /** What still works when the fault is over. */
  async #after(sibling: Agent): Promise<unknown> {
    this.faults.end();
    const again = sibling.ask('again');
    const fresh = this.#troupe.spawn('fresh').then((agent) => agent.ask('hello'));
    await this.clock.runUntilIdle();
    const texts = (await Promise.all([again, fresh])).map(({ text }) => text);
    await this.#troupe.close();
    await settle();
    const odd = [...this.#lives].filter(([, lives]) => !/^(back )*gone dead $/.test(lives));
    return { texts, agents: this.#troupe.agents(), timers: this.clock.pending, odd };
  }
}

interface BoundSnapshot {
  readonly machine: { readonly implementations: Record<string, Record<string, (...args: unknown[]) => unknown>> };
}

const plain = new Scenario(0);
const { ends } = await plain.run();
const { calls } = plain.faults;
const found = { runs: 0 };

test('without a fault, the scenario does what it says', () => {
  expect(ends).toEqual([
    ...['re: seen', 're: fail', 're: plain', 're: streamed'],
    ...['TROUPE_ERR_ASK_TIMEOUT', 'TROUPE_ERR_ASK_TIMEOUT', 'TROUPE_ERR_ASK_CANCELLED'],
    ...['TROUPE_ERR_AGENT_CRASHED', 're: after', 'TROUPE_ERR_AGENT_CRASHED', 're: after'],
    ...['re: of the twin', 'TROUPE_ERR_AGENT_DEAD', 're: beside', 'TROUPE_ERR_AGENT_DEAD'],
  ]);
});

test('what may throw is called', () => {
  const names = new Set(calls);
  const parts = [
    'log.warn',
    'guards: is stale',
    'actions: reject the ask',
    'subscriber of worker',
    'subscriber of supervisor',
  ];
  const wanted = [...told.map((name) => `listener of ${name}`), ...parts];
  expect(wanted.filter((name) => !names.has(name))).toEqual([]);
  expect([...watched].filter((id) => !names.has(`inspector of ${id}: @xstate.snapshot`))).toEqual([]);
});

test.each([...new Set(calls)])(
  'every call of %s may throw',
  async (name) => {
    const problems: string[] = [];
    for (const [index, call] of calls.entries()) {
      if (call !== name) continue;
      const scenario = new Scenario(index + 1);
      const run = await scenario.run().catch((error: unknown) => `thrown at the clock or the test: ${error}`);
      found.runs += 1;
      if (typeof run === 'string') {
        problems.push(run);
        continue;
      }
      const { ends: got, statuses, after } = run;
      const wrong = got.filter((end) => !/^(re: |TROUPE_ERR_)/.test(end));
      const expectedAfter = { texts: ['re: again', 're: hello'], agents: [], timers: 0, odd: [] };
      if (JSON.stringify(after) !== JSON.stringify(expectedAfter)) wrong.push(`afterwards: ${JSON.stringify(after)}`);
      for (const problem of [...wrong, ...statuses, ...strays.splice(0)])
        problems.push(`call ${index + 1}: ${problem}`);
    }
    expect(problems).toEqual([]);
  },
  60_000,
);

afterAll(() => {
  process.stdout.write(`fail the n-th: ${found.runs} runs over ${calls.length} calls\n`);
});
