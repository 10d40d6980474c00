/** Every example runs and says what it should. */
import { readdirSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { main as ask } from '../examples/01-ask.ts';
import { main as tools } from '../examples/02-tools.ts';
import { main as review } from '../examples/03-review.ts';
import { main as fallback } from '../examples/04-fallback.ts';
import { faultServer } from './helpers/fault-server.ts';
import { openAiFaults, wholeText } from './helpers/openai-wire.ts';

afterEach(() => vi.unstubAllEnvs());

async function output(main: (print: (text: string) => void) => Promise<void>): Promise<string[]> {
  let text = '';
  await main((piece) => {
    text += piece;
  });
  return text.trim().split('\n');
}

test('01-ask', async () => {
  const server = await faultServer(openAiFaults);
  vi.stubEnv('LLM_ENDPOINT', server.url);
  expect(await output(ask)).toEqual([`${wholeText} (5 tokens)`, wholeText]);
  await server.close();
});

test('02-tools', async () => {
  expect(await output(tools)).toEqual([
    'user: What do an apple, a pear and a stone cost?',
    'assistant: ',
    'tool: 40',
    'tool: 55',
    expect.stringMatching(/^tool: The arguments do not fit: fruit: /),
    'assistant: An apple and a pear cost 95 cents. I know no stone.',
    '2 steps',
  ]);
});

test('03-review', async () => {
  const lines = await output(review);
  expect([lines.length, lines.filter((line) => /^(critical|high|medium|low) \S+:\d+ \S/.test(line)).length]).toEqual([
    20, 20,
  ]);
});

test('04-fallback', async () => {
  expect(await output(fallback)).toEqual(['nobody: TROUPE_ERR_BACKEND_UNREACHABLE', 'rules: answered']);
});

test('no example is left out', () => {
  const files = readdirSync(new URL('../examples', import.meta.url)).filter((name) => name.endsWith('.ts'));
  expect(files.sort()).toEqual(['01-ask.ts', '02-tools.ts', '03-review.ts', '04-fallback.ts']);
});
