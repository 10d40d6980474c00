/** What the runtime keeps of one agent beside its machine. */
import type { ActorRefFrom } from 'xstate';
import type { Backend } from '../../actors/backend.ts';
import type { LedgerEntry } from '../../actors/store/store.ts';
import type { agentMachine } from '../../machines/agent.ts';
import type { Budget, BudgetWarning } from '../core/budget.ts';
import type { Conversation } from '../core/conversation.ts';
import { type ErrorSummary, TroupeError } from '../core/errors.ts';
import type { PriceTable } from '../core/prices.ts';
import type { RetryBudget } from '../core/retry-budget.ts';
import type { Clock, Ids, Random } from '../core/seams.ts';
import type { Usage } from '../core/types.ts';
import type { Admission } from './admission.ts';
import type { AgentMcp } from './agent-mcp.ts';
import type { ResolvedSpec, ToolSet } from './agent-spec.ts';
import type { PendingApproval } from './approval.ts';
import type { Ask } from './ask.ts';
import type { Compression } from './compress.ts';
import type { GuardedStore } from './guarded-store.ts';
import type { Watchers } from './hooks.ts';
import type { SettledAsks } from './settled-asks.ts';
import type { FailedCall } from './supervisor.ts';
import type { TokenBook } from './token-book.ts';
import type { Tell } from './troupe-events.ts';
import type { View } from './view.ts';
import type { WarningCode } from './warnings.ts';

export type AgentActor = ActorRefFrom<typeof agentMachine>;

export interface AgentRecord {
  readonly name: string;
  readonly spec: ResolvedSpec;
  /** Everything that was said. */
  readonly conversation: Conversation;
  /** What is sent instead, once it was compressed. */
  view: View | undefined;
  /** What it may spend; undefined when nothing above it has a limit either. */
  readonly budget: Budget | undefined;
  /** What its summaries may cost; undefined when they have no limit of their own. */
  readonly writerBudget: Budget | undefined;
  readonly createdAt: number;
  tools: ToolSet;
  /** Who wants it compressed as soon as it is idle; undefined when nobody does. */
  wanted:
    | {
        readonly promise: Promise<Compression>;
        readonly resolve: (done: Compression) => void;
        readonly reject: (error: TroupeError) => void;
      }
    | undefined;
  /** Its MCP servers; undefined when it has none. */
  readonly mcp: AgentMcp | undefined;
  /** Asks of named ids that were settled lately. */
  readonly settled: SettledAsks;
  /** Whether the asks of the process before are still being taken up; new ones wait. */
  isResuming: boolean;
  /** Asks that wait outside a full mailbox, oldest first. */
  readonly outside: Ask[];
  /** Asks that have not settled, by id. */
  readonly asks: Map<string, Ask>;
  /** Sums over all settled and failed calls of this agent. */
  usage: Usage;
  costUsd: number | undefined;
  /** Its running machine; another one after each restart. */
  actor: AgentActor;
  /** How it came to its restarts. */
  readonly life: Life;
  /** Resolves when its backends have ended what they kept for it; undefined while it lives. */
  released?: Promise<unknown> | undefined;
}

/** What is remembered of an agent for its restarts, and of who belongs to whom. */
interface Life {
  /** Times it came back. */
  restarts: number;
  /** When it came back lately, oldest first. Absent until it did. */
  recent?: number[];
  /** Until when its next model call waits; and how long a restart that is due will let it wait. */
  pausedUntil: number;
  pauseMs: number;
  /** What it crashed with last; undefined when it never did. */
  lastError: ErrorSummary | undefined;
  /** Whether it is a tool of its own that killed it. */
  endedItself: boolean;
  /** Who spawned it; undefined when it was no agent's tool. */
  readonly parent: AgentRecord | undefined;
  /** Agents that its tools spawned and that live. Absent until there is one. */
  children?: Set<AgentRecord>;
}

/** What a model call has cost, and which one it was. */
export type CallSpend = Omit<LedgerEntry, 'agent' | 'at'>;

/** What the machine's actors and actions need of the troupe. */
export interface Runtime {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  /** How deep asks may nest through tools. */
  readonly maxAskDepth: number;
  /** The record of a living agent. */
  record(name: string): AgentRecord | undefined;
  /** Never throws and never rejects: see `guardStore`. */
  readonly store: GuardedStore;
  backend(name: string): Backend;
  /** Gives a warning, once for an agent. */
  warn(record: AgentRecord, code: WarningCode, message: string): void;
  /** Who is told of every ask, call and tool. */
  readonly watchers: Watchers;
  /** Adds what was spent to the agent's sums, to those of the troupe and to the store's. */
  addSpend(record: AgentRecord, spend: CallSpend): void;
  /** The agent may have room for asks that wait outside its mailbox. */
  letIn(record: AgentRecord): void;
  /** A tool call of an agent waits for a decision. */
  approvalNeeded(pending: PendingApproval): void;
  /** The backend at which a failed ask goes on; undefined when there is none. */
  chooseBackend(call: Omit<FailedCall, 'shut'>): Promise<string | undefined>;
  /** Lets calls of a backend in: its limits and its breaker. */
  admission(backend: string): Admission;
  readonly retryBudget: RetryBudget;
  readonly prices: PriceTable;
  /** The troupe's own; undefined when it has no limit. */
  readonly budget: Budget | undefined;
  readonly onBudget: (warning: BudgetWarning) => void;
  readonly tokens: TokenBook;
  readonly tell: Tell;
  readonly counts: Counts;
  /** Whether the troupe is being closed. */
  isClosing(): boolean;
}

/** What is counted and shown nowhere else. */
export interface Counts {
  /** Answers and tool results that came when nobody waited for them any more. */
  lateResults: number;
}

/** The ask that an actor works on. Throws when it is gone, which only a bug can cause. */
export function workOf(runtime: Runtime, input: { readonly name: string; readonly askId: string | null }) {
  const record = runtime.record(input.name);
  const ask = input.askId === null ? undefined : record?.asks.get(input.askId);
  if (record === undefined || ask === undefined) {
    throw new TroupeError('TROUPE_ERR_AGENT_CRASHED', `Agent "${input.name}" has no ask "${input.askId}" to work on.`);
  }
  return { record, ask };
}
