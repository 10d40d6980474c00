/**
 * The agents of a troupe: who lives, who comes back after a crash, who goes with whom.
 *
 * L1  A name is taken from the moment its agent is asked for until that is dead for good.
 * L2  Every life ends once: one `agent-down`, and one `agent-dead` when it was the last.
 * L3  Who comes back has its name, its handle, its conversation and the asks that waited. The ask in hand has failed.
 * L4  Nothing here is O(agents) but what is done for all of a group.
 */
import { createActor } from 'xstate';
import type { McpPool } from '../../actors/tools/mcp-pool.ts';
import type { AgentInput, Death } from '../../machines/agent-types.ts';
import { Budget } from '../core/budget.ts';
import type { Conversation } from '../core/conversation.ts';
import type { TroupeError } from '../core/errors.ts';
import { unknownUsage } from '../core/usage.ts';
import { Agent, type AgentHost } from './agent.ts';
import { AgentMcp } from './agent-mcp.ts';
import type { AgentRecord, Runtime } from './agent-record.ts';
import type { ResolvedSpec } from './agent-spec.ts';
import { currentPath } from './ask-path.ts';
import type { Backends } from './backends.ts';
import { agentDead, type bindAgentMachine, reject } from './bind.ts';
import { limitOf, placeOf } from './compress.ts';
import { promptBound } from './prompt-bound.ts';
import { type GroupOptions, nextRestart, type ResolvedGroup, resolveGroup } from './restart.ts';
import { type Kept, storableSpec } from './resume.ts';
import { SettledAsks } from './settled-asks.ts';
import type { Supervisor } from './supervisor.ts';
import { forkedView, type View } from './view.ts';
import { toolsWarning } from './warnings.ts';

export interface Entry {
  readonly record: AgentRecord;
  readonly agent: Agent;
}

/** What the registry needs of its troupe. */
export interface RegistryHost {
  readonly runtime: Runtime;
  readonly agents: AgentHost;
  readonly machine: ReturnType<typeof bindAgentMachine>;
  readonly supervisor: Supervisor;
  readonly backends: Backends;
  readonly mcpPool: McpPool;
  readonly isClosing: () => boolean;
  /** An agent is gone for good. */
  buried(record: AgentRecord): void;
}

/** A group, as long as it has members or somebody has said what it is like. */
interface GroupEntry {
  readonly members: Set<AgentRecord>;
  options?: ResolvedGroup;
  /** What its agents may spend together. */
  budget?: Budget;
  /** When it came back lately, all of it. */
  readonly recent: number[];
}

export class Registry {
  readonly #entries = new Map<string, Entry>();
  /** Names of agents that are asked for and not there yet. */
  readonly #coming = new Set<string>();
  readonly #groups = new Map<string, GroupEntry>();
  readonly #host: RegistryHost;

  constructor(host: RegistryHost) {
    this.#host = host;
  }

  get(name: string): Entry | undefined {
    return this.#entries.get(name);
  }

