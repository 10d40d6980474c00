/** What `tool()` takes, and what it makes of it. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { StandardSchema } from '../../../actors/tools/schema.ts';
import { type ToolContext, tool } from '../../../actors/tools/tool.ts';
import type { TroupeError } from '../../../src/core/errors.ts';

const context: ToolContext = { agent: 'a', askId: 'ask-1', callId: 'c', signal: new AbortController().signal };
const plain = { name: 'plain', description: 'Does it.', execute: () => 'done' };

describe('arguments', () => {
  test('by a zod schema are typed, checked and have their defaults', async () => {
    const repeat = tool({
      name: 'repeat',
      description: 'Repeats.',
      parameters: z.object({ text: z.string(), times: z.number().default(2) }),
      execute: ({ text, times }) => text.repeat(times),
    });
    expect(await repeat.check({ text: 'ha' })).toEqual({ value: { text: 'ha', times: 2 } });
    expect(await repeat.check({ text: 7 })).toEqual({ problem: expect.stringMatching(/^text: /) });
    expect(await repeat.run({ text: 'ha', times: 3 }, context)).toBe('hahaha');
    expect(repeat.definition.parameters).toMatchObject({ type: 'object', required: ['text'] });
  });

  test('by a JSON Schema are checked by it, and it is what the model is told', async () => {
    const parameters = { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] };
    const read = tool<{ path: string }>({ ...plain, parameters });
    expect(await read.check({ path: '/a' })).toEqual({ value: { path: '/a' } });
    expect(await read.check({})).toEqual({ problem: expect.stringMatching(/^path: /) });
    expect(read.definition).toEqual({ name: 'plain', description: 'Does it.', parameters });
  });

  test('are none by default', () => {
    expect(tool(plain).definition.parameters).toEqual({ type: 'object', properties: {} });
  });
});

test('needs no approval, may not be run twice and has no time of its own, unless it says so', async () => {
  expect(tool(plain)).toMatchObject({ approve: false, idempotent: false });
  expect('timeoutMs' in tool(plain)).toBe(false);
  const careful = tool({ ...plain, approve: ({ risk }) => risk === 1, idempotent: true, timeoutMs: 5 });
  expect(careful).toMatchObject({ idempotent: true, timeoutMs: 5 });
  const call = { id: 'c', name: 'plain', arguments: '{}' };
  const { approve } = careful;
  expect(typeof approve === 'function' && [approve({ risk: 1 }, call), approve({ risk: 0 }, call)]).toEqual([
    true,
    false,
  ]);
});

test.each([
  ['a name with a blank', { name: 'a b' }, '`name` must be a text of 1 to 64 letters, digits, "_" or "-", not "a b"'],
  ['no function', { execute: 'x' }, '`execute` must be a function'],
  ['an approval that is no rule', { approve: 'always' }, '`approve` must be true, false or a function, not "always"'],
  ['no time', { timeoutMs: 0 }, '`timeoutMs` must be a number of milliseconds above 0, not 0'],
  ['an option that there is not', { timeout: 5 }, '`timeout` is no option'],
])('refuses %s', (_name, wrong, message) => {
  const make = () => tool({ ...plain, ...wrong } as never);
  expect(make).toThrow(message);
  expect(codeOf(make)).toBe('TROUPE_ERR_OPTION_INVALID');
});

test('refuses a schema that gives no JSON Schema', () => {
  const validate = (value: unknown) => ({ value });
  const schema: StandardSchema = { '~standard': { version: 1, vendor: 'valibot', validate } };
  expect(() => tool({ ...plain, parameters: schema })).toThrow('is a valibot schema that gives no JSON Schema');
});

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as TroupeError).code;
  }
}
