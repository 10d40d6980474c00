/** Budgets: by hand, and against a model that keeps every reservation in a list. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Budget, type BudgetWarning, budgetExceeded, type Refusal, type Reservation } from '../../src/core/budget.ts';
import { errorCodes } from '../../src/core/errors.ts';

function granted(outcome: Reservation | Refusal): Reservation {
  if (!outcome.granted) throw new Error(`refused by ${outcome.budget}`);
  return outcome;
}

function figures({ spentUsd, reservedUsd, estimatedUsd, leftUsd }: Budget) {
  return { spentUsd, reservedUsd, estimatedUsd, leftUsd };
}

describe('a reservation', () => {
  test('is set aside in every budget above, and what the call has cost is spent in all of them', () => {
    const troupe = new Budget('troupe', 10);
    const agent = new Budget('agent', undefined, { parent: troupe });
    const ask = new Budget('ask', 1, { parent: agent });
    const call = granted(ask.reserve(0.6));
    expect([ask, agent, troupe].map(figures)).toEqual([
      { spentUsd: 0, reservedUsd: 0.6, estimatedUsd: 0, leftUsd: 0.4 },
      { spentUsd: 0, reservedUsd: 0.6, estimatedUsd: 0, leftUsd: 9.4 },
      { spentUsd: 0, reservedUsd: 0.6, estimatedUsd: 0, leftUsd: 9.4 },
    ]);
    expect(call.settle(0.25)).toEqual({ chargedUsd: 0.25, overshootUsd: 0, isEstimated: false });
    expect([ask, agent, troupe].map(figures)).toEqual([
      { spentUsd: 0.25, reservedUsd: 0, estimatedUsd: 0, leftUsd: 0.75 },
      { spentUsd: 0.25, reservedUsd: 0, estimatedUsd: 0, leftUsd: 9.75 },
      { spentUsd: 0.25, reservedUsd: 0, estimatedUsd: 0, leftUsd: 9.75 },
    ]);
  });

  test.each([
    ['settled', (call: Reservation) => call.settle(0.5), { spentUsd: 0.5, leftUsd: 0.5 }],
    ['released', (call: Reservation) => call.release(), { spentUsd: 0, leftUsd: 1 }],
  ])('ends once: %s', (_how, end, { spentUsd, leftUsd }) => {
    const budget = new Budget('ask', 1);
    const call = granted(budget.reserve(0.75));
    end(call);
    expect([call.settle(0.6), call.settle(undefined), call.release()]).toEqual([undefined, undefined, false]);
    expect(figures(budget)).toEqual({ spentUsd, reservedUsd: 0, estimatedUsd: 0, leftUsd });
  });

  test('is refused by the nearest budget that has no room, and then nothing is set aside anywhere', () => {
    const troupe = new Budget('troupe', 1);
    const group = new Budget('group', 0.5, { parent: troupe });
    const ask = new Budget('ask', 5, { parent: group });
    granted(troupe.reserve(0.3)).settle(0.2);
    granted(group.reserve(0.4));
    const before = [ask, group, troupe].map(figures);
    const refusal = { granted: false, limitUsd: 0.5, spentUsd: 0, reservedUsd: 0.4, worstUsd: 0.2 };
    expect(ask.reserve(0.2)).toEqual({ ...refusal, budget: 'group' });
    expect(troupe.reserve(0.5)).toEqual({ ...refusal, budget: 'troupe', limitUsd: 1, spentUsd: 0.2, worstUsd: 0.5 });
    expect([ask, group, troupe].map(figures)).toEqual(before);
  });

  test('of exactly what is left is granted', () => {
    const budget = new Budget('ask', 0.3);
    granted(budget.reserve(0.1 + 0.2)).settle(0.1 + 0.2);
    expect(figures(budget)).toEqual({ spentUsd: 0.3, reservedUsd: 0, estimatedUsd: 0, leftUsd: 0 });
    expect(budget.reserve(1e-12).granted).toBe(false);
  });

  test('whose cost is not known is charged in full, as a guess', () => {
    const budget = new Budget('ask', 1);
    const guess = { chargedUsd: 0.25, overshootUsd: 0, isEstimated: true };
    for (const unknown of [undefined, Number.NaN, -1])
      expect(granted(budget.reserve(0.25)).settle(unknown)).toEqual(guess);
    expect(figures(budget)).toEqual({ spentUsd: 0.75, reservedUsd: 0, estimatedUsd: 0.75, leftUsd: 0.25 });
  });

  test('that was too low is charged in full; from then on only what is free passes', () => {
    const budget = new Budget('ask', 1);
    expect(granted(budget.reserve(0.9)).settle(1.5)).toEqual({
      ...{ chargedUsd: 1.5, overshootUsd: 0.6, isEstimated: false },
    });
    expect(figures(budget)).toEqual({ spentUsd: 1.5, reservedUsd: 0, estimatedUsd: 0, leftUsd: 0 });
    expect([budget.reserve(1e-9).granted, budget.reserve(0).granted]).toEqual([false, true]);
  });
});

test('of N asks at the same time against a budget of one, one is let through', async () => {
  const budget = new Budget('troupe', 1);
  const asks = Array.from({ length: 100 }, async (_, index) => {
    const ask = new Budget(`ask ${index}`, undefined, { parent: budget });
    await Promise.resolve();
    const outcome = ask.reserve(1);
    await Promise.resolve();
    if (outcome.granted) outcome.settle(1);
    return outcome.granted;
  });
  expect((await Promise.all(asks)).filter((isGranted) => isGranted)).toEqual([true]);
  expect(budget.spentUsd).toBe(1);
});

test('a limit of 0 lets through what is free and nothing else', () => {
  const budget = new Budget('troupe', 0);
  expect(granted(budget.reserve(0)).settle(0)).toEqual({ chargedUsd: 0, overshootUsd: 0, isEstimated: false });
  expect(budget.reserve(1e-15).granted).toBe(false);
});

test('without a limit it counts', () => {
  const budget = new Budget('troupe', undefined);
  granted(budget.reserve(1000)).settle(999);
  expect(figures(budget)).toEqual({ spentUsd: 999, reservedUsd: 0, estimatedUsd: 0, leftUsd: undefined });
});

test('late costs are charged, limit or not', () => {
  const troupe = new Budget('troupe', 1);
  const agent = new Budget('agent', 1, { parent: troupe });
  agent.charge(1.25);
  expect([agent.spentUsd, troupe.spentUsd, troupe.leftUsd]).toEqual([1.25, 1.25, 0]);
});

test('a million tiny costs do not drift', () => {
  const budget = new Budget('troupe', 0.1);
  const reserve = () => budget.reserve(1e-7);
  for (let call = 0; call < 1e6; call += 1) granted(reserve()).settle(1e-7);
  expect([budget.spentUsd, budget.leftUsd, reserve().granted]).toEqual([0.1, 0, false]);
  // Added as they are, a million of them are not that sum.
  expect(Array.from({ length: 1e6 }, () => 1e-7).reduce((sum, usd) => sum + usd, 0)).not.toBe(0.1);
});

describe('warnings', () => {
  test('come once for each share, of every budget that passes it, when the sums are right', () => {
    const heard: (BudgetWarning & { readonly seenUsd: number })[] = [];
    const onWarning = (warning: BudgetWarning) => heard.push({ ...warning, seenUsd: troupe.spentUsd });
    const troupe: Budget = new Budget('troupe', 1, { onWarning, warnAt: [1, 0.5] });
    const agent = new Budget('agent', 0.5, { onWarning, parent: troupe });
    granted(agent.reserve(0.4)).settle(0.3);
    expect(heard).toEqual([]);
    agent.charge(0.1);
    agent.charge(0.05);
    troupe.charge(0.05);
    agent.charge(2);
    troupe.charge(1);
    expect(heard).toEqual([
      { budget: 'agent', share: 0.8, spentUsd: 0.4, limitUsd: 0.5, seenUsd: 0.4 },
      { budget: 'troupe', share: 0.5, spentUsd: 0.5, limitUsd: 1, seenUsd: 0.5 },
      { budget: 'agent', share: 1, spentUsd: 2.45, limitUsd: 0.5, seenUsd: 2.5 },
      { budget: 'troupe', share: 1, spentUsd: 2.5, limitUsd: 1, seenUsd: 2.5 },
    ]);
  });

  test('one that throws spoils no sum', () => {
    const budget = new Budget('ask', 1, {
      onWarning: () => {
        throw new Error('heard');
      },
    });
    const call = granted(budget.reserve(0.9));
    expect(() => call.settle(0.9)).toThrow('heard');
    expect(figures(budget)).toEqual({ spentUsd: 0.9, reservedUsd: 0, estimatedUsd: 0, leftUsd: 0.1 });
    expect(call.release()).toBe(false);
  });
});

test('what is no amount is refused by its name', () => {
  expect(() => new Budget('ask', -1, { warnAt: [0] })).toThrow(
    'Budget "ask": `limitUsd` must be a number of USD from 0 to 9000000, not -1; `warnAt` must be an array of numbers above 0, 1 being the limit, not an array.',
  );
  const budget = new Budget('ask', 1);
  for (const usd of [Number.NaN, -1, Number.POSITIVE_INFINITY])
    expect(() => budget.reserve(usd)).toThrow('`worstUsd` must be a number of USD from 0 to 9000000');
  expect(() => budget.charge(Number.NaN)).toThrow('`usd` must be a number of USD');
  expect(figures(budget)).toEqual({ spentUsd: 0, reservedUsd: 0, estimatedUsd: 0, leftUsd: 1 });
});

test('the error says which budget, how it stands, what the call may cost, and what to do', () => {
  const budget = new Budget('agent "writer"', 1);
  granted(budget.reserve(0.9)).settle(0.9);
  granted(budget.reserve(0.05));
  const outcome = budget.reserve(0.123456);
  const error = budgetExceeded(outcome as Refusal);
  expect([error.code, error.class, error.retryable]).toEqual(['TROUPE_ERR_BUDGET_EXCEEDED', 'quota', false]);
  expect(errorCodes.TROUPE_ERR_BUDGET_EXCEEDED.class).toBe('quota');
  expect(error.message).toBe(
    'The budget "agent "writer"" has no room for this call, which may cost $0.123456: of $1.00 $0.90 is spent and $0.05 is ' +
      'set aside for calls that are being made. Raise its limit, lower `maxTokens`, or use a cheaper model or a free backend.',
  );
});

/** A node of the tree: its parent is one before it. */
const tree = fc.array(fc.record({ above: fc.nat(), limit: fc.option(fc.nat(1000), { nil: undefined }) }), {
  minLength: 1,
  maxLength: 8,
});
const amount = fc.oneof(fc.constant(0), fc.nat(400));
const command = fc.oneof(
  fc.record({ do: fc.constant('reserve' as const), at: fc.nat(), nano: amount }),
  fc.record({ do: fc.constant('settle' as const), at: fc.nat(), nano: fc.option(amount, { nil: undefined }) }),
  fc.record({ do: fc.constant('release' as const), at: fc.nat(), nano: fc.constant(0) }),
  fc.record({ do: fc.constant('charge' as const), at: fc.nat(), nano: amount }),
);

