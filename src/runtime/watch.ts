/** The first-event and idle timers of a model call. */
import type { Clock } from '../core/seams.ts';
import type { Timeouts } from './agent-spec.ts';
import { callSafely } from './guards.ts';

/** Tells when nothing was heard for too long: before the first content, or between two. One timer for a whole call. */
export class Watch {
  readonly #clock: Clock;
  readonly #limits: Required<Timeouts>;
  readonly #onSilence: (what: string, ms: number) => void;
  #lastAt: number;
  #heard = false;
  #timer: unknown;

  constructor(clock: Clock, limits: Required<Timeouts>, onSilence: (what: string, ms: number) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#onSilence = onSilence;
    this.#lastAt = clock.now();
    this.#arm(limits.firstEventMs);
  }

  heard(): void {
    this.#heard = true;
    this.#lastAt = this.#clock.now();
  }

  end(): void {
    this.#clock.clearTimeout(this.#timer);
  }

  /** Never sleeps longer than `idleMs`: something may be heard meanwhile, and from then on that limit counts. */
  #arm(ms: number): void {
    this.#timer = this.#clock.setTimeout(() => this.#look(), Math.min(ms, this.#limits.idleMs));
  }

  #look(): void {
    const { firstEventMs, idleMs } = this.#limits;
    const limitMs = this.#heard ? idleMs : firstEventMs;
    const leftMs = this.#lastAt + limitMs - this.#clock.now();
    if (leftMs > 0) callSafely(() => this.#arm(leftMs));
    else this.#onSilence(this.#heard ? 'nothing more' : 'no content', limitMs);
  }
}
