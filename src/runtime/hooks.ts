/**
 * What the runtime tells an inspection beside what its machines show: who calls what, with which outcome.
 *
 * The runtime calls a hook where the fact is made and never waits for it. A hook never throws.
 */
import type { Attempt, ErrorSummary } from '../core/errors.ts';
import type { ToolCall, ToolMessage } from '../core/types.ts';
import { callSafely } from './guards.ts';

export interface RuntimeHooks {
  /** An ask was put into a mailbox (`Mail`), or is settled (`bind`). */
  onAsk(event: AskAccepted | AskSettled): void;
  /** A model call begins (`Ask.begin`), or its account is closed (`account`), whatever became of it. */
  onCall(event: CallBegan | CallEnded): void;
  /** A tool call begins or has its result (`runOne`). */
  onTool(event: ToolBegan | ToolEnded): void;
}

interface OfAsk {
  readonly agent: string;
  readonly askId: string;
}

export interface AskAccepted extends OfAsk {
  readonly phase: 'accepted';
  /** The agent whose tool asked; absent when none did. */
  readonly by?: string;
  /** Absent when it is not known to who tells. */
  readonly prompt?: string;
}

export interface AskSettled extends OfAsk {
  readonly phase: 'settled';
  readonly outcome: 'replied' | 'failed';
  readonly text?: string;
  readonly error?: ErrorSummary;
}

export interface CallBegan extends OfAsk, Pick<Attempt, 'backend' | 'model' | 'step'> {
  readonly phase: 'begin';
}

export interface CallEnded extends OfAsk, Attempt {
  readonly phase: 'end';
}

export interface ToolBegan extends OfAsk {
  readonly phase: 'begin';
  readonly call: ToolCall;
}

export interface ToolEnded extends OfAsk {
  readonly phase: 'end';
  readonly call: ToolCall;
  readonly result: ToolMessage;
  readonly durationMs: number;
}

/** Who watches; what a hook throws is dropped. */
export class Watchers implements RuntimeHooks {
  readonly #watching = new Set<RuntimeHooks>();

  /** Whether anybody watches: while nobody does, no event is made. */
  get any(): boolean {
    return this.#watching.size > 0;
  }

  /** Lets somebody watch until the returned function is called. */
  add(hooks: RuntimeHooks): () => void {
    this.#watching.add(hooks);
    return () => void this.#watching.delete(hooks);
  }

  onAsk(event: AskAccepted | AskSettled): void {
    for (const hooks of this.#watching) callSafely(() => hooks.onAsk(event));
  }

  onCall(event: CallBegan | CallEnded): void {
    for (const hooks of this.#watching) callSafely(() => hooks.onCall(event));
  }

  onTool(event: ToolBegan | ToolEnded): void {
    for (const hooks of this.#watching) callSafely(() => hooks.onTool(event));
  }
}
