import { describe, expect, it, test } from 'vitest';
import { backendCatalog } from '../../src/core/catalog.ts';
import { modelCatalog, modelInfo, modelsOf } from '../../src/core/models.ts';

describe('a model is found', () => {
  it.each([
    ['gpt-4o', 'gpt-4o'],
    ['gpt-4o-mini', 'gpt-4o-mini'],
    ['gpt-4o-2024-08-06', 'gpt-4o'],
    ['openai/gpt-4o-mini', 'gpt-4o-mini'],
    ['gpt-4o-audio-preview', undefined],
    ['haiku', 'claude-haiku-5-5'],
    ['claude-sonnet-5-5-20260901', 'claude-sonnet-5-5'],
    ['claude-sonnet-4-20250514', 'claude-sonnet-4-20250514'],
    ['claude-sonnet-4-0', 'claude-sonnet-4-20250514'],
    ['claude-3-5-haiku-latest', 'claude-haiku-3-5-20241022'],
    ['claude-sonnet-4@20250514', 'claude-sonnet-4-20250514'],
    ['qwen2.5:7b', 'qwen2.5'],
    ['qwen2.5-coder:7b-instruct-q4_K_M', 'qwen2.5-coder'],
    ['library/llama3:latest', 'llama3'],
    ['llama3.1', 'llama3.1'],
    ['llama33', undefined],
    ['constructor', undefined],
    ['', undefined],
  ])('by what it is called: %s', (name, id) => {
    expect(modelInfo(name)?.id).toBe(id);
  });

  it('at the backends that have it', () => {
    expect(modelsOf('openai').map(({ id }) => id)).toEqual([
      'gpt-4o-mini',
      'gpt-4o',
      'gpt-4.1-mini',
      'gpt-4.1',
      'gpt-4',
      'text-embedding-3-small',
      'text-embedding-3-large',
    ]);
    expect(modelsOf('claude')).toEqual(modelsOf('anthropic'));
    expect(modelsOf('offline')).toEqual([]);
  });
});

describe('prices', () => {
  it.each([
    ['claude-haiku-3-5-20241022', 0.8, 4, 'fastest'],
    ['claude-sonnet-4-20250514', 3, 15, 'fast'],
    ['claude-opus-4-20250514', 15, 75, 'slower'],
    ['haiku', 0.1, 0.5, 'fastest'],
    ['sonnet', 2, 10, 'fast'],
    ['opus', 4, 20, 'slower'],
    ['fable', 8, 40, 'slower'],
    ['gpt-4o-mini', 0.15, 0.6, 'fastest'],
  ])('of a million tokens: %s', (name, inputUsd, outputUsd, speed) => {
    expect(modelInfo(name)).toMatchObject({ speed, price: { inputUsd, outputUsd } });
  });

  it('are those of a paid backend, a read from the cache below the input', () => {
    const isPaid = (kind: keyof typeof backendCatalog) => backendCatalog[kind].price === 'per-token';
    for (const { backends, price } of modelCatalog) {
      expect(backends.map(isPaid)).toEqual(backends.map(() => price !== undefined));
      expect(price?.cacheReadUsd ?? 0).toBeLessThan(price?.inputUsd ?? 1);
    }
  });
});

test('no two models share a name, and the default model of each backend is known', () => {
  const names = modelCatalog.flatMap(({ id, aliases }) => [id, ...aliases]);
  expect(new Set(names).size).toBe(names.length);
  for (const kind of ['claude', 'anthropic', 'openai', 'ollama'] as const)
    expect(modelInfo(backendCatalog[kind].model)?.backends).toContain(kind);
});
