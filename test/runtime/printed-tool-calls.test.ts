/** What a troupe does about models that print tool calls as text, and about models that are known to call none. */
import { expect, test } from 'vitest';
import { ollama } from '../../actors/backends/ollama.ts';
import { type Script, scripted } from '../../actors/backends/scripted.ts';
import { tool } from '../../actors/tools/tool.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import type { StreamEvent } from '../../src/runtime/reply.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import type { AgentWarning } from '../../src/runtime/warnings.ts';

const add = tool<{ a: number; b: number }>({
  name: 'add',
  description: 'Adds two numbers.',
  parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } }, required: ['a', 'b'] },
  execute: ({ a, b }) => a + b,
});
const printed = 'I add.\n<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>';
const code = 'printed-tool-calls';
const message = 'The model "scripted-model" printed its call of "add" as text.';

async function scene(script: Script, spec: AgentSpec = {}) {
  const troupe = createTroupe({ backends: { scripted: scripted(script) } });
  const warnings: AgentWarning[] = [];
  troupe.on('warning', (warning) => warnings.push(warning));
  return { troupe, warnings, agent: await troupe.spawn('worker', { tools: [add], ...spec }) };
}

test('a printed call is made, and the agent is warned of once', async () => {
  const { agent, warnings, troupe } = await scene([{ text: printed }, { text: printed }, { text: 'Three.' }]);
  const reply = await agent.ask('Add 1 and 2.');
  expect([reply.text, reply.steps]).toEqual(['Three.', 3]);
  const toolCalls = [{ id: 'call_1', name: 'add', arguments: '{"a":1,"b":2}' }];
  const step = [
    { role: 'assistant', content: 'I add.', toolCalls },
    { role: 'tool', callId: 'call_1', name: 'add', content: '3' },
  ];
  expect(agent.messages()).toEqual([
    { role: 'user', content: 'Add 1 and 2.' },
    ...step,
    ...step,
    { role: 'assistant', content: 'Three.' },
  ]);
  expect(warnings).toEqual([{ agent: 'worker', code, message }]);
  await troupe.close();
});

test('what a stream has given out of it stays given', async () => {
  const { agent, troupe } = await scene([{ text: printed }, { text: 'Three.' }]);
  const events: StreamEvent[] = [];
  for await (const event of agent.stream('Add 1 and 2.')) events.push(event);
  const text = events.flatMap((event) => (event.type === 'text-delta' ? [event.text] : []));
  expect(text).toEqual([printed, 'Three.']);
  expect(events.map(({ type }) => type)).toEqual([
    ...['step-start', 'text-delta', 'step-end', 'tool-call', 'tool-result'],
    ...['step-start', 'text-delta', 'step-end', 'reply'],
  ]);
  expect(events[2]).toMatchObject({ finishReason: { unified: 'tool-calls' } });
  await troupe.close();
});

test.each([
  ['warn', [{ agent: 'worker', code, message }]],
  ['ignore', []],
] as const)('with `%s` the text stays the answer', async (printedToolCalls, expected) => {
  const { agent, warnings, troupe } = await scene([{ text: printed }], { printedToolCalls });
  const reply = await agent.ask('Add 1 and 2.');
  expect([reply.text, reply.steps, warnings]).toEqual([printed, 1, expected]);
  await troupe.close();
});

test.each([
  ['the agent has no tools', { text: printed }, { tools: [] }],
  ['the tool is not known', { text: printed.replace('"add"', '"sub"') }, {}],
  ['the answer was cut short', { text: printed, finishReason: 'length' }, {}],
] as const)('nothing is made of it when %s', async (_why, step, spec) => {
  const { agent, warnings, troupe } = await scene([step], spec);
  const reply = await agent.ask('Add 1 and 2.');
  expect([reply.text, reply.steps, warnings]).toEqual([step.text, 1, []]);
  await troupe.close();
});

test('a wrong policy is named', async () => {
  await expect(scene([], { printedToolCalls: 'maybe' as never })).rejects.toThrow(
    '`printedToolCalls` must be "repair", "warn" or "ignore", not "maybe"',
  );
});

test('a spawn with tools on a model that is known to call none is warned of; nothing is asked', async () => {
  const endpoint = 'http://127.0.0.1:1';
  const troupe = createTroupe({ backends: { local: ollama({ endpoint, model: 'llama3.1' }) } });
  const warnings: AgentWarning[] = [];
  troupe.on('warning', (warning) => warnings.push(warning));
  await troupe.spawn('able', { tools: [add] });
  await troupe.spawn('talker', { model: 'gemma3:4b' });
  await troupe.spawn('unknown', { model: 'somebody/something', tools: [add] });
  await troupe.spawn('unable', { model: 'gemma3:4b', tools: [add] });
  const text =
    'The agent has tools, but as far as is known no tool can be called by "gemma3:4b" of backend "local". Name another `model`.';
  expect(warnings).toEqual([{ agent: 'unable', code: 'model-without-tools', message: text }]);
  await troupe.close();
});
