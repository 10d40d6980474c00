/** The breaker as a pure function: what each event does to it, then random walks beside a plain model of it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { initialTransition, type SnapshotFrom, transition } from 'xstate';
import { type BreakerEvent, type BreakerLimits, breakerMachine, defaultBreakerLimits } from '../../machines/index.ts';
import { type ErrorClass, errorCodes } from '../../src/core/errors.ts';

const seed = Number(process.env['MODEL_SEED'] ?? 20_251_107);
const dayMs = 86_400_000;

type Snapshot = SnapshotFrom<typeof breakerMachine>;

function start(limits: Partial<BreakerLimits> = {}): Snapshot {
  const input = { backend: 'a', limits: { ...defaultBreakerLimits, ...limits } };
  return initialTransition(breakerMachine, input)[0];
}

function fail(errorClass: ErrorClass, retryAfterMs: number | null = null, leftMs = 0): BreakerEvent {
  return { type: 'fail', class: errorClass, retryAfterMs, leftMs };
}

const cool: BreakerEvent = { type: 'cool' };
const succeed: BreakerEvent = { type: 'succeed' };

/** The state after events, in short, and what the last of them told the driver to do. */
function walked(from: Snapshot, ...events: BreakerEvent[]) {
  let snapshot = from;
  let told: string[] = [];
  for (const event of events) {
    const [next, actions] = transition(breakerMachine, snapshot, event);
    snapshot = next;
    told = actions.map(({ type }) => type);
  }
  const { class: errorClass, coolDownMs, openings, failures } = snapshot.context;
  return { state: snapshot.value, class: errorClass, coolDownMs, openings, failures, told };
}

const told = ['start the cool-down'];
const untouched = { state: 'closed', class: null, coolDownMs: 0, openings: 0, failures: {}, told: [] };

function times<Item>(count: number, item: Item): Item[] {
  return Array.from({ length: count }, () => item);
}

describe('closed', () => {
  test.each(['invalid', 'refused', 'context-overflow', 'cancelled'] as const)('%s changes nothing', (errorClass) => {
    expect(walked(start({ allowedFailures: 0 }), ...times(20, fail(errorClass, 5000)))).toEqual(untouched);
  });

  test.each(['transient', 'timeout', 'crashed', 'protocol', 'overloaded'] as const)(
    '%s is forgiven five times',
    (errorClass) => {
      const failures = { [errorClass]: 5 };
      expect(walked(start(), ...times(5, fail(errorClass)))).toEqual({ ...untouched, failures });
      expect(walked(start(), ...times(6, fail(errorClass)))).toEqual({
        ...{ state: 'open', class: errorClass, coolDownMs: 30_000, openings: 1 },
        ...{ failures: { [errorClass]: 6 }, told },
      });
    },
  );

  test.each([
    ['quota for ten minutes', fail('quota'), 600_000],
    ['quota for as long as the server says', fail('quota', 3_600_000), 3_600_000],
    ['quota never for less', fail('quota', 1000), 600_000],
    ['overloaded for as long as the server says', fail('overloaded', 1500), 1500],
    ['which is a day at most', fail('overloaded', 10 * dayMs), dayMs],
  ])('at once: %s', (_name, event, coolDownMs) => {
    expect(walked(start(), event)).toEqual({
      ...{ state: 'open', class: event.type === 'fail' && event.class, coolDownMs, openings: 1, told },
      failures: { [event.type === 'fail' ? event.class : '']: 1 },
    });
  });

  test.each([0, -5, Number.NaN])('a Retry-After of %d is none', (retryAfterMs) => {
    expect(walked(start(), fail('overloaded', retryAfterMs))).toEqual({ ...untouched, failures: { overloaded: 1 } });
  });

  test('a server that says when it is back is left alone for that long, though it is not overloaded', () => {
    expect(walked(start({ allowedFailures: 0 }), fail('transient', 45_000)).coolDownMs).toBe(45_000);
    expect(walked(start({ allowedFailures: 0 }), fail('transient', 45)).coolDownMs).toBe(30_000);
  });

  test('0 allowed failures: the first one opens it', () => {
    expect(walked(start({ allowedFailures: 0 }), fail('timeout')).state).toBe('open');
  });

  test('each class has its count, a success clears all of them', () => {
    const mixed = [...times(5, fail('timeout')), ...times(5, fail('transient'))];
    expect(walked(start(), ...mixed).state).toBe('closed');
    expect(walked(start(), ...mixed, fail('timeout')).state).toBe('open');
    expect(walked(start(), ...mixed, succeed)).toEqual(untouched);
    expect(walked(start(), ...mixed, fail('invalid'), fail('timeout')).state).toBe('open');
  });

  test('a success without failures, and a stray `cool`, leave the very snapshot', () => {
    const closed = start();
    expect(transition(breakerMachine, closed, succeed)[0].context).toBe(closed.context);
    expect(transition(breakerMachine, closed, cool)[0].context).toBe(closed.context);
  });
});

