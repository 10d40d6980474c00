/**
 * Guards around what others plug in or hang on: their failures stay theirs.
 * XState throws what an observer threw from a timer, which ends the process, and an inspector that throws stops an actor
 * for good.
 */
import type { AnyActorRef, InspectionEvent, Observer } from 'xstate';
import type { Clock } from '../core/seams.ts';

/** Calls `callback`; what it throws or rejects with is dropped. */
export function callSafely<Arguments extends readonly unknown[]>(
  callback: ((...args: Arguments) => unknown) | undefined,
  ...args: Arguments
): void {
  try {
    const result = callback?.(...args);
    if (result instanceof Promise) result.catch(() => {});
  } catch {
    // Whoever was called should have caught it.
  }
}

/**
 * A clock whose `now` and `clearTimeout` never throw, since they are called while asks are settled. When `now` fails, time
 * stands still.
 */
export function guardClock(clock: Clock): Clock {
  let last = 0;
  return {
    now: () => {
      callSafely(() => {
        last = clock.now();
      });
      return last;
    },
    setTimeout: (callback, ms) => clock.setTimeout(callback, ms),
    clearTimeout: (handle) => callSafely(() => clock.clearTimeout(handle)),
  };
}

const guarded = new WeakSet<AnyActorRef>();

/** The same actor; from now on its observers and listeners may throw. Costs nothing until somebody asks for the actor. */
export function guardActor<Actor extends AnyActorRef>(actor: Actor): Actor {
  if (guarded.has(actor)) return actor;
  guarded.add(actor);
  const { subscribe, on } = actor;
  Object.assign(actor, {
    subscribe: (first: Callback | Partial<Observer<unknown>>, error?: Callback, complete?: Callback) => {
      const observer = typeof first === 'function' ? { next: first, error, complete } : first;
      const safe: Observer<unknown> = {
        next: (value: unknown) => callSafely(observer.next as Callback, value),
        error: (thrown: unknown) => callSafely(observer.error as Callback, thrown),
        complete: () => callSafely(observer.complete as Callback, undefined),
      };
      return subscribe.call(actor, safe as never);
    },
    on: (type: string, handler: Callback) => on.call(actor, type, (event: unknown) => callSafely(handler, event)),
  });
  return actor;
}

/** The actor's system from now on takes inspectors that throw. */
export function guardInspectors({ system }: AnyActorRef): void {
  const { inspect } = system;
  system.inspect = (observer) => {
    const next = typeof observer === 'function' ? observer : observer.next;
    return inspect.call(system, (event: InspectionEvent) => callSafely(next as Callback, event));
  };
}

type Callback = (value: unknown) => unknown;
