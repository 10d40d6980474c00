/**
 * The supervisor: it lets agents be born, forked and killed, decides who comes back after a crash, buries the others, and
 * says where a failed ask goes on.
 *
 * Its context holds what agents share and never a list of agents: that would make every spawn cost O(agents). The registry
 * is the driver's; what the chart must know of it ("is the name taken", "may it come back") comes with the event.
 *
 * S1  Every request is answered by exactly one effect, which carries the request's `ticket`.
 * S2  A child that is done or fails is reported once; its failure goes no further.
 * S3  Once closed, nothing is started and nobody comes back.
 */
import { assign, setup } from 'xstate';
import type { ErrorClass } from '../src/core/errors.ts';

export interface SupervisorContext {
  /** Asks that went on at another backend. */
  readonly fallbacks: number;
  /** Agents that came back after they had crashed or were stopped. */
  readonly restarts: number;
}

/** The fallback chain of an ask that failed, and how far it came. */
export interface FallbackRequest {
  /** Names the request; the answer carries it. */
  readonly ticket: string;
  /** Backends in the order they are to be tried. */
  readonly chain: readonly string[];
  /** Backends that this ask has given up on. */
  readonly tried: readonly string[];
  /** Backends of the chain whose breaker is open: they come after the others. */
  readonly shut: readonly string[];
  /** The backend that just failed, and how. */
  readonly backend: string;
  readonly class: ErrorClass;
}

/** The end of an agent's life, and what its restart policy makes of it. */
export interface DownEvent {
  readonly type: 'down';
  readonly name: string;
  readonly comesBack: boolean;
  /** Whether the others of its group share its fate: they come back with it, or go with it. */
  readonly withGroup: boolean;
}

export type SupervisorEvent =
  | { readonly type: 'spawn'; readonly ticket: string; readonly name: string; readonly taken: boolean }
  | {
      readonly type: 'fork';
      readonly ticket: string;
      readonly name: string;
      readonly taken: boolean;
      readonly parentIsAlive: boolean;
    }
  | { readonly type: 'kill'; readonly name: string; readonly reason: string }
  | ({ readonly type: 'choose' } & FallbackRequest)
  | DownEvent
  | { readonly type: 'close' }
  /** What XState sends for a child that ended. */
  | { readonly type: 'xstate.done.actor.*'; readonly actorId: string }
  | { readonly type: 'xstate.error.actor.*'; readonly actorId: string; readonly error: unknown };

const supervisorSetup = setup({
  types: { context: {} as SupervisorContext, events: {} as SupervisorEvent },
  guards: {
    'is the name taken': ({ event }) => 'taken' in event && event.taken,
    'is the parent dead': ({ event }) => event.type === 'fork' && !event.parentIsAlive,
    'has a backend left': ({ event }) => event.type === 'choose' && nextBackend(event) !== undefined,
    'comes back with its group': ({ event }) => event.type === 'down' && event.comesBack && event.withGroup,
    'comes back': ({ event }) => event.type === 'down' && event.comesBack,
    'takes its group along': ({ event }) => event.type === 'down' && event.withGroup,
  },
  actions: {
    'count the fallback': assign({ fallbacks: ({ context }) => context.fallbacks + 1 }),
    'count the restart': assign({ restarts: ({ context }) => context.restarts + 1 }),
    // What a driver does.
    'start the agent': provided,
    'start the fork': provided,
    'refuse the name': provided,
    'refuse the parent': provided,
    'refuse as closed': provided,
    'kill the agent': provided,
    'kill every agent': provided,
    'report the death': provided,
    'report the failure': provided,
    'restart the agent': provided,
    'stop the group': provided,
    'kill the group': provided,
    'bury the agent': provided,
    'answer with the next backend': provided,
    'answer with nothing': provided,
  },
});

export const supervisorMachine = supervisorSetup.createMachine({
  id: 'supervisor-v1',
  description:
    'Lets agents be born, forked, killed, restarted and buried, and chooses the next backend of a failed ask.',
  context: () => ({ fallbacks: 0, restarts: 0 }),
  initial: 'open',
  on: {
    kill: { actions: 'kill the agent' },
    'xstate.done.actor.*': { actions: 'report the death' },
    'xstate.error.actor.*': { actions: 'report the failure' },
  },
  states: {
    open: {
      description: 'Takes requests.',
      on: {
        spawn: [{ guard: 'is the name taken', actions: 'refuse the name' }, { actions: 'start the agent' }],
        fork: [
          { guard: 'is the name taken', actions: 'refuse the name' },
          { guard: 'is the parent dead', actions: 'refuse the parent' },
          { actions: 'start the fork' },
        ],
        choose: [
          { guard: 'has a backend left', actions: ['count the fallback', 'answer with the next backend'] },
          { actions: 'answer with nothing' },
        ],
        down: [
          {
            guard: 'comes back with its group',
            actions: ['stop the group', 'count the restart', 'restart the agent'],
          },
          { guard: 'comes back', actions: ['count the restart', 'restart the agent'] },
          { guard: 'takes its group along', actions: ['kill the group', 'bury the agent'] },
          { actions: 'bury the agent' },
        ],
        close: { target: 'closed', actions: 'kill every agent' },
      },
    },
    closed: {
      description: 'Every agent was killed. Starts nothing.',
      on: {
        spawn: { actions: 'refuse as closed' },
        fork: { actions: 'refuse as closed' },
        choose: { actions: 'answer with nothing' },
        down: { actions: 'bury the agent' },
      },
    },
  },
});

/** The first backend of the chain that the ask has not tried; one whose breaker is open only when there is no other. */
export function nextBackend({
  chain,
  tried,
  shut,
}: Pick<FallbackRequest, 'chain' | 'tried' | 'shut'>): string | undefined {
  const left = chain.filter((name) => !tried.includes(name));
  return left.find((name) => !shut.includes(name)) ?? left[0];
}

function provided(): void {}
