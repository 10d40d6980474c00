/** The first-event and idle timers of a model call. */
import type { Clock } from '../core/seams.ts';
import type { Timeouts } from './agent-spec.ts';
import { callSafely } from './guards.ts';

/** A timer that is later than this says that the process stood still. In milliseconds. */
const stalledMs = 50;

/**
 * Tells when nothing was heard for too long: before the first content, or between two. One timer for a whole call.
 * When the process stood still, its timers fire before it has read what came meanwhile: then it listens once more.
 */
export class Watch {
  readonly #clock: Clock;
  readonly #limits: Required<Timeouts>;
  readonly #onSilence: (what: string, ms: number) => void;
  #lastAt: number;
  #heard = false;
  #dueAt = 0;
  /** Whether it listens once more. */
  #again = false;
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
    this.#again = false;
    this.#lastAt = this.#clock.now();
  }

  end(): void {
    this.#clock.clearTimeout(this.#timer);
  }

  /** Never sleeps longer than `idleMs`: something may be heard meanwhile, and from then on that limit counts. */
  #arm(ms: number): void {
    const waitMs = Math.min(ms, this.#limits.idleMs);
    this.#dueAt = this.#clock.now() + waitMs;
    this.#timer = this.#clock.setTimeout(() => this.#look(), waitMs);
  }

  #look(): void {
    const { firstEventMs, idleMs } = this.#limits;
    const limitMs = this.#heard ? idleMs : firstEventMs;
    const now = this.#clock.now();
    const leftMs = this.#lastAt + limitMs - now;
    const lateMs = now - this.#dueAt;
    if (leftMs > 0) callSafely(() => this.#arm(leftMs));
    else if (lateMs > stalledMs && !this.#again) {
      this.#again = true;
      callSafely(() => this.#arm(lateMs));
    } else this.#onSilence(this.#heard ? 'nothing more' : 'no content', limitMs);
  }
}
