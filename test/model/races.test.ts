/**
 * The promises around the actors: barriers, model calls, tools, decisions on tools and timers end in every order that a scheduler can think of,
 * while asks, cancels, crashes, kills, forks, spawns and a close come in between. `MODEL_RUNS` and `MODEL_SEED` as in the random walks.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { memoryStore } from '../../actors/store/memory.ts';
import type { Store } from '../../actors/store/store.ts';
import type { Tool } from '../../actors/tools/tool.ts';
import type { TroupeError } from '../../src/core/errors.ts';
import type { Clock } from '../../src/core/seams.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { PendingApproval } from '../../src/runtime/approval.ts';
import type { AskHandle } from '../../src/runtime/ask-handle.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { type GatedCall, gatedBackend } from '../../src/testing/gated-backend.ts';
import { assertValidMessages } from '../../src/testing/messages.ts';
import { settle } from '../../src/testing/virtual-clock.ts';

const runs = Number(process.env['MODEL_RUNS'] ?? 300);
const seed = Number(process.env['MODEL_SEED'] ?? 20_251_107);

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(() => {
  process.off('unhandledRejection', note);
  expect(unhandled.splice(0)).toEqual([]);
});

/** An ask that is answered, wants a tool first, or one that must be allowed, or at which the backend throws. */
const askKinds = ['ask', 'ask-tools', 'ask-guarded', 'ask-crash'] as const;
type AskKind = (typeof askKinds)[number];

type Deed =
  | { readonly kind: AskKind; readonly agent: number }
  | { readonly kind: 'wait' | 'cancel'; readonly ask: number }
  | { readonly kind: 'kill' | 'spawn' | 'spawn-twice' | 'fork'; readonly agent: number }
  | { readonly kind: 'close' };

const agentNumber = fc.nat(2);
const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constantFrom(...askKinds), agent: agentNumber }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('wait' as const, 'cancel' as const), ask: fc.nat(20) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('kill' as const, 'spawn' as const, 'spawn-twice' as const, 'fork' as const),
      agent: agentNumber,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'close' as const }) },
);

/** Time in which every timer that is not cleared fires in the order that the scheduler likes. */
class ScheduledClock implements Clock {
  readonly #scheduler: fc.Scheduler;
  readonly #live = new Set<object>();
  #now = 0;

  constructor(scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
  }

  get pending(): number {
    return this.#live.size;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): unknown {
    const timer = {};
    const dueAt = this.#now + ms;
    this.#live.add(timer);
    void this.#scheduler.schedule(Promise.resolve(), `timer ${ms}`).then(() => {
      if (!this.#live.delete(timer)) return;
      this.#now = Math.max(this.#now, dueAt);
      callback();
    });
    return timer;
  }

  clearTimeout(handle: unknown): void {
    this.#live.delete(handle as object);
  }
}

