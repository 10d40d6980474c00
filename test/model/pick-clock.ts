/** Time for the model: timers wait until a test picks them. */
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** A clock on which a test can let one certain timer fire; the others wait for ever. */
export class PickClock extends VirtualClock {
  readonly #timers = new Map<unknown, { readonly ms: number; readonly callback: () => void }>();
  #passed = 0;

  override now(): number {
    return super.now() + this.#passed;
  }

  override setTimeout(callback: () => void, ms: number): unknown {
    const handle = super.setTimeout(callback, ms);
    this.#timers.set(handle, { ms, callback });
    return handle;
  }

  override clearTimeout(handle: unknown): void {
    super.clearTimeout(handle);
    this.#timers.delete(handle);
  }

  /** Fires the timer that was made for `ms` milliseconds, if there is one. */
  fire(ms: number): void {
    const [handle, timer] = [...this.#timers].find((entry) => entry[1].ms === ms) ?? [];
    this.clearTimeout(handle);
    timer?.callback();
  }

  /** The same, and the time passes. */
  pass(ms: number): void {
    this.#passed += ms;
    this.fire(ms);
  }

  /** The time passes, and no timer is looked at. */
  move(ms: number): void {
    this.#passed += ms;
  }
}
