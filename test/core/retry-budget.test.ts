/** What repeats cost, and how they are earned. */
import { expect, test } from 'vitest';
import { RetryBudget } from '../../src/core/retry-budget.ts';

/** Repeats that the budget gives until it gives no more. */
function drain(budget: RetryBudget): number {
  let taken = 0;
  while (budget.mayRetry()) taken += 1;
  return taken;
}

test('it begins with its reserve and earns nothing by itself', () => {
  const budget = new RetryBudget();
  expect([drain(budget), drain(budget)]).toEqual([100, 0]);
});

test('five first calls earn a repeat', () => {
  const budget = new RetryBudget();
  drain(budget);
  for (let call = 0; call < 4; call += 1) budget.call();
  expect(drain(budget)).toBe(0);
  budget.call();
  expect(drain(budget)).toBe(1);
});

test('no calm earns more than the reserve', () => {
  const budget = new RetryBudget({ reserve: 3 });
  for (let call = 0; call < 1000; call += 1) budget.call();
  expect(drain(budget)).toBe(3);
});

test('a storm in which every call fails and wants three repeats makes 1.2 times the calls, and the reserve', () => {
  const budget = new RetryBudget({ ratio: 0.2, reserve: 100 });
  let made = 0;
  for (let ask = 0; ask < 10_000; ask += 1) {
    budget.call();
    made += 1;
    for (let repeat = 0; repeat < 3 && budget.mayRetry(); repeat += 1) made += 1;
  }
  expect(made).toBeGreaterThan(12_000);
  expect(made).toBeLessThanOrEqual(12_100);
});

test('a small use never notices', () => {
  const budget = new RetryBudget();
  for (let ask = 0; ask < 30; ask += 1) {
    budget.call();
    expect([budget.mayRetry(), budget.mayRetry(), budget.mayRetry()]).toEqual([true, true, true]);
  }
});

test('without ratio and reserve nothing is repeated', () => {
  const budget = new RetryBudget({ ratio: 0, reserve: 0 });
  budget.call();
  expect(budget.mayRetry()).toBe(false);
});