interface Held {
  readonly node: number;
  readonly nano: number;
  readonly call: Reservation;
}

/** Every node counts for itself what was done at it; what a budget holds is the sum over those within it. */
class Model {
  readonly spent: number[];
  readonly guessed: number[];
  /** What was charged beyond what had been set aside. */
  readonly excess: number[];
  readonly held: Held[] = [];
  readonly parents: readonly (number | undefined)[];
  readonly limits: readonly (number | undefined)[];

  constructor(nodes: readonly { readonly above: number; readonly limit: number | undefined }[]) {
    this.parents = nodes.map(({ above }, index) => (index === 0 ? undefined : above % index));
    this.limits = nodes.map(({ limit }) => limit);
    this.spent = nodes.map(() => 0);
    this.guessed = nodes.map(() => 0);
    this.excess = nodes.map(() => 0);
  }

  within(node: number): number[] {
    return this.parents.flatMap((_, index) => (this.line(index).includes(node) ? [index] : []));
  }

  line(node: number): number[] {
    const parent = this.parents[node];
    return parent === undefined ? [node] : [node, ...this.line(parent)];
  }

  sum(counts: readonly number[], node: number): number {
    return this.within(node).reduce((sum, index) => sum + counts[index]!, 0);
  }

  reserved(node: number): number {
    const within = this.within(node);
    return this.held.filter((held) => within.includes(held.node)).reduce((sum, { nano }) => sum + nano, 0);
  }

