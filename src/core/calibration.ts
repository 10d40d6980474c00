/**
 * What a model's own token counts teach about ours: how much of each kind of token it has where we count one, and how
 * many it adds to every request. One calibration for each model.
 *
 * L1  Before the first report a calibration changes nothing.
 * L2  It learns from recent reports only, and from none that says that the prompt was cut.
 * L3  Its error is that of its forecasts: what it said of a request before it learnt how many tokens that had.
 */
import { type TokenCount, type TokenKind, tokenKinds, totalOf } from './token-count.ts';

/** How a model's tokens follow from ours. */
export interface Correction {
  /** Its tokens for one of ours. */
  readonly ratios: { readonly [Kind in TokenKind]: number };
  /** Tokens that it has in every request beside what we sent: a default system message, a server's own prompt. */
  readonly offset: number;
}

export interface Calibration extends Correction {
  /** The recent reports, oldest first. */
  readonly samples: readonly Sample[];
  /** Median of how far recent forecasts were off, as a fraction of what was reported; undefined before the first. */
  readonly error: number | undefined;
}

/** One request: what we counted, what the server reported, and what was forecast. */
interface Sample {
  readonly count: TokenCount;
  readonly reportedTokens: number;
  readonly forecastTokens: number;
}

/** The calibration of a model of which nothing is known. */
export const uncalibrated: Calibration = {
  samples: [],
  ratios: { latin: 1, script: 1, digits: 1, symbols: 1, template: 1, tools: 1, images: 1 },
  offset: 0,
  error: undefined,
};

/** The tokens that a model will have for a request of this count. */
export function forecast({ ratios, offset }: Correction, count: TokenCount): number {
  return Math.max(
    0,
    tokenKinds.reduce((sum, kind) => sum + ratios[kind] * count[kind], offset),
  );
}

/** The tokens that a model has for a part of a request: what every request adds is not among them. */
export function forecastPart(calibration: Calibration, count: TokenCount): number {
  return forecast({ ...calibration, offset: 0 }, count);
}

/** A calibration that has learnt from one more report. A report of a cut prompt changes nothing. */
export function learn(calibration: Calibration, report: TokenReport): Calibration {
  const { count, reportedTokens } = report;
  if (reportedTokens <= 0 || isTruncated(calibration, report)) return calibration;
  const sample = { count, reportedTokens, forecastTokens: forecast(calibration, count) };
  const samples = [...calibration.samples, sample].slice(-mostSamples);
  const first = bestCorrection(samples);
  const credible = samples.filter((each) => isCredible(each, forecast(first, each.count)));
  const { ratios, offset } = credible.length === samples.length ? first : bestCorrection(credible);
  return { samples, ratios, offset, error: median(samples.map(forecastError)) };
}

/** What a server said of a request. */
export interface TokenReport {
  /** What we sent, as we count it. */
  readonly count: TokenCount;
  /** Tokens of the prompt as the server reports them, cached ones included. */
  readonly reportedTokens: number;
  /** The context that the model is loaded with, not the one that it was trained for; absent when it is not known. */
  readonly contextTokens?: number | undefined;
}

/**
 * Whether the server must have cut the prompt: Ollama does so without a word when it is longer than the context.
 * Either the report is far below the forecast, or a forecast to be relied on is above a context that was not overrun.
 * A prompt that surely fits was not cut, whatever is reported: some versions leave out what they had in their cache.
 */
export function isTruncated(calibration: Calibration, report: TokenReport): boolean {
  const { count, reportedTokens, contextTokens } = report;
  // Pictures cost a model anything between 64 tokens and 14,000; tools written as types cost half of their JSON.
  const sure = forecast(calibration, { ...count, images: 0, tools: count.tools / 2 });
  if (contextTokens !== undefined && sure < contextTokens * ordinaryShare) return false;
  if (reportedTokens < sure * ordinaryShare && sure - reportedTokens > ordinaryGapTokens) return true;
  const { error, samples } = calibration;
  if (contextTokens === undefined || error === undefined || samples.length < reliableSamples) return false;
  return reportedTokens <= contextTokens && sure * (1 - reliableErrors * error) > contextTokens;
}

