/** What the agent machine is told, remembers and says: its context, events, inputs and outcomes. All of it is small JSON. */
import type { ErrorClass } from '../src/core/errors.ts';

/** Bounds of one agent. */
export interface AgentLimits {
  /** Model calls that one ask may take when every call wants tools. */
  readonly maxSteps: number;
  /** Repeats of a failed call on the same backend. */
  readonly maxRetries: number;
  /** Asks that may wait behind the one in hand. */
  readonly mailboxLimit: number;
  /** Whether a full mailbox drops its oldest ask for a new one, or refuses the new one. */
  readonly dropOldest: boolean;
  /** Tokens from which the conversation is compressed before it is sent; null = never. */
  readonly compressAtTokens: number | null;
  /** Whether the next ask begins at the backend that answered the last one, or at the first of the chain again. */
  readonly sticky: boolean;
}

/** How an agent ended: killed, by a crash of its own, or stopped to be started anew. */
export type Death = 'killed' | 'crashed' | 'stopped';

export interface AgentContext {
  readonly name: string;
  /** The backend that every ask begins at. */
  readonly home: string;
  /** The backend in use. */
  readonly backend: string;
  readonly limits: AgentLimits;
  /** Ids of the asks that wait, oldest first. */
  readonly mailbox: readonly string[];
  /** The most tokens that one of their prompts has taken since the mailbox was empty, as far as known. */
  readonly waitingTokens: number;
  /** Id of the ask in hand. */
  readonly askId: string | null;
  /** Model calls that succeeded for the ask in hand, plus the one in flight. */
  readonly step: number;
  /** Model calls made for the ask in hand: the fence against late outcomes. */
  readonly attempt: number;
  /** Repeats of this step on this backend. */
  readonly retries: number;
  /** What `wait` waits for, decided when the call failed. */
  readonly retryInMs: number;
  /** Whether the ask in hand was compressed because a server said that it is too long. */
  readonly overflowed: boolean;
  /** Whether somebody wants it compressed, which it is as soon as it is idle. */
  readonly wantsCompression: boolean;
  /** Ids of the tool calls that wait for a decision. */
  readonly approvals: readonly string[];
  /** Messages in the conversation. */
  readonly messages: number;
  /** Tokens that the conversation takes when it is sent, as far as known. */
  readonly tokens: number;
  /** USD spent, as far as known. */
  readonly costUsd: number;
  /** Why it is dead; null while it lives. What is still in its mailbox then is for who comes after it. */
  readonly death: Death | null;
}

export interface AgentInput {
  readonly name: string;
  readonly backend: string;
  readonly limits: AgentLimits;
  readonly messages: number;
  readonly tokens: number;
  /** Asks that wait already: those of an agent that crashed. */
  readonly mailbox: readonly string[];
  /** The most that one of their prompts takes. Default 0. */
  readonly waitingTokens?: number;
  /** Whether it is to be compressed before it takes one of them, as an agent was that crashed. Default false. */
  readonly wantsCompression?: boolean;
}

/** What every actor of the agent is told; the driver finds everything else by it. */
export interface WorkInput {
  readonly name: string;
  readonly askId: string | null;
  readonly step: number;
  readonly attempt: number;
  readonly retries: number;
  readonly backend: string;
  /** Messages in the conversation. */
  readonly length: number;
}

export interface WaitInput extends WorkInput {
  readonly ms: number;
}

/** Which call an outcome belongs to. */
export interface Fence {
  readonly askId: string | null;
  readonly attempt: number;
}

/** Size and price after a step. */
export interface Measured {
  readonly messages: number;
  readonly tokens: number;
  readonly costUsd: number;
  /** What `compressAtTokens` is from now on; absent when it stays. */
  readonly limitTokens?: number | null;
}

/** How one model call ended. It never carries content: the driver keeps that, fenced by ask and attempt. */
export type CallOutcome =
  | (Fence & Measured & { readonly kind: 'text' })
  | (Fence & Measured & { readonly kind: 'tool-calls'; readonly approvals: readonly string[] })
  | (Fence & {
      readonly kind: 'failed';
      readonly class: ErrorClass;
      /** Milliseconds after which the same backend may be tried again; null = not at all. */
      readonly retryInMs: number | null;
      /** Whether somebody has seen text of the failed call, so that nothing may answer it a second time. */
      readonly shown: boolean;
    });

/** The tools of a step have run; their results wait to be appended. */
export type ToolsOutcome = Fence & Pick<Measured, 'messages' | 'tokens'>;

export type CompressOutcome = Pick<Measured, 'tokens' | 'limitTokens'>;

/** Where a failed ask goes on: another backend, compressed first if its window is smaller, or nowhere. */
export type BackendChoice =
  | { readonly kind: 'use'; readonly backend: string; readonly compressFirst: boolean }
  | { readonly kind: 'give-up'; readonly crashed: boolean };

export type AgentEvent =
  /** A new ask. `tokens` = what the conversation takes with it, as far as known. */
  | { readonly type: 'ask'; readonly askId: string; readonly tokens: number }
  /** An ask that was in hand when its process ended. `tools`: whether the tools of its step have yet to run. */
  | {
      readonly type: 'resume';
      readonly askId: string;
      readonly step: number;
      readonly approvals: readonly string[];
      readonly tools: boolean;
    }
  | { readonly type: 'cancel'; readonly askId: string }
  /** The deadline of an ask has passed. */
  | { readonly type: 'expire'; readonly askId: string }
  /** A tool call was decided on; the decision itself is kept by the driver. */
  | { readonly type: 'approve'; readonly callId: string }
  | { readonly type: 'compress' }
  /** The agent is to be started anew, since another one of its group has crashed. */
  | { readonly type: 'stop'; readonly reason: string }
  | { readonly type: 'kill'; readonly reason: string };
