/** A backend that fails: who is refused, who waits for it, and who tries it when it has cooled down. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BackendLimits } from '../../src/runtime/admission.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { Door, failed, givenUp, nothingLeft, ok, startAt } from '../helpers/admission-door.ts';

const overloaded = 'TROUPE_ERR_BACKEND_OVERLOADED';
const unavailable = 'TROUPE_ERR_BACKEND_UNAVAILABLE';
const cooling = 'TROUPE_ERR_BACKEND_COOLING';

let door: Door;

function open(limits?: BackendLimits): Door {
  door = new Door(limits);
  return door;
}

beforeEach(() => {
  open();
});

afterEach(async () => {
  expect(await door.close()).toEqual(nothingLeft);
});

describe('open', () => {
  test('after five failures in a row and one more, whoever comes is refused and told why', async () => {
    for (let count = 0; count < 5; count += 1) door.fail(unavailable);
    expect([door.admission.shut, door.changes]).toEqual([false, []]);
    door.fail(unavailable);
    const retryAt = startAt + 30_000;
    expect(door.admission.shut).toBe(true);
    expect(door.admission.status).toEqual({
      ...{ backend: 'a', state: 'open', class: 'transient', retryAt },
      ...{ inFlight: 0, waiting: 0, calls: 6, failures: 6 },
    });
    await door.clock.advance(10_000);
    await expect(door.admission.enter('y', startAt + 3_600_000, new AbortController().signal)).rejects.toMatchObject({
      ...{ code: cooling, class: 'overloaded', retryable: true, backend: 'a', retryAfterMs: 20_000 },
      message:
        'Backend "a" is not called before 2026-01-01T00:00:30.000Z, in 20000 ms, since it failed as "transient"; ' +
        'see that it runs, ask again then, or give the agent a `fallback`.',
    });
    expect(door.actors).toEqual(['breaker:a']);
  });

  test('0 allowed failures: the first one opens it', () => {
    open({ allowedFailures: 0, coolDownMs: 5 });
    door.fail(unavailable);
    expect(door.changes).toEqual([{ backend: 'a', state: 'open', class: 'transient', retryAt: startAt + 5 }]);
  });

  test('a success between them begins the count again', () => {
    open({ allowedFailures: 1 });
    for (let count = 0; count < 5; count += 1) {
      door.fail(unavailable);
      door.come('x');
      door.admission.leave('x', ok);
    }
    expect(door.changes).toEqual([]);
  });

  test('what has recovered costs nothing: its actor hears of one success, not of all', () => {
    door.fail(unavailable);
    for (let count = 0; count < 5; count += 1) {
      door.come('x');
      door.admission.leave('x', ok);
    }
    expect(door.events).toEqual(['xstate.init', 'fail', 'succeed']);
  });

  test('overloaded for a while: they wait, who has the time', async () => {
    door.fail(overloaded, { retryAfterMs: 20_000 });
    door.come('patient', 20_001);
    door.come('hurried', 20_000);
    await settle();
    expect([door.admission.status.waiting, door.refused.map(([agent]) => agent), door.reasons]).toEqual([
      ...[1, ['hurried'], [cooling]],
    ]);
    await door.clock.advance(19_999);
    expect(door.letIn).toEqual(['x']);
    await door.clock.advance(1);
    expect(door.letIn).toEqual(['x', 'patient']);
  });

  test.each([
    ['overloaded for long', overloaded, { retryAfterMs: 60_001 }],
    ['overloaded for a day', overloaded, { retryAfterMs: 86_400_000 }],
    ['out of quota', 'TROUPE_ERR_BACKEND_QUOTA', { retryAfterMs: 1 }],
  ] as const)('%s: nobody waits', async (_name, code, details) => {
    door.fail(code, details);
    door.come('y');
    await settle();
    expect([door.reasons, door.admission.status.waiting]).toEqual([[cooling], 0]);
  });

  test('who waits for a place is refused when it opens', async () => {
    open({ maxConcurrent: 1, allowedFailures: 0 });
    for (const agent of ['a', 'b', 'c']) door.come(agent);
    door.admission.leave('a', failed('TROUPE_ERR_BACKEND_TIMEOUT'));
    await settle();
    expect([door.reasons, door.listeners]).toEqual([[cooling, cooling], 0]);
  });

  test('a later Retry-After makes it longer, a shorter one does not, and who cannot wait so long goes', async () => {
    for (const agent of ['a', 'b', 'c']) door.come(agent);
    door.admission.leave('a', failed(overloaded, { retryAfterMs: 10_000 }));
    door.come('d', 15_000);
    door.come('e');
    await door.clock.advance(5000);
    door.admission.leave('b', failed(overloaded, { retryAfterMs: 4999 }));
    expect(door.admission.status).toMatchObject({ retryAt: startAt + 10_000, waiting: 2 });
    door.admission.leave('c', failed(overloaded, { retryAfterMs: 10_000 }));
    await settle();
    expect(door.admission.status).toMatchObject({ retryAt: startAt + 15_000, waiting: 1 });
    expect([door.refused.map(([agent]) => agent), door.reasons]).toEqual([['d'], [cooling]]);
    expect(door.changes.map(({ retryAt = 0 }) => retryAt - startAt)).toEqual([10_000, 15_000]);
    await door.clock.advance(9999);
    expect(door.admission.status.state).toBe('open');
    await door.clock.advance(1);
    expect(door.letIn.at(-1)).toBe('e');
  });

  test('who waits and is aborted leaves nothing', () => {
    door.fail(overloaded, { retryAfterMs: 20_000 });
    const y = door.come('y');
    y.abort('enough');
    expect([door.admission.status.waiting, y.listeners, door.clock.pending]).toEqual([0, 0, 1]);
  });
});

describe('cooled down', () => {
  /** Ten wait for a backend that was overloaded, and the cool-down is over. */
  async function burst(limits: BackendLimits = {}): Promise<void> {
    open(limits);
    door.fail(overloaded, { retryAfterMs: 1000 });
    for (let count = 0; count < 10; count += 1) door.come(`agent-${count}`);
    await door.clock.advance(1000);
    door.letIn.shift();
  }

  test('one tries; the others, and whoever comes, wait until it has succeeded', async () => {
    await burst();
    door.come('late');
    await settle();
    expect(door.letIn).toEqual(['agent-0']);
    expect(door.admission.status).toMatchObject({ state: 'half-open', retryAt: undefined, inFlight: 1, waiting: 10 });
    await door.clock.advance(120_000);
    expect([door.letIn.length, door.admission.shut]).toEqual([1, false]);
    door.admission.leave('agent-0', ok);
    await settle();
    expect(door.letIn).toHaveLength(11);
    expect(door.changes.map(({ state }) => state)).toEqual(['open', 'half-open', 'closed']);
    expect(door.changes.at(-1)).toEqual({ backend: 'a', state: 'closed', class: undefined, retryAt: undefined });
  });

  test('the burst that follows keeps the limits', async () => {
    await burst({ maxConcurrent: 3, requestsPerMinute: 6 });
    door.admission.leave('agent-0', ok);
    await settle();
    expect(door.letIn).toHaveLength(4);
    for (const agent of ['agent-1', 'agent-2', 'agent-3']) door.admission.leave(agent, ok);
    await settle();
    expect(door.letIn).toHaveLength(5);
    await door.clock.advance(59_000);
    expect(door.letIn).toHaveLength(6);
  });

  test('when it fails all are refused, but those who may wait for what the server says', async () => {
    await burst({ allowedFailures: 0 });
    door.come('hurried', 10);
    door.admission.leave('agent-0', failed(overloaded, { retryAfterMs: 10 }));
    await settle();
    expect([door.refused.map(([agent]) => agent), door.reasons]).toEqual([['hurried'], [cooling]]);
    await door.clock.advance(10);
    expect(door.letIn).toEqual(['agent-0', 'agent-1']);
    door.admission.leave('agent-1', failed(unavailable));
    await settle();
    expect(door.reasons).toHaveLength(9);
    // The third opening in a row.
    expect(door.admission.status).toMatchObject({ state: 'open', class: 'transient', waiting: 0 });
    expect((door.admission.status.retryAt ?? 0) - door.clock.now()).toBe(120_000);
  });

  test('a server that asked for a second, and then fails once, is not shut for a minute', async () => {
    await burst();
    door.admission.leave('agent-0', failed(unavailable));
    await settle();
    expect([door.letIn.length, door.reasons]).toEqual([10, []]);
    expect(door.changes.map(({ state }) => state)).toEqual(['open', 'half-open', 'closed']);
  });

  test.each([
    ['that was given up', givenUp],
    ['that says nothing about the backend', failed('TROUPE_ERR_BACKEND_REFUSED')],
  ])('a try %s leaves its place to the next', async (_name, end) => {
    await burst();
    for (let count = 0; count < 3; count += 1) {
      door.admission.leave(`agent-${count}`, end);
      await settle();
    }
    expect(door.letIn).toEqual(['agent-0', 'agent-1', 'agent-2', 'agent-3']);
    expect(door.admission.status).toMatchObject({ state: 'half-open', inFlight: 1, waiting: 6 });
  });

  test('nobody waited: the next who comes tries, and only that one', async () => {
    open({ allowedFailures: 0 });
    door.fail(unavailable);
    await door.clock.advance(30_000);
    expect(door.clock.pending).toBe(0);
    for (const agent of ['a', 'b', 'c']) door.come(agent);
    expect(door.letIn).toEqual(['x', 'a']);
  });

  test.each([
    ['a failure', failed(unavailable)],
    ['a success', ok],
    ['nothing', givenUp],
  ])('%s of a call that began before decides nothing', async (_name, end) => {
    for (const agent of ['a', 'old']) door.come(agent);
    door.admission.leave('a', failed(overloaded, { retryAfterMs: 1000 }));
    for (const agent of ['b', 'c']) door.come(agent);
    await door.clock.advance(1000);
    door.admission.leave('old', end);
    await settle();
    expect(door.letIn).toEqual(['a', 'old', 'b']);
    expect(door.admission.status).toMatchObject({ state: 'half-open', inFlight: 1, waiting: 1 });
    door.admission.leave('b', ok);
    expect(door.admission.status).toMatchObject({ state: 'closed', inFlight: 1, waiting: 0 });
  });

  test('whoever comes before a late timer tries', () => {
    const timers: (() => void)[] = [];
    Object.assign(door.clock, { setTimeout: (callback: () => void) => timers.push(callback) });
    let now = startAt;
    Object.assign(door.clock, { now: () => now });
    door.fail(unavailable, {});
    for (let count = 0; count < 5; count += 1) door.fail(unavailable);
    now += 30_000;
    expect([door.admission.shut, door.admission.status.state]).toEqual([false, 'open']);
    door.come('y');
    expect([door.letIn.at(-1), door.admission.status.state]).toEqual(['y', 'half-open']);
    for (const late of timers) late();
    expect(door.admission.status.state).toBe('half-open');
  });
});
