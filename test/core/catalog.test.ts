import { expect, test } from 'vitest';
import { type BackendRow, backendCatalog, recommendedSetups } from '../../src/core/catalog.ts';

const rows: readonly (readonly [string, BackendRow])[] = Object.entries(backendCatalog);

test('every kind of backend has a row', () => {
  expect(rows.map(([kind]) => kind)).toEqual([
    'claude',
    'anthropic',
    'openai',
    'ollama',
    'llamaCpp',
    'vllm',
    'lmStudio',
    'localAi',
    'offline',
    'scripted',
    'subprocess',
  ]);
});

test.each(rows)('%s: where it runs agrees with what it costs and where data goes', (_kind, row) => {
  const { inference, price, privacy, capabilities, requiresKey, variables, endpoint } = row;
  expect([price, privacy]).toEqual(inference === 'cloud' ? ['per-token', 'data leaves'] : ['free', 'stays local']);
  expect(capabilities).toContain('tools');
  expect(requiresKey && variables.apiKey === undefined).toBe(false);
  expect(endpoint === undefined || new URL(endpoint).origin === endpoint).toBe(true);
});

test.each(rows)('%s: how to get it is a sentence, what it is best for is not', (_kind, { setup, bestFor }) => {
  expect(setup).toMatch(/^[A-Z].*\.$/);
  expect(bestFor).toMatch(/^[a-z].*[^.]$/);
});

test('each purpose has backends that there are', () => {
  expect(recommendedSetups.map(({ purpose, backends }) => [purpose, backends])).toEqual([
    ['development and testing', ['ollama']],
    ['local production', ['llamaCpp']],
    ['an orchestrator', ['claude', 'anthropic']],
    ['its workers', ['ollama', 'llamaCpp']],
  ]);
});
