/** What each strategy chooses, and what its options allow. */
import { describe, expect, test } from 'vitest';
import { composed } from '../../../actors/compression/composed.ts';
import { defaultStrategy } from '../../../actors/compression/default-strategy.ts';
import { hierarchical } from '../../../actors/compression/hierarchical.ts';
import { none } from '../../../actors/compression/none.ts';
import { planCompression } from '../../../actors/compression/plan.ts';
import { semantic } from '../../../actors/compression/semantic.ts';
import { slidingWindow } from '../../../actors/compression/sliding-window.ts';
import type { CompressionInput, CompressionStrategy } from '../../../actors/compression/strategy.ts';
import { summarize } from '../../../actors/compression/summarize.ts';
import { summaryGroup } from '../../../actors/compression/summary.ts';
import type { Group } from '../../../src/core/conversation.ts';
import { planInput, recordingWriter, step, summariesIn, talk, turn } from './conversations.ts';

const words = 'a word '.repeat(20);
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => from + at);

test.each([
  ['slidingWindow({ messages: 0 })', () => slidingWindow({ messages: 0 }), '`messages` must be a whole number above 0'],
  ['summarize({ keep: 1 })', () => summarize({ keep: 1 } as never), '`keep` is no option'],
  ['summarize({ maxTokens })', () => summarize({ maxTokens: 1.5 }), '`maxTokens` must be a whole number above 0'],
  ['hierarchical()', () => hierarchical({ notesMessages: -1 }), '`notesMessages` must be a whole number above 0'],
  ['semantic()', () => semantic({ topK: -1 }), '`topK` must be a whole number, 0 or more'],
  [
    'defaultStrategy()',
    () => defaultStrategy({ windowMessages: 0 }),
    '`windowMessages` must be a whole number above 0',
  ],
  ['composed()', () => composed(), 'give one strategy or more'],
  ['composed(text)', () => composed('none' as never), '`compress` must be a function, not null'],
])('%s is refused', (_name, make, message) => {
  expect(make).toThrow(
    expect.objectContaining({ code: 'TROUPE_ERR_OPTION_INVALID', message: expect.stringContaining(message) }),
  );
});

test('no strategy does anything before it is asked', () => {
  const names = [none(), slidingWindow(), summarize(), hierarchical(), semantic(), defaultStrategy()];
  expect(names.map(({ name }) => name)).toEqual([
    ...['none', 'sliding-window', 'summarize', 'hierarchical', 'semantic', 'default'],
  ]);
});

describe('sliding window', () => {
  test('keeps so many messages at most, in whole groups', async () => {
    const groups = [...talk(10), step('1', 'Look.', '{}', 'seen', 'seen too'), turn('So?', 'So.')];
    const choose = (messages: number) =>
      slidingWindow({ messages }).compress(planInput({ groups, targetTokens: 4000 }));
    expect(await Promise.all([1, 5, 6, 7, 8].map(choose))).toEqual(
      [[11], [11], [10, 11], [10, 11], [9, 10, 11]].map((kept) => ({ head: [], kept })),
    );
  });

  test('shrinks to half of the target, so that it has nothing to do for as long again', async () => {
    const groups = talk(300);
    const plans: string[] = [];
    let previous: CompressionInput['previous'];
    for (let length = 1; length <= 300; length += 1) {
      const input = planInput({ groups: groups.slice(0, length), targetTokens: 1680, previous });
      const { by, head, kept, after } = await planCompression(slidingWindow(), input);
      if (by !== 'nothing') plans.push(`${length}: ${after}`);
      previous = { head, kept, groupCount: length };
    }
    expect(plans.length).toBeLessThan(30);
    expect(plans.slice(0, 3)).toEqual(['20: 765', '31: 765', '42: 765']);
  });
});

