/** The built command as a process of its own: pipes, signals, exit codes. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { builtWrapper } from './built.ts';
import { request, user } from './run.ts';
import { talkingModel } from './talking-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-wrapper-process-'));
const lines = (...messages: readonly object[]) => messages.map((message) => `${JSON.stringify(message)}\n`).join('');

let server: FaultServer;
beforeAll(async () => {
  server = await faultServer({ talk: talkingModel });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

function start(...argv: readonly string[]): ChildProcessWithoutNullStreams {
  const { PATH = '' } = process.env;
  const env = { PATH, HOME: folder, LLM_ENDPOINT: server.url, LLM_MODEL: 'fault:talk' };
  return spawn(process.execPath, [builtWrapper(), ...argv], { env });
}

interface End {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function ended(child: ChildProcessWithoutNullStreams): Promise<End> {
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...output })));
}

function resultsIn({ stdout }: End): unknown[] {
  const all = stdout.split('\n').filter((line) => line !== '');
  return all.map((line) => JSON.parse(line)).filter(({ type }) => type === 'result');
}

/** Resolves when the model has begun to answer. */
async function hanging(child: ChildProcessWithoutNullStreams): Promise<void> {
  const { pieces } = server.counts;
  child.stdin.write(lines(user('hang')));
  await server.when((counts) => counts.pieces > pieces);
}

test.each([[[]], [['--include-partial-messages']]])('two lines in, two results out: %s', async (argv) => {
  const child = start(...argv);
  child.stdin.end(lines(user('one'), user('two')));
  const end = await ended(child);
  expect(resultsIn(end)).toMatchObject([{ result: '0 before: one' }, { result: '2 before: two' }]);
  expect([end.code, end.stderr]).toEqual([0, '']);
});

test('a prompt among the words is answered with text', async () => {
  const child = start('-p', 'Hello');
  expect(await ended(child)).toEqual({ code: 0, stdout: '0 before: Hello\n', stderr: '' });
});

test('a prompt on standard input is answered with one line of JSON', async () => {
  const child = start('-p', '--input-format', 'text', '--output-format', 'json');
  child.stdin.end('Hello');
  const { code, stdout } = await ended(child);
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { type: 'result', result: '0 before: Hello' }]);
});

test('no input is no output', async () => {
  const child = start();
  child.stdin.end();
  expect(await ended(child)).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('--version', async () => {
  expect((await ended(start('--version'))).stdout).toMatch(/^\d+\.\d+\.\d+ \(troupe openai-wrapper\)\n$/);
});

test('a wrong command line is one line for people', async () => {
  expect(await ended(start('--max-turns=many'))).toEqual({
    code: 1,
    stdout: '',
    stderr: 'openai-wrapper: --max-turns must be a number, not "many".\n',
  });
});

test('a long answer arrives whole', async () => {
  const child = start();
  child.stdin.end(lines(user('x'.repeat(1_000_000))));
  expect(resultsIn(await ended(child))).toMatchObject([{ result: `0 before: ${'x'.repeat(1_000_000)}` }]);
});

test('SIGTERM ends it also when nobody reads what it writes', async () => {
  const child = start();
  const { pieces } = server.counts;
  child.stdin.write(lines(user('x'.repeat(1_000_000)), user('hang')));
  await once(child.stdout, 'readable');
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  expect([code, server.counts.pieces]).toEqual([143, pieces]);
});

test('SIGTERM ends a call and the process', async () => {
  const child = start();
  const end = ended(child);
  await hanging(child);
  const { aborted } = server.counts;
  child.kill('SIGTERM');
  expect((await end).code).toBe(143);
  await server.when((counts) => counts.aborted > aborted);
});

test('SIGINT ends the turn with a result, then the process', async () => {
  const child = start();
  const end = ended(child);
  await hanging(child);
  child.kill('SIGINT');
  const result = await end;
  expect(result.code).toBe(0);
  expect(resultsIn(result)).toMatchObject([{ terminal_reason: 'aborted_streaming' }]);
});

test('the end of input lets a turn end, but its interrupt still counts', async () => {
  const child = start();
  const end = ended(child);
  await hanging(child);
  child.stdin.end(lines(request('interrupt')));
  const result = await end;
  expect(resultsIn(result)).toMatchObject([{ terminal_reason: 'aborted_streaming' }]);
  expect(result.code).toBe(1);
});

test('a reader that has left ends it quietly', async () => {
  const child = start('--include-partial-messages');
  const { pieces } = server.counts;
  child.stdout.destroy();
  child.stdin.write(lines(user('hang')));
  const { code, stderr } = await ended(child);
  expect([code, stderr]).toEqual([1, '']);
  expect(server.counts.pieces - pieces).toBeLessThanOrEqual(1);
});