  /** The living agents, in the order they were spawned. */
  all(): Entry[] {
    return [...this.#entries.values()];
  }

  isAlive(record: AgentRecord): boolean {
    return this.#entries.get(record.name)?.record === record;
  }

  /** The living agents of a group, in the order they were spawned. */
  membersOf(group: string): Agent[] {
    const members = [...(this.#groups.get(group)?.members ?? [])];
    return members.flatMap(({ name }) => this.#entries.get(name)?.agent ?? []);
  }

  setGroup(name: string, options: GroupOptions): void {
    const group = this.#group(name);
    group.options = resolveGroup(name, options);
    const { budgetUsd } = options;
    if (budgetUsd === undefined) return;
    const { budget: parent, onBudget: onWarning } = this.#host.runtime;
    group.budget = new Budget(`group "${name}"`, budgetUsd, { parent, onWarning });
  }

  /** Holds the name while its agent is asked for: a request made from within an effect is granted only after it. */
  async naming(name: string, request: (taken: boolean) => Promise<Agent>): Promise<Agent> {
    const taken = this.#entries.has(name) || this.#coming.has(name);
    if (!taken) this.#coming.add(name);
    try {
      return await request(taken);
    } finally {
      if (!taken) this.#coming.delete(name);
    }
  }

  /** Brings up an agent whose name is free. */
  start(
    name: string,
    spec: ResolvedSpec,
    conversation: Conversation,
    { forkedFrom, kept }: { readonly forkedFrom?: AgentRecord; readonly kept?: Kept } = {},
  ): Agent {
    const { runtime } = this.#host;
    const createdAt = kept?.createdAt ?? runtime.clock.now();
    const view = kept === undefined ? forkedView(forkedFrom?.view, conversation) : kept.view;
    const { usage, costUsd } = kept?.spent ?? { usage: unknownUsage, costUsd: undefined };
    const tokens = tokensAtStart(conversation, view, forkedFrom);
    const parent = currentPath()?.agent;
    const life = { restarts: 0, pausedUntil: 0, pauseMs: 0, lastError: undefined, endedItself: false, parent };
    const budget = this.#budgetOf(name, spec);
    const record: AgentRecord = {
      ...{ name, spec, conversation, createdAt, life, tools: spec.tools, budget, wanted: undefined },
      view,
      writerBudget: writerBudgetOf(name, spec, runtime),
      actor: this.#makeActor(name, spec, { messages: conversation.length, tokens, mailbox: [] }),
      mcp: spec.mcp.length === 0 ? undefined : new AgentMcp(this.#host.mcpPool, spec.mcp),
      ...{ settled: new SettledAsks(), isResuming: kept !== undefined },
      ...{ asks: new Map(), outside: [], usage, costUsd },
    };
    if (kept === undefined) this.#store(record, forkedFrom);
    budget?.charge(costUsd ?? 0);
    kept?.restore(record);
    const agent = new Agent(record, this.#host.agents);
    this.#coming.delete(name);
    this.#entries.set(name, { record, agent });
    if (spec.group !== undefined) this.#group(spec.group).members.add(record);
    if (parent !== undefined) {
      parent.life.children ??= new Set();
      parent.life.children.add(record);
    }
    record.actor.start();
    runtime.tell('agent-spawned', agent);
    const warning = toolsWarning(spec, this.#host.backends);
    if (warning !== undefined) runtime.warn(record, 'model-without-tools', warning);
    return agent;
  }

  #store({ name, spec, conversation, createdAt, view }: AgentRecord, forkedFrom: AgentRecord | undefined): void {
    const { store } = this.#host.runtime;
    // Nothing comes back from a store that ends with the process.
    const data = store.isDurable ? storableSpec(spec) : {};
    store.putAgent({
      ...{ name, backend: spec.chain[0], createdAt },
      ...(spec.given.model !== undefined && { model: spec.given.model }),
      ...(spec.system !== undefined && { system: spec.system }),
      ...(Object.keys(data).length > 0 && { spec: data }),
      ...(forkedFrom && { parent: { name: forkedFrom.name, groupCount: conversation.groupCount } }),
    });
    // A conversation that it was given is its own from now on.
    if (forkedFrom === undefined) for (const group of conversation.groups()) store.appendGroup(name, group);
    if (view !== undefined) store.putView(name, view.compressed);
  }

  /** A machine is done, or failed with `error` (I9 says never): the supervisor is told what its policy makes of that. */
  report(name: string, error?: TroupeError): void {
    const record = this.#entries.get(name)?.record;
    if (record === undefined || record.actor.getSnapshot().status === 'active') return;
    const death = error === undefined ? (record.actor.getSnapshot().context.death ?? 'crashed') : 'crashed';
    if (error !== undefined) {
      record.life.lastError = error.summary;
      this.#failInHand(record, error);
    }
    const { comesBack, withGroup } = this.#fate(record, death);
    this.#host.supervisor.down({ name, comesBack, withGroup });
  }

  /** Gives an agent whose machine is done another one. */
  restart(name: string): void {
    const record = this.#entries.get(name)?.record;
    if (record === undefined) return;
    const { spec, life, conversation } = record;
    const { context } = record.actor.getSnapshot();
    this.#release(record);
    life.restarts += 1;
    life.pausedUntil = this.#host.runtime.clock.now() + life.pauseMs;
    life.endedItself = false;
    const { tokens, mailbox, waitingTokens, wantsCompression } = context;
    const left = { messages: conversation.length, tokens, mailbox, waitingTokens, wantsCompression };
    record.actor = this.#makeActor(name, spec, left);
    this.#tellDown(record, context.death, true);
    record.actor.start();
  }

  /** Stops the others of a group, so that they start anew; who is temporary ends. */
  stopGroupOf(name: string): void {
    const reason = `"${name}" of its group crashed`;
    for (const { actor, spec } of this.#othersOf(name))
      actor.send({ type: spec.restart.policy === 'temporary' ? 'kill' : 'stop', reason });
  }

  killGroupOf(name: string): void {
    for (const member of this.#othersOf(name))
      member.actor.send({ type: 'kill', reason: `its group crashed too often, last "${name}"` });
  }

  /** Takes a dead agent off the list. What still waits for it is rejected. */
  bury(name: string): void {
    const record = this.#entries.get(name)?.record;
    if (record === undefined || record.actor.getSnapshot().status === 'active') return;
    const { life } = record;
    const { death } = record.actor.getSnapshot().context;
    const reason = death === 'killed' ? 'it was killed' : 'it crashed too often, or is not to come back';
    for (const ask of record.asks.values()) reject(this.#host.runtime, record, ask, agentDead(name, reason));
    record.wanted?.reject(agentDead(name, reason));
    this.#entries.delete(name);
    this.#leaveGroup(record);
    life.parent?.life.children?.delete(record);
    // A troupe that is closed leaves its agents to the next one, where the store lasts.
    if (!this.#host.isClosing()) this.#host.runtime.store.removeAgent(name);
    this.#release(record);
    record.mcp?.release();
    this.#host.buried(record);
    this.#tellDown(record, death, false);
    this.#host.runtime.tell('agent-dead', name);
    for (const child of life.children ?? []) {
      if (child.spec.whenOrphaned === 'stop')
        this.#host.supervisor.kill(child.name, `"${name}", which spawned it, is dead`);
    }
  }

  #makeActor(name: string, spec: ResolvedSpec, rest: Omit<AgentInput, 'name' | 'backend' | 'limits'>) {
    const { maxSteps, maxRetries, mailboxLimit, mailboxPolicy, stickyFallback: sticky, chain } = spec;
    const dropOldest = mailboxPolicy === 'drop-oldest';
    const { runtime } = this.#host;
    const window = runtime.tokens.window(placeOf(runtime, { spec }, chain[0]));
    const compressAtTokens = limitOf({ spec }, window);
    const limits = { maxSteps, maxRetries, mailboxLimit, dropOldest, compressAtTokens, sticky };
    return createActor(this.#host.machine, {
      id: name,
      parent: this.#host.supervisor.ref,
      input: { name, backend: chain[0], limits, ...rest },
    });
  }

  /** What it may spend; undefined when neither it nor anything above it has a limit. */
  #budgetOf(name: string, { budgetUsd, group = '' }: ResolvedSpec): Budget | undefined {
    const { budget, onBudget: onWarning } = this.#host.runtime;
    const parent = this.#groups.get(group)?.budget ?? budget;
    return budgetUsd === undefined ? parent : new Budget(`agent "${name}"`, budgetUsd, { parent, onWarning });
  }

  /** What an agent's policy, or its group's, makes of the end of a life. */
  #fate(record: AgentRecord, death: Death): { comesBack: boolean; withGroup: boolean } {
    const { spec, life } = record;
    const { policy } = spec.restart;
    life.pauseMs = 0;
    if (death === 'stopped') return { comesBack: true, withGroup: false };
    if (death === 'killed') return { comesBack: life.endedItself && policy === 'permanent', withGroup: false };
    if (policy === 'temporary') return { comesBack: false, withGroup: false };
    const group = spec.group === undefined ? undefined : this.#groups.get(spec.group);
    const shared = group?.options?.strategy === 'one-for-all' ? group.options : undefined;
    const withGroup = group !== undefined && shared !== undefined;
    life.recent ??= [];
    const [recent, limits] = withGroup ? [group.recent, shared] : [life.recent, spec.restart];
    const pauseMs = nextRestart(recent, limits, this.#host.runtime.clock.now());
    life.pauseMs = pauseMs ?? 0;
    return { comesBack: pauseMs !== undefined, withGroup };
  }

  /** Rejects the asks that nobody will take: they neither wait in the mailbox nor outside. */
  #failInHand(record: AgentRecord, error: TroupeError): void {
    const { mailbox } = record.actor.getSnapshot().context;
    for (const ask of record.asks.values()) {
      if (mailbox.includes(ask.askId) || record.outside.includes(ask)) continue;
      reject(this.#host.runtime, record, ask, error);
    }
  }

  #release(record: AgentRecord): void {
    record.released = this.#host.backends.release(record.spec.chain, record.name);
  }

  #tellDown({ name, life }: AgentRecord, death: Death | null, comesBack: boolean): void {
    const why = death ?? 'crashed';
    const error = why === 'crashed' ? life.lastError : undefined;
    this.#host.runtime.tell('agent-down', { agent: name, why, error, comesBack, restarts: life.restarts });
  }

  #group(name: string): GroupEntry {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const entry: GroupEntry = { members: new Set(), recent: [] };
    this.#groups.set(name, entry);
    return entry;
  }

  #leaveGroup(record: AgentRecord): void {
    const { group = '' } = record.spec;
    const entry = this.#groups.get(group);
    entry?.members.delete(record);
    if (entry?.members.size === 0 && entry.options === undefined) this.#groups.delete(group);
  }

  #othersOf(name: string): AgentRecord[] {
    const record = this.#entries.get(name)?.record;
    const group = record?.spec.group;
    const members = group === undefined ? [] : [...(this.#groups.get(group)?.members ?? [])];
    return members.filter((member) => member !== record);
  }
}

/** Tokens of what an agent begins with: its parent's where they send the same, else the most that they can be. */
function tokensAtStart(conversation: Conversation, view: View | undefined, parent: AgentRecord | undefined): number {
  const isAsParent = parent !== undefined && (view !== undefined || parent.view === undefined);
  if (isAsParent) return parent.actor.getSnapshot().context.tokens;
  return conversation.groupCount === 0 ? 0 : promptBound(view?.conversation ?? conversation, [], []);
}

/** A limit of its own beside those of the agent: a summary must have room in both. */
function writerBudgetOf(name: string, { compression }: ResolvedSpec, { onBudget: onWarning }: Runtime) {
  const { writerBudgetUsd } = compression;
  return writerBudgetUsd === undefined
    ? undefined
    : new Budget(`summaries of "${name}"`, writerBudgetUsd, { onWarning });
}
