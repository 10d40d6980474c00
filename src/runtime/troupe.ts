/**
 * A troupe: the registry of agents, their backends, and the way in.
 *
 * T1  A name is taken from the moment `spawn` is called until the agent is dead.
 * T2  An ask that cannot be delivered is a rejected promise and a `dead-letter` event.
 * T3  `close()` kills every agent, closes every backend, and can be called again.
 */
import { EventEmitter } from 'eventemitter3';
import { createActor } from 'xstate';
import type { Backend } from '../../actors/backend.ts';
import { systemClock } from '../../actors/clock.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import type { Store } from '../../actors/store/store.ts';
import { McpPool } from '../../actors/tools/mcp-pool.ts';
import type { McpEvent } from '../../actors/tools/mcp-pooled-server.ts';
import { Conversation } from '../core/conversation.ts';
import { TroupeError } from '../core/errors.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import type { Clock, Ids, Random } from '../core/seams.ts';
import type { Usage } from '../core/types.ts';
import { addSpend, type Spend, unknownUsage } from '../core/usage.ts';
import { Agent, type AgentHost, type AgentState, type ForkOptions, stateOf } from './agent.ts';
import { AgentMcp } from './agent-mcp.ts';
import type { AgentRecord, CallSpend, Runtime } from './agent-record.ts';
import { type AgentSpec, modelAt, overrideSpec, type ResolvedSpec, resolveSpec } from './agent-spec.ts';
import type { PendingApproval } from './approval.ts';
import { Backends, embeddedBackend } from './backends.ts';
import { agentDead, bindAgentMachine } from './bind.ts';
import { guardStore } from './guarded-store.ts';
import { callSafely, guardClock } from './guards.ts';
import { Mail } from './mail.ts';
import { Supervisor } from './supervisor.ts';
import { TroupeMcp } from './troupe-mcp.ts';
import { type AgentWarning, toolsWarning, Warnings } from './warnings.ts';

/** Options of `createTroupe`; every one may be left out. */
export interface TroupeOptions {
  /** Backends by the name that agents use. Built-in ones need none of it: see `backendCatalog`. */
  readonly backends?: Readonly<Record<string, Backend>>;
  /** What a spec leaves out. `defaults.backend`: the first of `backends`, else `offline`. */
  readonly defaults?: AgentSpec;
  /** Specs by the name of a role: `spawn('f', { role: 'fetcher' })`. A role's spec wins over `defaults`. */
  readonly roles?: Readonly<Record<string, AgentSpec>>;
  /** Where conversations, asks and the ledger live. Default: `memoryStore()`. */
  readonly store?: Store;
  /** Default: the process's clock. */
  readonly clock?: Clock;
  /** Default: a counter for each kind. */
  readonly ids?: Ids;
  /** Default: `Math.random`. */
  readonly random?: Random;
  /** How deep asks may nest: what a tool asks is one deeper than the ask that it runs for. Default 8. */
  readonly maxAskDepth?: number;
}

/** Events of a troupe, with their arguments. */
export interface TroupeEvents {
  'agent-spawned': [agent: Agent];
  'agent-dead': [name: string];
  'dead-letter': [letter: DeadLetter];
  /** A tool call waits for `agent.approve`. */
  'approval-needed': [pending: PendingApproval];
  'ask-settled': [settled: { readonly agent: string; readonly askId: string; readonly outcome: 'replied' | 'failed' }];
  /** An MCP server could not be started, or was lost. It is started again when an agent needs it. */
  'mcp-failed': [failure: Omit<Extract<McpEvent, { type: 'mcp-failed' }>, 'type'>];
  /** A tool says something else of itself than at first. It is not called before `troupe.mcp.approve`. */
  'mcp-tool-changed': [change: Omit<Extract<McpEvent, { type: 'mcp-tool-changed' }>, 'type'>];
  /** Something of what an MCP server listed was left out. */
  'mcp-warning': [warning: Omit<Extract<McpEvent, { type: 'mcp-warning' }>, 'type'>];
  /** Something that a person should know of an agent and that stops nothing. */
  warning: [warning: AgentWarning];
  /** Something could not be made durable; the work goes on. */
  'store-failed': [error: TroupeError];
}

