import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nanoDown, nanoNearest, nanoUp, usdOf, usdText } from '../../src/core/money.ts';

test.each([
  [0, 0, 0, 0],
  [1, 1e9, 1e9, 1e9],
  [0.1 + 0.2, 3e8, 3e8, 3e8],
  [1e-9, 1, 1, 1],
  [1.5e-9, 2, 1, 2],
  [1e-10, 1, 0, 0],
  [1e-20, 1, 0, 0],
  [9_000_000, 9e15, 9e15, 9e15],
])('%d USD is %d nano-USD rounded up, %d rounded down, %d to the nearest', (usd, up, down, nearest) => {
  expect([nanoUp(usd), nanoDown(usd), nanoNearest(usd)]).toEqual([up, down, nearest]);
});

test('whole nano-USD come back as they were', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e15 }), (nano) => {
      expect([nanoUp(usdOf(nano)), nanoDown(usdOf(nano)), nanoNearest(usdOf(nano))]).toEqual([nano, nano, nano]);
    }),
  );
});

test.each([
  [0, '$0.00'],
  [1, '$1.00'],
  [0.1, '$0.10'],
  [0.000128, '$0.000128'],
  [1e-9, '$0.000000001'],
  [1234.5, '$1234.50'],
])('%d as a text', (usd, text) => {
  expect(usdText(usd)).toBe(text);
});
