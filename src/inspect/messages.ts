/**
 * What an inspection tells: small JSON messages, one for each thing that happened, and a snapshot for who comes late.
 *
 * A message never carries a machine's context. Text that people or models wrote is there only as far as `content` lets it
 * (`prompt`, `text`, `arguments`, `result`, `message`), and only redacted.
 */
import type { ErrorClass, ErrorCode } from '../core/errors.ts';
import type { MachineDrawing } from './drawing.ts';

/** How much of what people and models write is shown: nothing, the first 200 characters, or up to 64 Ki characters. */
export type ContentLevel = 'none' | 'preview' | 'full';

/** The name under which the supervisor stands among the agents; no agent can have it. */
export const supervisorName = '@supervisor';

/** One thing that happened. */
export type InspectMessage = {
  /** Milliseconds since the epoch, by the troupe's clock. */
  readonly at: number;
  /** Counts up by one, from 1, over all agents of an inspection. */
  readonly seq: number;
  readonly agent: string;
} & Detail;

/** What a message says besides when and of whom. */
export type Detail =
  | { readonly kind: 'spawned'; readonly view: AgentView }
  | { readonly kind: 'dead' }
  /** A transition of the agent's machine. Paths are dotted: `awaiting.calling`. */
  | {
      readonly kind: 'state';
      readonly from: string;
      readonly to: string;
      readonly event: string;
      /** The state that the transition belongs to, '' for the whole machine. */
      readonly source: string;
    }
  | {
      readonly kind: 'ask';
      readonly phase: 'accepted';
      readonly askId: string;
      readonly by?: string;
      readonly prompt?: string;
    }
  | {
      readonly kind: 'ask';
      readonly phase: 'settled';
      readonly askId: string;
      readonly outcome: 'replied' | 'failed';
      /** Absent when the ask was accepted before anybody looked. */
      readonly durationMs?: number;
      readonly text?: string;
      readonly error?: ErrorView;
    }
  | ({ readonly kind: 'call'; readonly phase: 'begin' } & CallKey)
  | ({ readonly kind: 'call'; readonly phase: 'end' } & CallKey & CallResult)
  | ({ readonly kind: 'tool'; readonly phase: 'begin'; readonly arguments?: string } & ToolKey)
  | ({
      readonly kind: 'tool';
      readonly phase: 'end';
      readonly durationMs: number;
      readonly isError: boolean;
      readonly result?: string;
    } & ToolKey)
  /** A call waits for somebody's decision. */
  | ({ readonly kind: 'approval'; readonly expiresAt: number; readonly arguments?: string } & ToolKey)
  /** Asks that wait behind the one in hand. */
  | { readonly kind: 'mail'; readonly depth: number }
  /** Size of the conversation as it is sent; `windowTokens` = what the model takes, absent when it is not known. */
  | { readonly kind: 'context'; readonly messages: number; readonly tokens: number; readonly windowTokens?: number }
  /** The same call is made again. */
  | {
      readonly kind: 'retry';
      readonly askId: string;
      readonly backend: string;
      readonly retryInMs: number;
      readonly error?: ErrorView;
    }
  | {
      readonly kind: 'fallback';
      readonly askId: string;
      readonly from: string;
      readonly to: string;
      readonly error?: ErrorView;
    }
  /** What is sent of the conversation was made smaller, in tokens. */
  | {
      readonly kind: 'compressed';
      readonly by: string;
      readonly tokensBefore: number;
      readonly tokensAfter: number;
      readonly error?: ErrorView;
    }
  /** It crashed, or its group did, and is alive again. */
  | { readonly kind: 'restart'; readonly restarts: number; readonly error?: ErrorView }
  /** Of a backend; `retryAt` = until when it is open, in milliseconds since the epoch. */
  | {
      readonly kind: 'breaker';
      readonly backend: string;
      readonly state: 'closed' | 'open' | 'half-open';
      readonly class?: ErrorClass;
      readonly retryAt?: number;
    }
  | { readonly kind: 'dead-letter'; readonly askId: string; readonly code: ErrorCode }
  /** A share of a budget is spent. */
  | {
      readonly kind: 'budget';
      readonly budget: string;
      readonly share: number;
      readonly spentUsd: number;
      readonly limitUsd: number;
    }
  | { readonly kind: 'warning'; readonly code: string; readonly message?: string };

/** Which model call a message is about. */
export interface CallKey {
  readonly askId: string;
  readonly backend: string;
  readonly model: string;
  /** Which step of the ask, counted from 1. */
  readonly step: number;
}

/** How a model call ended, and what the agent has spent since it was spawned. An absent figure is unknown. */
export interface CallResult extends Tokens {
  readonly durationMs: number;
  readonly error?: ErrorView;
  readonly total: Tokens;
}

/** Tokens and USD; an absent figure is unknown. */
export interface Tokens {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly costUsd?: number;
}

/** Which tool call a message is about. */
export interface ToolKey {
  readonly askId: string;
  readonly callId: string;
  readonly tool: string;
}

/** What is shown of an error; its words only as far as `content` lets them. */
export interface ErrorView {
  readonly code: ErrorCode;
  readonly class: ErrorClass;
  readonly message?: string;
}

/** One agent as it is now. */
export interface AgentView {
  readonly name: string;
  /** Id of its machine, a key of the snapshot's `machines`. */
  readonly machine: string;
  readonly state: string;
  readonly backend: string;
  /** Absent when it has made no call since it was spawned before somebody's eyes. */
  readonly model?: string;
  readonly group?: string;
  readonly createdAt: number;
  /** The ask in hand. */
  readonly askId?: string;
  readonly depth: number;
  /** Times it has come back after a crash. */
  readonly restarts: number;
  readonly messages: number;
  readonly tokens: number;
  readonly windowTokens?: number;
  readonly total: Tokens;
}

/** Everything as it is now, for who comes late: what follows it are the messages with a higher `seq`. */
export interface InspectSnapshot {
  readonly at: number;
  /** Of the last message before it; 0 = none yet. */
  readonly seq: number;
  readonly content: ContentLevel;
  readonly agents: readonly AgentView[];
  /** What all agents have spent, dead ones included. */
  readonly total: Tokens;
  readonly machines: Readonly<Record<string, MachineDrawing>>;
}
