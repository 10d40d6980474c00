/** How far the estimate is from what others count, before and after calibration. The tables are printed. */
import { expect, test } from 'vitest';
import { TokenCounter } from '../../../actors/compression/token-counter.ts';
import { openTokenizer } from '../../../actors/compression/tokenizer.ts';
import {
  type Calibration,
  forecast,
  isTruncated,
  learn,
  type TokenReport,
  uncalibrated,
} from '../../../src/core/calibration.ts';
import type { Message } from '../../../src/core/types.ts';
import {
  type OtherTokenizer,
  otherTokenizers,
  piecesOf,
  serverCounts,
  type TextKind,
  textKinds,
} from '../../helpers/token-samples.ts';

const fallback = await openTokenizer('o200k_base');
const counter = new TokenCounter(fallback);

/** ChatML: five around a message, three that open the answer. */
const templateTokens = { message: 5, request: 3 };

const messages = new Map(
  textKinds.map((kind) => [kind, piecesOf(kind).map((content): Message => ({ role: 'user', content }))] as const),
);

/** A request of some of the pieces of a text, as a server with this tokenizer reports it. */
function reportOf(tokenizer: OtherTokenizer, kind: TextKind, from: number, to: number): TokenReport {
  const asked = messages.get(kind)!.slice(from, to);
  const texts = tokenizer.tokens[kind].slice(from, to).reduce((sum, tokens) => sum + tokens, 0);
  return {
    count: counter.count({ messages: asked }),
    reportedTokens: texts + asked.length * templateTokens.message + templateTokens.request,
  };
}

/** Every piece as a request of its own: the shorter, the further off. */
function singleMessages(tokenizer: OtherTokenizer, kind: TextKind): TokenReport[] {
  return messages.get(kind)!.map((_, at) => reportOf(tokenizer, kind, at, at + 1));
}

/** A conversation that grows by three pieces with each request. */
function conversation(tokenizer: OtherTokenizer, kind: TextKind): TokenReport[] {
  const ends = messages.get(kind)!.flatMap((_, at) => (at % 3 === 2 ? [at + 1] : []));
  return ends.map((end) => reportOf(tokenizer, kind, 0, end));
}

/** Learns from the reports with even numbers of all kinds, as they come in turn. */
function calibrated(reports: ReadonlyMap<TextKind, readonly TokenReport[]>): Calibration {
  const longest = Math.max(...[...reports.values()].map(({ length }) => length));
  let calibration = uncalibrated;
  for (let at = 0; at < longest; at += 2)
    for (const ofKind of reports.values()) {
      const report = ofKind[at];
      if (report !== undefined) calibration = learn(calibration, report);
    }
  return calibration;
}

function odd<T>(values: readonly T[]): T[] {
  return values.filter((_, at) => at % 2 === 1);
}

function errors(calibration: Calibration, reports: readonly TokenReport[]): number[] {
  return reports.map(
    ({ count, reportedTokens }) => Math.abs(forecast(calibration, count) - reportedTokens) / reportedTokens,
  );
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Number.NaN;
}

function percent(fraction: number): string {
  return (100 * fraction).toFixed(1).padStart(5);
}

function print(lines: readonly string[]): void {
  process.stdout.write(lines.join('\n'));
}

test.each([
  ['single messages', singleMessages],
  ['growing conversations', conversation],
] as const)(
  '%s: at most 0.03 off in the median for each family, learnt on one half, measured on the other',
  (name, requestsOf) => {
    print([`${name}, median % before → after: ${['family', ...textKinds, 'all', 'error shown'].join(' | ')}`, '']);
    const rows = otherTokenizers.map((tokenizer) => {
      const reports = new Map(textKinds.map((kind) => [kind, requestsOf(tokenizer, kind)] as const));
      const calibration = calibrated(reports);
      const measured = textKinds.map((kind) => {
        const unseen = odd(reports.get(kind)!);
        return { before: errors(uncalibrated, unseen), after: errors(calibration, unseen) };
      });
      const before = measured.flatMap((each) => each.before);
      const after = measured.flatMap((each) => each.after);
      const cells = [...measured, { before, after }].map(
        (each) => `${percent(median(each.before))} →${percent(median(each.after))}`,
      );
      const shown = percent(calibration.error ?? Number.NaN);
      print([`${tokenizer.family.padEnd(12)} ${cells.join(' | ')} | ${shown}`, '']);
      return { family: tokenizer.family, isGood: median(after) <= 0.03 };
    });
    expect(rows).toEqual(otherTokenizers.map(({ family }) => ({ family, isGood: true })));
  },
);

test('requests to a real server: at most 3 % off in the median from 100 tokens on, 6 tokens below', () => {
  const reports = serverCounts.map((request) => ({
    count: counter.count(request),
    reportedTokens: request.inputTokens,
  }));
  let calibration = uncalibrated;
  reports.forEach((report, at) => {
    if (at % 2 === 0) calibration = learn(calibration, report);
  });
  const long = odd(reports).filter(({ reportedTokens }) => reportedTokens >= 100);
  const short = odd(reports).filter(({ reportedTokens }) => reportedTokens < 100);
  const before = median(errors(uncalibrated, long));
  const after = median(errors(calibration, long));
  const tokensOff = short.map(({ count, reportedTokens }) => Math.abs(forecast(calibration, count) - reportedTokens));
  print([
    `llama-server, ${long.length} requests from 100 tokens on: median % ${percent(before)} →${percent(after)}`,
    `llama-server, ${short.length} shorter ones: at most ${Math.max(...tokensOff).toFixed(1)} tokens off`,
    '',
  ]);
  expect(after).toBeLessThanOrEqual(0.03);
  expect(Math.max(...tokensOff)).toBeLessThanOrEqual(6);
});

test('no whole prompt of any family is taken for a cut one, before or after calibration', () => {
  const shares: number[] = [];
  const alarms = otherTokenizers.flatMap((tokenizer) => {
    const reports = new Map(textKinds.map((kind) => [kind, conversation(tokenizer, kind)] as const));
    const all = [...reports.values()].flat();
    shares.push(...all.map(({ count, reportedTokens }) => reportedTokens / forecast(uncalibrated, count)));
    return [uncalibrated, calibrated(reports)].flatMap((calibration) =>
      all.filter((report) => isTruncated(calibration, report)),
    );
  });
  print([`least share of an uncalibrated forecast: ${Math.min(...shares).toFixed(2)}`, '']);
  expect(Math.min(...shares)).toBeGreaterThan(0.75);
  expect(alarms).toEqual([]);
});
