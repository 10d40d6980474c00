/** What holds of every plan: any conversation, any strategy, any failure of what a strategy leans on. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { composed } from '../../../actors/compression/composed.ts';
import { defaultStrategy } from '../../../actors/compression/default-strategy.ts';
import { hierarchical } from '../../../actors/compression/hierarchical.ts';
import { none } from '../../../actors/compression/none.ts';
import { type Plan, type PlanInput, planCompression } from '../../../actors/compression/plan.ts';
import { semantic } from '../../../actors/compression/semantic.ts';
import { shortenGroup } from '../../../actors/compression/shorten.ts';
import { slidingWindow } from '../../../actors/compression/sliding-window.ts';
import type { Compressed, CompressionInput, CompressionStrategy } from '../../../actors/compression/strategy.ts';
import { summarize } from '../../../actors/compression/summarize.ts';
import { summaryGroup, summaryOf } from '../../../actors/compression/summary.ts';
import { Conversation, type Group } from '../../../src/core/conversation.ts';
import { TroupeError } from '../../../src/core/errors.ts';
import {
  anyLog,
  counter,
  frozen,
  letterVectors,
  planInput,
  sentOf,
  step,
  summariesIn,
  talk,
  turn,
  wholeNumbers,
} from './conversations.ts';

const seed = 20261124;

const made = (name: string, compress: (input: CompressionInput) => unknown): CompressionStrategy => ({
  name,
  compress: compress as CompressionStrategy['compress'],
});
const odd = (input: CompressionInput) => input.groups.flatMap((_, number) => (number % 2 ? [number] : []));

const strategies: readonly CompressionStrategy[] = [
  none(),
  slidingWindow(),
  slidingWindow({ messages: 5 }),
  summarize(),
  summarize({ keepMessages: 3, maxInputTokens: 400 }),
  hierarchical(),
  hierarchical({ keepMessages: 4, notesMessages: 12 }),
  semantic(),
  semantic({ topK: 2, keepMessages: 4 }),
  composed(semantic(), summarize()),
  composed(none(), hierarchical(), slidingWindow()),
  defaultStrategy(),
  defaultStrategy({ summarizeFromTokens: 500, keepMessages: 4 }),
  made('every-second', async (input) => ({ head: [], kept: odd(input) })),
  made('leaves-all-out', async () => ({ head: [], kept: [] })),
  made('throws', () => {
    throw new Error('Not today.');
  }),
  made('rejects', () => Promise.reject('a text')),
  made('descends', async (input) => ({ head: [], kept: odd(input).reverse() })),
  made('knows-too-much', async (input) => ({ head: [], kept: [input.groups.length] })),
  made('head-without-label', async () => ({ head: [turn('a', 'b')], kept: [] })),
  made('gives-nothing', async () => undefined),
];

const writers = {
  brief: async () => 'They talked.',
  huge: async () => 'And then they talked. '.repeat(2000),
  empty: async () => ' \n',
  rejecting: async () => Promise.reject(new Error('The budget is spent.')),
} as const satisfies Record<string, CompressionInput['write']>;

const embeds = {
  none: undefined,
  letters: letterVectors,
  rejecting: async () => Promise.reject(new Error('No such model.')),
  short: async () => [[1]],
  ragged: async (texts: readonly string[]) => texts.map((_, at) => Array.from({ length: at + 1 }, () => 1)),
} as const satisfies Record<string, CompressionInput['embed']>;

const anyCase = fc.record({
  groups: anyLog,
  strategy: fc.constantFrom(...strategies),
  targetTokens: fc.oneof(fc.nat(300), fc.nat(3000)),
  protectedHeadGroups: fc.nat(2),
  protectedTailGroups: fc.nat(4),
  write: fc.constantFrom(...Object.values(writers)),
  embed: fc.constantFrom(...Object.values(embeds)),
  prompt: fc.constantFrom<Group>([], [{ role: 'user', content: 'Ignore the äöü' }]),
});

/** All that must hold of a plan by itself. */
function check(input: PlanInput, plan: Plan): void {
  const { groups, tokensOf, targetTokens, protectedHeadGroups, protectedTailGroups } = input;
  const sent = sentOf(groups, plan);
  const conversation = new Conversation('Be brief.');
  for (const group of sent.filter((group) => group.length > 1)) conversation.append(group);
  const numbers = wholeNumbers(groups, sent);
  expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(plan.after).toBe(sent.reduce((sum, group) => sum + tokensOf(group), 0));
  checkWhoSpeaks(groups, sent);
  checkGroups(groups, sent);
  const guarded = groups.filter(
    (_, number) => number < protectedHeadGroups || number >= groups.length - Math.max(protectedTailGroups, 1),
  );
  if (plan.by === 'nothing') return;
  for (const group of guarded) expect(sent.some((one) => isCopy(group, one))).toBe(true);
  if (plan.after <= targetTokens) return;
  const others = sent.filter((one) => !guarded.some((group) => isCopy(group, one)));
  expect(others.every((group) => group.length === 1)).toBe(true);
  const least = guarded.filter((group) => tokensOf(shortenGroup(group, 0, tokensOf)) < tokensOf(group));
  expect(sent.filter((one) => least.includes(one))).toEqual([]);
}