describe('open', () => {
  const quota = transition(breakerMachine, start(), fail('quota'))[0];

  test('neither failures nor successes of calls that began before change it', () => {
    const late = [...times(20, fail('transient', null, 500_000)), fail('quota', null, 1), succeed];
    expect(walked(quota, ...late)).toEqual({
      ...{ state: 'open', class: 'quota', coolDownMs: 600_000, openings: 1, failures: { quota: 1 }, told: [] },
    });
  });

  test('a Retry-After makes it longer, never shorter, and is no opening', () => {
    expect(walked(quota, fail('overloaded', 20_000, 20_000))).toEqual(walked(quota, succeed));
    expect(walked(quota, fail('overloaded', 20_001, 20_000))).toEqual({
      ...{ state: 'open', class: 'overloaded', coolDownMs: 20_001, openings: 1, failures: { quota: 1 }, told },
    });
    expect(walked(quota, fail('overloaded', 2 * dayMs, dayMs)).told).toEqual([]);
    expect(walked(quota, fail('invalid', 20_001, 20_000)).told).toEqual([]);
  });
});

describe('half-open', () => {
  const halfOpen = transition(breakerMachine, transition(breakerMachine, start(), fail('quota'))[0], cool)[0];

  test('a success closes it and forgets', () => {
    expect(walked(halfOpen, succeed)).toEqual(untouched);
  });

  test('a failure that says nothing leaves it', () => {
    expect(walked(halfOpen, fail('invalid')).state).toBe('half-open');
  });

  test('one failure of any class opens it again, for longer each time, up to ten minutes', () => {
    const again = [fail('timeout'), cool];
    const lengths = [1, 2, 3, 4, 5, 60].map((count) => walked(halfOpen, ...times(count, again).flat()).coolDownMs);
    expect(lengths).toEqual([60_000, 120_000, 240_000, 480_000, 600_000, 600_000]);
    expect(walked(halfOpen, ...times(60, again).flat(), succeed)).toEqual(untouched);
  });

  test('what the server says is kept to', () => {
    expect(walked(halfOpen, fail('overloaded', 700)).coolDownMs).toBe(700);
  });

  describe('when it was only asked to wait', () => {
    const asked = [fail('overloaded', 150), cool];

    test.each(['transient', 'timeout', 'protocol', 'overloaded'] as const)(
      'one %s closes it and counts',
      (errorClass) => {
        const failures = { overloaded: 1, [errorClass]: errorClass === 'overloaded' ? 2 : 1 };
        expect(walked(start(), ...asked, fail(errorClass))).toEqual({ ...untouched, failures });
      },
    );

    test('what is one too many opens it all the same', () => {
      const five = times(5, fail('transient'));
      expect(walked(start(), ...five, ...asked, fail('transient'))).toMatchObject({
        state: 'open',
        coolDownMs: 60_000,
      });
      expect(walked(start({ allowedFailures: 0 }), ...asked, fail('transient')).state).toBe('open');
      expect(walked(start(), ...asked, fail('quota')).state).toBe('open');
      expect(walked(start(), ...times(6, asked).flat(), fail('transient')).state).toBe('open');
    });

    test('a doubt from before stays one', () => {
      expect(walked(halfOpen, ...asked, fail('transient')).state).toBe('open');
      const doubted = transition(breakerMachine, start({ allowedFailures: 0 }), fail('timeout'))[0];
      expect(walked(doubted, cool, ...asked, fail('transient')).state).toBe('open');
    });
  });
});

/** The rules again, in plain words. */
class Model {
  state = 'closed';
  failures: Partial<Record<ErrorClass, number>> = {};
  class: ErrorClass | null = null;
  coolDownMs = 0;
  openings = 0;
  readonly limits: BreakerLimits;

