/** The admissions of a troupe, one for each backend that was called. */
import type { AnyActorRef } from 'xstate';
import type { Clock } from '../core/seams.ts';
import { Admission, type BackendStatus, type BreakerChange } from './admission.ts';
import { type BackendLimits, checkLimits } from './backend-limits.ts';
import type { Backends } from './backends.ts';

export interface AdmissionsHost {
  readonly clock: Clock;
  /** The supervisor's actor. */
  readonly parent: AnyActorRef;
  readonly backends: Backends;
  onChange(change: BreakerChange): void;
}

export class Admissions {
  readonly #byName = new Map<string, Admission>();
  readonly #limits: Readonly<Record<string, BackendLimits>>;
  readonly #host: AdmissionsHost;
  /** Aborted when the troupe ends. */
  readonly #ending = new AbortController();

  /** Throws `TROUPE_ERR_OPTION_INVALID` when a limit is wrong. */
  constructor(limits: Readonly<Record<string, BackendLimits>>, host: AdmissionsHost) {
    for (const [name, own] of Object.entries(limits)) checkLimits(name, own);
    this.#limits = limits;
    this.#host = host;
  }

  of(backend: string): Admission {
    const known = this.#byName.get(backend);
    if (known !== undefined) return known;
    const { clock, parent } = this.#host;
    const limits = Object.hasOwn(this.#limits, backend) ? this.#limits[backend] : undefined;
    const onChange = (change: BreakerChange) => this.#host.onChange(change);
    const admission = new Admission(backend, limits ?? {}, { clock, parent, onChange });
    this.#byName.set(backend, admission);
    if (limits?.maxConcurrent === 'slots') void this.#askSlots(backend, admission);
    return admission;
  }

  /** Whether a backend cools down. */
  isShut(backend: string): boolean {
    return this.#byName.get(backend)?.shut === true;
  }

  statuses(): BackendStatus[] {
    return [...this.#byName.values()].map(({ status }) => status);
  }

  /** Refuses who waits and who comes. */
  close(): void {
    this.#ending.abort();
    for (const admission of this.#byName.values()) admission.close();
  }

  /** Lets as many calls in as the server works on. Never rejects. */
  async #askSlots(backend: string, admission: Admission): Promise<void> {
    const { describeModel, model } = this.#host.backends.get(backend);
    const signal = AbortSignal.any([this.#ending.signal, AbortSignal.timeout(slotsMs)]);
    const facts = await describeModel?.(model, signal).catch(() => undefined);
    admission.setSlots(facts?.slots);
  }
}

/** How long a server may take to say how many calls it works on. */
const slotsMs = 10_000;
