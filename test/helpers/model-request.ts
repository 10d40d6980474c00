/** What a test of a backend needs: a request, the error of what must fail, and everything that the error shows. */
import { inspect } from 'node:util';
import type { ModelRequest } from '../../actors/backend.ts';
import { Conversation } from '../../src/core/conversation.ts';
import { isTroupeError, type TroupeError } from '../../src/core/errors.ts';

/** A request that says "Hi", but for what is given. */
export function modelRequest(given: Partial<ModelRequest> = {}): ModelRequest {
  return {
    agent: 'a',
    model: 'm',
    conversation: new Conversation('Be brief.'),
    prompt: [{ role: 'user', content: 'Hi' }],
    tools: [],
    parameters: {},
    signal: new AbortController().signal,
    onEvent: () => {},
    ...given,
  };
}

/** The error of what must fail with one of ours. */
export async function failure(promise: Promise<unknown>): Promise<TroupeError> {
  const thrown = await promise.then(
    (value) => new Error(`did not fail: ${inspect(value)}`),
    (error: unknown) => error,
  );
  if (!isTroupeError(thrown)) throw thrown;
  return thrown;
}

/** Every text that an error may show, hidden properties and causes included. */
export function allOf(error: unknown): string {
  return inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error) + String((error as Error).stack);
}
