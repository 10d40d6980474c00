/** Holds back what the machine of one agent invokes: it starts when the test says so. What is stopped before that never starts. */
import type { AnyActorLogic } from 'xstate';

export class Gate {
  readonly #agent: string;
  readonly #waiting = new Map<unknown, () => void>();

  constructor(agent: string) {
    this.#agent = agent;
  }

  /** Lets the one that waits begin. */
  open(): void {
    const [entry] = this.#waiting;
    if (entry === undefined) return;
    const [actor, start] = entry;
    this.#waiting.delete(actor);
    start();
  }

  /** The same logic behind the gate. */
  before(logic: AnyActorLogic): AnyActorLogic {
    return {
      ...logic,
      start: (snapshot, scope) => {
        const start = () => logic.start?.(snapshot, scope);
        if (snapshot.input.name === this.#agent) this.#waiting.set(scope.self, start);
        else start();
      },
      transition: (snapshot, event, scope) =>
        this.#waiting.delete(scope.self)
          ? { ...snapshot, status: 'stopped' }
          : logic.transition(snapshot, event, scope),
    };
  }
}