describe('the default', () => {
  test.each([
    ['below 2,000 tokens all is kept', 20, 4000, 'nothing', numbers(0, 20)],
    ['below 8,000 a window of 20 messages', 60, 4000, 'default', numbers(50, 60)],
  ])('%s', async (_name, count, targetTokens, by, kept) => {
    const { prompts, write } = recordingWriter();
    const plan = await planCompression(defaultStrategy(), planInput({ groups: talk(count), targetTokens, write }));
    expect([plan.by, plan.head, plan.kept, prompts]).toEqual([by, [], kept, []]);
  });

  test('from 8,000 on a summary and the newest 10 messages', async () => {
    const plan = await planCompression(defaultStrategy(), planInput({ groups: talk(120), targetTokens: 4000 }));
    expect(plan.by).toBe('default');
    expect(summariesIn(plan.head)).toEqual([{ form: 'Summary', from: 1, to: 230, text: 'They talked.' }]);
    expect(plan.kept).toEqual(numbers(115, 120));
  });

  test('a conversation with a summary goes on with it, however short it is', async () => {
    const summary = summaryGroup({ form: 'Summary', from: 1, to: 4, text: 'They talked.' });
    const previous = { head: [summary], kept: numbers(2, 10), groupCount: 10 };
    const input = planInput({ groups: talk(12), targetTokens: 800, previous });
    expect(summariesIn((await planCompression(defaultStrategy(), input)).head).map(({ to }) => to)).toEqual([20]);
  });

  test('the limits can be set', async () => {
    const strategy = defaultStrategy({ summarizeFromTokens: 1000, keepMessages: 4 });
    const plan = await planCompression(strategy, planInput({ groups: talk(30), targetTokens: 1600 }));
    expect([summariesIn(plan.head).map(({ to }) => to), plan.kept]).toEqual([[56], [28, 29]]);
  });

  test('what fits its target is below the first limit by itself', async () => {
    const input = planInput({ groups: talk(3), targetTokens: 100 });
    expect(await defaultStrategy().compress(input)).toEqual({ head: [], kept: [2] });
    expect(await defaultStrategy().compress({ ...input, targetTokens: 1000 })).toEqual({ head: [], kept: [0, 1, 2] });
  });
});

describe('semantic', () => {
  const groups = [
    turn('How do I water the roses?', `In the morning. ${words}`),
    ...talk(10),
    turn('Which port has the database?', `It listens on 5432. ${words}`),
    ...talk(10),
  ];
  const prompt: Group = [{ role: 'user', content: 'Tell me the port of the database again.' }];

  test('keeps what shares words with the prompt, and the newest', async () => {
    const input = planInput({ groups, targetTokens: 800, prompt });
    const plan = await planCompression(semantic({ topK: 1, keepMessages: 4 }), input);
    expect([plan.by, plan.kept]).toEqual(['semantic', [11, 20, 21]]);
  });

  test('asks again about an older thing and finds it in the log', async () => {
    const input = planInput({ groups, targetTokens: 800, prompt });
    const strategy = semantic({ topK: 1, keepMessages: 4 });
    const first = await planCompression(strategy, input);
    const more = [...groups, ...talk(10)];
    const roses: Group = [{ role: 'user', content: 'And the roses?' }];
    const previous = { ...first, groupCount: groups.length };
    const next = await planCompression(strategy, { ...input, groups: more, previous, prompt: roses });
    expect(next.kept).toEqual([0, 30, 31]);
  });

  test('does not look back further than it is told', async () => {
    const roses: Group = [{ role: 'user', content: 'And the roses?' }];
    const input = planInput({ groups, targetTokens: 800, prompt: roses });
    const choose = async (maxCompared: number) =>
      (await planCompression(semantic({ topK: 1, keepMessages: 4, maxCompared }), input)).kept[0];
    expect([await choose(20), await choose(19)]).toEqual([0, 11]);
  });

  test('in the middle of an ask its request counts', async () => {
    const asked = [...groups, step('1', 'Tell me the port of the database again.', '{}', 'seen')];
    const plan = await planCompression(
      semantic({ topK: 1, keepMessages: 3 }),
      planInput({ groups: asked, targetTokens: 800 }),
    );
    expect(plan.kept).toEqual([11, 22]);
  });

  test('compares vectors where there are some, and makes each once', async () => {
    const asked: string[] = [];
    const embed = async (texts: readonly string[]) => {
      asked.push(...texts);
      return texts.map((text) => [text.includes('roses') ? 1 : 0, 1, text.length / 1e6]);
    };
    const about: Group = [{ role: 'user', content: 'the roses, not the database' }];
    const input = planInput({ groups, targetTokens: 800, prompt: about, embed });
    const strategy = semantic({ topK: 1, keepMessages: 4 });
    expect((await planCompression(strategy, input)).kept).toEqual([0, 20, 21]);
    expect(asked.length).toBe(21);
    expect((await planCompression(strategy, { ...input, prompt })).kept).not.toContain(0);
    expect(asked.length).toBe(22);
  });

  test.each([
    ['rejects', async () => Promise.reject(new Error('No such model.')), '`embed` threw: No such model.'],
    [
      'gives too few',
      async () => [[1]],
      '`embed` gave 1 values for 21 texts. It must give one vector of numbers for each.',
    ],
    [
      'gives what is no number',
      async (texts: readonly string[]) => texts.map(() => [Number.NaN]),
      '`embed` gave 21 values for 21 texts. It must give one vector of numbers for each.',
    ],
    [
      'gives vectors of several lengths',
      async (texts: readonly string[]) => texts.map((_, at) => (at === 0 ? [1] : [1, 2])),
      '`embed` gave vectors of 1 and 2 numbers. One model makes them of one length.',
    ],
  ])('compares words when `embed` %s, and says why', async (_name, embed, message) => {
    const input = planInput({ groups, targetTokens: 800, prompt, embed });
    const plan = await planCompression(semantic({ topK: 1, keepMessages: 4 }), input);
    expect([plan.by, plan.kept, plan.problem?.message]).toEqual(['semantic', [11, 20, 21], message]);
  });

  test('a turn is kept as one', async () => {
    const loop = [
      step('a', 'Find the zebra.', '{}', 'not here'),
      step('b', undefined, '{}', 'zebra in room 7'),
      [{ role: 'assistant', content: 'Room 7.' }] satisfies Group,
    ];
    const input = planInput({
      ...{ groups: [...talk(5), ...loop, ...talk(10)], targetTokens: 800 },
      prompt: [{ role: 'user', content: 'Where was the zebra?' }],
    });
    expect((await planCompression(semantic({ topK: 1, keepMessages: 2 }), input)).kept).toEqual([5, 6, 7, 17]);
  });
});

