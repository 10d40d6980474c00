/** The published fake server, asked by the real backends. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { anthropic, createTroupe, ollama, openai, tool } from '../../src/index.ts';
import { fakeServer, faultNames } from '../../src/testing/fake-server.ts';

const kinds = {
  openai: (endpoint: string, stream: boolean) => openai({ endpoint, model: 'm', stream }),
  anthropic: (endpoint: string, stream: boolean) => anthropic({ endpoint, model: 'm', apiKey: 'sk', stream }),
  ollama: (endpoint: string, stream: boolean) => ollama({ endpoint, model: 'm', stream }),
};
const cases = (['openai', 'anthropic', 'ollama'] as const).flatMap((kind) =>
  [true, false].map((stream) => [kind, stream] as const),
);
const price = tool({
  name: 'price',
  description: 'A price.',
  parameters: z.object({ of: z.string() }),
  execute: ({ of }) => (of === 'apple' ? 40 : 55),
});

test.each(cases)('%s, streamed %s: text, tools and usage come as they were written down', async (kind, stream) => {
  const server = await fakeServer([
    { expect: 'What is "it"?', text: 'Let me see.', toolCalls: [{ name: 'price', arguments: { of: 'apple' } }] },
    { expect: /40/, text: ['Forty', ' cents.'], usage: { inputTokens: 9, outputTokens: 4 } },
    { text: 'cut', finishReason: 'length' },
  ]);
  const troupe = createTroupe({ backends: { it: kinds[kind](server.endpoint, stream) } });
  const agent = await troupe.spawn('a', { tools: [price] });
  const { text, steps, attempts } = await agent.ask('What is "it"?');
  const { finishReason } = await agent.ask('More.');
  expect([text, steps, attempts[1]?.usage.outputTokens, finishReason.unified]).toEqual([
    'Forty cents.',
    2,
    4,
    'length',
  ]);
  await troupe.close();
  await server.close();
});

test.each(cases)('%s, streamed %s: it misbehaves by name', async (kind, stream) => {
  const faults = ['429-seconds', '500', '503-busy', 'reset-mid-stream', 'html-200'];
  const server = await fakeServer(faults.map((fault) => ({ text: 'hello', fault })));
  const codes: unknown[] = [];
  for (const _ of faults) {
    const troupe = createTroupe({ backends: { it: kinds[kind](server.endpoint, stream) } });
    const agent = await troupe.spawn('a', { maxRetries: 0 });
    codes.push(await agent.ask('hi').catch(({ code }) => code));
    await troupe.close();
  }
  expect(codes).toEqual([
    ...['TROUPE_ERR_BACKEND_OVERLOADED', 'TROUPE_ERR_BACKEND_UNAVAILABLE', 'TROUPE_ERR_BACKEND_OVERLOADED'],
    ...['TROUPE_ERR_BACKEND_STREAM_CUT', 'TROUPE_ERR_BACKEND_PROTOCOL'],
  ]);
  await server.close();
});

test('what does not fit the script fails loudly, at once and at the end', async () => {
  const server = await fakeServer([{ expect: 'weather', text: 'Rain.' }]);
  const troupe = createTroupe({ backends: { it: openai({ endpoint: server.endpoint, model: 'm' }) } });
  const agent = await troupe.spawn('a', { maxRetries: 0 });
  await expect(agent.ask('time')).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_REQUEST_INVALID' });
  await expect(agent.ask('more')).rejects.toThrow('not in the script');
  await troupe.close();
  await expect(server.close()).rejects.toMatchObject({ code: 'TROUPE_ERR_SCRIPT_UNEXPECTED' });
  const unused = await fakeServer([{ text: 'unheard' }]);
  await expect(unused.close()).rejects.toMatchObject({ code: 'TROUPE_ERR_SCRIPT_UNCONSUMED' });
  await expect(fakeServer([{ fault: 'none such' }])).rejects.toMatchObject({ code: 'TROUPE_ERR_OPTION_INVALID' });
  expect(faultNames.length).toBeGreaterThan(50);
});
