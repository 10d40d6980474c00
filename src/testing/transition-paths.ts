/**
 * Paths through a model that between them take every one of its transitions: what a test walks on the real thing.
 * A transition is a state and an event that may happen there. The model is the oracle too: after each event, compare.
 */

/** A model: where it starts, what may happen in a state, what then becomes of it, and when two states count as one. */
export interface PathModel<State, Event extends string> {
  readonly start: State;
  /** The events that may happen in a state, those that change nothing included. */
  readonly events: (state: State) => readonly Event[];
  /** The state after an event. It must not change the state that it is given. */
  readonly next: (state: State, event: Event) => State;
  /** Names what of a state matters: states with the same key count as one. Keep it small, or the model has no end. */
  readonly key: (state: State) => string;
}

export interface TransitionPaths<Event extends string> {
  /** Keys of all states that can be reached, nearest first. */
  readonly states: readonly string[];
  /** All transitions, each as `transitionName` gives it. */
  readonly transitions: readonly string[];
  /** Lists of events from the start. None is the beginning of another. */
  readonly paths: readonly (readonly Event[])[];
}

/** Names a transition by the key of its state and its event. */
export function transitionName(key: string, event: string): string {
  return `${key} + ${event}`;
}

/** The shortest path to each state, and from there each of its events. Throws beyond `maxStates` states (default 20,000). */
export function transitionPaths<State, Event extends string>(
  model: PathModel<State, Event>,
  maxStates = 20_000,
): TransitionPaths<Event> {
  const startKey = model.key(model.start);
  const reached = new Map<string, readonly Event[]>([[startKey, []]]);
  const queue = [{ key: startKey, state: model.start, path: [] as readonly Event[] }];
  const transitions: string[] = [];
  const paths = new Map<string, readonly Event[]>();
  for (const { key, state, path } of queue) {
    for (const event of model.events(state)) {
      const next = model.next(state, event);
      const longer = [...path, event];
      transitions.push(transitionName(key, event));
      paths.delete(JSON.stringify(path));
      paths.set(JSON.stringify(longer), longer);
      const nextKey = model.key(next);
      if (reached.has(nextKey)) continue;
      if (reached.size === maxStates)
        throw new Error(`The model has more than ${maxStates} states; let \`key\` say less.`);
      reached.set(nextKey, longer);
      queue.push({ key: nextKey, state: next, path: longer });
    }
  }
  return { states: [...reached.keys()], transitions, paths: [...paths.values()] };
}