/** An ask that could not be delivered. */
export interface DeadLetter {
  readonly agent: string;
  readonly askId: string;
  readonly error: TroupeError;
}

/** One row of `troupe.agents()`. */
export interface AgentInfo {
  readonly name: string;
  readonly state: AgentState;
  readonly backend: string;
  readonly model: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The group it belongs to; undefined when it is in none. */
  readonly group: string | undefined;
  /** Asks that wait behind the one in hand. */
  readonly waiting: number;
  readonly usage: Usage;
  /** USD; undefined when no price is known. */
  readonly costUsd: number | undefined;
}

interface Entry {
  readonly record: AgentRecord;
  readonly agent: Agent;
}

/** Makes a troupe. Throws `TROUPE_ERR_OPTION_INVALID` with every problem that it finds. */
export function createTroupe(options: TroupeOptions = {}): Troupe {
  checkOptions('createTroupe', options, troupeRules);
  return new Troupe(options);
}

export class Troupe implements AsyncDisposable {
  readonly #agents = new Map<string, Entry>();
  /** Names of agents that are asked for and not there yet. */
  readonly #coming = new Set<string>();
  readonly #backends: Backends;
  readonly #defaults: AgentSpec;
  readonly #events = new EventEmitter<TroupeEvents>();
  readonly #supervisor: Supervisor;
  readonly #runtime: Runtime;
  readonly #machine: ReturnType<typeof bindAgentMachine>;
  readonly #host: AgentHost;
  readonly #warnings = new Warnings((warning) => this.#emit('warning', warning));
  readonly #roles: Readonly<Record<string, AgentSpec>>;
  readonly #mcpPool: McpPool;
  /** What its agents' MCP servers have besides tools. */
  readonly mcp: TroupeMcp;
  #buried: Spend = { usage: unknownUsage, costUsd: undefined };
  #closing: Promise<void> | undefined;

  /** Use `createTroupe`. */
  constructor(options: TroupeOptions) {
    const { backends = {}, defaults = {}, roles = {}, store = memoryStore() } = options;
    const { ids = counter(), random = Math.random, maxAskDepth = 8 } = options;
    const clock = options.clock === undefined ? systemClock : guardClock(options.clock);
    this.#backends = new Backends(backends);
    this.#mcpPool = new McpPool({ clock, onEvent: (event) => this.#tellOfMcp(event) });
    this.mcp = new TroupeMcp(this.#mcpPool);
    this.#roles = roles;
    this.#defaults = { backend: Object.keys(backends)[0] ?? embeddedBackend, ...defaults };
    this.#supervisor = new Supervisor({
      kill: (name, reason) => this.#agents.get(name)?.record.actor.send({ type: 'kill', reason }),
      killEveryone: (reason) => {
        for (const { record } of [...this.#agents.values()]) record.actor.send({ type: 'kill', reason });
      },
      bury: (name, error) => this.#bury(name, error),
    });
    this.#runtime = {
      ...{ clock, ids, random, maxAskDepth },
      store: guardStore(store, (error) => this.#emit('store-failed', error)),
      record: (name) => this.#agents.get(name)?.record,
      backend: (name) => this.#backends.get(name),
      warn: (record, code, message) => this.#warnings.give(record, code, message),
      addSpend: (record, spend) => this.#addSpend(record, spend),
      letIn: (record) => this.#host.mail.letIn(record),
      approvalNeeded: (pending) => this.#emit('approval-needed', pending),
      chooseBackend: (call) => this.#supervisor.chooseBackend(call),
    };
    this.#machine = bindAgentMachine(this.#runtime);
    const mail = new Mail(this.#runtime, {
      isAlive: (record) => this.#isAlive(record),
      deadLetter: ({ name: agent }, askId, error) => this.#emit('dead-letter', { agent, askId, error }),
      settled: ({ name: agent }, { askId, outcome = 'failed' }) => this.#emit('ask-settled', { agent, askId, outcome }),
    });
    this.#host = {
      ...{ mail, clock },
      barrier: () => this.#runtime.store.barrier(),
      fork: (record, name, changes) => this.#fork(record, name, changes),
      kill: async (record, reason) => {
        if (this.#isAlive(record)) this.#supervisor.kill(record.name, reason);
        await record.released;
      },
    };
  }

