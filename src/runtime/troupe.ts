/**
 * A troupe: its agents, their backends, and the way in.
 *
 * T1  An ask that cannot be delivered is a rejected promise and a `dead-letter` event.
 * T2  `close()` lets work end within its limit, kills every agent, closes every backend, and can be called again.
 */
import { systemClock } from '../../actors/clock.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import { McpPool } from '../../actors/tools/mcp-pool.ts';
import type { McpEvent } from '../../actors/tools/mcp-pooled-server.ts';
import { Budget, type BudgetWarning } from '../core/budget.ts';
import { Conversation } from '../core/conversation.ts';
import { TroupeError } from '../core/errors.ts';
import { checkOptions, rules } from '../core/options.ts';
import { priceTable } from '../core/prices.ts';
import { RetryBudget } from '../core/retry-budget.ts';
import type { Clock, Ids } from '../core/seams.ts';
import { addSpend, type Spend, unknownUsage } from '../core/usage.ts';
import { Admissions } from './admissions.ts';
import type { Agent, ForkOptions } from './agent.ts';
import type { AgentRecord, CallSpend, Runtime } from './agent-record.ts';
import { type AgentSpec, overrideSpec, resolveSpec } from './agent-spec.ts';
import { currentPath } from './ask-path.ts';
import { AskReference, type FoundAsk } from './ask-reference.ts';
import { Backends, embeddedBackend } from './backends.ts';
import { agentDead, bindAgentMachine } from './bind.ts';
import type { Compression } from './compress.ts';
import { guardStore } from './guarded-store.ts';
import { guardActor, guardClock } from './guards.ts';
import { type RuntimeHooks, Watchers } from './hooks.ts';
import { logTo } from './log.ts';
import { Mail } from './mail.ts';
import { OpenAsks } from './open-asks.ts';
import { Registry } from './registry.ts';
import type { GroupOptions } from './restart.ts';
import { resumeAgents } from './resume.ts';
import { Supervisor } from './supervisor.ts';
import { TokenBook } from './token-book.ts';
import { Events, type TroupeEvents } from './troupe-events.ts';
import { type AgentInfo, type Health, infoOf } from './troupe-info.ts';
import { TroupeMcp } from './troupe-mcp.ts';
import { isName, type TroupeOptions, troupeRules } from './troupe-options.ts';
import { Warnings } from './warnings.ts';

/** Makes a troupe. Throws `TROUPE_ERR_OPTION_INVALID` with every problem that it finds. */
export function createTroupe(options: TroupeOptions = {}): Troupe {
  checkOptions('createTroupe', options, troupeRules);
  return new Troupe(options);
}

export class Troupe implements AsyncDisposable {
  readonly #backends: Backends;
  readonly #defaults: AgentSpec;
  readonly #roles: Readonly<Record<string, AgentSpec>>;
  /** Names of the backends that it was made with. */
  readonly #configured: readonly string[];
  readonly #choicePolicy: TroupeOptions['choice'];
  readonly #events = new Events();
  readonly #supervisor: Supervisor;
  readonly #runtime: Runtime;
  readonly #registry: Registry;
  readonly #admissions: Admissions;
  readonly #warnings = new Warnings((warning) => this.#events.tell('warning', warning));
  readonly #mcpPool: McpPool;
  readonly #mail: Mail;
  readonly #open = new OpenAsks();
  /**
   * The agents that its store has kept, once they are back; what they were asked goes on by itself. Rejects when the store cannot
   * be read. Nothing is spawned before that is over.
   */
  readonly resumed: Promise<readonly Agent[]>;
  /** What its agents' MCP servers have besides tools. */
  readonly mcp: TroupeMcp;
  #buried: Spend = { usage: unknownUsage, costUsd: undefined };
  #closing: Promise<void> | undefined;
  /** True before `#closing` is there: agents are dead by then. */
  #isClosing = false;
  #isResuming = false;

