/** The store of a troupe that needs none: everything in this process, gone with it. */
import { Conversation, type Group } from '../../src/core/conversation.ts';
import { addKnown, addUsage } from '../../src/core/usage.ts';
import type { AskOutcome, LedgerEntry, Store, StoredAgent, StoredAsk, StoredAskState } from './store.ts';

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
  /** Absent until there is an ask: most agents of a large troupe wait. */
  asks?: Asks;
}

interface Asks {
  readonly open: Map<string, StoredAsk>;
  readonly settled: Map<string, StoredAskState>;
}

class MemoryStore implements Store {
  readonly #entries = new Map<string, Entry>();
  readonly #ledger = new Map<string, LedgerEntry>();
  readonly #keepSettled: number;

  constructor(keepSettled: number) {
    this.#keepSettled = keepSettled;
  }

  putAgent(agent: StoredAgent): void {
    const parent = agent.parent && this.#entries.get(agent.parent.name)?.log;
    const log = parent?.fork(agent.parent?.groupCount) ?? new Conversation();
    this.#entries.set(agent.name, { agent, log });
  }

  removeAgent(name: string): void {
    this.#entries.delete(name);
  }

  appendGroup(agent: string, group: Group): void {
    this.#entries.get(agent)?.log.append(group);
  }

  putAsk(ask: StoredAsk): void {
    const entry = this.#entries.get(ask.agent);
    if (entry === undefined) return;
    entry.asks ??= { open: new Map(), settled: new Map() };
    entry.asks.open.set(ask.askId, ask);
  }

  settleAsk(agent: string, askId: string, outcome: AskOutcome): void {
    const asks = this.#entries.get(agent)?.asks;
    const ask = asks?.open.get(askId);
    if (asks === undefined || ask === undefined) return;
    const { open, settled } = asks;
    open.delete(askId);
    settled.set(askId, { ...ask, outcome });
    if (settled.size <= this.#keepSettled) return;
    const [oldest] = settled.keys();
    if (oldest !== undefined) settled.delete(oldest);
  }

  addUsage(entry: LedgerEntry): void {
    const { agent } = entry;
    const sum = this.#ledger.get(agent);
    const total = sum === undefined ? entry : addEntries(sum, entry);
    this.#ledger.set(agent, total);
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

  async ledger(): Promise<readonly LedgerEntry[]> {
    return [...this.#ledger.values()];
  }

  async close(): Promise<void> {}
}

function addEntries(a: LedgerEntry, b: LedgerEntry): LedgerEntry {
  return {
    agent: a.agent,
    calls: a.calls + b.calls,
    usage: addUsage(a.usage, b.usage),
    costUsd: addKnown(a.costUsd, b.costUsd),
  };
}
