/** A typed stand-in for an actor that a chart names and a runtime provides. */
import { fromPromise, type PromiseActorLogic } from 'xstate';

/** Actor logic that only fails, saying which actor nobody provided. */
export function contract<Output, Input>(name: string): PromiseActorLogic<Output, Input> {
  return fromPromise<Output, Input>(() =>
    Promise.reject(new Error(`No "${name}" was provided: use machine.provide({ actors: { ${name} } }).`)),
  );
}
