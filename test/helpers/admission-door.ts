/** A backend's admission with what became of everyone who came to it, on a virtual clock. */
import { type AnyActorRef, createActor } from 'xstate';
import { supervisorMachine } from '../../machines/index.ts';
import { type ErrorCode, type ErrorDetails, TroupeError } from '../../src/core/errors.ts';
import { Admission, type BackendLimits, type BreakerChange, type CallEnd } from '../../src/runtime/admission.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

export const startAt = Date.UTC(2026, 0, 1);
export const ok: CallEnd = { ok: true, tokens: undefined };
export const givenUp: CallEnd = { ok: false, error: undefined };

/** A signal that knows who listens. */
export class CountedSignal {
  readonly #abort = new AbortController();
  readonly signal: AbortSignal = this.#abort.signal;
  listeners = 0;

  constructor() {
    const { signal } = this;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      this.listeners += 1;
      addEventListener.apply(signal, args);
    };
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      this.listeners -= 1;
      removeEventListener.apply(signal, args);
    };
  }

  abort(reason: unknown): void {
    this.#abort.abort(reason);
  }
}

/** An admission with what became of everyone who came to it. */
export class Door {
  readonly clock = new VirtualClock(startAt);
  readonly changes: BreakerChange[] = [];
  /** Who was let in, in this order. */
  readonly letIn: string[] = [];
  readonly refused: [agent: string, reason: unknown][] = [];
  /** Ids of the actors that it made. */
  readonly actors: string[] = [];
  /** What the breaker's actor was told. */
  readonly events: string[] = [];
  readonly #signals: CountedSignal[] = [];
  readonly admission: Admission;

  constructor(limits: BackendLimits = {}) {
    const { clock } = this;
    const onChange = (change: BreakerChange) => {
      this.changes.push(change);
      throw new Error('a listener of no use');
    };
    const parent = createActor(supervisorMachine, {
      inspect: (event) => {
        const { id } = event.actorRef as AnyActorRef;
        if (event.type === '@xstate.actor') this.actors.push(id);
        if (event.type === '@xstate.event' && id === 'breaker:a') this.events.push(event.event.type);
      },
    });
    parent.start();
    this.actors.length = 0;
    this.admission = new Admission('a', limits, { clock, parent, onChange });
  }

  /** Comes to the door; the answer is in `letIn` or `refused`, soon. */
  come(agent: string, deadlineMs = 3_600_000): CountedSignal {
    const signal = new CountedSignal();
    this.#signals.push(signal);
    const entry = this.admission.enter(agent, this.clock.now() + deadlineMs, signal.signal);
    if (entry === undefined) this.letIn.push(agent);
    else
      entry.then(
        () => this.letIn.push(agent),
        (reason: unknown) => this.refused.push([agent, reason]),
      );
    return signal;
  }

  /** Comes, and leaves with this error. */
  fail(code: ErrorCode, details: ErrorDetails = {}, agent = 'x'): void {
    this.come(agent);
    this.admission.leave(agent, failed(code, details));
  }

  /** Closes it and says what is left: nothing, whatever happened before. */
  async close(): Promise<{ waiting: number; listeners: number; timers: number }> {
    this.admission.close();
    await settle();
    return { waiting: this.admission.status.waiting, listeners: this.listeners, timers: this.clock.pending };
  }

  /** What all the refused were told. */
  get reasons(): unknown[] {
    return this.refused.map(([, reason]) => (reason instanceof TroupeError ? reason.code : reason));
  }

  get listeners(): number {
    return this.#signals.reduce((sum, { listeners }) => sum + listeners, 0);
  }
}

export function failed(code: ErrorCode, details: ErrorDetails = {}): CallEnd {
  return { ok: false, error: new TroupeError(code, 'as the test wants it', details) };
}

export const nothingLeft = { waiting: 0, listeners: 0, timers: 0 };