/** A user first; an assistant only behind what it answers. */
function checkWhoSpeaks(groups: readonly Group[], sent: readonly Group[]): void {
  if (sent[0] !== undefined) expect(sent[0][0]?.role).toBe('user');
  for (const [at, group] of sent.entries()) {
    if (at === 0 || group[0]?.role === 'user') continue;
    const before = sent[at - 1]!;
    const isGoingOn = groups.some((one, number) => isCopy(one, before) && isCopy(groups[number + 1] ?? [], group));
    expect(isGoingOn || (before.length === 1 && before[0]?.role === 'user')).toBe(true);
  }
}

/** Nothing is sent but whole groups, copies that keep every call and result, summaries and repeated requests. */
function checkGroups(groups: readonly Group[], sent: readonly Group[]): void {
  const strange = sent.filter((group) => {
    const isRequest = group.length === 1 && group[0]?.content.startsWith('(The beginning of the work on this request');
    return !isRequest && summaryOf(group) === undefined && !groups.some((one) => isCopy(one, group));
  });
  expect(strange).toEqual([]);
}

function isCopy(group: Group, copy: Group): boolean {
  if (group === copy) return true;
  if (group.length !== copy.length) return false;
  const shape = (one: Group) =>
    one.map((message) => [
      message.role,
      message.role === 'tool' ? message.callId : '',
      message.role === 'assistant' ? (message.toolCalls ?? []).map(({ id, name }) => [id, name]) : [],
    ]);
  const texts = copy.every(({ content }, at) => {
    const [begin = '', end = ''] = content.split(/\n?\[… \d+ characters left out …\]\n?/);
    const whole = group[at]?.content ?? '';
    return whole === content || (whole.startsWith(begin) && whole.endsWith(end) && content.length < whole.length);
  });
  return texts && JSON.stringify(shape(group)) === JSON.stringify(shape(copy));
}

const again = (plan: Compressed, groupCount: number) => ({ head: plan.head, kept: plan.kept, groupCount });

describe('any plan', () => {
  test('is whole, in order, within the target, touches nothing, and is not made again', async () => {
    const property = fc.asyncProperty(anyCase, async ({ strategy, ...given }) => {
      frozen(given.groups);
      const input = planInput(given);
      const plan = await planCompression(strategy, input);
      check(input, plan);
      if (plan.before <= input.targetTokens) expect(plan.by).toBe('nothing');
      const previous = again(JSON.parse(JSON.stringify(plan)), given.groups.length);
      const second = await planCompression(strategy, { ...input, previous });
      expect([second.head, second.kept, second.after]).toEqual([plan.head, plan.kept, plan.after]);
      expect(second.before).toBe(plan.after);
    });
    await fc.assert(property, { numRuns: 200, seed });
  }, 60_000);

  test('holds while the conversation grows, and each plan shrinks enough for a while', async () => {
    const growing = fc.record({ ...anyCaseParts(), pace: fc.integer({ min: 1, max: 5 }) });
    const property = fc.asyncProperty(growing, async ({ strategy, groups, pace, ...given }) => {
      let previous: PlanInput['previous'];
      for (let length = 1; length <= groups.length; length += pace) {
        const input = planInput({ ...given, groups: groups.slice(0, length), previous });
        const plan = await planCompression(strategy, input);
        check(input, plan);
        previous = again(plan, length);
      }
    });
    await fc.assert(property, { numRuns: 40, seed });
  }, 60_000);
});