class World {
  readonly #scheduler: fc.Scheduler;
  readonly #clock: ScheduledClock;
  readonly #troupe;
  readonly #agents = new Map<Agent, { readonly shared: number; readonly asked: Set<string> }>();
  readonly #handles: AskHandle[] = [];
  readonly #ends: string[][] = [];
  readonly #cancelled = new Set<AskHandle>();
  readonly #settled = new Map<string, string[]>();
  readonly #problems: string[] = [];
  /** What was told of the agents of a name, in order. */
  readonly #lives = new Map<string, string[]>();
  readonly #look: Tool = {
    definition: { name: 'look', description: 'Looks.', parameters: { type: 'object', properties: {} } },
    check: async () => ({ value: {} }),
    run: () => this.#scheduler.schedule(Promise.resolve('seen'), 'tool'),
  };
  readonly #guarded: Tool = {
    ...this.#look,
    definition: { ...this.#look.definition, name: 'guarded' },
    approve: () => this.#scheduler.schedule(Promise.resolve(true), 'judgement'),
  };
  #twins = 0;
  #decisions = 0;
  #waits = 0;
  #closed = false;

  constructor(scheduler: fc.Scheduler, failingBarriers: boolean) {
    this.#scheduler = scheduler;
    this.#clock = new ScheduledClock(scheduler);
    const backend = gatedBackend({ ignoreAbort: true });
    const { call } = backend;
    backend.call = (request) => {
      const answered = call(request);
      const mine = backend.calls.at(-1) as GatedCall;
      void scheduler.schedule(Promise.resolve(), 'model').then(() => answer(mine));
      return answered;
    };
    this.#troupe = createTroupe({
      ...{ backends: { backend }, clock: this.#clock, store: this.#store(failingBarriers), random: () => 0.5 },
    });
    this.#troupe.on('approval-needed', (pending) => {
      void scheduler.schedule(Promise.resolve(), 'decision').then(() => this.#decide(pending));
    });
    this.#troupe.group('crew', { strategy: 'one-for-all', maxRestarts: 2 });
    this.#troupe.on('agent-spawned', ({ name }) => this.#live(name, 'spawned'));
    this.#troupe.on('agent-down', ({ agent, comesBack }) => this.#live(agent, comesBack ? 'back' : 'gone'));
    this.#troupe.on('agent-dead', (name) => this.#live(name, 'dead'));
    this.#troupe.on('ask-settled', ({ agent, askId, outcome }) => this.#count(agent, askId, outcome));
  }

  async do(deed: Deed): Promise<void> {
    switch (deed.kind) {
      case 'ask':
      case 'ask-tools':
      case 'ask-guarded':
      case 'ask-crash':
        return this.#ask(deed.agent, deed.kind);
      case 'wait':
        // Not awaited: a scheduled step must not depend on other scheduled things.
        void this.#wait(this.#handles[deed.ask]);
        return;
      case 'cancel':
        this.#cancel(this.#handles[deed.ask]);
        return;
      case 'kill':
        return this.#nth(deed.agent)?.kill();
      case 'spawn':
        return this.#spawn(deed.agent);
      case 'spawn-twice':
        await Promise.all([this.#spawn(deed.agent), this.#spawn(deed.agent)]);
        return;
      case 'fork':
        return this.#fork(deed.agent);
      case 'close':
        this.#closed = true;
        return this.#troupe.close();
    }
  }

  /** Nothing is lost, doubled or mixed up; call it when nothing moves any more. */
  check(): void {
    expect(this.#problems).toEqual([]);
    expect(this.#ends.map((ends) => ends.length)).toEqual(this.#handles.map(() => 1));
    const facts = [...this.#settled.values()].map((list) => list.sort().join(', '));
    expect(facts.filter((fact) => fact !== 'failed, stored error' && fact !== 'replied, stored reply')).toEqual([]);
    for (const [agent, { shared, asked }] of this.#agents) {
      const messages = agent.messages();
      assertValidMessages(messages);
      const foreign = messages.slice(shared).filter(({ role, content }) => role === 'user' && !asked.has(content));
      expect(foreign).toEqual([]);
      expect(agent.ref.getSnapshot().status).not.toBe('error');
      expect(agent.state === 'dead').toBe(this.#troupe.agent(agent.name) !== agent);
    }
    for (const lives of this.#lives.values())
      expect(`${lives.join(' ')} `).toMatch(/^(spawned (back )*gone dead )*(spawned (back )*)?$/);
    expect([this.#waits, this.#clock.pending]).toEqual([0, 0]);
    if (this.#closed) expect(this.#troupe.agents()).toEqual([]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#troupe.close();
  }

  #store(failing: boolean): Store {
    const store = memoryStore();
    const settleAsk = store.settleAsk.bind(store);
    return Object.assign(store, {
      barrier: () =>
        this.#scheduler.schedule(failing ? Promise.reject(new Error('disk full')) : Promise.resolve(), 'barrier'),
      settleAsk: (...args: Parameters<Store['settleAsk']>) => {
        this.#count(args[0], args[1], `stored ${args[2].kind}`);
        settleAsk(...args);
      },
    });
  }

  #count(agent: string, askId: string, fact: string): void {
    const key = `${agent} ${askId}`;
    this.#settled.set(key, [...(this.#settled.get(key) ?? []), fact]);
  }

  #live(name: string, event: string): void {
    this.#lives.set(name, [...(this.#lives.get(name) ?? []), event]);
  }

  #nth(index: number): Agent | undefined {
    return this.#troupe.agent(`agent-${index}`);
  }

  /** A decision may come too late, and only then is it refused. */
  #decide({ agent: name, askId, call }: PendingApproval): void {
    const agent = this.#troupe.agent(name);
    const waits = agent?.approvals().some((one) => one.askId === askId && one.call.id === call.id) ?? false;
    this.#decisions += 1;
    try {
      agent?.approve(call, this.#decisions % 2 === 0 ? 'allow' : { deny: 'no' });
    } catch (error) {
      if (waits) this.#problems.push(String(error));
    }
  }

  #ask(index: number, kind: AskKind): void {
    const agent = this.#nth(index);
    if (agent === undefined) return;
    const prompt = `${kind} ${this.#handles.length} of ${agent.name}`;
    this.#agents.get(agent)?.asked.add(prompt);
    const handle = agent.askAsync(prompt);
    const ends: string[] = [];
    this.#handles.push(handle);
    this.#ends.push(ends);
    handle.wait().then(
      ({ text, askId, agent: name }) => {
        ends.push('reply');
        if (text !== `${name} says ${prompt}` || askId !== handle.askId) this.#problems.push(`${prompt}: ${text}`);
      },
      (error: TroupeError) => {
        ends.push(error.code);
        if (error.askId !== handle.askId) this.#problems.push(`${prompt}: an error of ${error.askId}`);
        const cancelled = error.code === 'TROUPE_ERR_ASK_CANCELLED';
        if (cancelled && !this.#cancelled.has(handle)) this.#problems.push(`${prompt}: nobody cancelled it`);
      },
    );
  }

  #cancel(handle: AskHandle | undefined): void {
    if (handle === undefined) return;
    this.#cancelled.add(handle);
    handle.cancel();
  }

  async #wait(handle: AskHandle | undefined): Promise<void> {
    if (handle === undefined) return;
    this.#waits += 1;
    const code = await handle.wait(1000).then(
      () => 'reply',
      (error: TroupeError) => error.code,
    );
    this.#waits -= 1;
    const goesOn = handle.status === 'waiting' || handle.status === 'running';
    if (goesOn && code !== 'TROUPE_ERR_WAIT_TIMEOUT') this.#problems.push(`a wait ended with ${code} before its ask`);
  }

  async #spawn(index: number): Promise<void> {
    const name = `agent-${index}`;
    try {
      const agent = await this.#troupe.spawn(name, {
        tools: [this.#look, this.#guarded],
        ...(index < 2 && { group: 'crew' }),
        approval: { timeoutMs: 1000, onTimeout: index === 0 ? 'fail' : 'deny' },
      });
      this.#agents.set(agent, { shared: 0, asked: new Set() });
    } catch (error) {
      const { code } = error as TroupeError;
      if (code !== 'TROUPE_ERR_AGENT_NAME_TAKEN' && code !== 'TROUPE_ERR_TROUPE_CLOSED')
        this.#problems.push(String(error));
    }
  }

  async #fork(index: number): Promise<void> {
    const parent = this.#nth(index);
    if (parent === undefined) return;
    this.#twins += 1;
    try {
      const shared = parent.messages().length;
      const twin = await parent.fork(`twin-${this.#twins}`);
      this.#agents.set(twin, { shared, asked: new Set([`ask of ${twin.name}`]) });
      void twin.ask(`ask of ${twin.name}`);
    } catch (error) {
      const { code } = error as TroupeError;
      if (code !== 'TROUPE_ERR_AGENT_DEAD' && code !== 'TROUPE_ERR_TROUPE_CLOSED') this.#problems.push(String(error));
    }
  }
}

