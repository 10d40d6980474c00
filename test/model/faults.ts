/** Counts calls of what is plugged in or hung on, by name, and throws at one of them. */
export class Faults {
  readonly calls: string[] = [];
  readonly #failAt: number;
  #over = false;

  constructor(failAt: number) {
    this.#failAt = failAt;
  }

  /** The same object, each of whose methods of these names counts and may throw before it does anything. */
  in<Thing extends object>(label: string, thing: Thing, names: readonly (keyof Thing & string)[]): Thing {
    for (const name of names) {
      const method = thing[name] as (...args: unknown[]) => unknown;
      const counted = (...args: unknown[]) => {
        this.count(`${label}.${name}`);
        return method.apply(thing, args);
      };
      Object.assign(thing, { [name]: counted });
    }
    return thing;
  }

  /** Counts a call, and throws when it is its turn. With `most` only so many calls of the name count. */
  count(name: string, most = Number.POSITIVE_INFINITY): void {
    if (this.#over || this.calls.filter((call) => call === name).length >= most) return;
    this.calls.push(name);
    if (this.calls.length === this.#failAt) throw new Error(`call ${this.#failAt} (${name}) fails`);
  }

  /** From now on nothing fails. */
  end(): void {
    this.#over = true;
  }
}
