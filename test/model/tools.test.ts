/** The tools that users get for tests like these. */
import { describe, expect, test } from 'vitest';
import type { Message } from '../../src/core/types.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { assertValidMessages, gatedBackend, settle, transitionPaths } from '../../src/testing/index.ts';
import { modelRequest } from '../helpers/model-request.ts';

describe('gatedBackend', () => {
  test('answers when it is told to, in any order, of whichever agent', async () => {
    const backend = gatedBackend({ model: 'm' });
    const troupe = createTroupe({ backends: { backend } });
    const [a, b] = [await troupe.spawn('a', { system: 'S' }), await troupe.spawn('b', { maxRetries: 0 })];
    const asks = [a.ask('1'), b.ask('2')];
    await settle();
    expect(backend.pending.map(({ agent, model, messages }) => [agent, model, messages.length])).toEqual([
      ['a', 'm', 2],
      ['b', 'm', 1],
    ]);
    backend.next('b').reject(new Error('boom'));
    backend.next().resolve({ text: 'one' });
    expect((await Promise.allSettled(asks)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect([backend.pending, backend.calls.length]).toEqual([[], 2]);
    expect(() => backend.next('b')).toThrow('No call of agent "b" is pending; there were 2.');
    await troupe.close();
  });

  test.each([false, true])('an aborted call is no longer pending (ignoreAbort: %s)', async (ignoreAbort) => {
    const backend = gatedBackend({ ignoreAbort });
    const abort = new AbortController();
    const calls = [backend.call(modelRequest({ signal: abort.signal })), backend.call(modelRequest())];
    abort.abort(new Error('enough'));
    expect([backend.pending, backend.aborted].map((list) => list.length)).toEqual([1, 1]);
    backend.aborted[0]?.resolve({ text: 'late' });
    backend.next().resolve();
    const ends = await Promise.allSettled(calls);
    expect(ends[0]).toMatchObject(ignoreAbort ? { value: { text: 'late' } } : { reason: { message: 'enough' } });
  });
});

describe('assertValidMessages', () => {
  const call = (...ids: string[]): Message => ({
    role: 'assistant',
    content: '',
    toolCalls: ids.map((id) => ({ id, name: 't', arguments: '{}' })),
  });
  const result = (callId: string): Message => ({ role: 'tool', callId, name: 't', content: '' });
  const user: Message = { role: 'user', content: 'u' };
  const system: Message = { role: 'system', content: 's' };

  test('lets whole conversations through', () => {
    expect(() => assertValidMessages([])).not.toThrow();
    expect(() =>
      assertValidMessages([system, user, call('a', 'b'), result('b'), result('a'), call(), user]),
    ).not.toThrow();
    expect(() => assertValidMessages([user, call('a'), result('a'), call('a'), result('a')])).not.toThrow();
  });

  test.each<[string, Message[]]>([
    ['Message 1 of 2: a system message that is not the first.', [user, system]],
    ['Message 1 of 2: the result of "a" has no call, or a second one.', [user, result('a')]],
    ['Message 2 of 3: the result of "a" has no call, or a second one.', [call('a'), result('a'), result('a')]],
    ['Message 2 of 3: it comes before the result of "b".', [call('a', 'b'), result('a'), user]],
    ['The messages end without a result for "a", "b".', [call('a', 'b')]],
    ['Message 0 of 1: two calls have the id "a".', [call('a', 'a')]],
  ])('%s', (message, messages) => {
    expect(() => assertValidMessages(messages)).toThrow(message);
  });
});

test('transitionPaths takes every transition once, by the shortest way', () => {
  const counter = {
    start: 0,
    events: (count: number) => (count < 2 ? (['up', 'stay'] as const) : (['reset'] as const)),
    next: (count: number, event: 'up' | 'stay' | 'reset') =>
      event === 'up' ? count + 1 : event === 'reset' ? 0 : count,
    key: String,
  };
  expect(transitionPaths(counter)).toEqual({
    states: ['0', '1', '2'],
    transitions: ['0 + up', '0 + stay', '1 + up', '1 + stay', '2 + reset'],
    paths: [['stay'], ['up', 'stay'], ['up', 'up', 'reset']],
  });
  expect(() => transitionPaths({ ...counter, next: (count) => count + 1, events: () => ['up'] }, 10)).toThrow(
    '10 states',
  );
});
