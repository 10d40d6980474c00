/**
 * Who may call a backend now: what all agents of a troupe share of one backend.
 *
 * An agent makes one call at a time: `enter`, the call, `leave`. So no more wait than there are agents, and an agent's name
 * says which call ended.
 *
 * W1  Who waits is let in by turns among agents; nobody who comes later passes the queue.
 * W2  Never more than `maxConcurrent` calls, nor more than `requestsPerMinute` beginning within 60 s.
 * W3  After a cool-down one call tries the backend, and nobody else is let in before it ends.
 * W4  Who is let in, refused, aborted or closed upon has left the queue and its signal.
 * W5  While nobody waits there is no timer but that of a cool-down, and without limits and failures no actor either.
 */
import type { AnyActorRef } from 'xstate';
import { defaultBreakerLimits } from '../../machines/breaker.ts';
import { type ErrorClass, TroupeError } from '../core/errors.ts';
import { FairQueue } from '../core/fair-queue.ts';
import { RateLimit } from '../core/rate-limit.ts';
import type { Clock } from '../core/seams.ts';
import { type BackendLimits, checkLimits } from './backend-limits.ts';
import { Breaker, type BreakerState } from './breaker.ts';
import { callSafely } from './guards.ts';

export type { BackendLimits } from './backend-limits.ts';

/** What the breaker of a backend came to. */
export interface BreakerChange {
  readonly backend: string;
  readonly state: BreakerState;
  /** The class of failure for which it is not closed; undefined when it is. */
  readonly class: ErrorClass | undefined;
  /** Milliseconds since the epoch until which it is open; undefined when it is not. */
  readonly retryAt: number | undefined;
}

/** How it stands with a backend. */
export interface BackendStatus extends BreakerChange {
  readonly inFlight: number;
  /** Agents that wait for their turn. */
  readonly waiting: number;
  /** Calls that were let in, ever. */
  readonly calls: number;
  /** Those of them that failed. */
  readonly failures: number;
}

/** How a call ended. Without an `error` it was given up, which says nothing about the backend. */
export type CallEnd =
  | { readonly ok: true; readonly tokens: number | undefined }
  | { readonly ok: false; readonly error: TroupeError | undefined };

export interface AdmissionHost {
  readonly clock: Clock;
  /** The supervisor: the breaker's actor joins its system. */
  readonly parent: AnyActorRef;
  /** The breaker has changed. What it throws is dropped. */
  onChange(change: BreakerChange): void;
}

interface Waiter {
  readonly agent: string;
  readonly deadlineAt: number;
  /** Ends the wait: without an error it is let in. */
  readonly settle: (error?: unknown) => void;
}

/** The longest cool-down that is waited for. */
const longestWaitMs = 60_000;
/** Tokens of calls that end within this time are counted as one. */
const tokenStepMs = 100;

export class Admission {
  readonly #backend: string;
  readonly #host: AdmissionHost;
  #maxConcurrent: number;
  readonly #requests: RateLimit | undefined;
  readonly #tokens: RateLimit | undefined;
  readonly #breaker: Breaker;
  readonly #queue = new FairQueue<string, Waiter>();
  /** The agent whose call tries the backend after a cool-down. */
  #probe: string | undefined;
  #inFlight = 0;
  #calls = 0;
  #failures = 0;
  #timer: unknown;
  #closed = false;

  /** Throws `TROUPE_ERR_OPTION_INVALID` when a limit is wrong. */
  constructor(backend: string, limits: BackendLimits, host: AdmissionHost) {
    checkLimits(backend, limits);
    const { maxConcurrent = Number.POSITIVE_INFINITY, requestsPerMinute, tokensPerMinute } = limits;
    const { allowedFailures = defaultBreakerLimits.allowedFailures } = limits;
    const { coolDownMs = defaultBreakerLimits.coolDownMs } = limits;
    const { clock, parent } = host;
    this.#backend = backend;
    this.#host = host;
    this.#maxConcurrent = maxConcurrent === 'slots' ? 1 : maxConcurrent;
    this.#requests = requestsPerMinute === undefined ? undefined : new RateLimit(requestsPerMinute);
    this.#tokens = tokensPerMinute === undefined ? undefined : new RateLimit(tokensPerMinute, tokenStepMs);
    const breakerLimits = { ...defaultBreakerLimits, allowedFailures, coolDownMs };
    this.#breaker = new Breaker(backend, breakerLimits, { clock, parent, onChange: () => this.#follow() });
  }

