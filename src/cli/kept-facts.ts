/** What a store knows of an agent that it keeps. */
import type { Store, StoredAgent } from '../../actors/store/store.ts';
import type { Usage } from '../core/types.ts';
import { addSpend, type Spend, unknownUsage } from '../core/usage.ts';

export interface KeptFacts {
  readonly name: string;
  readonly backend: string;
  /** Absent when it is the backend's own. */
  readonly model?: string;
  /** The system message included. */
  readonly messages: number;
  /** Asks that were accepted and have no answer yet. */
  readonly openAsks: number;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Milliseconds since the epoch: when it was last asked, or came to be. */
  readonly usedAt: number;
  /** Of all agents that have had its name. */
  readonly usage: Usage;
  /** USD; absent when no price is known. */
  readonly costUsd?: number;
}

/** The facts of every agent, oldest first. */
export async function keptFacts(store: Store): Promise<KeptFacts[]> {
  const spends = await spendByAgent(store);
  const facts: KeptFacts[] = [];
  for (const stored of await store.agents()) facts.push(await factsOf(store, stored, spends.get(stored.name)));
  return facts;
}

async function factsOf(store: Store, stored: StoredAgent, spend: Spend = nothing): Promise<KeptFacts> {
  const { name, backend, model, system, createdAt } = stored;
  const groups = await store.groups(name);
  const asks = await store.asks(name);
  const { usage, costUsd } = spend;
  return {
    ...{ name, backend, createdAt, usage },
    ...(model !== undefined && { model }),
    messages: groups.reduce((sum, group) => sum + group.length, system === undefined ? 0 : 1),
    openAsks: asks.filter(({ outcome }) => outcome === undefined).length,
    usedAt: asks.reduce((latest, { acceptedAt }) => Math.max(latest, acceptedAt), createdAt),
    ...(costUsd !== undefined && { costUsd }),
  };
}

async function spendByAgent(store: Store): Promise<ReadonlyMap<string, Spend>> {
  const spends = new Map<string, Spend>();
  for (const { agent, usage, costUsd } of await store.ledger())
    spends.set(agent, addSpend(spends.get(agent) ?? nothing, { usage, costUsd }));
  return spends;
}

const nothing: Spend = { usage: unknownUsage, costUsd: undefined };
