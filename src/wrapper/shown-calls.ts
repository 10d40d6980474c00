/** Which tool calls the caller has been shown: it is asked about a call only after that. */

interface Wait {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export class ShownCalls {
  readonly #waits = new Map<string, Wait>();

  /** The line of a call is written. */
  add(callId: string): void {
    this.#wait(callId).resolve();
  }

  /** Resolves when it is, or when the turn is over. */
  has(callId: string): Promise<void> {
    return this.#wait(callId).promise;
  }

  /** The call has its result; another may have its id later. */
  remove(callId: string): void {
    this.#waits.get(callId)?.resolve();
    this.#waits.delete(callId);
  }

  /** The turn is over. */
  clear(): void {
    for (const callId of [...this.#waits.keys()]) this.remove(callId);
  }

  #wait(callId: string): Wait {
    const known = this.#waits.get(callId);
    if (known !== undefined) return known;
    let resolve = () => {};
    const promise = new Promise<void>((settle) => {
      resolve = settle;
    });
    const wait = { promise, resolve };
    this.#waits.set(callId, wait);
    return wait;
  }
}
