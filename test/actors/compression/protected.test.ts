/** Groups that are always sent, and too long for that: what is sent of them, and what is left for others. */
import { expect, test } from 'vitest';
import { composed } from '../../../actors/compression/composed.ts';
import { planCompression } from '../../../actors/compression/plan.ts';
import { shortenGroup } from '../../../actors/compression/shorten.ts';
import { slidingWindow } from '../../../actors/compression/sliding-window.ts';
import type { CompressionStrategy } from '../../../actors/compression/strategy.ts';
import { summarize } from '../../../actors/compression/summarize.ts';
import { frozen, planInput, recordingWriter, step, summariesIn, talk, turn } from './conversations.ts';

test('sends a shorter copy of a group that is too long alone, and leaves the log', async () => {
  const page = 'word '.repeat(40_000);
  const groups = frozen([...talk(2), step('huge', 'Read it.', '{"path":"a.txt"}', page, 'short'), turn('And?', 'So.')]);
  const input = planInput({ groups, targetTokens: 1000, protectedTailGroups: 2 });
  const plan = await planCompression(slidingWindow(), input);
  expect(plan.by).toBe('sliding-window');
  expect(plan.after).toBeLessThanOrEqual(500);
  expect(plan.after).toBeGreaterThan(400);
  expect(plan.kept).toEqual([3]);
  const [copy, ...more] = plan.head;
  expect(more).toEqual([]);
  expect(copy).toEqual([
    groups[2]![0],
    groups[2]![1],
    {
      ...groups[2]![2],
      content: expect.stringMatching(/^word [^[]*\n\[… 19\d{4} characters left out …\]\n.*word $/s),
    },
    groups[2]![3],
  ]);
});

test('keeps what a summary stands for when something long comes: it is not read again', async () => {
  const { prompts, write } = recordingWriter();
  const input = planInput({ groups: talk(30), targetTokens: 1000, write });
  const first = await planCompression(summarize(), input);
  const read = [...prompts];
  expect(read.join()).toContain('Question 25');
  const huge = step('huge', 'Read it.', '{}', 'word '.repeat(4000));
  const longer = [...talk(30), huge];
  const second = await planCompression(summarize(), {
    ...input,
    groups: longer,
    previous: { ...first, groupCount: 30 },
  });
  expect([second.by, summariesIn(second.head)]).toEqual([
    ...['summarize', [{ form: 'Summary', from: 1, to: 60, text: 'They talked.' }]],
  ]);
  expect(second.after).toBeLessThanOrEqual(1000);
  const longest = [...longer, ...talk(20)];
  const third = await planCompression(summarize(), {
    ...input,
    groups: longest,
    previous: { ...second, groupCount: 31 },
  });
  expect([third.by, summariesIn(third.head).map(({ to }) => to)]).toEqual(['summarize', [99]]);
  expect(read.length).toBeGreaterThan(0);
  expect(prompts.slice(read.length).join()).not.toContain('Question 25');
});

test('cuts long groups to about the same length, and leaves room for what was said before', async () => {
  const long = (id: string) => step(id, 'Read.', '{}', `${id} `.repeat(20_000));
  const groups = [...talk(20), long('a'), long('b'), turn('And?', 'So.')];
  const input = planInput({ groups, targetTokens: 2000, protectedTailGroups: 3 });
  const plan = await planCompression(summarize({ keepMessages: 20 }), input);
  const [one, other] = plan.head.slice(-2).map(input.tokensOf);
  expect([plan.by, summariesIn(plan.head).length]).toEqual(['summarize', 1]);
  expect(Math.min(one!, other!)).toBeGreaterThan(350);
  expect(plan.after).toBeLessThanOrEqual(2000);
});

test('shows a strategy what will be sent of a long group', async () => {
  const groups = [...talk(20), step('a', 'Read.', '{}', 'word '.repeat(20_000))];
  const never: CompressionStrategy = { name: 'never', compress: () => Promise.reject(new Error('It was asked.')) };
  const plan = await planCompression(composed(summarize(), never), planInput({ groups, targetTokens: 1000 }));
  expect([plan.by, plan.problem]).toEqual(['composed(summarize, never)', undefined]);
});

test('takes from every group what it can when the marks alone are too long', async () => {
  const long = 'word '.repeat(100);
  const groups = [
    turn('A short question, though not quite so short. '.repeat(3), 'So.'),
    step('a', 'Read.', '{}', ...Array.from({ length: 20 }, () => long)),
  ];
  const input = planInput({ groups, targetTokens: 200, protectedTailGroups: 2 });
  const least = groups.map((group) => shortenGroup(group, 0, input.tokensOf));
  const plan = await planCompression(slidingWindow(), input);
  expect([plan.by, plan.head]).toEqual(['last-resort', least]);
  expect(plan.after).toBeGreaterThan(200);
});

test('gives the least when the target is 0, and nothing of nothing', async () => {
  const nothing = await planCompression(summarize(), planInput({ groups: [], targetTokens: 0 }));
  expect(nothing).toEqual({ head: [], kept: [], by: 'nothing', before: 0, after: 0 });
  const least = await planCompression(summarize(), planInput({ groups: talk(3), targetTokens: 0 }));
  const mark = '[… 152 characters left out …]';
  expect(least.head).toEqual([
    [
      { role: 'user', content: mark },
      { role: 'assistant', content: '[… 150 characters left out …]' },
    ],
  ]);
});