  /** The clock that all its time comes from. */
  get clock(): Clock {
    return this.#runtime.clock;
  }

  /**
   * Brings up an agent. Rejects when the name is taken, an option is wrong or a backend cannot be had. With `from` it goes
   * on in that conversation, and appends to it.
   */
  async spawn(name: string, spec: AgentSpec = {}, from?: Conversation): Promise<Agent> {
    checkOptions('spawn', { name }, { name: isName });
    const resolved = resolveSpec(`spawn("${name}")`, this.#fullSpec(spec), this.#backends);
    const { system } = resolved;
    const start = () => this.#start(name, resolved, from ?? new Conversation(system));
    return this.#naming(name, (taken) => this.#supervisor.spawn(name, taken, start));
  }

  /** The living agent of this name. */
  agent(name: string): Agent | undefined {
    return this.#agents.get(name)?.agent;
  }

  /** The living agents whose spec names this group, in the order they were spawned. */
  group(name: string): Agent[] {
    return [...this.#agents.values()].filter(({ record }) => record.spec.group === name).map(({ agent }) => agent);
  }

  /** The living agents, in the order they were spawned. */
  agents(): AgentInfo[] {
    return [...this.#agents.values()].map(({ record }) => {
      const { context } = record.actor.getSnapshot();
      return {
        name: record.name,
        state: stateOf(record),
        backend: context.backend,
        model: modelAt(record.spec, context.backend, this.#backends),
        createdAt: record.createdAt,
        group: record.spec.group,
        waiting: context.mailbox.length + record.outside.length,
        usage: record.usage,
        costUsd: record.costUsd,
      };
    });
  }

  /** Tokens and USD of all agents, dead ones included. */
  usage(): Spend {
    let sum = this.#buried;
    for (const { record } of this.#agents.values()) sum = addSpend(sum, record);
    return sum;
  }

  /** Calls `listener` at every event of this name. What a listener throws is dropped. */
  on<Name extends keyof TroupeEvents>(name: Name, listener: (...args: TroupeEvents[Name]) => void): this {
    this.#events.on(name, listener as EventEmitter.EventListener<TroupeEvents, Name>);
    return this;
  }

  off<Name extends keyof TroupeEvents>(name: Name, listener: (...args: TroupeEvents[Name]) => void): this {
    this.#events.off(name, listener as EventEmitter.EventListener<TroupeEvents, Name>);
    return this;
  }

  /** Kills all agents, closes all backends and the store. Rejects with what one of them rejects with. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
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

  async #fork(parent: AgentRecord, name: string, options: ForkOptions): Promise<Agent> {
    const { at, ...overrides } = options;
    checkOptions('fork', { name, at }, { name: isName, at: rules.count });
    const spec = resolveSpec(`fork("${name}")`, overrideSpec(parent.spec.given, overrides), this.#backends);
    const { conversation } = parent;
    const groupCount = at === undefined ? conversation.groupCount : conversation.groupsWithin(at);
    const start = () => this.#start(name, spec, conversation.fork(groupCount, spec.system), parent);
    return this.#naming(name, (taken) => this.#supervisor.fork(name, taken, this.#isAlive(parent), start));
  }

  /** Holds the name while its agent is asked for: a request made from within an effect is granted only after it. */
  async #naming(name: string, request: (taken: boolean) => Promise<Agent>): Promise<Agent> {
    const taken = this.#agents.has(name) || this.#coming.has(name);
    if (!taken) this.#coming.add(name);
    try {
      return await request(taken);
    } finally {
      if (!taken) this.#coming.delete(name);
    }
  }

  #start(name: string, spec: ResolvedSpec, conversation: Conversation, parent?: AgentRecord): Agent {
    const { maxSteps, maxRetries, mailboxLimit, mailboxPolicy, chain, system, tools } = spec;
    const { clock, store } = this.#runtime;
    const backend = chain[0];
    const dropOldest = mailboxPolicy === 'drop-oldest';
    const limits = { maxSteps, maxRetries, mailboxLimit, dropOldest, compressAtTokens: null };
    const tokens = parent?.actor.getSnapshot().context.tokens ?? 0;
    const actor = createActor(this.#machine, {
      id: name,
      parent: this.#supervisor.ref,
      input: { name, backend, limits, messages: conversation.length, tokens },
    });
    const createdAt = clock.now();
    const record: AgentRecord = {
      ...{ name, spec, conversation, createdAt, actor, tools },
      mcp: spec.mcp.length === 0 ? undefined : new AgentMcp(this.#mcpPool, spec.mcp),
      ...{ asks: new Map(), outside: [], usage: unknownUsage, costUsd: undefined },
    };
    const agent = new Agent(record, this.#host);
    this.#coming.delete(name);
    this.#agents.set(name, { record, agent });
    store.putAgent({
      ...{ name, backend, createdAt },
      ...(spec.given.model !== undefined && { model: spec.given.model }),
      ...(system !== undefined && { system }),
      ...(parent && { parent: { name: parent.name, groupCount: conversation.groupCount } }),
    });
    actor.start();
    this.#emit('agent-spawned', agent);
    const warning = toolsWarning(spec, this.#backends);
    if (warning !== undefined) this.#warnings.give(record, 'model-without-tools', warning);
    return agent;
  }

  /** Takes a dead agent off the list. When its machine failed (I9 says never), what waits is answered here. */
  #bury(name: string, error?: TroupeError): void {
    const record = this.#agents.get(name)?.record;
    if (record === undefined || record.actor.getSnapshot().status === 'active') return;
    for (const ask of record.asks.values())
      ask.reject((error ?? agentDead(name, 'it is gone')).with({ agent: name, askId: ask.askId }));
    record.asks.clear();
    this.#agents.delete(name);
    this.#runtime.store.removeAgent(name);
    this.#buried = addSpend(this.#buried, record);
    record.released = this.#backends.release(record.spec.chain, name);
    record.mcp?.release();
    this.#emit('agent-dead', name);
  }

  #addSpend(record: AgentRecord, spend: CallSpend): void {
    const sum = addSpend(record, spend);
    record.usage = sum.usage;
    record.costUsd = sum.costUsd;
    if (!this.#isAlive(record)) this.#buried = addSpend(this.#buried, spend);
    this.#runtime.store.addUsage({ agent: record.name, at: this.#runtime.clock.now(), ...spend });
  }

  #tellOfMcp(event: McpEvent): void {
    const { server } = event;
    if (event.type === 'mcp-failed') this.#emit(event.type, { server, error: event.error });
    else if (event.type === 'mcp-tool-changed') this.#emit(event.type, { server, tool: event.tool });
    else this.#emit(event.type, { server, message: event.message });
  }

  #isAlive(record: AgentRecord): boolean {
    return this.#agents.get(record.name)?.record === record;
  }

