/**
 * The contract of a store: where conversations, asks and the ledger live.
 *
 * D1  A write only enqueues, in memory and in order; it never throws and never waits.
 * D2  `barrier()` resolves when everything that was enqueued before it is durable, and rejects when that cannot be done.
 * D3  What is read is what was written up to the last barrier, at least.
 * D4  A fork copies no messages.
 */
import type { Group } from '../../src/core/conversation.ts';
import type { ErrorClass, ErrorCode } from '../../src/core/errors.ts';
import type { Image, Usage } from '../../src/core/types.ts';

export interface Store {
  /** Adds an agent, with an empty log or with the first groups of another's. */
  putAgent(agent: StoredAgent): void;
  /** Forgets an agent, its log and its asks. What was forked from it stays. */
  removeAgent(name: string): void;
  appendGroup(agent: string, group: Group): void;
  /** Adds an accepted ask. */
  putAsk(ask: StoredAsk): void;
  settleAsk(agent: string, askId: string, outcome: AskOutcome): void;
  addUsage(entry: LedgerEntry): void;
  barrier(): Promise<void>;
  /** The living agents, oldest first. */
  agents(): Promise<readonly StoredAgent[]>;
  /** The log of an agent; empty when there is no such agent. */
  groups(agent: string): Promise<readonly Group[]>;
  /** Asks that are not settled, oldest first, and the settled ones that the store still keeps. */
  asks(agent: string): Promise<readonly StoredAskState[]>;
  /** Sums by agent, of dead ones too. */
  ledger(): Promise<readonly LedgerEntry[]>;
  /** Makes durable what was enqueued, then frees what the store holds. */
  close(): Promise<void>;
}

export interface StoredAgent {
  readonly name: string;
  readonly backend: string;
  /** Absent when it is the backend's own. */
  readonly model?: string;
  /** Absent when there is no system message. */
  readonly system?: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The agent that it was forked from, and how many of its groups it shares; absent when it was spawned. */
  readonly parent?: { readonly name: string; readonly groupCount: number };
}

export interface StoredAsk {
  readonly agent: string;
  readonly askId: string;
  readonly prompt: string;
  /** Absent when there are none. */
  readonly images?: readonly Image[];
  /** Milliseconds since the epoch. */
  readonly acceptedAt: number;
  /** Milliseconds since the epoch. */
  readonly deadlineAt: number;
}

/** How an ask ended. */
export type AskOutcome =
  | { readonly kind: 'reply'; readonly text: string }
  | { readonly kind: 'error'; readonly code: ErrorCode; readonly class: ErrorClass; readonly message: string };

/** An ask with its outcome, which is absent until it is settled. */
export interface StoredAskState extends StoredAsk {
  readonly outcome?: AskOutcome;
}

/** Tokens and USD of one model call, or of all calls of one agent. */
export interface LedgerEntry {
  readonly agent: string;
  readonly calls: number;
  readonly usage: Usage;
  /** USD; undefined when no price is known. */
  readonly costUsd: number | undefined;
}
