/** What a troupe says of itself as data. */
import type { Usage } from '../core/types.ts';
import type { BackendStatus } from './admission.ts';
import { type AgentState, stateOf } from './agent.ts';
import type { AgentRecord, Counts } from './agent-record.ts';
import { modelAt } from './agent-spec.ts';
import type { Backends } from './backends.ts';
import type { KnownModel } from './token-book.ts';

/** One row of `troupe.agents()`. */
export interface AgentInfo {
  readonly name: string;
  readonly state: AgentState;
  readonly backend: string;
  readonly model: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** The group it belongs to; undefined when it is in none. */
  readonly group: string | undefined;
  /** Asks that wait behind the one in hand. */
  readonly waiting: number;
  /** Times it has come back after a crash. */
  readonly restarts: number;
  readonly usage: Usage;
  /** USD; undefined when no price is known. */
  readonly costUsd: number | undefined;
}

/** How a troupe is: its backends, and what has gone wrong so far. */
export interface Health extends Counts {
  /** Backends that were called, with their breakers and who waits for them. */
  readonly backends: readonly BackendStatus[];
  /** Models for which something was counted, or that were asked how much they take. */
  readonly models: readonly KnownModel[];
  /** Asks that went on at another backend. */
  readonly fallbacks: number;
  /** Agents that came back. */
  readonly restarts: number;
}

/** The row of an agent. */
export function infoOf(record: AgentRecord, backends: Pick<Backends, 'get'>): AgentInfo {
  const { name, spec, createdAt, outside, life, usage, costUsd } = record;
  const { backend, mailbox } = record.actor.getSnapshot().context;
  return {
    ...{ name, state: stateOf(record), backend, model: modelAt(spec, backend, backends), createdAt },
    ...{ group: spec.group, waiting: mailbox.length + outside.length, restarts: life.restarts, usage, costUsd },
  };
}
