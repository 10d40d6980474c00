/** A test of your own tool: an agent uses it, good and bad arguments alike, with the model written down beforehand. */
import assert from 'node:assert/strict';
import { z } from 'zod';
import { createTroupe, tool } from '../src/index.ts';
import { assertValidMessages, scriptedBackend } from '../src/testing/index.ts';

const divide = tool({
  name: 'divide',
  description: 'Divides a by b.',
  parameters: z.object({ a: z.number(), b: z.number() }),
  execute: ({ a, b }) => {
    if (b === 0) throw new Error('Nothing can be divided by 0.');
    return a / b;
  },
});

export async function main(print: (text: string) => void): Promise<void> {
  const calls = [{ a: 6, b: 3 }, { a: 1, b: 0 }, { a: 'six' }].map((args) => ({ name: 'divide', arguments: args }));
  const model = scriptedBackend([{ expect: 'Divide', toolCalls: calls }, { text: 'Two, and two that cannot be.' }]);
  const troupe = createTroupe({ backends: { model } });
  const agent = await troupe.spawn('pupil', { tools: [divide] });
  await agent.ask('Divide.');
  const results = agent.messages().filter(({ role }) => role === 'tool');
  assert.equal(results[0]?.content, '2');
  assert.match(results[1]?.content ?? '', /Nothing can be divided by 0/);
  assert.match(results[2]?.content ?? '', /do not fit/);
  assertValidMessages(agent.messages());
  await troupe.close();
  print(`${results.length} results are as they should be\n`);
}
