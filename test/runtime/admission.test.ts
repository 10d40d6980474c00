/** Who is let in to a backend: limits, turns, and nothing left behind. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BackendLimits } from '../../src/runtime/admission.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { type CountedSignal, Door, failed, givenUp, nothingLeft, ok, startAt } from '../helpers/admission-door.ts';

const seed = Number(process.env['MODEL_SEED'] ?? 20_251_107);
const overloaded = 'TROUPE_ERR_BACKEND_OVERLOADED';
const unavailable = 'TROUPE_ERR_BACKEND_UNAVAILABLE';

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

describe('nothing limits', () => {
  test('everyone goes on at once, and there is no actor, timer or listener', () => {
    for (let agent = 0; agent < 100; agent += 1) door.come(`agent-${agent}`);
    expect(door.letIn).toHaveLength(100);
    expect(door.admission.status).toEqual({
      ...{ backend: 'a', state: 'closed', class: undefined, retryAt: undefined },
      ...{ inFlight: 100, waiting: 0, calls: 100, failures: 0 },
    });
    for (let agent = 0; agent < 100; agent += 1) door.admission.leave(`agent-${agent}`, ok);
    expect(door.admission.status.inFlight).toBe(0);
    expect([door.actors, door.clock.pending, door.listeners]).toEqual([[], 0, 0]);
  });

  test('what says nothing about the backend makes no actor either', () => {
    for (let count = 0; count < 20; count += 1) door.fail('TROUPE_ERR_BACKEND_REQUEST_INVALID');
    door.come('x');
    door.admission.leave('x', givenUp);
    expect([door.actors, door.changes, door.admission.status.failures]).toEqual([[], [], 20]);
  });

  test('whoever comes aborted is refused with the reason', async () => {
    const abort = new AbortController();
    abort.abort('enough');
    await expect(door.admission.enter('x', startAt, abort.signal)).rejects.toBe('enough');
    expect(door.admission.status.calls).toBe(0);
  });
});

describe('a limit of calls at the same time', () => {
  test('is kept, and the flood of one agent does not hold up the others', async () => {
    open({ maxConcurrent: 1 });
    for (let count = 0; count < 10; count += 1) door.come('flood');
    for (let count = 0; count < 2; count += 1) for (const agent of ['b', 'c']) door.come(agent);
    expect(door.admission.status).toMatchObject({ inFlight: 1, waiting: 13 });
    for (let count = 0; count < 14; count += 1) {
      await settle();
      expect(door.admission.status.inFlight).toBe(1);
      door.admission.leave(door.letIn.at(-1) ?? '', ok);
    }
    expect(door.letIn.join(' ')).toBe('flood flood b c flood b c flood flood flood flood flood flood flood');
  });

  test('holds under a hundred at once, however they end', async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 7 }),
      fc.infiniteStream(fc.nat(99)),
      async (most, dice) => {
        open({ maxConcurrent: most, allowedFailures: 1_000_000 });
        const inside: string[] = [];
        const signals = new Map<string, CountedSignal>();
        for (let agent = 0; agent < 100; agent += 1) signals.set(`agent-${agent}`, door.come(`agent-${agent}`));
        for (let ended = 0; ended < 100; ) {
          await settle();
          inside.push(...door.letIn.splice(0));
          ended += door.refused.splice(0).length;
          expect(inside.length).toBe(Math.min(most, 100 - ended));
          expect(door.admission.status).toMatchObject({
            inFlight: inside.length,
            waiting: 100 - ended - inside.length,
          });
          const die = dice.next().value as number;
          const agent = inside.splice(die % Math.max(1, inside.length), 1)[0];
          if (agent === undefined) continue;
          const end = [ok, givenUp, failed(unavailable), failed('TROUPE_ERR_BACKEND_REFUSED')][die % 4] ?? ok;
          door.admission.leave(agent, end);
          ended += 1;
          // Somebody loses patience, inside or outside; inside it changes nothing here.
          signals.get(`agent-${die}`)?.abort('enough');
        }
        expect(door.admission.status).toMatchObject({ inFlight: 0, waiting: 0 });
        expect([door.listeners, door.clock.pending]).toEqual([0, 0]);
      },
    );
    await fc.assert(property, { seed, numRuns: 20 });
  });

  test('who is aborted while waiting leaves the queue at once; others move up', async () => {
    open({ maxConcurrent: 1 });
    door.come('a');
    const b = door.come('b');
    door.come('c');
    b.abort('enough');
    expect(door.admission.status.waiting).toBe(1);
    door.admission.leave('a', ok);
    await settle();
    expect([door.letIn, door.refused, b.listeners]).toEqual([['a', 'c'], [['b', 'enough']], 0]);
  });

  test('who comes later does not pass the queue', async () => {
    open({ maxConcurrent: 2, requestsPerMinute: 2 });
    for (const agent of ['a', 'b', 'c']) door.come(agent);
    await door.clock.advance(60_000);
    door.admission.leave('a', ok);
    door.come('d');
    await settle();
    expect(door.letIn).toEqual(['a', 'b', 'c']);
    door.admission.leave('b', ok);
    await settle();
    expect(door.letIn).toEqual(['a', 'b', 'c', 'd']);
  });

  test('not even when the timer of the queue is late', async () => {
    open({ requestsPerMinute: 1 });
    for (const agent of ['a', 'b']) door.come(agent);
    const later = door.clock.now() + 60_000;
    Object.assign(door.clock, { now: () => later });
    door.come('c');
    await settle();
    expect([door.letIn, door.admission.status.waiting]).toEqual([['a', 'b'], 1]);
  });
});

describe('limits per minute', () => {
  test('of requests: never more within 60 s, and one timer for all who wait', async () => {
    open({ requestsPerMinute: 3 });
    const at: number[] = [];
    for (let count = 0; count < 8; count += 1) {
      door.come(`agent-${count}`);
      await door.clock.advance(1000);
    }
    expect(door.clock.pending).toBe(1);
    let seen = 0;
    while (seen < 8) {
      for (; seen < door.letIn.length; seen += 1) at.push(door.clock.now() - startAt);
      await door.clock.advance(500);
    }
    expect(at).toEqual([8000, 8000, 8000, 60_000, 61_000, 62_000, 120_000, 121_000]);
    expect(door.clock.pending).toBe(0);
  });

  test('of tokens: what a call took holds back the next', async () => {
    open({ tokensPerMinute: 1000 });
    for (const agent of ['a', 'b']) door.come(agent);
    door.admission.leave('a', { ok: true, tokens: 700 });
    door.come('c');
    expect(door.letIn).toEqual(['a', 'b', 'c']);
    door.admission.leave('b', { ok: true, tokens: 700 });
    door.admission.leave('c', { ok: true, tokens: undefined });
    door.come('d');
    await door.clock.advance(59_999);
    expect(door.letIn).toHaveLength(3);
    await door.clock.advance(1);
    expect(door.letIn).toHaveLength(4);
  });

  test('the timer goes when the last who waits goes', () => {
    open({ requestsPerMinute: 1 });
    door.come('a');
    const b = door.come('b');
    const c = door.come('c');
    expect(door.clock.pending).toBe(1);
    b.abort('enough');
    expect(door.clock.pending).toBe(1);
    c.abort('enough');
    expect(door.clock.pending).toBe(0);
  });

  test.each([
    ['maxConcurrent', 0],
    ['requestsPerMinute', 1.5],
    ['tokensPerMinute', -1],
    ['allowedFailures', -1],
    ['coolDownMs', Number.NaN],
    ['maxConcurent', 1],
  ])('a wrong limit is refused: %s %d', (name, value) => {
    expect(() => new Door({ [name]: value })).toThrow(
      expect.objectContaining({ code: 'TROUPE_ERR_OPTION_INVALID', message: expect.stringContaining(`\`${name}\``) }),
    );
  });
});

describe('closed', () => {
  test('who waits and who comes is refused, and no timer is left', async () => {
    door.fail(overloaded, { retryAfterMs: 20_000 });
    door.come('y');
    door.admission.close();
    door.admission.close();
    door.come('z');
    await settle();
    expect(door.reasons).toEqual(['TROUPE_ERR_TROUPE_CLOSED', 'TROUPE_ERR_TROUPE_CLOSED']);
    expect([door.clock.pending, door.listeners]).toEqual([0, 0]);
  });

  test('calls that end afterwards start nothing', () => {
    open({ allowedFailures: 0, requestsPerMinute: 1 });
    door.come('a');
    door.admission.close();
    door.admission.leave('a', failed(unavailable));
    expect([door.admission.status.inFlight, door.actors, door.clock.pending]).toEqual([0, [], 0]);
  });
});
