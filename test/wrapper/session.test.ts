/** Sessions on disk: gone on with, forked, cut, damaged. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { type Line, type Run, type RunSetup, run, user } from './run.ts';
import { talkingModel } from './talking-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-wrapper-sessions-'));
const first = '11111111-1111-4111-8111-111111111111';
const second = '22222222-2222-4222-8222-222222222222';
const script = new URL('mcp-server.mjs', import.meta.url).pathname;
const tools = [
  `--mcp-config=${JSON.stringify({ mcpServers: { small: { command: process.execPath, args: [script] } } })}`,
  '--allowedTools=mcp__small',
];

let server: FaultServer;
let setup: RunSetup;
let count = 0;
beforeAll(async () => {
  server = await faultServer({ talk: talkingModel });
});
beforeEach(() => {
  count += 1;
  setup = { endpoint: server.url, stateDir: join(folder, String(count)) };
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Said {
  readonly code: number;
  readonly lines: readonly Line[];
  readonly results: readonly Line[];
  readonly troubles: readonly string[];
}

async function say(argv: readonly string[], ...prompts: readonly string[]): Promise<Said> {
  const wrapper: Run = run(setup, ...argv);
  wrapper.send(...prompts.map((prompt) => user(prompt)));
  wrapper.input.end();
  const code = await wrapper.code;
  const { lines, troubles } = wrapper;
  return { code, lines, troubles, results: lines.filter(({ type }) => type === 'result') };
}

/** The answer to one prompt. */
async function answer(argv: readonly string[], prompt: string): Promise<unknown> {
  return (await say(argv, prompt)).results[0]?.['result'];
}

function sentMessages(): Line[] {
  const { messages } = server.requests.at(-1)?.body ?? {};
  return messages as Line[];
}

function files(): string[] {
  return readdirSync(join(setup.stateDir, 'sessions'));
}

function path(id: string): string {
  return join(setup.stateDir, 'sessions', `${id}.jsonl`);
}

test('a session is gone on with, with what it has spent', async () => {
  await say([`--session-id=${first}`], 'one');
  const { lines, results } = await say([`--resume=${first}`], 'two');
  expect(lines.map(({ session_id }) => session_id)).toEqual([first, first, first]);
  expect(results[0]).toMatchObject({
    result: '2 before: two',
    modelUsage: { 'fault:talk': { inputTokens: 16 } },
    model_usage_since_last_result: { 'fault:talk': { inputTokens: 8 } },
  });
  expect(await answer([`--resume=${first}`], 'three')).toBe('4 before: three');
});

test('its file is for the owner alone', async () => {
  await say([`--session-id=${first}`], 'one');
  expect(statSync(path(first)).mode & 0o777).toBe(0o600);
});

test('a fork has an id of its own and leaves its parent as it was', async () => {
  await say([`--session-id=${first}`], 'one');
  const before = readFileSync(path(first), 'utf8');
  const fork = [`--resume=${first}`, '--fork-session', `--session-id=${second}`];
  expect(await answer(fork, 'two')).toBe('2 before: two');
  expect(readFileSync(path(first), 'utf8')).toBe(before);
  expect(await answer([`--resume=${second}`], 'three')).toBe('4 before: three');
});

test('--continue takes the latest one of the folder', async () => {
  await say([`--session-id=${first}`], 'one');
  expect(await answer(['--continue'], 'two')).toBe('2 before: two');
  setup = { ...setup, cwd: '/tmp' };
  expect(await say(['--continue'], 'three')).toMatchObject({
    code: 1,
    results: [{ errors: ['No conversation found to continue'] }],
  });
});

test('without persistence nothing is written, though what there is is read', async () => {
  await say([`--session-id=${first}`], 'one');
  expect(await answer(['--no-session-persistence', `--resume=${first}`], 'two')).toBe('2 before: two');
  await say(['--no-session-persistence'], 'three');
  expect(files()).toEqual([`${first}.jsonl`]);
  expect(await answer([`--resume=${first}`], 'four')).toBe('2 before: four');
});

test('the system message goes along, unless another is given', async () => {
  await say([`--session-id=${first}`, '--system-prompt=Be brief.'], 'one');
  const systemOf = async (...argv: readonly string[]) => {
    await say([`--resume=${first}`, ...argv], 'two');
    return sentMessages()[0];
  };
  expect(await systemOf()).toEqual({ role: 'system', content: 'Be brief.' });
  expect(await systemOf('--system-prompt=Be long.')).toEqual({ role: 'system', content: 'Be long.' });
});

test('failed turns are not in it', async () => {
  await say([`--session-id=${first}`], 'fail', 'one');
  expect(await answer([`--resume=${first}`], 'two')).toBe('2 before: two');
});