  async #close(): Promise<void> {
    await this.#supervisor.close();
    // What a backend is still told while it closes, such as the price of a call that was given up, is stored.
    const closed = [await settled(this.#backends.close()), await settled(this.#mcpPool.close())];
    closed.push(await settled(this.#runtime.store.close()));
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  /** Like `emit`, but a listener that throws neither stops the others nor reaches us. */
  #emit<Name extends keyof TroupeEvents>(name: Name, ...args: TroupeEvents[Name]): void {
    for (const listener of this.#events.listeners(name))
      callSafely(listener as (...args: TroupeEvents[Name]) => void, ...args);
  }
}

async function settled(promise: Promise<void>): Promise<PromiseSettledResult<void>> {
  const [result] = await Promise.allSettled([promise]);
  return result;
}

function counter(): Ids {
  const counts = new Map<string, number>();
  return (kind) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return `${kind}-${count}`;
  };
}

const isName: Rule = (value) =>
  typeof value === 'string' && /^[\p{L}\p{N}][\p{L}\p{N} ._:-]{0,99}$/u.test(value)
    ? undefined
    : 'a name of 1 to 100 letters, digits, blanks, ".", "_", ":" or "-" that begins with a letter or digit';

const troupeRules: Readonly<Record<keyof TroupeOptions, Rule>> = {
  backends: rules.object,
  defaults: rules.object,
  roles: rules.object,
  store: rules.object,
  clock: rules.object,
  ids: rules.callback,
  random: rules.callback,
  maxAskDepth: rules.positiveCount,
};
