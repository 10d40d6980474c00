/** What reports teach, and what they do not; how accurate it is on real texts says `token-accuracy.test.ts`. */
import { describe, expect, test } from 'vitest';
import {
  type Calibration,
  forecast,
  forecastPart,
  isTruncated,
  learn,
  uncalibrated,
} from '../../src/core/calibration.ts';
import { noTokens, type TokenCount } from '../../src/core/token-count.ts';

function english(tokens: number): TokenCount {
  return { ...noTokens, latin: tokens };
}

/** What is learnt from requests of these sizes to a model that counts so. */
function learnt(sizes: readonly number[], reported: (tokens: number) => number): Calibration {
  return sizes.reduce(
    (calibration, tokens) => learn(calibration, { count: english(tokens), reportedTokens: reported(tokens) }),
    uncalibrated,
  );
}

const sizes = [200, 900, 400, 1500, 700, 2500, 1200, 3000, 500, 1800];

test('before any report nothing is changed and no error is known', () => {
  const mixed: TokenCount = { latin: 1, script: 2, digits: 3, symbols: 4, template: 5, tools: 6, images: 7 };
  expect(forecast(uncalibrated, mixed)).toBe(28);
  expect(uncalibrated.error).toBeUndefined();
});

test('a ratio is learnt, and how far the forecasts were off', () => {
  const calibration = learnt(sizes, (tokens) => tokens * 1.23);
  expect(Math.abs(forecast(calibration, english(5000)) - 6150)).toBeLessThan(60);
  expect(calibration.samples).toHaveLength(sizes.length);
  expect(calibration.samples[0]?.forecastTokens).toBe(200);
  expect(calibration.error).toBeLessThan(0.01);
});

test('what a server adds to each request is learnt apart, and no group is charged with it', () => {
  const calibration = learnt(sizes, (tokens) => tokens + 15_000);
  expect(Math.abs(forecast(calibration, english(1000)) - 16_000)).toBeLessThan(160);
  expect(Math.abs(forecastPart(calibration, english(1000)) - 1000)).toBeLessThan(150);
});

test('a kind that never came keeps its ratio', () => {
  const calibration = learnt(sizes, (tokens) => tokens * 1.23);
  expect(calibration.ratios).toMatchObject({ script: 1, digits: 1, symbols: 1, template: 1, tools: 1, images: 1 });
});

test.each([
  ['five times as many', 5000],
  ['next to none', 30],
])('a report of %s teaches nothing about the others', (_, reportedTokens) => {
  const before = learnt(sizes, (tokens) => tokens * 1.1);
  const after = learn(before, { count: english(1000), reportedTokens, contextTokens: 4096 });
  expect(after.ratios).toEqual(before.ratios);
  expect(after.samples).toHaveLength(sizes.length + 1);
});

test('a cut prompt, and a report of nothing, are not learnt from', () => {
  const calibration = learnt(sizes, (tokens) => tokens);
  expect(learn(calibration, { count: english(15_750), reportedTokens: 2051 })).toBe(calibration);
  expect(learn(calibration, { count: english(10), reportedTokens: 0 })).toBe(calibration);
});

test('only recent reports are remembered, so that another model behind the name is learnt', () => {
  const first = learnt(
    Array.from({ length: 40 }, (_, at) => 100 + 50 * at),
    (tokens) => tokens,
  );
  const then = Array.from({ length: 32 }, (_, at) => 100 + 50 * at).reduce(
    (calibration, tokens) => learn(calibration, { count: english(tokens), reportedTokens: tokens * 1.3 }),
    first,
  );
  expect(then.samples).toHaveLength(32);
  expect(then.ratios.latin).toBeCloseTo(1.3, 1);
});

describe('isTruncated', () => {
  const known = learnt(sizes, (tokens) => Math.round(tokens * 1.05));
  const noisy = learnt(sizes, (tokens) => tokens * (tokens > 1000 ? 0.9 : 1.1));
  const count = english;

  test.each<[string, Calibration, TokenCount, number, number | undefined, boolean]>([
    ['15,750 tokens of which Ollama read 2051', uncalibrated, count(15_750), 2051, undefined, true],
    ['the same, its context known', uncalibrated, count(15_750), 2051, 4096, true],
    ['a third more in ours: another vocabulary', uncalibrated, count(4000), 3000, undefined, false],
    ['a long prompt at 59 of 100', uncalibrated, count(4000), 2360, undefined, true],
    ['a short prompt at 40 of 100', uncalibrated, count(300), 120, undefined, false],
    ['more reported than counted', uncalibrated, count(4000), 19_000, 4096, false],
    ['a prompt that fits, of which only what was not cached is reported', known, count(2000), 30, 4096, false],
    ['the same, its context not known', known, count(2000), 30, undefined, true],
    ['old messages dropped to fit: reliable, above the context', known, count(4500), 4000, 4096, true],
    ['the same, nothing learnt yet', uncalibrated, count(4500), 4000, 4096, false],
    ['the same, with an error that would explain it', noisy, count(4500), 4000, 4096, false],
    ['a prompt just below the context', known, count(3850), 4042, 4096, false],
    ['a context that was overrun, so it is not the real one', known, count(4500), 4725, 4096, false],
    ['a picture that costs next to nothing', uncalibrated, { ...count(500), images: 1600 }, 580, undefined, false],
    ['tools that are written as types', uncalibrated, { ...count(200), tools: 8000 }, 4300, undefined, false],
    ['tools and messages cut', uncalibrated, { ...count(8000), tools: 1000 }, 2051, undefined, true],
  ])('%s', (_, calibration, counted, reportedTokens, contextTokens, expected) => {
    expect(isTruncated(calibration, { count: counted, reportedTokens, contextTokens })).toBe(expected);
  });
});
