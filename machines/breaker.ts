/**
 * The circuit breaker of a backend: whether it is called at all after it has failed, kept by class of failure.
 *
 * B1  Failures that say nothing about the backend (`isCounted`) change nothing, and are no success either.
 * B2  `quota`, and `overloaded` with a Retry-After, open it at once; any other class when it has failed more than
 *     `allowedFailures` times since the last success. `auth` too: a key may be mended, and a refusal costs little.
 * B3  In half-open one call decides: the driver sends its outcome and nobody else's. When nothing but Retry-After has opened
 *     it, there was no doubt about the backend: a failure of that call then counts as in closed.
 * B4  While open a cool-down only gets longer, and only because a server asks for it.
 * B5  There is no time in the chart: 'start the cool-down' tells the driver to send `cool` after `coolDownMs`.
 */
import { assign, setup } from 'xstate';
import type { ErrorClass } from '../src/core/errors.ts';

/** Bounds of one breaker. */
export interface BreakerLimits {
  /** Failures of a class in a row that change nothing; 0 = the first one opens it. */
  readonly allowedFailures: number;
  /** The first cool-down; each further one in a row is twice as long. */
  readonly coolDownMs: number;
  /** The first cool-down after `quota`. Longer: credit comes back by a payment or the hour, not by itself. */
  readonly quotaCoolDownMs: number;
  /** Up to here a cool-down doubles. A server's Retry-After may be longer, up to a day. */
  readonly longestCoolDownMs: number;
}

export const defaultBreakerLimits: BreakerLimits = {
  allowedFailures: 5,
  coolDownMs: 30_000,
  quotaCoolDownMs: 600_000,
  longestCoolDownMs: 600_000,
};

export interface BreakerContext {
  readonly backend: string;
  readonly limits: BreakerLimits;
  /** Failures since the last success, by class. */
  readonly failures: Readonly<Partial<Record<ErrorClass, number>>>;
  /** Why it is open or half-open; null when it is closed. */
  readonly class: ErrorClass | null;
  /** How long the cool-down takes that began last; 0 when closed. */
  readonly coolDownMs: number;
  /** Openings in a row, without a success between them. */
  readonly openings: number;
}

export interface BreakerInput {
  readonly backend: string;
  readonly limits: BreakerLimits;
}

export type BreakerEvent =
  | {
      readonly type: 'fail';
      readonly class: ErrorClass;
      /** How long the server asked to wait; null when it did not say. */
      readonly retryAfterMs: number | null;
      /** What is left of the cool-down as the failure arrives; 0 when there is none. */
      readonly leftMs: number;
    }
  | { readonly type: 'succeed' }
  /** The cool-down is over. */
  | { readonly type: 'cool' };

type Failure = Extract<BreakerEvent, { readonly type: 'fail' }>;

const breakerSetup = setup({
  types: { context: {} as BreakerContext, events: {} as BreakerEvent, input: {} as BreakerInput },
  guards: {
    'says nothing about the backend': ({ event }) => event.type === 'fail' && !isCounted(event.class),
    'is one too many': ({ context, event }) => event.type === 'fail' && opens(context, event),
    'was only asked to wait': ({ context, event }) =>
      event.type === 'fail' && !opens(context, event) && isAllowed(context),
    'asks for longer': ({ event }) => event.type === 'fail' && isCounted(event.class) && askedMs(event) > event.leftMs,
    'has failures': ({ context }) => Object.keys(context.failures).length > 0,
  },
  actions: {
    // What the chart itself remembers.
    'count the failure': assign({
      failures: ({ context, event }) => (event.type === 'fail' ? counted(context, event) : context.failures),
    }),
    'note the opening': assign(({ context, event }) =>
      event.type === 'fail'
        ? { class: event.class, coolDownMs: coolDownOf(context, event), openings: context.openings + 1 }
        : {},
    ),
    'note the longer cool-down': assign(({ event }) =>
      event.type === 'fail' ? { class: event.class, coolDownMs: askedMs(event) } : {},
    ),
    'forget the failures': assign({ failures: {} }),
    'forget the openings': assign({ class: null, coolDownMs: 0, openings: 0 }),
    // What a driver does.
    'start the cool-down': provided,
  },
});

export const breakerMachine = breakerSetup.createMachine({
  id: 'breaker-v1',
  description: 'Spares a backend that fails: opens, cools down, lets one call try, closes when that succeeds.',
  context: ({ input }) => ({ ...input, failures: {}, class: null, coolDownMs: 0, openings: 0 }),
  initial: 'closed',
  states: {
    closed: {
      description: 'The backend is called.',
      on: {
        fail: [
          { guard: 'says nothing about the backend' },
          {
            guard: 'is one too many',
            target: 'open',
            actions: ['count the failure', 'note the opening', 'start the cool-down'],
          },
          { actions: 'count the failure' },
        ],
        succeed: { guard: 'has failures', actions: 'forget the failures' },
      },
    },
    open: {
      description: 'The backend is not called. Outcomes are of calls that began before.',
      on: {
        fail: { guard: 'asks for longer', actions: ['note the longer cool-down', 'start the cool-down'] },
        cool: { target: 'half-open' },
      },
    },
    'half-open': {
      description: 'One call tries whether the backend works again.',
      on: {
        fail: [
          { guard: 'says nothing about the backend' },
          {
            guard: 'was only asked to wait',
            target: 'closed',
            actions: ['forget the openings', 'count the failure'],
          },
          { target: 'open', actions: ['count the failure', 'note the opening', 'start the cool-down'] },
        ],
        succeed: { target: 'closed', actions: ['forget the failures', 'forget the openings'] },
      },
    },
  },
});

const uncounted: ReadonlySet<ErrorClass> = new Set(['invalid', 'refused', 'context-overflow', 'cancelled']);

/** Whether a failure of this class says something about the backend, rather than about what was sent to it. */
export function isCounted(errorClass: ErrorClass): boolean {
  return !uncounted.has(errorClass);
}

const longestAskedMs = 86_400_000;

/** How long the server asks to wait, a day at most; 0 when it does not say so in earnest. */
function askedMs({ retryAfterMs }: Failure): number {
  return retryAfterMs !== null && retryAfterMs > 0 ? Math.min(retryAfterMs, longestAskedMs) : 0;
}

function opens(context: BreakerContext, event: Failure): boolean {
  if (event.class === 'quota') return true;
  if (event.class === 'overloaded' && askedMs(event) > 0) return true;
  return (context.failures[event.class] ?? 0) >= context.limits.allowedFailures;
}

/** Whether no class has failed more often than it may: then only a Retry-After can have opened it. */
function isAllowed({ failures, limits }: BreakerContext): boolean {
  return failures.quota === undefined && Object.values(failures).every((count) => count <= limits.allowedFailures);
}

function counted({ failures }: BreakerContext, event: Failure): BreakerContext['failures'] {
  return { ...failures, [event.class]: (failures[event.class] ?? 0) + 1 };
}

/** An overloaded server knows best; elsewhere its Retry-After counts when it is longer than the wait of ours. */
function coolDownOf({ limits, openings }: BreakerContext, event: Failure): number {
  const asked = askedMs(event);
  if (event.class === 'overloaded' && asked > 0) return asked;
  const first = event.class === 'quota' ? limits.quotaCoolDownMs : limits.coolDownMs;
  const grown = Math.min(first * 2 ** openings, limits.longestCoolDownMs);
  return Math.max(first, grown, asked);
}

function provided(): void {}
