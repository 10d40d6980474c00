/**
 * How much of something may happen in a minute: a window of 60 s that slides.
 *
 * R1  When whoever notes 1 has asked `waitMs` before, no 60 s hold more than the limit.
 * R2  An amount that is known only afterwards, such as the tokens of a call, holds back the next and not itself: the window
 *     may be over its limit by what was under way when it filled up.
 * R3  Notes within `stepMs` are kept as one, which counts until the last of them is a minute old; so the window is never too
 *     generous, it holds no more than 60,000 / `stepMs` + 1 entries (without a step: as many as the limit), and a note is
 *     O(1) amortised.
 */
export class RateLimit {
  readonly #perMinute: number;
  readonly #stepMs: number;
  /** Oldest first; those before `#first` are over. */
  #entries: Entry[] = [];
  #first = 0;
  #sum = 0;

  constructor(perMinute: number, stepMs = 0) {
    this.#perMinute = perMinute;
    this.#stepMs = stepMs;
  }

  /** Milliseconds until the window is below its limit; 0 = it is. */
  waitMs(nowMs: number): number {
    this.#forget(nowMs);
    let left = this.#sum;
    if (left < this.#perMinute) return 0;
    for (let index = this.#first; index < this.#entries.length; index += 1) {
      const entry = this.#entries[index];
      if (entry === undefined) break;
      left -= entry.amount;
      if (left < this.#perMinute) return entry.lastAt + windowMs - nowMs;
    }
    return windowMs;
  }

  /** Counts an amount from now on, for a minute. Time never goes back. */
  note(nowMs: number, amount: number): void {
    this.#forget(nowMs);
    if (amount <= 0) return;
    this.#sum += amount;
    const last = this.#entries.at(-1);
    if (last !== undefined && nowMs - last.firstAt <= this.#stepMs) {
      last.amount += amount;
      last.lastAt = nowMs;
    } else {
      this.#entries.push({ firstAt: nowMs, lastAt: nowMs, amount });
    }
  }

  #forget(nowMs: number): void {
    const entries = this.#entries;
    for (let entry = entries[this.#first]; entry !== undefined; entry = entries[this.#first]) {
      if (entry.lastAt + windowMs > nowMs) break;
      this.#sum -= entry.amount;
      this.#first += 1;
    }
    // Moving what is left costs no more than what was forgotten since the last time.
    if (this.#first * 2 <= entries.length) return;
    this.#entries = entries.slice(this.#first);
    this.#first = 0;
  }
}

const windowMs = 60_000;

interface Entry {
  readonly firstAt: number;
  lastAt: number;
  amount: number;
}
