import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addDays, daysBetween, isDay } from '../src/dates.ts';

test('days are counted across months', () => {
  assert.equal(daysBetween('2024-02-28', '2024-03-01'), 2);
  assert.equal(addDays('2024-12-31', 1), '2025-01-01');
});

test('a day must exist', () => {
  assert.equal(isDay('2023-02-29'), false);
  assert.equal(isDay('2024-02-29'), true);
});