describe('--resume-session-at', () => {
  test('keeps what was said up to an answer', async () => {
    const { lines } = await say([`--session-id=${first}`], 'one', 'two');
    const at = lines.find(({ type }) => type === 'assistant')?.['uuid'];
    const fork = ['--fork-session', `--session-id=${second}`];
    expect(await answer([`--resume=${first}`, `--resume-session-at=${at}`, ...fork], 'three')).toBe('2 before: three');
    expect(await answer([`--resume=${first}`, `--resume-session-at=${at}`], 'four')).toBe('2 before: four');
    expect(await answer([`--resume=${first}`], 'five')).toBe('4 before: five');
  });

  test('keeps a prompt by the uuid that its caller gave it', async () => {
    const wrapper = run(setup, `--session-id=${first}`);
    wrapper.send(user('one', { uuid: second }));
    wrapper.input.end();
    await wrapper.code;
    expect(await answer([`--resume=${first}`, `--resume-session-at=${second}`], 'two')).toBe('1 before: two');
  });

  test('a call whose result is cut off gets one', async () => {
    const { lines } = await say([`--session-id=${first}`, ...tools], 'call mcp__small__show {"x":1}');
    const at = lines.filter(({ type }) => type === 'assistant')[1]?.['uuid'];
    const fork = [`--resume=${first}`, '--fork-session'];
    expect(await answer([...fork, `--resume-session-at=${at}`], 'two')).toBe('3 before: two');
    expect(sentMessages()[2]).toMatchObject({
      role: 'tool',
      content: 'The result of this call is not part of the conversation.',
    });
    const result = lines.find(({ type }) => type === 'user')?.['uuid'];
    expect(await answer([...fork, `--resume-session-at=${result}`], 'three')).toBe('3 before: three');
  });

  test('of what was never said is an error', async () => {
    await say([`--session-id=${first}`], 'one');
    expect(await say([`--resume=${first}`, `--resume-session-at=${second}`], 'two')).toMatchObject({
      code: 1,
      results: [{ errors: [`No message found with message.uuid of: ${second}`] }],
    });
  });
});

describe('what cannot be gone on with', () => {
  test.each([second, '../../etc/passwd', 'x'])('there is no session %s', async (id) => {
    const { code, lines, troubles } = await say([`--resume=${id}`], 'one');
    const problem = `No conversation found with session ID: ${id}`;
    expect({ code, troubles }).toEqual({ code: 1, troubles: [problem] });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      type: 'result',
      subtype: 'error_during_execution',
      is_error: true,
      num_turns: 0,
      errors: [problem],
    });
  });

  test('an id that is taken, or is none, is told without a result', async () => {
    await say([`--session-id=${first}`], 'one');
    const taken = await say([`--session-id=${first}`], 'two');
    expect(taken).toMatchObject({ code: 1, lines: [], troubles: [`Session ID ${first} is already in use.`] });
    const none = await say(['--session-id=x'], 'two');
    expect(none).toMatchObject({ code: 1, lines: [], troubles: ['Invalid session ID: "x" is no UUID.'] });
  });

  test('a last line that was cut is left out, and the file goes on after it', async () => {
    await say([`--session-id=${first}`], 'one');
    appendFileSync(path(first), '{"type":"turn","entr');
    expect(await answer([`--resume=${first}`], 'two')).toBe('2 before: two');
    expect(await answer([`--resume=${first}`], 'three')).toBe('4 before: three');
  });

  const head = '{"type":"session","version":1,"cwd":"/"}\n';
  const turn = (...messages: readonly object[]) =>
    `${JSON.stringify({ type: 'turn', entries: messages.map((message) => ({ uuids: [], message })), spends: [] })}\n`;

  test.each([
    ['empty', ''],
    ['no JSON', 'rubbish\n'],
    ['of another version', '{"type":"session","version":2,"cwd":"/"}\n'],
    ['without a head', turn({ role: 'user', content: 'x' })],
    ['with a system message inside', head + turn({ role: 'system', content: 'x' })],
    ['with a content that is no text', head + turn({ role: 'user', content: 1 })],
    ['with a result without its call', head + turn({ role: 'tool', callId: 'a', name: 'f', content: '' })],
    ['with a call without its result', head + turn({ role: 'assistant', content: '', toolCalls: [call('a')] })],
  ])('a file that is %s', async (_what, text) => {
    await say([`--session-id=${second}`], 'one');
    writeFileSync(path(first), text);
    const { code, results } = await say([`--resume=${first}`], 'two');
    expect({ code, errors: results[0]?.['errors'] }).toEqual({
      code: 1,
      errors: [expect.stringContaining(`The session file ${path(first)} cannot be read`)],
    });
  });
});

function call(id: string): object {
  return { id, name: 'f', arguments: '{}' };
}
