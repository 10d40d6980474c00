/** How what XState and the runtime say is read. */
import type { StateValue } from 'xstate';
import type { AgentContext } from '../../machines/index.ts';
import type { Usage } from '../core/types.ts';
import type { Tokens } from './messages.ts';

/** One transition of an agent's machine. */
export interface MachineStep {
  readonly agent: string;
  readonly from: string;
  readonly to: string;
  readonly event: string;
  /** Path of the state that the transition belongs to. */
  readonly source: string;
  /** Whether it has a target, be it the state that it comes from. */
  readonly entersAnew: boolean;
  /** The context after it. Read it only now. */
  readonly context: AgentContext;
  /** What a finished actor gave. */
  readonly output: unknown;
}

/** To a hundredth: enough to tell what came first, and short. */
export function roundedMs(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** A state as a dotted path: `awaiting.calling`. */
export function pathOf(value: StateValue): string {
  if (typeof value === 'string') return value;
  const [key = '', inner] = Object.entries(value)[0] ?? [];
  return inner === undefined ? key : `${key}.${pathOf(inner)}`;
}

/** The figures of a spend that are known. */
export function tokensOf({ usage, costUsd }: { usage?: Usage | undefined; costUsd?: number | undefined }): Tokens {
  const { inputTokens, outputTokens } = usage ?? {};
  return {
    ...(inputTokens !== undefined && { inputTokens }),
    ...(outputTokens !== undefined && { outputTokens }),
    ...(costUsd !== undefined && { costUsd: Math.round(costUsd * 1e9) / 1e9 }),
  };
}
