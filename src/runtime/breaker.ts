/**
 * The driver of the breaker machine: outcomes of calls go in as events, the cool-down is a timer of the troupe's clock.
 * Its actor is made at the first failure that counts; a backend that never fails has none.
 */
import { type ActorRefFrom, type AnyActorRef, createActor } from 'xstate';
import { type BreakerEvent, type BreakerLimits, breakerMachine, isCounted } from '../../machines/breaker.ts';
import type { ErrorClass, TroupeError } from '../core/errors.ts';
import type { Clock } from '../core/seams.ts';
import { callSafely } from './guards.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

type BreakerActor = ActorRefFrom<typeof breakerMachine>;

export interface BreakerHost {
  readonly clock: Clock;
  /** The breaker's actor joins this one's system. */
  readonly parent: AnyActorRef;
  /** The state has changed, or the end of the cool-down. */
  readonly onChange: () => void;
}

export class Breaker {
  readonly #backend: string;
  readonly #limits: BreakerLimits;
  readonly #host: BreakerHost;
  #actor: BreakerActor | undefined;
  #state: BreakerState = 'closed';
  #retryAt: number | undefined;
  #timer: unknown;
  /** Whether a success would change something. */
  #hasFailed = false;
  #closed = false;

  constructor(backend: string, limits: BreakerLimits, host: BreakerHost) {
    this.#backend = backend;
    this.#limits = limits;
    this.#host = host;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Why it is not closed; undefined when it is. */
  get class(): ErrorClass | undefined {
    return this.#actor?.getSnapshot().context.class ?? undefined;
  }

  /** When the cool-down ends, in milliseconds since the epoch; undefined when it is not open. */
  get retryAt(): number | undefined {
    return this.#retryAt;
  }

  /** A call has failed. While half-open: the call that tries. */
  fail({ class: errorClass, retryAfterMs }: TroupeError): void {
    if (this.#closed || !isCounted(errorClass)) return;
    this.#hasFailed = true;
    const leftMs = Math.max(0, (this.#retryAt ?? 0) - this.#host.clock.now());
    this.#actor ??= this.#start();
    this.#send(this.#actor, { type: 'fail', class: errorClass, retryAfterMs: retryAfterMs ?? null, leftMs });
  }

  /** A call has succeeded. While half-open: the call that tries. While open it says nothing. */
  succeed(): void {
    if (!this.#hasFailed || this.#closed || this.#actor === undefined) return;
    this.#send(this.#actor, { type: 'succeed' });
    this.#hasFailed = this.#state !== 'closed';
  }

  /** Ends a cool-down that is over though its timer is late. */
  coolIfDue(): void {
    if (this.#retryAt !== undefined && this.#retryAt <= this.#host.clock.now()) this.#cool();
  }

  /** From now on it changes no more. Its actor goes with the system: XState stops no actor that has a parent. */
  close(): void {
    this.#closed = true;
    this.#host.clock.clearTimeout(this.#timer);
  }

  #start(): BreakerActor {
    const machine = breakerMachine.provide({
      actions: {
        'start the cool-down': ({ context }) => {
          this.#retryAt = this.#host.clock.now() + context.coolDownMs;
        },
      },
    });
    const { parent } = this.#host;
    const input = { backend: this.#backend, limits: this.#limits };
    return createActor(machine, { id: `breaker:${this.#backend}`, parent, input }).start();
  }

  /** One step of the machine; the timer is set after it, since an action must not throw. */
  #send(actor: BreakerActor, event: BreakerEvent): void {
    const stateBefore = this.#state;
    const retryBefore = this.#retryAt;
    actor.send(event);
    this.#state = actor.getSnapshot().value;
    if (this.#state !== 'open') this.#retryAt = undefined;
    if (this.#state === stateBefore && this.#retryAt === retryBefore) return;
    this.#wait();
    this.#host.onChange();
  }

  #wait(): void {
    const { clock } = this.#host;
    clock.clearTimeout(this.#timer);
    const retryAt = this.#retryAt;
    if (retryAt === undefined) return;
    callSafely(() => {
      this.#timer = clock.setTimeout(() => this.#cool(), Math.ceil(retryAt - clock.now()));
    });
  }

  #cool(): void {
    if (!this.#closed && this.#actor !== undefined) this.#send(this.#actor, { type: 'cool' });
  }
}
