/**
 * The contract of a store: where conversations, asks and the ledger live.
 *
 * D1  A write only enqueues, in memory and in order; it never throws and never waits.
 * D2  `barrier()` resolves when everything that was enqueued before it is durable, and rejects when that cannot be done.
 * D3  What is read is what was written up to the last barrier, at least.
 * D4  A fork copies no messages.
 */
import type { Group } from '../../src/core/conversation.ts';
import type { Attempt, ErrorClass, ErrorCode } from '../../src/core/errors.ts';
import type { AssistantMessage, FinishReason, Image, Json, JsonObject, Usage } from '../../src/core/types.ts';

export interface Store {
  /** Whether what it holds outlives the process, so that ids of asks must not come again. Absent: it does not. */
  readonly isDurable?: boolean;
  /** Adds an agent, with an empty log or with the first groups of another's. */
  putAgent(agent: StoredAgent): void;
  /** Forgets an agent, its log, its view and its asks. What was forked from it stays. */
  removeAgent(name: string): void;
  /** Appends a group to an agent's log. `askId` names the ask that it is a step of; absent when it is of none. */
  appendGroup(agent: string, group: Group, askId?: string): void;
  /** From now on this, and the groups appended from now on, is what is sent for the agent. The log is not touched. */
  putView(agent: string, view: StoredView): void;
  /** Adds an accepted ask. */
  putAsk(ask: StoredAsk): void;
  settleAsk(agent: string, askId: string, outcome: AskOutcome): void;
  /** A step of an ask wants tools: what the model said. It is kept until a group is appended for that ask, or it is settled. */
  putStep(agent: string, askId: string, message: AssistantMessage): void;
  /** A tool call of that step is about to run. */
  startTool(agent: string, askId: string, callId: string): void;
  /** A model call begins. It is open until its ledger entry is added. */
  beginCall(call: StoredCall): void;
  /** Adds to the ledger. An entry with an `askId` ends the open call of that ask. */
  addUsage(entry: LedgerEntry): void;
  barrier(): Promise<void>;
  /** The living agents, oldest first. */
  agents(): Promise<readonly StoredAgent[]>;
  /** The log of an agent; empty when there is no such agent. */
  groups(agent: string): Promise<readonly Group[]>;
  /** What is sent instead of the log; undefined when that is the log itself. */
  view(agent: string): Promise<StoredView | undefined>;
  /** Asks that are not settled, oldest first, and the settled ones that the store still keeps. */
  asks(agent: string): Promise<readonly StoredAskState[]>;
  /** Calls that began and have no ledger entry: in flight, or cut by the end of a process. Oldest first. */
  openCalls(): Promise<readonly StoredCall[]>;
  /** Sums by agent, backend, model and day, of dead agents too. */
  ledger(): Promise<readonly LedgerSum[]>;
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
  /** The part of its spec that is data, as it was given; absent when there is none. */
  readonly spec?: JsonObject;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The agent that it was forked from, and how many of its groups it shares; absent when it was spawned. */
  readonly parent?: { readonly name: string; readonly groupCount: number };
}

/** A compressed conversation: what is sent in place of the first groups of the log. Later groups follow as they are. */
export interface StoredView {
  /** Groups of the log that it stands for. */
  readonly groupCount: number;
  /** What is sent first: summaries. */
  readonly head: readonly Group[];
  /** Numbers of the groups that are sent after it, ascending, each below `groupCount`. */
  readonly kept: readonly number[];
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
  | { readonly kind: 'reply'; readonly reply: StoredReply }
  | { readonly kind: 'error'; readonly code: ErrorCode; readonly class: ErrorClass; readonly message: string };

/** A reply as data; see `Reply`. */
export interface StoredReply {
  readonly text: string;
  /** Absent without a schema, and when it is no JSON. */
  readonly output?: Json;
  readonly reasoning?: string;
  readonly finishReason: FinishReason;
  readonly steps: number;
  readonly attempts: readonly Attempt[];
  readonly durationMs: number;
}

/** An ask with its outcome, which is absent until it is settled, and how many groups were appended for it. */
export interface StoredAskState extends StoredAsk {
  readonly outcome?: AskOutcome;
  readonly groups: number;
  /** A step whose tools have not all run: what the model said, and the calls that began. Absent when there is none. */
  readonly step?: { readonly message: AssistantMessage; readonly started: readonly string[] };
}

/** A model call that is in flight. An ask has one at a time. */
export interface StoredCall {
  readonly agent: string;
  readonly askId: string;
  readonly backend: string;
  readonly model: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

/** What is told apart in the ledger. */
interface LedgerKey {
  readonly agent: string;
  readonly backend: string;
  readonly model: string;
}

/** Tokens and USD of one model call. */
export interface LedgerEntry extends LedgerKey {
  /** The ask that the call was made for; absent when the call is counted already, or belongs to none. */
  readonly askId?: string;
  /** Milliseconds since the epoch: when the call ended. */
  readonly at: number;
  /** 1; 0 for what a call that is counted already has cost besides. */
  readonly calls: number;
  readonly usage: Usage;
  /** USD; undefined when no price is known. */
  readonly costUsd: number | undefined;
}

/** Sums over the calls of one agent to one model on one day. */
export interface LedgerSum extends LedgerKey {
  /** UTC, as `2026-11-24`. */
  readonly day: string;
  readonly calls: number;
  /** Calls of which no price is known. */
  readonly unpriced: number;
  readonly usage: Usage;
  readonly costUsd: number | undefined;
}