  /** Use `createTroupe`. */
  constructor(options: TroupeOptions) {
    const { backends = {}, defaults = {}, roles = {} } = options;
    this.#backends = new Backends(backends);
    this.#roles = roles;
    this.#configured = Object.keys(backends);
    this.#choicePolicy = options.choice;
    this.#defaults = { backend: Object.keys(backends)[0] ?? embeddedBackend, ...defaults };
    this.#supervisor = new Supervisor({
      kill: (name, reason) => this.#registry.get(name)?.record.actor.send({ type: 'kill', reason }),
      killEveryone: (reason) => {
        for (const { record } of this.#registry.all()) record.actor.send({ type: 'kill', reason });
      },
      report: (name, error) => this.#registry.report(name, error),
      restart: (name) => this.#registry.restart(name),
      stopGroupOf: (name) => this.#registry.stopGroupOf(name),
      killGroupOf: (name) => this.#registry.killGroupOf(name),
      bury: (name) => this.#registry.bury(name),
    });
    this.#runtime = this.#makeRuntime(options);
    this.#admissions = new Admissions(options.limits ?? {}, {
      ...{ clock: this.clock, parent: this.#supervisor.ref, backends: this.#backends },
      onChange: (change) => this.#events.tell('breaker', change),
    });
    this.#mcpPool = new McpPool({ clock: this.clock, onEvent: (event) => this.#tellOfMcp(event) });
    this.mcp = new TroupeMcp(this.#mcpPool);
    this.#mail = this.#makeMail();
    this.#registry = this.#makeRegistry();
    if (options.logger !== undefined) logTo(options.logger, this.#events);
    this.resumed = options.store === undefined ? Promise.resolve([]) : this.#resume(options.resume);
    this.resumed.catch(() => {});
  }

  /** The supervisor's running XState actor; the agents are its children. What its observers throw is dropped. */
  get ref(): Supervisor['ref'] {
    return guardActor(this.#supervisor.ref);
  }

  /** The clock that all its time comes from. */
  get clock(): Clock {
    return this.#runtime.clock;
  }

  /**
   * Brings up an agent. Rejects when the name is taken, an option is wrong or a backend cannot be had. With `from` it goes
   * on in that conversation, and appends to it. One that a tool spawns belongs to the agent of the tool: see `whenOrphaned`.
   */
  async spawn(name: string, spec: AgentSpec = {}, from?: Conversation): Promise<Agent> {
    checkOptions('spawn', { name }, { name: isName });
    const full = this.#fullSpec(spec);
    const given = full.backend === 'auto' ? await this.#choose(name, full) : full;
    const resolved = resolveSpec(`spawn("${name}")`, given, this.#backends);
    const { system } = resolved;
    const start = () => this.#registry.start(name, resolved, from ?? new Conversation(system));
    return this.#naming(name, (taken) => this.#supervisor.spawn(name, taken, start));
  }

  /** The living agent of this name. */
  agent(name: string): Agent | undefined {
    return this.#registry.get(name)?.agent;
  }

  /**
   * The living agents whose spec names this group, in the order they were spawned. With options it also says what the group is
   * like from now on; it may have no members yet.
   */
  group(name: string, options?: GroupOptions): Agent[] {
    if (options !== undefined) this.#registry.setGroup(name, options);
    return this.#registry.membersOf(name);
  }

  /** The living agents, in the order they were spawned. */
  agents(): AgentInfo[] {
    return this.#registry.all().map(({ record }) => infoOf(record, this.#backends));
  }

  /** Tokens and USD of all agents, dead ones included. */
  usage(): Spend {
    let sum = this.#buried;
    for (const { record } of this.#registry.all()) sum = addSpend(sum, record);
    return sum;
  }

  /** An ask by its id, of this process or of the one before, if its agent lives. */
  handle(askId: string): AskReference {
    return new AskReference(askId, () => this.#findAsk(askId), this.clock);
  }

  /** Its backends and what went wrong so far. */
  health(): Health {
    const { fallbacks, restarts } = this.#supervisor.ref.getSnapshot().context;
    const models = this.#runtime.tokens.known();
    return { backends: this.#admissions.statuses(), models, fallbacks, restarts, ...this.#runtime.counts };
  }

  /** Tells `hooks` of every ask, model call and tool call, until the returned function is called. */
  watch(hooks: RuntimeHooks): () => void {
    return this.#runtime.watchers.add(hooks);
  }

  /** Calls `listener` at every event of this name. What a listener throws is dropped. */
  on<Name extends keyof TroupeEvents>(name: Name, listener: (...args: TroupeEvents[Name]) => void): this {
    this.#events.on(name, listener);
    return this;
  }

  off<Name extends keyof TroupeEvents>(name: Name, listener: (...args: TroupeEvents[Name]) => void): this {
    this.#events.off(name, listener);
    return this;
  }

  /**
   * Takes no new asks but those of tools that run, lets the asks that it has end within `drainMs` milliseconds (default 0),
   * then kills all agents and closes all backends and the store. Calling it again ends the waiting. Rejects with what one of
   * them rejects with.
   */
  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    checkOptions('close', options, { drainMs: rules.count });
    if (this.#closing !== undefined) this.#open.stopWaiting();
    this.#isClosing = true;
    this.#closing ??= this.#close(options.drainMs ?? 0);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #makeRuntime(options: TroupeOptions): Runtime {
    const {
      store = memoryStore(),
      ids = counter(store.isDurable === true),
      random = Math.random,
      maxAskDepth = 8,
    } = options;
    const clock = options.clock === undefined ? systemClock : guardClock(options.clock);
    const { tell } = this.#events;
    const { budgetUsd } = options;
    const onBudget = (warning: BudgetWarning) => tell('budget', warning);
    return {
      ...{ clock, ids, random, maxAskDepth, tell },
      store: guardStore(store, (error) => tell('store-failed', error)),
      record: (name) => this.#registry.get(name)?.record,
      backend: (name) => this.#backends.get(name),
      warn: (record, code, message) => this.#warnings.give(record, code, message),
      addSpend: (record, spend) => this.#addSpend(record, spend),
      letIn: (record) => this.#mail.letIn(record),
      approvalNeeded: (pending) => tell('approval-needed', pending),
      chooseBackend: (call) => {
        const shut = call.chain.filter((name) => this.#admissions.isShut(name));
        return this.#supervisor.chooseBackend({ ...call, shut });
      },
      admission: (name) => this.#admissions.of(name),
      retryBudget: new RetryBudget(),
      prices: priceTable(options.prices),
      tokens: new TokenBook(),
      budget: budgetUsd === undefined ? undefined : new Budget('troupe', budgetUsd, { onWarning: onBudget }),
      onBudget,
      watchers: new Watchers(),
      counts: { lateResults: 0 },
      isClosing: () => this.#isClosing,
    };
  }

  #makeRegistry(): Registry {
    const runtime = this.#runtime;
    const { clock, store } = runtime;
    const agents = {
      ...{ mail: this.#mail, clock },
      barrier: () => store.barrier(),
      fork: (record: AgentRecord, name: string, changes: ForkOptions) => this.#fork(record, name, changes),
      compress: async (record: AgentRecord) => {
        if (!this.#registry.isAlive(record)) throw agentDead(record.name, 'it was killed or has crashed');
        record.wanted ??= whenDone<Compression>();
        if (!record.isResuming) record.actor.send({ type: 'compress' });
        return record.wanted.promise;
      },
      kill: async (record: AgentRecord, reason: string) => {
        if (this.#registry.isAlive(record)) {
          record.life.endedItself = currentPath()?.agent === record;
          this.#supervisor.kill(record.name, reason);
        }
        await record.released;
      },
    };
    return new Registry({
      ...{ runtime, agents, supervisor: this.#supervisor, backends: this.#backends, mcpPool: this.#mcpPool },
      machine: bindAgentMachine(runtime),
      isClosing: () => this.#isClosing,
      buried: (record) => {
        this.#buried = addSpend(this.#buried, record);
      },
    });
  }

  #makeMail(): Mail {
    const { tell } = this.#events;
    return new Mail(this.#runtime, {
      isAlive: (record) => this.#registry.isAlive(record),
      closed: (isInner) => (this.#closing === undefined || isInner ? undefined : closed()),
      deadLetter: ({ name: agent }, askId, error) => tell('dead-letter', { agent, askId, error }),
      accepted: () => this.#open.begin(),
      settled: ({ name: agent }, { askId, outcome = 'failed', response, error }) => {
        this.#open.end();
        const { watchers } = this.#runtime;
        if (watchers.any) {
          const said = outcome === 'replied' ? { text: response?.text ?? '' } : error && { error: error.summary };
          watchers.onAsk({ phase: 'settled', agent, askId, outcome, ...said });
        }
        tell('ask-settled', { agent, askId, outcome });
      },
    });
  }

  /** A spec over its role over the troupe's defaults. */
  #fullSpec(spec: AgentSpec): AgentSpec {
    const { role } = spec;
    if (role === undefined) return overrideSpec(this.#defaults, spec);
    const base = Object.hasOwn(this.#roles, role) ? this.#roles[role] : undefined;
    if (base !== undefined) return overrideSpec(overrideSpec(this.#defaults, base), spec);
    const known = Object.keys(this.#roles).join('", "');
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `There is no \`role\` "${role}"; there are "${known}".`);
  }

  /** Brings back what the store has kept. */
  async #resume(specOf: TroupeOptions['resume']): Promise<readonly Agent[]> {
    this.#isResuming = true;
    try {
      return await resumeAgents({
        ...{ runtime: this.#runtime, mail: this.#mail },
        specOf: (stored) => {
          // Whatever a store says, it starts no program.
          const { mcp: _programs, tools: _code, ...spec } = stored.spec ?? {};
          const { backend, model, system } = stored;
          const kept = { ...spec, backend, ...(model && { model }), ...(system && { system }) };
          const given = specOf === undefined ? kept : specOf(stored);
          return given === false ? undefined : this.#fullSpec(given);
        },
        start: ({ name }, spec, conversation, kept) => {
          const resolved = resolveSpec(`The stored agent "${name}"`, spec, this.#backends);
          const start = () => this.#registry.start(name, resolved, conversation, { kept });
          return this.#registry.naming(name, (taken) => this.#supervisor.spawn(name, taken, start));
        },
        spentByOthers: (spend) => {
          this.#buried = addSpend(this.#buried, spend);
          this.#runtime.budget?.charge(spend.costUsd ?? 0);
        },
        failed: (agent, error) => this.#events.tell('resume-failed', { agent, error }),
      });
    } catch (thrown) {
      throw this.#runtime.store.failed(thrown);
    } finally {
      this.#isResuming = false;
    }
  }

  async #findAsk(askId: string): Promise<FoundAsk | undefined> {
    await this.resumed;
    const { store } = this.#runtime;
    const records = this.#registry.all().map(({ record }) => record);
    for (const record of records) {
      const { name: agent } = record;
      const ask = record.asks.get(askId);
      if (ask !== undefined) return { agent, ask, cancel: () => this.#mail.cancel(record, ask) };
      const outcome = record.settled.get(askId)?.outcome;
      if (outcome === undefined) continue;
      await store.barrier();
      return { agent, outcome };
    }
    for (const { name: agent } of records) {
      const outcome = (await store.asks(agent)).find((stored) => stored.askId === askId)?.outcome;
      if (outcome !== undefined) return { agent, outcome };
    }
    return undefined;
  }

  /** The spec with the backend that fits its task. */
  async #choose(name: string, spec: AgentSpec): Promise<AgentSpec> {
    const { prices, budget } = this.#runtime;
    const { chosenSpec } = await import('./auto-backend.ts');
    const [chosen, choice] = await chosenSpec(name, spec, {
      ...{ backends: this.#backends, configured: this.#configured, prices, policy: this.#choicePolicy },
      budgetUsd: least(spec.budgetUsd, budget?.leftUsd),
      shut: (backend) => (this.#admissions.isShut(backend) ? 'its breaker is open' : undefined),
    });
    this.#events.tell('backend-chosen', { agent: name, ...choice });
    return chosen;
  }

  async #fork(parent: AgentRecord, name: string, options: ForkOptions): Promise<Agent> {
    const { at, ...overrides } = options;
    checkOptions('fork', { name, at }, { name: isName, at: rules.count });
    const spec = resolveSpec(`fork("${name}")`, overrideSpec(parent.spec.given, overrides), this.#backends);
    const { conversation } = parent;
    const groupCount = at === undefined ? conversation.groupCount : conversation.groupsWithin(at);
    const start = () =>
      this.#registry.start(name, spec, conversation.fork(groupCount, spec.system), { forkedFrom: parent });
    const isAlive = this.#registry.isAlive(parent);
    return this.#naming(name, (taken) => this.#supervisor.fork(name, taken, isAlive, start));
  }

  async #naming(name: string, request: (taken: boolean) => Promise<Agent>): Promise<Agent> {
    if (this.#closing !== undefined && currentPath() === undefined) throw closed();
    // A store that cannot be read is told of; the work goes on.
    if (this.#isResuming) await this.resumed.catch(() => {});
    return this.#registry.naming(name, request);
  }

  #addSpend(record: AgentRecord, spend: CallSpend): void {
    const sum = addSpend(record, spend);
    record.usage = sum.usage;
    record.costUsd = sum.costUsd;
    if (spend.calls === 0) record.budget?.charge(spend.costUsd ?? 0);
    if (!this.#registry.isAlive(record)) this.#buried = addSpend(this.#buried, spend);
    this.#runtime.store.addUsage({ agent: record.name, at: this.#runtime.clock.now(), ...spend });
  }

  #tellOfMcp(event: McpEvent): void {
    const { server } = event;
    const { tell } = this.#events;
    if (event.type === 'mcp-failed') tell(event.type, { server, error: event.error });
    else if (event.type === 'mcp-tool-changed') tell(event.type, { server, tool: event.tool });
    else tell(event.type, { server, message: event.message });
  }

  async #close(drainMs: number): Promise<void> {
    if (drainMs > 0) await this.#open.none(this.clock, drainMs);
    const stopped = this.#supervisor.close();
    this.#admissions.close();
    await stopped;
    // What a backend is still told while it closes, such as the price of a call that was given up, is stored.
    const results = [await settled(this.#backends.close()), await settled(this.#mcpPool.close())];
    results.push(await settled(this.#runtime.store.close()));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

function closed(): TroupeError {
  return new TroupeError('TROUPE_ERR_TROUPE_CLOSED', 'The troupe is closed, or about to be; create another.');
}

/** A promise that somebody else settles; nothing happens when nobody looks at it. */
function whenDone<Result>() {
  let settle: { resolve: (result: Result) => void; reject: (error: TroupeError) => void } | undefined;
  const promise = new Promise<Result>((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(() => {});
  return {
    promise,
    resolve: (result: Result) => settle?.resolve(result),
    reject: (error: TroupeError) => settle?.reject(error),
  };
}

async function settled(promise: Promise<void>): Promise<PromiseSettledResult<void>> {
  const [result] = await Promise.allSettled([promise]);
  return result;
}

/** A counter for each kind. Where a store lasts longer than the process, with a mark of the process before it. */
function counter(isDurable: boolean): Ids {
  const mark = isDurable ? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}-` : '';
  const counts = new Map<string, number>();
  return (kind) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return `${kind}-${mark}${count}`;
  };
}