  room(node: number): number {
    return (this.limits[node] ?? Infinity) - this.sum(this.spent, node) - this.reserved(node);
  }
}

test('any tree and order: the sums are those of a list, nothing passes a limit but what was too dear or never asked for', () => {
  fc.assert(
    fc.property(tree, fc.array(command, { maxLength: 60 }), (nodes, commands) => {
      const model = new Model(nodes);
      const budgets: Budget[] = [];
      for (const [index, limit] of model.limits.entries()) {
        const parent = budgets[model.parents[index] ?? -1];
        budgets.push(new Budget(`${index}`, limit === undefined ? undefined : limit / 1e9, { parent }));
      }
      const over: Reservation[] = [];
      for (const { do: action, at, nano } of commands) {
        const node = at % nodes.length;
        const held = at % Math.max(1, model.held.length);
        if (action === 'reserve') {
          const outcome = budgets[node]!.reserve(nano / 1e9);
          const full = nano === 0 ? undefined : model.line(node).find((level) => model.room(level) < nano);
          expect(outcome.granted ? undefined : outcome.budget).toBe(full?.toString());
          if (outcome.granted) model.held.push({ node, nano, call: outcome });
        } else if (action === 'charge') {
          budgets[node]!.charge(nano / 1e9);
          model.spent[node]! += nano;
          model.excess[node]! += nano;
        } else if (model.held.length > 0) {
          const [ended] = model.held.splice(held, 1);
          over.push(ended!.call);
          if (action === 'release') ended!.call.release();
          else {
            const charged = nano ?? ended!.nano;
            ended!.call.settle(nano === undefined ? undefined : nano / 1e9);
            model.spent[ended!.node]! += charged;
            model.excess[ended!.node]! += Math.max(0, charged - ended!.nano);
            if (nano === undefined) model.guessed[ended!.node]! += charged;
          }
        }
        for (const call of over) expect([call.settle(1), call.release()]).toEqual([undefined, false]);
        for (const [index, budget] of budgets.entries()) {
          const left = Math.min(...model.line(index).map((level) => model.room(level)));
          expect(figures(budget)).toEqual({
            spentUsd: model.sum(model.spent, index) / 1e9,
            reservedUsd: model.reserved(index) / 1e9,
            estimatedUsd: model.sum(model.guessed, index) / 1e9,
            leftUsd: left === Infinity ? undefined : Math.max(0, left) / 1e9,
          });
          expect(-model.room(index)).toBeLessThanOrEqual(model.sum(model.excess, index));
        }
      }
    }),
  );
});