  constructor(limits: BreakerLimits) {
    this.limits = limits;
  }

  /** Whether a cool-down begins. */
  take(event: BreakerEvent): boolean {
    if (event.type === 'fail') return this.#fail(event);
    if (event.type === 'cool' && this.state === 'open') this.state = 'half-open';
    else if (event.type === 'succeed' && this.state !== 'open')
      Object.assign(this, { state: 'closed', failures: {}, class: null, coolDownMs: 0, openings: 0 });
    return false;
  }

  #fail(event: Extract<BreakerEvent, { type: 'fail' }>): boolean {
    const { class: errorClass, leftMs } = event;
    if (['invalid', 'refused', 'context-overflow', 'cancelled'].includes(errorClass)) return false;
    const asked = Math.max(0, Math.min(event.retryAfterMs ?? 0, dayMs));
    if (this.state === 'open') {
      if (asked <= leftMs) return false;
      this.class = errorClass;
      this.coolDownMs = asked;
      return true;
    }
    const before = this.failures;
    const count = (before[errorClass] ?? 0) + 1;
    this.failures = { ...this.failures, [errorClass]: count };
    const atOnce = errorClass === 'quota' || (errorClass === 'overloaded' && asked > 0);
    const isDoubted = Object.entries(before).some(
      ([of, times]) => of === 'quota' || times > this.limits.allowedFailures,
    );
    if ((this.state === 'closed' || !isDoubted) && !atOnce && count <= this.limits.allowedFailures) {
      Object.assign(this, { state: 'closed', class: null, coolDownMs: 0, openings: 0 });
      return false;
    }
    let ms = this.limits.coolDownMs;
    if (errorClass === 'quota') ms = this.limits.quotaCoolDownMs;
    for (let doubled = 0; doubled < this.openings; doubled += 1)
      ms = Math.max(ms, Math.min(ms * 2, this.limits.longestCoolDownMs));
    this.coolDownMs = errorClass === 'overloaded' && asked > 0 ? asked : Math.max(ms, asked);
    this.class = errorClass;
    this.openings += 1;
    this.state = 'open';
    return true;
  }
}

test('random walks go as the model goes', () => {
  const classes = [...new Set(Object.values(errorCodes).map((row) => row.class))];
  const ms = fc.integer({ min: 0, max: 200_000 });
  const failure: fc.Arbitrary<BreakerEvent> = fc.record({
    type: fc.constant('fail' as const),
    class: fc.constantFrom(...classes),
    retryAfterMs: fc.option(fc.integer({ min: -10, max: 2 * dayMs }), { nil: null }),
    leftMs: ms,
  });
  const event = fc.oneof({ weight: 6, arbitrary: failure }, fc.constantFrom(cool, cool, succeed));
  const positive = fc.integer({ min: 1, max: 2_000_000 });
  const limits = fc.record({
    ...{ allowedFailures: fc.nat(3), coolDownMs: positive },
    ...{ quotaCoolDownMs: positive, longestCoolDownMs: positive },
  });
  const reached = new Set<string>();
  const walk = fc.property(limits, fc.array(event, { maxLength: 60 }), (given, events) => {
    const model = new Model(given);
    let snapshot = start(given);
    for (const each of events) {
      const began = model.take(each);
      const [next, actions] = transition(breakerMachine, snapshot, each);
      reached.add(`${snapshot.value} ${each.type} ${next.value}`);
      snapshot = next;
      const { failures, class: errorClass, coolDownMs, openings } = model;
      expect(snapshot.value).toBe(model.state);
      expect(snapshot.context).toEqual({
        ...{ backend: 'a', limits: given, failures, class: errorClass, coolDownMs, openings },
      });
      expect(actions.map(({ type }) => type)).toEqual(began ? told : []);
      expect(snapshot.status).toBe('active');
    }
  });
  fc.assert(walk, { seed, numRuns: 300 });
  expect([...reached].sort()).toEqual([
    'closed cool closed',
    'closed fail closed',
    'closed fail open',
    'closed succeed closed',
    'half-open cool half-open',
    'half-open fail closed',
    'half-open fail half-open',
    'half-open fail open',
    'half-open succeed closed',
    'open cool half-open',
    'open fail open',
    'open succeed open',
  ]);
});
