/** Tools: MCP servers of the command line and of the caller, and who may run them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { kindOf, type Line, type Run, type RunSetup, request, respond, run, user } from './run.ts';
import { talkingModel } from './talking-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-wrapper-tools-'));
const script = new URL('mcp-server.mjs', import.meta.url).pathname;
const small = { command: process.execPath, args: [script], env: { SECRET: 'given' } };
const config = (servers: object) => `--mcp-config=${JSON.stringify({ mcpServers: servers })}`;

let server: FaultServer;
let setup: RunSetup;
beforeAll(async () => {
  server = await faultServer({ talk: talkingModel });
  setup = { endpoint: server.url, stateDir: folder };
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function resultsOf(wrapper: Run, ...messages: readonly unknown[]): Promise<Line[]> {
  wrapper.send(...messages);
  wrapper.input.end();
  await wrapper.code;
  return wrapper.lines.filter(({ type }) => type === 'result');
}

/** What one call of a tool came to, in words of the model. */
async function called(words: string, ...argv: readonly string[]): Promise<unknown> {
  const [result] = await resultsOf(run(setup, config({ small }), ...argv), user(`call ${words}`));
  return result?.['result'];
}

/** An MCP server over HTTP that adds, and the tokens that it was sent. */
async function httpServer() {
  const seen: unknown[] = [];
  const web = createServer(async (incoming, response) => {
    seen.push(incoming.headers['x-token']);
    const mcp = new McpServer({ name: 'web', version: '1' });
    const inputSchema = { a: z.number(), b: z.number() };
    mcp.registerTool('add', { description: 'Adds.', inputSchema }, async ({ a, b }) => ({
      content: [{ type: 'text', text: String(a + b) }],
    }));
    const transport = new StreamableHTTPServerTransport({});
    await mcp.connect(transport as Transport);
    await transport.handleRequest(incoming, response);
  });
  await new Promise<void>((resolve) => void web.listen(0, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      web.close(() => resolve());
      web.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(web.address() as AddressInfo).port}/mcp`, seen, close };
}

const allowed = '--allowedTools=mcp__small';

describe('servers of the command line', () => {
  test('are told of, with their tools, page by page and in allowed letters', async () => {
    const wrapper = run(setup, config({ small }));
    await resultsOf(wrapper, user('Hello'));
    expect(wrapper.lines[0]).toMatchObject({
      tools: [
        'mcp__small__show',
        'mcp__small__fail',
        'mcp__small__wait',
        'mcp__small__crash',
        'mcp__small__big',
        'mcp__small__b_ro_ask',
      ],
      mcp_servers: [{ name: 'small', status: 'connected', source: 'dynamic' }],
    });
  });

  test('may stand in a file', async () => {
    writeFileSync(join(folder, 'servers.json'), JSON.stringify({ mcpServers: { small } }));
    const wrapper = run({ ...setup, cwd: folder }, '--mcp-config', 'servers.json', '--strict-mcp-config');
    await resultsOf(wrapper, user('Hello'));
    expect(wrapper.lines[0]).toMatchObject({ mcp_servers: [{ name: 'small', status: 'connected' }] });
  });

  test('a call is shown, runs, and its result is shown', async () => {
    const wrapper = run(setup, config({ small }), allowed, '--include-partial-messages');
    await resultsOf(wrapper, user('call mcp__small__show {"x":5}'));
    const lines = wrapper.lines.filter(({ type }) => type !== 'system');
    expect(lines.map(kindOf).slice(0, 12)).toEqual([
      ...['event/message_start', 'event/content_block_start', 'event/content_block_delta'],
      ...['assistant', 'event/content_block_stop', 'event/content_block_start', 'event/content_block_delta'],
      ...['assistant', 'event/content_block_stop', 'event/message_delta', 'event/message_stop', 'user'],
    ]);
    const shown = lines.filter(({ type }) => type === 'assistant' || type === 'user');
    const id = expect.stringMatching(/^call-\d+-0$/);
    expect(shown.map(({ message }) => (message as Line)['content'])).toEqual([
      [{ type: 'text', text: 'I look.' }],
      [{ type: 'tool_use', id, name: 'mcp__small__show', input: { x: 5 } }],
      [{ type: 'tool_result', tool_use_id: id, content: 'x is 5\n[image image/png, not shown]', is_error: false }],
      [{ type: 'text', text: 'It said: x is 5\n[image image/png, not shown]' }],
    ]);
    expect(lines.at(-1)).toMatchObject({ num_turns: 2, result: 'It said: x is 5\n[image image/png, not shown]' });
  });

  test('two calls of one answer are shown before the first result', async () => {
    const wrapper = run(setup, config({ small }), allowed);
    await resultsOf(wrapper, user('call mcp__small__show {"x":1} mcp__small__show {"x":2}'));
    expect(wrapper.lines.map(kindOf)).toEqual([
      ...['system/init', 'assistant', 'assistant', 'assistant', 'user', 'user', 'assistant', 'result'],
    ]);
  });

  test('a result that is an error is an error', async () => {
    const wrapper = run(setup, config({ small }), allowed);
    const [result] = await resultsOf(wrapper, user('call mcp__small__fail {}'));
    expect(await wrapper.next('user')).toMatchObject({ message: { content: [{ is_error: true }] } });
    expect(result?.['result']).toBe('It said: it is broken');
  });

  test('structured content is shown instead of the parts; the environment is the one that was given', async () => {
    expect(await called('mcp__small__b_ro_ask {}', allowed)).toMatch(/^It said: \{"pid":\d+,"secret":"given"\}$/);
  });

  test('a server that dies in a call fails that call at once', async () => {
    const wrapper = run(setup, config({ small }), allowed);
    const results = await resultsOf(wrapper, user('call mcp__small__crash {}'), user('Hello'));
    expect(results.map(({ result }) => result)).toEqual([
      'It said: Connection closed: The server ended (exit code 3).',
      '4 before: Hello',
    ]);
    expect(wrapper.lines.filter((line) => kindOf(line) === 'system/init').at(-1)).toMatchObject({
      mcp_servers: [{ name: 'small', status: 'failed' }],
    });
  });

  test('a server that is not there is told; the turn goes on', async () => {
    const servers = { missing: { command: '/no/such/program' }, crashing: { ...small, args: [script, 'crash'] } };
    const wrapper = run(setup, config({ ...servers, odd: { type: 'odd' } }));
    const [result] = await resultsOf(wrapper, user('Hello'));
    expect(result?.['result']).toBe('0 before: Hello');
    expect(wrapper.lines[0]).toMatchObject({
      tools: [],
      mcp_servers: [
        { name: 'missing', status: 'failed' },
        { name: 'crashing', status: 'failed' },
      ],
    });
    expect([...wrapper.troubles].sort()).toEqual([
      'MCP server "crashing": Connection closed: The server ended (exit code 4). I cannot.',
      'MCP server "missing": Cannot start `/no/such/program`: there is no such program. Install it, or give its full path.',
      'MCP server "odd" needs a `command`, or a `type` of "http" or "sse" with a `url`.',
    ]);
  });

  test('a server that never answers costs its time and no more', async () => {
    const hanging = { ...small, args: [script, 'hang'] };
    const wrapper = run({ ...setup, environment: { MCP_TIMEOUT: '50' } }, config({ hanging }));
    const [result] = await resultsOf(wrapper, user('Hello'));
    expect(result?.['result']).toBe('0 before: Hello');
    expect(wrapper.lines[0]).toMatchObject({ mcp_servers: [{ name: 'hanging', status: 'failed' }] });
  });

  test('a long result is cut, and says so', async () => {
    const answer = await called('mcp__small__big {}', allowed);
    expect(String(answer).slice(-60)).toMatch(/x\n\[cut: 201000 more characters\]$/);
  });

  test('a server over HTTP gets the headers that were given', async () => {
    const { url, seen, close } = await httpServer();
    const servers = { web: { type: 'http', url, headers: { 'x-token': 'secret-1' } } };
    const wrapper = run(setup, config(servers), '--allowedTools=mcp__web');
    const [result] = await resultsOf(wrapper, user('call mcp__web__add {"a":1,"b":2}'));
    await close();
    expect(result?.['result']).toBe('It said: 3');
    expect(new Set(seen)).toEqual(new Set(['secret-1']));
  });

  test('a configuration that is none ends the start', async () => {
    await expect(run(setup, '--mcp-config=rubbish').code).rejects.toThrow('--mcp-config must be a file, or JSON');
  });

  test('an interrupt stops a call; the conversation goes on without a gap', async () => {
    const wrapper = run(setup, config({ small }), allowed, '--include-partial-messages');
    wrapper.send(user('call mcp__small__wait {}'));
    await wrapper.next('event/message_stop');
    wrapper.send(request('interrupt'));
    expect(await wrapper.next('user')).toMatchObject({
      message: { content: [{ type: 'tool_result', is_error: true }] },
    });
    expect(await wrapper.next('result')).toMatchObject({ terminal_reason: 'aborted_tools', num_turns: 1 });
    const [, result] = await resultsOf(wrapper, user('Hello'));
    expect(result?.['result']).toBe('3 before: Hello');
  });

  test('mcp_set_servers adds and removes; those of the command line stay', async () => {
    const wrapper = run(setup, config({ small }));
    wrapper.send(request('mcp_set_servers', { servers: { other: small, none: { command: '/no/such/program' } } }));
    const added = await wrapper.next('control_response');
    expect(added['response']).toMatchObject({
      response: { added: ['other', 'none'], removed: [], errors: { none: expect.stringContaining('Cannot start') } },
    });
    wrapper.send(request('mcp_set_servers', { servers: {} }));
    expect((await wrapper.next('control_response'))['response']).toMatchObject({
      response: { added: [], removed: ['other', 'none'], errors: {} },
    });
    wrapper.send(request('mcp_status'));
    expect((await wrapper.next('control_response'))['response']).toMatchObject({
      response: { mcpServers: [{ name: 'small', status: 'connected' }] },
    });
    wrapper.input.end();
    await wrapper.code;
  });
});

describe('who may run a tool', () => {
  test('nobody, without a rule and without anybody to ask', async () => {
    const wrapper = run(setup, config({ small }));
    const [result, next] = await resultsOf(wrapper, user('call mcp__small__show {"x":5}'), user('Hello'));
    expect(next?.['permission_denials']).toEqual([]);
    expect(result).toMatchObject({
      result: 'It said: Permission to use mcp__small__show has not been granted. Allow it by --allowedTools.',
      permission_denials: [{ tool_name: 'mcp__small__show', tool_use_id: expect.any(String), tool_input: { x: 5 } }],
    });
  });

  test.each([
    ['--allowedTools=mcp__small__show'],
    ['--allowedTools=Read,mcp__small'],
    ['--allowedTools', 'Read', 'mcp__small__*'],
    ['--permission-mode=bypassPermissions'],
    ['--permission-mode=dontAsk', '--allowedTools=mcp__small'],
  ])('what a rule allows: %s', async (...argv) => {
    expect(await called('mcp__small__show {"x":5}', ...argv)).toMatch(/x is 5/);
  });

  test.each([['--allowedTools=mcp__small__fail'], ['--allowedTools=mcp__sma'], ['--permission-mode=dontAsk']])(
    'not what no rule allows: %s',
    async (...argv) => {
      expect(await called('mcp__small__show {"x":5}', ...argv)).toMatch(/has not been granted/);
    },
  );

  test('what is disallowed is not even told of', async () => {
    const wrapper = run(setup, config({ small }), allowed, '--disallowedTools=mcp__small__show');
    await resultsOf(wrapper, user('Hello'));
    expect(wrapper.lines[0]?.['tools']).not.toContain('mcp__small__show');
  });

  const asking = ['--permission-prompt-tool=stdio', config({ small })];
  const denied = { behavior: 'deny', message: 'Not today.' };

  test('the caller is asked once the call is shown, and may change it', async () => {
    const wrapper = run(setup, ...asking);
    wrapper.send(user('call mcp__small__show {"x":5}'));
    const asked = await wrapper.next('control_request/can_use_tool');
    expect(wrapper.lines.map(kindOf).slice(0, 4)).toEqual([
      ...['system/init', 'assistant', 'assistant', 'control_request/can_use_tool'],
    ]);
    expect(asked['request']).toEqual({
      subtype: 'can_use_tool',
      tool_name: 'mcp__small__show',
      input: { x: 5 },
      tool_use_id: expect.any(String),
      permission_suggestions: [],
    });
    wrapper.send(respond(asked, { behavior: 'allow', updatedInput: { x: 6 } }));
    expect(await wrapper.next('result')).toMatchObject({
      result: expect.stringMatching(/x is 6/),
      permission_denials: [],
    });
    wrapper.input.end();
    await wrapper.code;
  });

  test('the caller may deny it', async () => {
    const wrapper = run(setup, ...asking);
    wrapper.send(user('call mcp__small__show {"x":5}'));
    wrapper.send(respond(await wrapper.next('control_request/can_use_tool'), denied));
    const [result] = await resultsOf(wrapper);
    expect(result).toMatchObject({ result: 'It said: Not today.', permission_denials: [{ tool_input: { x: 5 } }] });
  });

  test('the caller may end the turn over it', async () => {
    const wrapper = run(setup, ...asking);
    wrapper.send(user('call mcp__small__show {"x":5}'));
    wrapper.send(respond(await wrapper.next('control_request/can_use_tool'), { ...denied, interrupt: true }));
    const [result] = await resultsOf(wrapper);
    expect(result).toMatchObject({ subtype: 'error_during_execution', terminal_reason: 'aborted_tools' });
  });

  test('a caller that has left denies it', async () => {
    const wrapper = run(setup, ...asking);
    wrapper.send(user('call mcp__small__show {"x":5}'));
    await wrapper.next('control_request/can_use_tool');
    const [result] = await resultsOf(wrapper);
    expect(result?.['result']).toBe(
      'It said: Permission to use mcp__small__show could not be asked for: The caller has closed standard input.',
    );
  });

  test('an interrupt takes the question back', async () => {
    const wrapper = run(setup, ...asking);
    wrapper.send(user('call mcp__small__show {"x":5}'));
    await wrapper.next('control_request/can_use_tool');
    wrapper.send(request('interrupt'));
    expect(await wrapper.next('result')).toMatchObject({ terminal_reason: 'aborted_tools' });
    expect(wrapper.lines.map(kindOf)).toContain('control_cancel_request');
    wrapper.input.end();
    await wrapper.code;
  });

  test('set_permission_mode changes it', async () => {
    const wrapper = run(setup, ...asking);
    const [result] = await resultsOf(
      wrapper,
      request('set_permission_mode', { mode: 'bypassPermissions' }),
      user('call mcp__small__show {"x":5}'),
    );
    expect(result?.['result']).toMatch(/x is 5/);
  });
});

test('--max-turns ends a message that wants ever more', async () => {
  const wrapper = run(setup, config({ small }), allowed, '--max-turns=1');
  const [result] = await resultsOf(wrapper, user('call mcp__small__show {"x":5}'));
  expect(result).toMatchObject({
    subtype: 'error_max_turns',
    is_error: true,
    terminal_reason: 'max_turns',
    errors: ['Reached maximum number of turns (1)'],
  });
});

test('a server in the caller is spoken to by control requests', async () => {
  const wrapper = run(setup, '--allowedTools=mcp__mine');
  wrapper.send(request('initialize', { sdkMcpServers: ['mine'] }), user('call mcp__mine__ask {"to":"bob"}'));
  const answers: Readonly<Record<string, (params: Line) => object>> = {
    initialize: ({ protocolVersion }) => ({
      protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'mine', version: '1' },
    }),
    'tools/list': () => ({ tools: [{ name: 'ask', inputSchema: { type: 'object' } }] }),
    'tools/call': (params) => ({ content: [{ type: 'text', text: JSON.stringify(params) }] }),
  };
  for (const method of ['initialize', 'notifications/initialized', 'tools/list', 'tools/call']) {
    const asked = await wrapper.next('control_request/mcp_message');
    const message = (asked['request'] as Line)['message'] as Line;
    expect(message['method']).toBe(method);
    const result = answers[method]?.((message['params'] ?? {}) as Line) ?? {};
    wrapper.send(respond(asked, { mcp_response: { jsonrpc: '2.0', id: message['id'] ?? 0, result } }));
  }
  expect(await wrapper.next('result')).toMatchObject({
    result: expect.stringMatching(
      /^It said: \{"name":"ask","arguments":\{"to":"bob"\},"_meta":\{"claudecode\/toolUseId":"call-\d+-0"/,
    ),
  });
  expect(wrapper.lines.find(({ type }) => type === 'control_response')).toMatchObject({
    response: { response: { mcp_servers_applied: true } },
  });
  wrapper.input.end();
  await wrapper.code;
});
