/** The real Claude Agent SDK with our wrapper as its executable. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createSdkMcpServer,
  type Options,
  query,
  type SDKMessage,
  type SDKResultMessage,
  type SDKUserMessage,
  tool,
} from '@anthropic-ai/claude-agent-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { builtWrapper } from '../wrapper/built.ts';
import { talkingModel } from '../wrapper/talking-model.ts';

const main = builtWrapper();
const folder = mkdtempSync(join(tmpdir(), 'troupe-sdk-'));

let server: FaultServer;
let options: Options;
beforeAll(async () => {
  server = await faultServer({ talk: talkingModel });
  options = {
    pathToClaudeCodeExecutable: main,
    executable: 'node',
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      LLM_ENDPOINT: server.url,
      LLM_MODEL: 'fault:talk',
      CLAUDE_CODE_MAX_RETRIES: '0',
    },
  };
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** All messages of a query with one prompt. */
async function ask(prompt: string, more: Options = {}): Promise<SDKMessage[]> {
  const messages: SDKMessage[] = [];
  for await (const message of query({ prompt, options: { ...options, ...more } })) messages.push(message);
  return messages;
}

function resultOf(messages: readonly SDKMessage[]): SDKResultMessage {
  const result = messages.find((message) => message.type === 'result');
  if (result === undefined) throw new Error('There is no result.');
  return result;
}

function answerOf(messages: readonly SDKMessage[]): string | undefined {
  const result = resultOf(messages);
  return result.subtype === 'success' ? result.result : undefined;
}

function user(content: string): SDKUserMessage {
  return { type: 'user', message: { role: 'user', content }, parent_tool_use_id: null };
}

const add = () =>
  createSdkMcpServer({
    name: 'sums',
    tools: [
      tool('add', 'Adds two numbers.', { a: z.number(), b: z.number() }, async ({ a, b }) => ({
        content: [{ type: 'text', text: String(a + b) }],
      })),
    ],
  });
const callAdd = 'call mcp__sums__add {"a":1,"b":2}';

describe('the Agent SDK', () => {
  test('asks once', async () => {
    const messages = await ask('Hello', { systemPrompt: 'Be brief.' });
    expect(messages.map(({ type }) => type)).toEqual(['system', 'assistant', 'result']);
    expect(answerOf(messages)).toBe('1 before: Hello');
    expect(resultOf(messages)).toMatchObject({ num_turns: 1, usage: { input_tokens: 8, output_tokens: 5 } });
  });

  test('streams its input: two messages, two results', async () => {
    async function* prompt() {
      yield user('one');
      yield user('two');
    }
    const answers: (string | undefined)[] = [];
    for await (const message of query({ prompt: prompt(), options })) {
      if (message.type === 'result') answers.push(answerOf([message]));
    }
    expect(answers).toEqual(['0 before: one', '2 before: two']);
  });

  test('interrupts a turn, and goes on', async () => {
    let release = () => {};
    const interrupted = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* prompt() {
      yield user('hang');
      await interrupted;
      yield user('Hello');
    }
    const ends: (string | undefined)[] = [];
    const run = query({ prompt: prompt(), options: { ...options, includePartialMessages: true } });
    for await (const message of run) {
      const isPiece = message.type === 'stream_event' && message.event.type === 'content_block_delta';
      if (isPiece && ends.length === 0) await run.interrupt();
      if (message.type !== 'result') continue;
      ends.push(message.subtype === 'success' ? message.result : message.subtype);
      release();
    }
    expect(ends).toEqual(['error_during_execution', '0 before: Hello']);
  });

  test('resumes, forks and goes back', async () => {
    const first = await ask('one');
    const { session_id: id } = resultOf(first);
    const assistant = first.find(({ type }) => type === 'assistant');
    const resumed = await ask('two', { resume: id });
    expect([answerOf(resumed), resultOf(resumed).session_id]).toEqual(['2 before: two', id]);
    const forked = await ask('three', { resume: id, forkSession: true });
    expect([answerOf(forked), resultOf(forked).session_id === id]).toEqual(['4 before: three', false]);
    const back = await ask('four', { resume: id, forkSession: true, resumeSessionAt: String(assistant?.uuid) });
    expect(answerOf(back)).toBe('2 before: four');
    expect(answerOf(await ask('five', { continue: true }))).toBe('4 before: five');
  });

  test('is told that there is no such session', async () => {
    const missing = '99999999-9999-4999-8999-999999999999';
    await expect(ask('Hello', { resume: missing })).rejects.toThrow(
      `No conversation found with session ID: ${missing}`,
    );
  });

  test('has tools in its own process', async () => {
    const messages = await ask(callAdd, { mcpServers: { sums: add() }, allowedTools: ['mcp__sums'] });
    expect(messages.map(({ type }) => type)).toEqual([
      ...['system', 'assistant', 'assistant', 'user', 'assistant', 'result'],
    ]);
    expect(messages[0]).toMatchObject({
      tools: ['mcp__sums__add'],
      mcp_servers: [{ name: 'sums', status: 'connected' }],
    });
    expect(answerOf(messages)).toBe('It said: 3');
  });

  test('may change the arguments of a call', async () => {
    const seen: unknown[] = [];
    const messages = await ask(callAdd, {
      mcpServers: { sums: add() },
      canUseTool: async (name, input, { toolUseID }) => {
        seen.push([name, input, toolUseID.startsWith('call-')]);
        return { behavior: 'allow', updatedInput: { a: 20, b: 22 } };
      },
    });
    expect(seen).toEqual([['mcp__sums__add', { a: 1, b: 2 }, true]]);
    expect(answerOf(messages)).toBe('It said: 42');
  });

  test('may deny a call', async () => {
    const messages = await ask(callAdd, {
      mcpServers: { sums: add() },
      canUseTool: async () => ({ behavior: 'deny', message: 'Not today.' }),
    });
    expect(answerOf(messages)).toBe('It said: Not today.');
    expect(resultOf(messages).permission_denials).toEqual([
      { tool_name: 'mcp__sums__add', tool_use_id: expect.any(String), tool_input: { a: 1, b: 2 } },
    ]);
  });

  test('gets the events of the API', async () => {
    const messages = await ask('Hello', { includePartialMessages: true });
    const events = messages.flatMap((message) => (message.type === 'stream_event' ? [message.event.type] : []));
    expect(events).toEqual([
      ...['message_start', 'content_block_start', 'content_block_delta', 'content_block_stop'],
      ...['message_delta', 'message_stop'],
    ]);
  });

  test('throws what the server failed with', async () => {
    await expect(ask('fail')).rejects.toThrow(/API Error: 500/);
  });

  test('gets structured output', async () => {
    const schema = { type: 'object', properties: { x: { type: 'number' } }, required: ['x'] };
    const messages = await ask('say {"x":1}', { outputFormat: { type: 'json_schema', schema } });
    expect(resultOf(messages)).toMatchObject({ subtype: 'success', structured_output: { x: 1 } });
  });

  test('asks for the state of its servers, and sets the model', async () => {
    async function* prompt() {
      yield user('one');
    }
    const run = query({ prompt: prompt(), options: { ...options, model: 'fault:none', mcpServers: { sums: add() } } });
    await run.setModel('fault:talk');
    expect(await run.mcpServerStatus()).toMatchObject([{ name: 'sums' }]);
    expect(await run.supportedModels()).toEqual([]);
    for await (const message of run) if (message.type === 'result') expect(answerOf([message])).toBe('0 before: one');
  });
});