/** Echoes the prompt; wants a tool first, or fails, when the prompt says so. */
function answer(call: GatedCall): void {
  const prompt = call.messages.findLast(({ role }) => role === 'user')?.content ?? '';
  const last = call.messages.at(-1);
  if (prompt.startsWith('ask-crash')) call.reject(new Error('a bug'));
  else if (prompt.startsWith('ask-tools') && last?.role === 'user') {
    call.resolve({ toolCalls: [{ id: 'look-1', name: 'look', arguments: '' }] });
  } else if (prompt.startsWith('ask-guarded') && last?.role === 'user') {
    call.resolve({
      toolCalls: ['look', 'guarded', 'guarded'].map((name, id) => ({ id: `c${id}`, name, arguments: '' })),
    });
  } else call.resolve({ text: `${call.agent} says ${prompt}` });
}

test.each([
  ['barriers that are late', false],
  ['barriers that are late and fail', true],
])(
  'races with %s',
  async (_name, failingBarriers) => {
    const lists = fc.array(fc.array(deed, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 3 });
    const property = fc.asyncProperty(fc.scheduler(), lists, async (scheduler, sequences) => {
      const world = new World(scheduler, failingBarriers);
      await world.do({ kind: 'spawn', agent: 0 });
      for (const [number, sequence] of sequences.entries()) {
        scheduler.scheduleSequence(
          sequence.map((one, index) => ({
            label: `${number}.${index} ${JSON.stringify(one)}`,
            builder: () => world.do(one),
          })),
        );
      }
      await scheduler.waitIdle();
      await settle();
      await scheduler.waitIdle();
      world.check();
      await world.close();
      await scheduler.waitIdle();
      await settle();
      world.check();
    });
    await fc.assert(property, { numRuns: runs, seed });
  },
  600_000,
);