/**
 * The least share of a forecast that a whole prompt was seen to have, with nothing learnt yet, is 0.77: Chinese at
 * DeepSeek V3. Of a single message that is longer than the context, Ollama leaves half of the context.
 */
const ordinaryShare = 0.6;

/** Short prompts may miss more: that says nothing, and none of them is cut. */
const ordinaryGapTokens = 200;

const reliableSamples = 8;
const reliableErrors = 4;

/** Reports that are remembered: enough for seven ratios, and soon forgotten when the model behind a name changes. */
const mostSamples = 32;

/** A report that is off by more than this factor is an accident of its own and teaches nothing about the others. */
const credibleFactor = 2;

function isCredible({ reportedTokens }: Sample, expected: number): boolean {
  return reportedTokens < expected * credibleFactor && reportedTokens * credibleFactor > expected;
}

function forecastError({ forecastTokens, reportedTokens }: Sample): number {
  return Math.abs(forecastTokens - reportedTokens) / reportedTokens;
}

/** How far a ratio is expected to lie from 1: a digit may be a token of its own where ours holds three of them. */
const spread: { readonly [Kind in TokenKind]: number } = {
  latin: 0.3,
  script: 0.5,
  digits: 1,
  symbols: 0.5,
  template: 0.5,
  tools: 0.5,
  images: 1,
};

/** How many tokens a request may have of the server's own, before any report. */
const offsetSpread = 3000;

/** How far a report is expected to lie from what the best ratios say: a part of the request, and a few tokens. */
const noiseShare = 0.03;
const noiseTokens = 3;

const leastRatio = 0.25;
const mostRatio = 4;

/**
 * Least squares for ratios and offset, drawn towards 1 and 0 as far as the reports leave them open. So the first report
 * says a little, and a kind of text that never came keeps its 1.
 */
function bestCorrection(samples: readonly Sample[]): Correction {
  const precisions = [...tokenKinds.map((kind) => 1 / spread[kind] ** 2), 1 / offsetSpread ** 2];
  const matrix = precisions.map((precision, row) => precisions.map((_, column) => (row === column ? precision : 0)));
  const right = precisions.map((precision, row) => (row < tokenKinds.length ? precision : 0));
  for (const { count, reportedTokens } of samples) {
    const features = [...tokenKinds.map((kind) => count[kind]), 1];
    const scale = Math.max(reportedTokens, totalOf(count));
    const weight = 1 / (noiseShare * scale + noiseTokens) ** 2;
    features.forEach((feature, row) => {
      add(right, row, weight * feature * reportedTokens);
      const line = matrix[row] ?? [];
      features.forEach((other, column) => {
        add(line, column, weight * feature * other);
      });
    });
  }
  const solution = solve(matrix, right);
  const ratioOf = (kind: TokenKind) =>
    Math.min(mostRatio, Math.max(leastRatio, solution[tokenKinds.indexOf(kind)] ?? 1));
  return {
    ratios: {
      latin: ratioOf('latin'),
      script: ratioOf('script'),
      digits: ratioOf('digits'),
      symbols: ratioOf('symbols'),
      template: ratioOf('template'),
      tools: ratioOf('tools'),
      images: ratioOf('images'),
    },
    offset: solution.at(-1) ?? 0,
  };
}

function add(numbers: number[], at: number, summand: number): void {
  numbers[at] = (numbers[at] ?? 0) + summand;
}

/** Solves a system of equations by elimination. It is symmetric and positive, so no row needs to change its place. */
function solve(matrix: readonly number[][], right: readonly number[]): number[] {
  const rows = matrix.map((row, at) => [...row, right[at] ?? 0]);
  rows.forEach((pivot, at) => {
    for (const row of rows.slice(at + 1)) {
      const factor = (row[at] ?? 0) / (pivot[at] ?? 1);
      pivot.forEach((value, column) => {
        add(row, column, -factor * value);
      });
    }
  });
  const solution: number[] = [];
  for (const [at, row] of [...rows.entries()].reverse()) {
    const known = rows.reduce((sum, _, column) => sum + (solution[column] ?? 0) * (row[column] ?? 0), 0);
    solution[at] = ((row.at(-1) ?? 0) - known) / (row[at] ?? 1);
  }
  return solution;
}

function median(numbers: readonly number[]): number | undefined {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}
