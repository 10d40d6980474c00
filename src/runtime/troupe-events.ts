/** What a troupe tells: its events, and the emitter that lets no listener do harm. */
import { EventEmitter } from 'eventemitter3';
import type { McpEvent } from '../../actors/tools/mcp-pooled-server.ts';
import type { BudgetWarning } from '../core/budget.ts';
import type { BackendChoice } from '../core/choice.ts';
import type { ErrorSummary, TroupeError } from '../core/errors.ts';
import type { BreakerChange } from './admission.ts';
import type { Agent } from './agent.ts';
import type { PendingApproval } from './approval.ts';
import type { Compression } from './compress.ts';
import { callSafely } from './guards.ts';
import type { AgentWarning } from './warnings.ts';

/** Events of a troupe, with their arguments. */
export interface TroupeEvents {
  'agent-spawned': [agent: Agent];
  /** An agent that the store has kept could not be brought back. It stays there. */
  'resume-failed': [failure: { readonly agent: string; readonly error: TroupeError }];
  /** `backend: 'auto'` has chosen. */
  'backend-chosen': [choice: BackendChoice & { readonly agent: string }];
  /** A life of an agent ended: exactly once for each. */
  'agent-down': [down: AgentDown];
  /** An agent is gone for good. */
  'agent-dead': [name: string];
  'dead-letter': [letter: DeadLetter];
  /** A tool call waits for `agent.approve`. */
  'approval-needed': [pending: PendingApproval];
  'ask-settled': [settled: { readonly agent: string; readonly askId: string; readonly outcome: 'replied' | 'failed' }];
  /** A call of a backend failed. */
  'call-failed': [failure: CallFailure];
  /** The breaker of a backend opened, is being tried, or closed. */
  breaker: [change: BreakerChange];
  /** A conversation was compressed. */
  compressed: [compression: Compression];
  /** A share of a budget is spent. */
  budget: [warning: BudgetWarning];
  /** An ask goes on at the next backend of its chain. */
  fallback: [fallback: Fallback];
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

/** The end of an agent's life. */
export interface AgentDown {
  readonly agent: string;
  /** `killed` by somebody, `crashed`, or `stopped` since its group is started anew. */
  readonly why: 'killed' | 'crashed' | 'stopped';
  /** What it crashed with; undefined when it did not. */
  readonly error: ErrorSummary | undefined;
  /** Whether it is alive again: same name, same conversation, same waiting asks. */
  readonly comesBack: boolean;
  /** Times it has come back, this one included. */
  readonly restarts: number;
}

/** A call of a backend that failed, and what comes next. */
export interface CallFailure {
  readonly agent: string;
  readonly askId: string;
  readonly backend: string;
  readonly model: string;
  readonly error: ErrorSummary;
  /** Milliseconds after which the same backend is called again; undefined when it is not. */
  readonly retryInMs: number | undefined;
}

export interface Fallback {
  readonly agent: string;
  readonly askId: string;
  readonly from: string;
  readonly to: string;
  /** What the backend before failed with. */
  readonly error: ErrorSummary;
}

/** An ask that could not be delivered. */
export interface DeadLetter {
  readonly agent: string;
  readonly askId: string;
  readonly error: TroupeError;
}

export type Tell = <Name extends keyof TroupeEvents>(name: Name, ...args: TroupeEvents[Name]) => void;

export class Events {
  readonly #emitter = new EventEmitter<TroupeEvents>();

  on<Name extends keyof TroupeEvents>(name: Name, listener: (...args: TroupeEvents[Name]) => void): void {
    this.#emitter.on(name, listener as EventEmitter.EventListener<TroupeEvents, Name>);
  }

  off<Name extends keyof TroupeEvents>(name: Name, listener: (...args: TroupeEvents[Name]) => void): void {
    this.#emitter.off(name, listener as EventEmitter.EventListener<TroupeEvents, Name>);
  }

  /** Tells every listener. One that throws neither stops the others nor reaches us. */
  readonly tell: Tell = (name, ...args) => {
    for (const listener of this.#emitter.listeners(name))
      callSafely(listener as (...given: typeof args) => void, ...args);
  };
}
