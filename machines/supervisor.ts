/**
 * The supervisor: it lets agents be born, forked and killed, buries them, and says where a failed ask goes on.
 *
 * Its context holds what agents share, per backend, and never a list of agents: that would make every spawn cost O(agents).
 * The registry is the driver's; what the chart must know of it ("is the name taken") comes with the event.
 *
 * S1  Every request is answered by exactly one effect, which carries the request's `ticket`.
 * S2  A child that is done or fails is buried; its failure goes no further.
 * S3  Once closed, nothing is started.
 */
import { assign, setup } from 'xstate';
import type { ErrorClass } from '../src/core/errors.ts';

/** What is known of a backend. */
export interface BackendHealth {
  /** Asks that gave up on it, ever. */
  readonly failures: number;
  readonly lastClass: ErrorClass;
}

export interface SupervisorContext {
  /** Backends that have failed, by name. */
  readonly backends: Readonly<Record<string, BackendHealth>>;
}

/** The fallback chain of an ask that failed, and how far it came. */
export interface FallbackRequest {
  /** Names the request; the answer carries it. */
  readonly ticket: string;
  /** Backends in the order they are to be tried. */
  readonly chain: readonly string[];
  /** Those that this ask has tried. */
  readonly tried: readonly string[];
  /** The backend that just failed, and how. */
  readonly backend: string;
  readonly class: ErrorClass;
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
  },
  actions: {
    'note the failure': assign({
      backends: ({ context, event }) => {
        if (event.type !== 'choose') return context.backends;
        const failures = (context.backends[event.backend]?.failures ?? 0) + 1;
        return { ...context.backends, [event.backend]: { failures, lastClass: event.class } };
      },
    }),
    // What a driver does.
    'start the agent': provided,
    'start the fork': provided,
    'refuse the name': provided,
    'refuse the parent': provided,
    'refuse as closed': provided,
    'kill the agent': provided,
    'kill every agent': provided,
    'bury the agent': provided,
    'bury the crashed agent': provided,
    'answer with the next backend': provided,
    'answer with nothing': provided,
  },
});

export const supervisorMachine = supervisorSetup.createMachine({
  id: 'supervisor-v1',
  description: 'Lets agents be born, forked, killed and buried, and chooses the next backend of an ask that failed.',
  context: () => ({ backends: {} }),
  initial: 'open',
  on: {
    kill: { actions: 'kill the agent' },
    'xstate.done.actor.*': { actions: 'bury the agent' },
    'xstate.error.actor.*': { actions: 'bury the crashed agent' },
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
          { guard: 'has a backend left', actions: ['note the failure', 'answer with the next backend'] },
          { actions: ['note the failure', 'answer with nothing'] },
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
      },
    },
  },
});

/** The first backend of the chain that the ask has not tried. */
export function nextBackend({ chain, tried }: Pick<FallbackRequest, 'chain' | 'tried'>): string | undefined {
  return chain.find((name) => !tried.includes(name));
}

function provided(): void {}
