/** What a caller gets: the reply of an ask, and the events of one that is streamed. */
import type { StoredReply } from '../../actors/store/store.ts';
import type { Attempt } from '../core/errors.ts';
import type { FinishReason, ToolCall, ToolMessage, Usage } from '../core/types.ts';
import { addSpend, type Spend, unknownUsage } from '../core/usage.ts';

/** The one result of an ask that succeeded. */
export interface Reply<Output = undefined> {
  readonly askId: string;
  readonly agent: string;
  /** The model's last words. They are cut short when `finishReason.unified` is `length`. */
  readonly text: string;
  /** What the ask's `schema` made of the text; undefined without one. */
  readonly output: Output;
  /** The model's visible thinking of the last step; absent when there was none. */
  readonly reasoning?: string;
  readonly finishReason: FinishReason;
  /** Model calls that succeeded. */
  readonly steps: number;
  /** Sum over all attempts, failed ones included; a field is undefined when no call reported it. */
  readonly usage: Usage;
  /** USD over all attempts; undefined when no price is known. */
  readonly costUsd: number | undefined;
  /** Every model call in order, failed ones included. */
  readonly attempts: readonly Attempt[];
  /** From acceptance to reply, waiting in the mailbox included. */
  readonly durationMs: number;
}

/** The reply that was stored. */
export function replyOf(agent: string, askId: string, stored: StoredReply): Reply<unknown> {
  const { usage, costUsd } = sumOf(stored.attempts);
  return { askId, agent, output: undefined, ...stored, usage, costUsd };
}

function sumOf(attempts: readonly Attempt[]): Spend {
  return attempts.reduce<Spend>((sum, attempt) => addSpend(sum, attempt), { usage: unknownUsage, costUsd: undefined });
}

/** What happens during a streamed ask. The last event of a stream is `reply`; an ask that fails makes the stream throw. */
export type StreamEvent<Output = undefined> =
  | { readonly type: 'step-start'; readonly step: number; readonly backend: string; readonly model: string }
  | { readonly type: 'text-delta'; readonly text: string }
  | { readonly type: 'reasoning-delta'; readonly text: string }
  /** A call waits for `agent.approve`, until `expiresAt` (milliseconds since the epoch). */
  | { readonly type: 'approval-needed'; readonly call: ToolCall; readonly expiresAt: number }
  | { readonly type: 'tool-call'; readonly call: ToolCall }
  | { readonly type: 'tool-result'; readonly result: ToolMessage }
  | { readonly type: 'step-end'; readonly step: number; readonly usage: Usage; readonly finishReason: FinishReason }
  /** The conversation grew too much: less of it is sent from now on. */
  | { readonly type: 'compressed'; readonly tokensBefore: number; readonly tokensAfter: number }
  /** A call failed; another follows. */
  | { readonly type: 'retry'; readonly error: NonNullable<Attempt['error']> }
  /** The answer broke off and is asked for again: the last `discardChars` characters of text no longer count. See `replay`. */
  | { readonly type: 'restarted'; readonly discardChars: number }
  /** The answer did not fit the ask's `schema`; what the model says now replaces the text of this step so far. */
  | { readonly type: 'repair'; readonly error: NonNullable<Attempt['error']> }
  /** A backend failed for good; the next of the chain takes over. */
  | { readonly type: 'fallback'; readonly backend: string; readonly error: NonNullable<Attempt['error']> }
  | { readonly type: 'reply'; readonly reply: Reply<Output> };
