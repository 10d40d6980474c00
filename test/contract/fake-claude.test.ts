/** The fake Claude Code says what the real one was recorded to say, and does wrong what it is told to. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClaudeProcess } from './claude-process.ts';
import { type Body, object } from './dialect.ts';
import { type ModelServer, modelServer } from './server.ts';

const fixtures = new URL('../fixtures/claude/', import.meta.url).pathname;
const streamJson = ['-p', '--verbose', '--input-format=stream-json', '--output-format=stream-json', '--model=sonnet'];
const someId = '11111111-1111-4111-8111-111111111111';
const schema = JSON.stringify({ type: 'object', properties: {} });
let server: ModelServer;
let home: string;
const started: ClaudeProcess[] = [];

beforeEach(async () => {
  server = await modelServer();
  home = await mkdtemp(join(tmpdir(), 'troupe-fake-claude-'));
});
afterEach(async () => {
  for (const cli of started.splice(0)) cli.kill();
  await server.close();
  await rm(home, { recursive: true, force: true });
});

describe('the order of its lines is the recorded one, and no field is made up', () => {
  it.each([
    ['plain-text', ['--tools='], [user('say hello there')]],
    ['json-schema', ['--tools=', `--json-schema=${schema}`], [user('json')]],
    ['err400', ['--tools='], [user('error 400')]],
    ['sdk-mcp', ['--tools=', '--allowedTools=mcp__troupe'], [initialize, user('call ask {"to":"bob"}')]],
  ])('%s', async (name, args, lines) => {
    const cli = start({ args });
    for (const line of lines) cli.send(line);
    await cli.next(isResult);
    expectLike(cli, name);
  });

  it('bash', async () => {
    const cli = start({ args: ['--tools=Bash,Read', '--allowedTools=Bash(echo *)'] });
    for (const command of ['echo hi', 'touch zz']) {
      cli.send(user(`call Bash ${JSON.stringify({ command })}`));
      await cli.next(isResult);
    }
    expectLike(cli, 'bash');
  });

  it('interrupt-stream', async () => {
    const cli = start({ args: ['--tools=', '--include-partial-messages'] });
    cli.send({ ...user('hang after word word'), uuid: '22222222-2222-4222-8222-222222222222' });
    await server.waiting(1);
    await cli.next(({ event }) => object(event)['type'] === 'content_block_delta');
    cli.send(interrupt);
    await cli.next(isResult);
    cli.send(user('say after interrupt'));
    await cli.next(isResult);
    expectLike(cli, 'interrupt-stream');
  });
});

describe('its process', () => {
  it.each([
    ['ends with 0 when its input ends', (cli: ClaudeProcess) => cli.endInput(), 0],
    ['ends with 143 on SIGTERM', (cli: ClaudeProcess) => cli.kill('SIGTERM'), 143],
    ['ends with 1 on a line that is no JSON', (cli: ClaudeProcess) => cli.write('so what\n'), 1],
    ['ends with 1 on null', (cli: ClaudeProcess) => cli.write('null\n'), 1],
    ['ends with 0 on SIGINT', (cli: ClaudeProcess) => cli.kill('SIGINT'), 0],
  ])('%s', async (_, end, code) => {
    const cli = start();
    cli.send(user('say hi'));
    await cli.next(isResult);
    end(cli);
    expect(await cli.exited).toEqual({ code, signal: null });
  });

  it('takes SIGINT for an interrupt when it is busy, says so and ends with 0', async () => {
    const cli = start();
    cli.send(user('hang after Hi'));
    await server.waiting(1);
    cli.kill('SIGINT');
    expect(await cli.exited).toEqual({ code: 0, signal: null });
    expect(cli.lines.at(-1)).toMatchObject({ subtype: 'error_during_execution', terminal_reason: 'aborted_streaming' });
  });

  it('that does not know a session says so in a result and ends with 1', async () => {
    const cli = start({ args: ['--resume=nobody'] });
    expect(await cli.exited).toEqual({ code: 1, signal: null });
    expect(cli.lines).toMatchObject([{ type: 'result', num_turns: 0, is_error: true }]);
    expect(cli.stderr).toContain('No conversation found with session ID: nobody');
  });

  it('carries the cost of a session into its fork, and goes on from an earlier entry', async () => {
    const first = start({ args: [`--session-id=${someId}`] });
    first.send(user('say apple'));
    const entry = await first.next(({ type }) => type === 'assistant');
    await first.next(isResult);
    first.send(user('say pear'));
    await first.next(isResult);
    first.endInput();
    await first.exited;
    const args = [`--resume=${someId}`, '--fork-session', `--resume-session-at=${entry['uuid']}`];
    const fork = start({ args });
    fork.send(user('count'));
    const result = await fork.next(isResult);
    expect(JSON.parse(String(result['result'])).texts).toEqual([
      ['user', 'say apple'],
      ['assistant', 'apple'],
      ['user', 'count'],
    ]);
    expect(result['total_cost_usd']).toBeCloseTo(server.ledger.usd, 12);
    const { costUSD } = object(object(result['model_usage_since_last_result'])['claude-sonnet-5-5']);
    expect(costUSD).toBeLessThan(Number(result['total_cost_usd']));
    expect(server.violations).toEqual([]);
  });
});

describe('what it does wrong on request', () => {
  it.each([
    ['die-at-start', { code: 1, signal: null }, 0],
    ['old-version', { code: 1, signal: null }, 0],
    ['die-mid-turn', { code: 1, signal: null }, 0],
    ['kill-mid-turn', { code: null, signal: 'SIGKILL' }, 0],
    ['no-result', { code: 0, signal: null }, 0],
    ['partial-line', { code: 0, signal: null }, 0],
    ['no-newline', { code: 0, signal: null }, 1],
    ['fail-after-result', { code: 1, signal: null }, 1],
  ])('%s', async (fault, exit, results) => {
    const cli = start({ fault });
    cli.send(user('say hi'));
    expect(await cli.exited).toEqual(exit);
    expect(cli.lines.filter(isResult)).toHaveLength(results);
  });

  it.each([
    [
      'empty-success',
      (cli: ClaudeProcess) => expect(cli.lines.find(isResult)).toMatchObject({ result: '', is_error: false }),
    ],
    [
      'garbage-line',
      (cli: ClaudeProcess) => expect(cli.garbage.slice(0, 2)).toEqual(['npm warn something', '{"type":']),
    ],
    ['long-line', (cli: ClaudeProcess) => expect(JSON.stringify(cli.lines).length).toBeGreaterThan(10_000_000)],
    ['unknown-type', (cli: ClaudeProcess) => expect(cli.lines.map(({ type }) => type)).toContain('weather')],
    ['stderr-flood', (cli: ClaudeProcess) => expect(cli.stderr.length).toBeGreaterThan(1_000_000)],
    ['other-session', (cli: ClaudeProcess) => expect(cli.lines.find(isResult)?.['session_id']).toMatch(/^0{8}-/)],
  ])('%s', async (fault, check) => {
    const cli = start({ fault });
    cli.send(user('say hi'));
    cli.endInput();
    await cli.exited;
    check(cli);
  });

  it('dup-result', async () => {
    const cli = start({ fault: 'dup-result' });
    cli.send(user('say hi'));
    expect(await cli.next(isResult)).toEqual(await cli.next(isResult));
  });

  it('late-result', async () => {
    const cli = start({ fault: 'late-result' });
    cli.send({ ...user('hang after Hi'), uuid: someId });
    await server.waiting(1);
    cli.send(interrupt);
    await cli.next(({ type }) => type === 'control_response');
    cli.send(user('say hi'));
    expect(await cli.next(isResult)).toMatchObject({
      terminal_reason: 'aborted_streaming',
      user_message_uuids: [someId],
    });
    expect(await cli.next(isResult)).toMatchObject({ result: 'hi' });
  });

  it('never, drip and stuck-after-tool give no result, but obey SIGTERM', async () => {
    const never = start({ fault: 'never' });
    const drip = start({ fault: 'drip' });
    const stuck = start({ fault: 'stuck-after-tool', args: ['--allowedTools=mcp__troupe'] });
    never.send(initialize);
    drip.send(user('say hi'));
    stuck.send(initialize);
    stuck.send(user('call ask {"to":"bob"}'));
    const isPing = ({ type, event }: Body) => type === 'stream_event' && object(event)['type'] === 'ping';
    await Promise.all([drip.next(isPing), stuck.next(({ type }) => type === 'user')]);
    await drip.next(isPing);
    for (const cli of [never, drip, stuck]) {
      cli.kill('SIGTERM');
      expect(await cli.exited).toEqual({ code: 143, signal: null });
      expect(cli.lines.some(isResult)).toBe(false);
    }
    expect(never.lines).toEqual([]);
  });

  it('hang-after-result stays although its input ends', async () => {
    const cli = start({ fault: 'hang-after-result' });
    cli.send(user('say hi'));
    await cli.next(isResult);
    cli.endInput();
    cli.kill('SIGTERM');
    expect(await cli.exited).toEqual({ code: 143, signal: null });
  });

  it('ignore-term goes on after SIGTERM, and a grandchild outlives it', async () => {
    const cli = start({ fault: 'ignore-term' });
    cli.send(user('say hi'));
    await cli.next(isResult);
    cli.kill('SIGTERM');
    cli.send(user('say still here'));
    expect(await cli.next(isResult)).toMatchObject({ result: 'still here' });
    const pids = readFileSync(join(home, '.claude/pids'), 'utf8').trim().split('\n').map(Number);
    const grandchild = pids.find((pid) => pid !== cli.child.pid) ?? 0;
    cli.kill('SIGKILL');
    expect(grandchild).toBeGreaterThan(0);
    expect(process.kill(grandchild, 'SIGKILL')).toBe(true);
    expect(await cli.exited).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('close-stdin reads no more', async () => {
    const cli = start({ fault: 'close-stdin' });
    const failed = new Promise((resolve) => cli.child.stdin.once('error', resolve));
    cli.send(initialize);
    await cli.next(({ type }) => type === 'control_response');
    const writing = setInterval(() => cli.send(user('say hi')), 5);
    expect(await failed).toMatchObject({ code: 'EPIPE' });
    clearInterval(writing);
  });

  it('permission-request asks though the tool is allowed', async () => {
    const cli = start({ fault: 'permission-request', args: ['--tools=Bash', '--allowedTools=Bash'] });
    cli.send(user('call Bash {"command":"echo hi"}'));
    const { request } = await cli.next(({ type }) => type === 'control_request');
    expect(request).toMatchObject({ subtype: 'can_use_tool', tool_name: 'Bash', input: { command: 'echo hi' } });
  });
});

function start({ args = [], fault = '' }: { args?: readonly string[]; fault?: string } = {}): ClaudeProcess {
  const cli = new ClaudeProcess([join(fixtures, 'fake-claude.mjs'), ...streamJson, ...args], {
    ...{ HOME: home, PATH: process.env['PATH'] ?? '', ANTHROPIC_BASE_URL: server.url, ANTHROPIC_API_KEY: 'key' },
    ...{ CLAUDE_CODE_MAX_RETRIES: '0', FAKE_CLAUDE: fault },
  });
  started.push(cli);
  return cli;
}

function user(content: string): object {
  return { type: 'user', message: { role: 'user', content } };
}

/** The same lines in the same order as recorded, a run of equal ones taken for one; no fields but recorded ones. */
function expectLike(cli: ClaudeProcess, name: string): void {
  const text = readFileSync(join(fixtures, `transcripts/${name}.jsonl`), 'utf8');
  const recorded: readonly Body[] = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(kindsOf(cli.lines)).toEqual(kindsOf(recorded));
  const known = new Map<string, Set<string>>();
  for (const line of recorded)
    known.set(kindOf(line), new Set([...(known.get(kindOf(line)) ?? []), ...Object.keys(line)]));
  const madeUp = cli.lines
    .filter((line) => known.has(kindOf(line)))
    .flatMap((line) => Object.keys(line).filter((field) => !known.get(kindOf(line))?.has(field)));
  expect(madeUp).toEqual([]);
  const facts = ({ subtype, is_error, terminal_reason, num_turns, stop_reason }: Body) => {
    return { subtype, is_error, terminal_reason, num_turns, stop_reason };
  };
  expect(cli.lines.filter(isResult).map(facts)).toEqual(recorded.filter(isResult).map(facts));
}

/** What is left out here depends on timing or is nobody's business. */
const passedOver = ['system ui_invalidate', 'stream_event ping', 'stream_event content_block_delta'];

function kindsOf(lines: readonly Body[]): string[] {
  return lines.map(kindOf).filter((kind) => !passedOver.includes(kind));
}

function kindOf({ type, subtype, event, request, state }: Body): string {
  const method = object(object(request)['message'])['method'];
  return [type, type === 'result' ? '' : subtype, object(event)['type'], method, state].filter(Boolean).join(' ');
}

function isResult({ type }: Body): boolean {
  return type === 'result';
}

const initialize = {
  ...{ type: 'control_request', request_id: 'i1' },
  request: { subtype: 'initialize', systemPrompt: ['Be brief.'], sdkMcpServers: ['troupe'] },
};
const interrupt = { type: 'control_request', request_id: 'int1', request: { subtype: 'interrupt' } };