function anyCaseParts() {
  return {
    groups: anyLog,
    strategy: fc.constantFrom(...strategies),
    targetTokens: fc.integer({ min: 100, max: 2000 }),
    protectedHeadGroups: fc.nat(1),
    protectedTailGroups: fc.nat(2),
    write: fc.constantFrom(...Object.values(writers)),
  };
}

describe('a plan', () => {
  test('leaves what fits as it is and asks nobody', async () => {
    const asked: string[] = [];
    const strategy = made('asked', async () => asked.push('asked'));
    const groups = talk(3);
    const plan = await planCompression(strategy, planInput({ groups, targetTokens: 1000 }));
    expect(plan).toEqual({ head: [], kept: [0, 1, 2], by: 'nothing', before: 252, after: 252 });
    expect(asked).toEqual([]);
  });

  test.each([
    ['throws', 'The compression strategy "throws" threw: Not today.'],
    ['rejects', 'The compression strategy "rejects" threw: a text'],
    ['descends', 'The compression strategy "descends" gave numbers in `kept` that are no groups, or not ascending.'],
    [
      'knows-too-much',
      'The compression strategy "knows-too-much" gave numbers in `kept` that are no groups, or not ascending.',
    ],
    [
      'head-without-label',
      'The compression strategy "head-without-label" gave a group in `head` that is no summary. Make each by `summaryGroup()`.',
    ],
    ['none', 'The compression strategy "none" left 840 tokens, protected groups among them; 400 may be sent.'],
  ])('does without a strategy that %s, and says so', async (name, message) => {
    const strategy = strategies.find((one) => one.name === name)!;
    const plan = await planCompression(strategy, planInput({ groups: talk(10), targetTokens: 400 }));
    expect({ ...plan, problem: plan.problem?.message }).toEqual({
      ...{ head: [], kept: [8, 9], by: 'last-resort', before: 840, after: 168, problem: message },
    });
  });

  test('keeps the old summary when a new one cannot be written', async () => {
    const summary = summaryGroup({ form: 'Summary', from: 1, to: 8, text: 'They talked.' });
    const previous = { head: [summary], kept: [4, 5], groupCount: 6 };
    const input = planInput({ groups: talk(10), targetTokens: 400, previous, write: writers.rejecting });
    const plan = await planCompression(summarize(), input);
    expect([plan.by, plan.head, plan.kept]).toEqual(['last-resort', [summary], [8, 9]]);
    // What was left out without a summary is in the next one.
    const prompts: string[] = [];
    const write = async (prompt: string) => `Summary ${prompts.push(prompt)}`;
    const grown = { ...input, groups: talk(13), previous: again(plan, 10), write };
    const next = await planCompression(summarize(), grown);
    expect(next.by).toBe('summarize');
    expect([...prompts.join('').matchAll(/Question (\d+)/g)].map(([, number]) => Number(number))).toEqual([
      4, 5, 6, 7, 8, 9, 10, 11,
    ]);
  });

  test('gives up a strategy that hangs, at its deadline', async () => {
    const deadline = new AbortController();
    const write = () => {
      deadline.abort(new TroupeError('TROUPE_ERR_WAIT_TIMEOUT', 'The strategy had its time.'));
      return new Promise<string>(() => {});
    };
    const input = planInput({ groups: talk(10), targetTokens: 400, write, deadline: deadline.signal });
    const plan = await planCompression(summarize(), input);
    expect([plan.by, plan.kept, plan.problem?.code]).toEqual(['last-resort', [8, 9], 'TROUPE_ERR_WAIT_TIMEOUT']);
  });

  test.each(['before', 'during'])('rejects with the reason of an abort %s', async (when) => {
    const stop = new AbortController();
    const reason = new Error('Cancelled.');
    const abort = () => stop.abort(reason);
    if (when === 'before') abort();
    const strategy = made('hangs', () => {
      abort();
      return new Promise(() => {});
    });
    const input = planInput({ groups: talk(10), targetTokens: 400, signal: stop.signal });
    await expect(planCompression(strategy, input)).rejects.toBe(reason);
  });

  test('puts what is pinned before the summaries', async () => {
    const groups = talk(10);
    const input = planInput({ groups, targetTokens: 400, protectedHeadGroups: 1 });
    const plan = await planCompression(summarize(), input);
    expect(plan.by).toBe('summarize');
    expect(plan.head[0]).toBe(groups[0]);
    expect(summariesIn(plan.head)).toEqual([{ form: 'Summary', from: 1, to: 18, text: 'They talked.' }]);
    expect(plan.kept).toEqual([9]);
  });

  test('does not take a pinned group for a summary of its own', async () => {
    const pasted = summaryGroup({ form: 'Summary', from: 1, to: 99, text: 'All is done.' });
    const groups = [pasted, ...talk(9)];
    const input = planInput({ groups, targetTokens: 400, protectedHeadGroups: 1 });
    const first = await planCompression(summarize(), input);
    const next = await planCompression(summarize(), {
      ...input,
      groups: [...groups, ...talk(4)],
      previous: again(first, 10),
    });
    expect([next.head[0], summariesIn(next.head.slice(1)).map(({ to }) => to)]).toEqual([pasted, [26]]);
  });

  test('repeats the request of a turn that it cuts', async () => {
    const loop = Array.from({ length: 12 }, (_, at) =>
      step(`${at}`, at === 0 ? 'Read it all.' : undefined, '{}', `line ${at} `.repeat(20)),
    );
    const plan = await planCompression(slidingWindow(), planInput({ groups: loop, targetTokens: 300 }));
    expect(plan.head).toEqual([
      [{ role: 'user', content: '(The beginning of the work on this request is left out.)\n\nRead it all.' }],
    ]);
    expect(plan.kept).toEqual([9, 10, 11]);
  });

  test('cuts a summary that does not fit beside what is protected', async () => {
    const text = 'They talked. '.repeat(80);
    const summary = summaryGroup({ form: 'Summary', from: 1, to: 8, text });
    const previous = { head: [summary], kept: [4, 5], groupCount: 6 };
    const input = planInput({ groups: talk(10), targetTokens: 400, protectedTailGroups: 3, previous });
    const plan = await planCompression(
      made('throws', () => Promise.reject(new Error('No.'))),
      input,
    );
    expect([plan.by, plan.kept]).toEqual(['last-resort', [7, 8, 9]]);
    expect(plan.after).toBeLessThanOrEqual(400);
    const [cut, ...more] = summariesIn(plan.head);
    expect(more).toEqual([]);
    expect(cut).toEqual({ form: 'Summary', from: 1, to: 8, text: expect.stringContaining('characters left out') });
  });

  test('leaves a strategy half of what is beside the pinned groups', async () => {
    const groups = [turn('word '.repeat(320), 'Yes.'), ...talk(20)];
    const plan = await planCompression(
      slidingWindow(),
      planInput({ groups, targetTokens: 1000, protectedHeadGroups: 1 }),
    );
    expect([plan.by, plan.kept]).toEqual(['sliding-window', [0, 18, 19, 20]]);
  });

  test('repeats no more of a request than an eighth of the target takes', async () => {
    const loop = Array.from({ length: 20 }, (_, at) =>
      step(`${at}`, at === 0 ? 'Read it all. '.repeat(1000) : undefined, '{}', `line ${at} `.repeat(20)),
    );
    const input = planInput({ groups: loop, targetTokens: 800 });
    const plan = await planCompression(slidingWindow(), input);
    expect([plan.by, plan.kept.length]).toEqual(['sliding-window', 8]);
    expect(input.tokensOf(plan.head[0]!)).toBeLessThanOrEqual(100 + 20);
  });

  test('takes a view of another log for none', async () => {
    const previous = { head: [], kept: [0, 40], groupCount: 50 };
    const input = planInput({ groups: talk(3), targetTokens: 1000, previous });
    expect((await planCompression(slidingWindow(), input)).kept).toEqual([0, 1, 2]);
  });

  test('counts each group of the log once, however often it plans', async () => {
    const groups = talk(400);
    const { tokensOf, counted } = counter();
    let previous: PlanInput['previous'];
    for (let length = 20; length <= 400; length += 1) {
      const input = planInput({ groups: groups.slice(0, length), targetTokens: 3000, previous, tokensOf });
      previous = again(await planCompression(slidingWindow(), input), length);
    }
    expect(counted()).toBe(400);
  });
});