describe('composed', () => {
  const tried: string[] = [];
  const leaving = (name: string, count: number): CompressionStrategy => ({
    name,
    async compress({ groups, candidates = groups.map((_, number) => number), previous }) {
      tried.push(`${name} of ${candidates.length}`);
      return { head: previous?.head ?? [], kept: candidates.slice(-count) };
    },
  });
  const failing: CompressionStrategy = { name: 'failing', compress: () => Promise.reject(new Error('No.')) };

  test('goes on with what the one before left until the target is met', async () => {
    tried.length = 0;
    const strategy = composed(leaving('first', 9), leaving('second', 4), leaving('third', 1));
    const plan = await planCompression(strategy, planInput({ groups: talk(12), targetTokens: 500 }));
    expect([plan.by, plan.kept]).toEqual(['composed(first, second, third)', [8, 9, 10, 11]]);
    expect(tried).toEqual(['first of 12', 'second of 9']);
  });

  test('a summary goes through a window behind it', async () => {
    const huge = turn('Read it.', 'word '.repeat(700));
    const wordy = { ...summarize({ keepMessages: 10 }) };
    const keepAll: CompressionStrategy = {
      name: 'keep-more',
      compress: async (input) => ({ ...(await wordy.compress(input)), kept: numbers(8, 13) }),
    };
    const input = planInput({ groups: [...talk(12), huge], targetTokens: 1200 });
    const plan = await planCompression(composed(keepAll, slidingWindow()), input);
    expect(plan.by).toBe('composed(keep-more, sliding-window)');
    expect(summariesIn(plan.head).length).toBe(1);
    expect(plan.kept).toEqual([12]);
  });

  test('passes over one that fails and says so; fails when all do', async () => {
    const input = planInput({ groups: talk(12), targetTokens: 500 });
    const plan = await planCompression(composed(failing, slidingWindow()), input);
    expect([plan.by, plan.kept, plan.problem?.message]).toEqual([
      ...['composed(failing, sliding-window)', [10, 11], 'The compression strategy "failing" threw: No.'],
    ]);
    await expect(composed(failing, failing).compress(input)).rejects.toThrow('"failing" threw: No.');
  });
});

test('a strategy that writes no summary keeps one that is there', async () => {
  const summary = summaryGroup({ form: 'Summary', from: 1, to: 4, text: 'They talked.' });
  const previous = { head: [summary], kept: numbers(2, 12), groupCount: 12 };
  const input = planInput({ groups: talk(12), targetTokens: 700, previous });
  for (const strategy of [slidingWindow(), semantic()])
    expect((await planCompression(strategy, input)).head).toEqual([summary]);
});