  /**
   * Undefined: the agent is let in at once. Otherwise a promise that resolves when it is let in; it rejects with the signal's
   * reason, with `TROUPE_ERR_BACKEND_COOLING` when the backend cools down and is not to be waited for, or with
   * `TROUPE_ERR_TROUPE_CLOSED`. An `overloaded` backend is waited for when that takes 60 s at most and ends before
   * `deadlineAt` (milliseconds since the epoch); beyond that the deadline is the signal's to keep. Who was let in must leave,
   * even if its signal is aborted by the time it hears of it.
   */
  enter(agent: string, deadlineAt: number, signal: AbortSignal): Promise<void> | undefined {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#closed) return Promise.reject(closed(this.#backend));
    this.#breaker.coolIfDue();
    if (this.#queue.size === 0 && this.#hasRoom()) {
      this.#letIn(agent);
      return undefined;
    }
    if (!this.#isWorthWaiting(deadlineAt)) return Promise.reject(this.#cooling());
    return this.#wait(agent, deadlineAt, signal);
  }

  /** The server has said how many calls it works on at a time; undefined: it does not say. */
  setSlots(slots: number | undefined): void {
    this.#maxConcurrent = slots ?? Number.POSITIVE_INFINITY;
    this.#serve();
  }

  /** The call of an agent that was let in has ended; exactly once for each. */
  leave(agent: string, end: CallEnd): void {
    this.#inFlight -= 1;
    const tried = this.#probe === agent;
    if (tried) this.#probe = undefined;
    if (end.ok) this.#succeeded(end.tokens, tried);
    else if (end.error !== undefined) this.#failed(end.error, tried);
    this.#serve();
  }

  /** Whether the backend cools down. */
  get shut(): boolean {
    const { retryAt } = this.#breaker;
    return retryAt !== undefined && retryAt > this.#host.clock.now();
  }

  get status(): BackendStatus {
    return {
      ...this.#change,
      inFlight: this.#inFlight,
      waiting: this.#queue.size,
      calls: this.#calls,
      failures: this.#failures,
    };
  }

  /** Refuses who waits and who comes; no timer is left. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#breaker.close();
    for (const waiter of this.#queue.values()) this.#dismiss(waiter, closed(this.#backend));
  }

  get #change(): BreakerChange {
    const { state, class: errorClass, retryAt } = this.#breaker;
    return { backend: this.#backend, state, class: errorClass, retryAt };
  }

  #succeeded(tokens: number | undefined, tried: boolean): void {
    if (this.#tokens !== undefined && tokens !== undefined) this.#tokens.note(this.#host.clock.now(), tokens);
    if (tried || this.#breaker.state === 'closed') this.#breaker.succeed();
  }

  /** While one call tries, failures of calls that began before it decide nothing. */
  #failed(error: TroupeError, tried: boolean): void {
    this.#failures += 1;
    if (tried || this.#breaker.state !== 'half-open') this.#breaker.fail(error);
  }

  /** The breaker has changed: whoever cannot wait for it any longer goes, and one may be let in. */
  #follow(): void {
    callSafely((change) => this.#host.onChange(change), this.#change);
    if (this.#breaker.state === 'open') {
      for (const waiter of this.#queue.values())
        if (!this.#isWorthWaiting(waiter.deadlineAt)) this.#dismiss(waiter, this.#cooling());
    }
    this.#serve();
  }

  /** Whether one more call may begin now, were there no queue. */
  #hasRoom(): boolean {
    return this.#isPassable() && this.#rateWaitMs() === 0;
  }

  #isPassable(): boolean {
    const { state } = this.#breaker;
    if (this.#inFlight >= this.#maxConcurrent || state === 'open') return false;
    return state === 'closed' || this.#probe === undefined;
  }

  #rateWaitMs(): number {
    if (this.#requests === undefined && this.#tokens === undefined) return 0;
    const now = this.#host.clock.now();
    return Math.max(this.#requests?.waitMs(now) ?? 0, this.#tokens?.waitMs(now) ?? 0);
  }

  #isWorthWaiting(deadlineAt: number): boolean {
    const { state, class: errorClass, retryAt } = this.#breaker;
    if (state !== 'open' || retryAt === undefined) return true;
    return errorClass === 'overloaded' && retryAt < deadlineAt && retryAt - this.#host.clock.now() <= longestWaitMs;
  }

  #letIn(agent: string): void {
    this.#inFlight += 1;
    this.#calls += 1;
    this.#requests?.note(this.#host.clock.now(), 1);
    if (this.#breaker.state === 'half-open') this.#probe = agent;
  }

  #wait(agent: string, deadlineAt: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#dismiss(waiter, signal.reason);
      const settle = (error?: unknown) => {
        signal.removeEventListener('abort', onAbort);
        if (error === undefined) resolve();
        else reject(error);
      };
      const waiter: Waiter = { agent, deadlineAt, settle };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.add(agent, waiter);
      this.#serve();
    });
  }

  /** Sends away one that waits. */
  #dismiss(waiter: Waiter, error: unknown): void {
    this.#queue.delete(waiter.agent, waiter);
    waiter.settle(error);
    if (this.#queue.size === 0) this.#stopTimer();
  }

  /** Lets in who waits, as long as there is room; then waits for the rate limits, if it is they that hold the next one. */
  #serve(): void {
    while (this.#queue.size > 0 && this.#hasRoom()) {
      const next = this.#queue.take();
      if (next === undefined) break;
      this.#letIn(next.agent);
      next.settle();
    }
    if (this.#queue.size === 0) this.#stopTimer();
    else if (this.#timer === undefined && this.#isPassable()) callSafely(() => this.#startTimer());
  }

  /** What holds the next one only gets longer while the timer runs; then it is started again. */
  #startTimer(): void {
    const onTime = () => {
      this.#timer = undefined;
      this.#serve();
    };
    this.#timer = this.#host.clock.setTimeout(onTime, Math.ceil(this.#rateWaitMs()));
  }

  #stopTimer(): void {
    if (this.#timer === undefined) return;
    this.#host.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #cooling(): TroupeError {
    const { class: errorClass = 'transient', retryAt = 0 } = this.#breaker;
    const retryAfterMs = Math.max(0, Math.ceil(retryAt - this.#host.clock.now()));
    const until = new Date(retryAt).toISOString();
    const message =
      `Backend "${this.#backend}" is not called before ${until}, in ${retryAfterMs} ms, since it failed as ` +
      `"${errorClass}"; ${remedyOf(errorClass)}, ask again then, or give the agent a \`fallback\`.`;
    return new TroupeError('TROUPE_ERR_BACKEND_COOLING', message, { backend: this.#backend, retryAfterMs });
  }
}

function remedyOf(errorClass: ErrorClass): string {
  if (errorClass === 'auth') return 'give it a valid key';
  if (errorClass === 'quota') return 'top up its account';
  return errorClass === 'overloaded' ? 'lower its limits' : 'see that it runs';
}

function closed(backend: string): TroupeError {
  const message = `The troupe was closed, so backend "${backend}" takes no more calls; create another troupe.`;
  return new TroupeError('TROUPE_ERR_TROUPE_CLOSED', message, { backend });
}
