/**
 * A queue that is fair among keys: they take turns, and each serves its own values first come, first served.
 *
 * Q1  `add`, `take` and `delete` are O(1) amortised, however many keys and values wait.
 * Q2  A key without values takes no room.
 */
export class FairQueue<Key, Value> {
  readonly #lines = new Map<Key, Line<Value>>();
  #turns: Iterator<[Key, Line<Value>]> = this.#lines.entries();
  #size = 0;

  /** Values that wait. */
  get size(): number {
    return this.#size;
  }

  /** Puts a value behind the others of its key. One that waits there already stays where it is. */
  add(key: Key, value: Value): void {
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = new Line();
      this.#lines.set(key, line);
    }
    if (line.add(value)) this.#size += 1;
  }

  /** Removes and returns the next value; undefined when none waits. */
  take(): Value | undefined {
    const turn = this.#nextTurn();
    if (turn === undefined) return undefined;
    const [key, line] = turn;
    const value = line.take();
    this.#size -= 1;
    this.#lines.delete(key);
    if (line.size > 0) this.#lines.set(key, line);
    return value;
  }

  /** Removes a value from where it waits; false when it does not. */
  delete(key: Key, value: Value): boolean {
    const line = this.#lines.get(key);
    if (line === undefined || !line.delete(value)) return false;
    this.#size -= 1;
    if (line.size === 0) this.#lines.delete(key);
    return true;
  }

  /** All values that wait, key by key. */
  values(): Value[] {
    return [...this.#lines.values()].flatMap((line) => line.values());
  }

  /**
   * The key whose turn it is. The iterator is kept: it goes on to keys that are put last behind it, while a new one would
   * step over the holes of all that were served.
   */
  #nextTurn(): [Key, Line<Value>] | undefined {
    if (this.#size === 0) return undefined;
    let turn = this.#turns.next();
    if (turn.done) {
      this.#turns = this.#lines.entries();
      turn = this.#turns.next();
    }
    return turn.done ? undefined : turn.value;
  }
}

/** The values of one key, in the order they came. */
class Line<Value> {
  readonly #waiting = new Set<Value>();
  #order: Iterator<Value> = this.#waiting.values();

  get size(): number {
    return this.#waiting.size;
  }

  add(value: Value): boolean {
    if (this.#waiting.has(value)) return false;
    this.#waiting.add(value);
    return true;
  }

  take(): Value | undefined {
    let next = this.#order.next();
    if (next.done) {
      this.#order = this.#waiting.values();
      next = this.#order.next();
    }
    if (next.done) return undefined;
    this.#waiting.delete(next.value);
    return next.value;
  }

  delete(value: Value): boolean {
    return this.#waiting.delete(value);
  }

  values(): Value[] {
    return [...this.#waiting];
  }
}
