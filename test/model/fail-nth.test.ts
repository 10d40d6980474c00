/**
 * One long scenario, run once for every call that the runtime makes to what is plugged in: store, clock, backends, tools,
 * ids, chance. In run n the n-th of these calls throws. Every ask must end, typed, its tool call allowed or not; the sibling must not notice.
 */
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import type { Backend } from '../../actors/backend.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import type { Tool } from '../../actors/tools/tool.ts';
import { isTroupeError, TroupeError } from '../../src/core/errors.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

const strays: string[] = [];
const note = (reason: unknown) => strays.push(String(reason));
beforeEach(() => void process.on('unhandledRejection', note));
afterEach(() => void process.off('unhandledRejection', note));

/** Counts calls by name, and throws at one of them. */
class Faults {
  readonly calls: string[] = [];
  readonly #failAt: number;
  #over = false;

  constructor(failAt: number) {
    this.#failAt = failAt;
  }

  /** The same object, each of whose methods of these names counts and may throw before it does anything. */
  in<Thing extends object>(label: string, thing: Thing, names: readonly (keyof Thing & string)[]): Thing {
    for (const name of names) {
      const method = thing[name] as (...args: unknown[]) => unknown;
      const counted = (...args: unknown[]) => {
        this.#count(`${label}.${name}`);
        return method.apply(thing, args);
      };
      Object.assign(thing, { [name]: counted });
    }
    return thing;
  }

  /** From now on nothing fails. */
  end(): void {
    this.#over = true;
  }

  #count(name: string): void {
    if (this.#over) return;
    this.calls.push(name);
    if (this.calls.length === this.#failAt) throw new Error(`call ${this.#failAt} (${name}) fails`);
  }
}

/** Answers by the last prompt: text, a tool, a failure, or nothing at all. */
function plugs(faults: Faults) {
  const clock = faults.in('clock', new VirtualClock(), ['now', 'setTimeout', 'clearTimeout']);
  const storeMethods = [
    'putAgent',
    'removeAgent',
    'appendGroup',
    'putAsk',
    'settleAsk',
    'addUsage',
    'barrier',
  ] as const;
  const store = faults.in('store', memoryStore(), storeMethods);
  const first = faults.in('first', answering(true), ['call']);
  const second = faults.in('second', answering(false), ['call']);
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
  return { clock, store, backends: { first, second }, ...chance, look };
}

function answering(mayFail: boolean): Backend {
  const backend = gatedBackend();
  const { call } = backend;
  backend.call = (request) => {
    const answered = call(request);
    const { messages, resolve, reject, text } = backend.next();
    const last = messages.at(-1);
    if (last?.content === 'tool') resolve({ toolCalls: [{ id: 'c', name: 'look', arguments: '{}' }] });
    else if (last?.content === 'fail' && mayFail) reject(new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'reset'));
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

class Scenario {
  readonly faults: Faults;
  readonly clock: VirtualClock;
  readonly #plugs: ReturnType<typeof plugs>;
  readonly #troupe: Troupe;
  readonly #agents: Agent[] = [];
  readonly #ends: Promise<string>[] = [];
  #started = 0;

  constructor(failAt: number) {
    this.faults = new Faults(failAt);
    this.#plugs = plugs(this.faults);
    const { look: _, ...options } = this.#plugs;
    this.clock = options.clock;
    this.#troupe = createTroupe(options);
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
    return agent;
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
    return { texts, agents: this.#troupe.agents(), timers: this.clock.pending };
  }
}

const plain = new Scenario(0);
const { ends } = await plain.run();
const { calls } = plain.faults;
const found = { runs: 0 };

test('without a fault, the scenario does what it says', () => {
  expect(ends).toEqual([
    ...['re: seen', 're: fail', 're: plain', 're: streamed'],
    ...['TROUPE_ERR_ASK_TIMEOUT', 'TROUPE_ERR_ASK_TIMEOUT', 'TROUPE_ERR_ASK_CANCELLED'],
    ...['re: of the twin', 'TROUPE_ERR_AGENT_DEAD', 're: beside', 'TROUPE_ERR_AGENT_DEAD'],
  ]);
});

test.each([...new Set(calls)])('every call of %s may throw', async (name) => {
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
    const expectedAfter = { texts: ['re: again', 're: hello'], agents: [], timers: 0 };
    if (JSON.stringify(after) !== JSON.stringify(expectedAfter)) wrong.push(`afterwards: ${JSON.stringify(after)}`);
    for (const problem of [...wrong, ...statuses, ...strays.splice(0)]) problems.push(`call ${index + 1}: ${problem}`);
  }
  expect(problems).toEqual([]);
});

afterAll(() => {
  process.stdout.write(`fail the n-th: ${found.runs} runs over ${calls.length} calls\n`);
});
