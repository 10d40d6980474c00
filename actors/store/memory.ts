/** The store of a troupe that needs none: everything in this process, gone with it. */
import { Conversation, type Group } from '../../src/core/conversation.ts';
import type { AssistantMessage } from '../../src/core/types.ts';
import { addSpend, unknownUsage } from '../../src/core/usage.ts';
import type {
  AskOutcome,
  LedgerEntry,
  LedgerSum,
  Store,
  StoredAgent,
  StoredAsk,
  StoredAskState,
  StoredCall,
  StoredView,
} from './store.ts';

export interface MemoryStoreOptions {
  /** Settled asks that each agent keeps, for repeated ask ids. Default 100. */
  readonly keepSettled?: number;
}

/** A store in memory. Its barrier is passed at once. */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  return new MemoryStore(options.keepSettled ?? 100);
}

interface Entry {
  readonly agent: StoredAgent;
  readonly log: Conversation;
  view?: StoredView;
  /** Absent until there is an ask: most agents of a large troupe wait. */
  asks?: Asks;
}

interface Asks {
  readonly open: Map<string, StoredAskState>;
  readonly settled: Map<string, StoredAskState>;
}

class MemoryStore implements Store {
  readonly #entries = new Map<string, Entry>();
  readonly #ledger = new Map<string, LedgerSum>();
  /** By agent and ask. */
  readonly #calls = new Map<string, StoredCall>();
  readonly #keepSettled: number;

  constructor(keepSettled: number) {
    this.#keepSettled = keepSettled;
  }

  putAgent(agent: StoredAgent): void {
    const parent = agent.parent && this.#entries.get(agent.parent.name)?.log;
    const log = parent?.fork(agent.parent?.groupCount) ?? new Conversation();
    // What is put again is the youngest.
    this.#entries.delete(agent.name);
    this.#entries.set(agent.name, { agent, log });
  }

  removeAgent(name: string): void {
    this.#entries.delete(name);
  }

  appendGroup(agent: string, group: Group, askId?: string): void {
    const entry = this.#entries.get(agent);
    entry?.log.append(group);
    const ask = askId === undefined ? undefined : entry?.asks?.open.get(askId);
    if (ask === undefined) return;
    const { step: _done, ...rest } = ask;
    entry?.asks?.open.set(ask.askId, { ...rest, groups: ask.groups + 1 });
  }

  putStep(agent: string, askId: string, message: AssistantMessage): void {
    this.#change(agent, askId, (ask) => ({ ...ask, step: { message, started: [] } }));
  }

  startTool(agent: string, askId: string, callId: string): void {
    this.#change(agent, askId, ({ step, ...ask }) =>
      step === undefined ? ask : { ...ask, step: { ...step, started: [...step.started, callId] } },
    );
  }

  putView(agent: string, view: StoredView): void {
    const entry = this.#entries.get(agent);
    if (entry !== undefined) entry.view = view;
  }

  putAsk(ask: StoredAsk): void {
    const entry = this.#entries.get(ask.agent);
    if (entry === undefined) return;
    entry.asks ??= { open: new Map(), settled: new Map() };
    entry.asks.settled.delete(ask.askId);
    entry.asks.open.delete(ask.askId);
    entry.asks.open.set(ask.askId, { ...ask, groups: 0 });
  }

  settleAsk(agent: string, askId: string, outcome: AskOutcome): void {
    const asks = this.#entries.get(agent)?.asks;
    const ask = asks?.open.get(askId);
    if (asks === undefined || ask === undefined) return;
    const { open, settled } = asks;
    open.delete(askId);
    const { step: _cut, ...rest } = ask;
    settled.set(askId, { ...rest, outcome });
    if (settled.size <= this.#keepSettled) return;
    const [oldest] = settled.keys();
    if (oldest !== undefined) settled.delete(oldest);
  }

  beginCall(call: StoredCall): void {
    this.#calls.delete(callKey(call.agent, call.askId));
    this.#calls.set(callKey(call.agent, call.askId), call);
  }

  addUsage(entry: LedgerEntry): void {
    const { agent, backend, model, askId, at, calls, usage, costUsd } = entry;
    if (askId !== undefined) this.#calls.delete(callKey(agent, askId));
    const day = new Date(at).toISOString().slice(0, 10);
    const key = JSON.stringify([agent, backend, model, day]);
    const sum = this.#ledger.get(key) ?? { agent, backend, model, day, calls: 0, unpriced: 0, ...nothing };
    this.#ledger.set(key, {
      ...sum,
      calls: sum.calls + calls,
      unpriced: sum.unpriced + (costUsd === undefined ? calls : 0),
      ...addSpend(sum, { usage, costUsd }),
    });
  }

  #change(agent: string, askId: string, change: (ask: StoredAskState) => StoredAskState): void {
    const open = this.#entries.get(agent)?.asks?.open;
    const ask = open?.get(askId);
    if (ask !== undefined) open?.set(askId, change(ask));
  }

  async barrier(): Promise<void> {}

  async agents(): Promise<readonly StoredAgent[]> {
    return [...this.#entries.values()].map(({ agent }) => agent);
  }

  async groups(agent: string): Promise<readonly Group[]> {
    return this.#entries.get(agent)?.log.groups() ?? [];
  }

  async asks(agent: string): Promise<readonly StoredAskState[]> {
    const asks = this.#entries.get(agent)?.asks;
    return asks === undefined ? [] : [...asks.settled.values(), ...asks.open.values()];
  }

  async view(agent: string): Promise<StoredView | undefined> {
    return this.#entries.get(agent)?.view;
  }

  async openCalls(): Promise<readonly StoredCall[]> {
    return [...this.#calls.values()];
  }

  async ledger(): Promise<readonly LedgerSum[]> {
    return [...this.#ledger.values()];
  }

  async close(): Promise<void> {}
}

const nothing = { usage: unknownUsage, costUsd: undefined };

function callKey(agent: string, askId: string): string {
  return JSON.stringify([agent, askId]);
}
