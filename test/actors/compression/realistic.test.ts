/** Every strategy on a conversation as it is in work: 200 messages, with tools, files and questions about earlier things. */
import { expect, test } from 'vitest';
import { composed } from '../../../actors/compression/composed.ts';
import { defaultStrategy } from '../../../actors/compression/default-strategy.ts';
import { hierarchical } from '../../../actors/compression/hierarchical.ts';
import { none } from '../../../actors/compression/none.ts';
import { planCompression } from '../../../actors/compression/plan.ts';
import { semantic } from '../../../actors/compression/semantic.ts';
import { slidingWindow } from '../../../actors/compression/sliding-window.ts';
import { summarize } from '../../../actors/compression/summarize.ts';
import type { Group } from '../../../src/core/conversation.ts';
import { planInput, recordingWriter, sentOf, step, summariesIn, turn } from './conversations.ts';

const topics = ['session', 'invoice', 'parser', 'queue', 'login', 'export', 'cache', 'search', 'upload', 'report'];

/** Ten topics: a question, three steps with tools, an answer, then talk about it. 200 messages. */
const groups: readonly Group[] = topics.flatMap((topic, at): Group[] => [
  step(`${at}-0`, `The ${topic} module fails in production. Find out why.`, `{"path":"src/${topic}.ts"}`, file(topic)),
  step(`${at}-1`, undefined, `{"query":"${topic} error"}`, `src/${topic}.ts:12\nsrc/${topic}.ts:40`, log(topic)),
  step(`${at}-2`, undefined, `{"path":"test/${topic}.test.ts"}`, file(`${topic} test`), '1 test failed'),
  [
    {
      role: 'assistant',
      content: `The ${topic} module reads its limit before it is set. I moved the read behind the start.`,
    },
  ],
  ...Array.from({ length: 5 }, (_, more) =>
    turn(
      `And what of ${topic}, case ${more}?`,
      `Case ${more} of the ${topic} holds: the limit is ${100 + more} there. `.repeat(4),
    ),
  ),
]);

function file(name: string): string {
  return Array.from(
    { length: 60 },
    (_, line) => `export const ${name.replace(' ', '_')}_${line} = read(${line});`,
  ).join('\n');
}

function log(name: string): string {
  return `2026-11-24 ERROR ${name}: limit is undefined\n`.repeat(25);
}

test('tokens before and after, for each strategy', async () => {
  expect(groups.flat().length).toBe(200);
  const written = 'They found the same fault in each module and moved the read of its limit behind the start. '.repeat(
    4,
  );
  const rows: string[] = [];
  const table = [
    ...[none(), slidingWindow(), slidingWindow({ messages: 20 }), summarize(), hierarchical(), semantic()],
    ...[composed(semantic(), summarize()), defaultStrategy()],
  ];
  for (const strategy of table) {
    const { prompts, write } = recordingWriter(() => written);
    const prompt: Group = [{ role: 'user', content: 'Why did the invoice fail? Say it again.' }];
    const input = planInput({
      groups,
      targetTokens: 6000,
      protectedHeadGroups: 1,
      protectedTailGroups: 2,
      prompt,
      write,
    });
    const plan = await planCompression(strategy, input);
    const sent = sentOf(groups, plan);
    const asked = prompts.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);
    rows.push(
      `${strategy.name.padEnd(30)} by ${plan.by.padEnd(30)} ${plan.before} to ${plan.after} tokens, ${sent.flat().length} messages, ` +
        `${summariesIn(sent).length} summaries, ${prompts.length} calls (${asked} tokens)`,
    );
    expect(plan.after).toBeLessThanOrEqual(6000);
    expect(plan.problem?.code).toBe(strategy.name === 'none' ? 'TROUPE_ERR_AGENT_CRASHED' : undefined);
    if (strategy.name === 'semantic') expect(JSON.stringify(sent)).toContain('The invoice module reads its limit');
  }
  process.stdout.write(`${rows.join('\n')}\n`);
});
