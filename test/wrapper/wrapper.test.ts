/** The protocol: what goes in, what comes out, in which order. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { kindOf, type Line, type Run, type RunSetup, request, run, user } from './run.ts';
import { talkingModel } from './talking-model.ts';

const stateDir = mkdtempSync(join(tmpdir(), 'troupe-wrapper-'));
let server: FaultServer;
let setup: RunSetup;
beforeAll(async () => {
  server = await faultServer({ talk: talkingModel });
  setup = { endpoint: server.url, stateDir };
});
afterAll(async () => {
  await server.close();
  rmSync(stateDir, { recursive: true, force: true });
});

/** Sends these, ends the input and waits for the end. */
async function talk(wrapper: Run, ...messages: readonly unknown[]): Promise<number> {
  wrapper.send(...messages);
  wrapper.input.end();
  return wrapper.code;
}

function results(wrapper: Run): Line[] {
  return wrapper.lines.filter(({ type }) => type === 'result');
}

/** A line without what differs each time. */
function steady({
  uuid: _uuid,
  session_id: _id,
  timestamp: _at,
  duration_ms: _ms,
  duration_api_ms: _api,
  ...rest
}: Line) {
  return rest;
}

const spent = {
  ...{ inputTokens: 8, outputTokens: 5, cacheReadInputTokens: 4, cacheCreationInputTokens: 0, costUSD: 0 },
  ...{ costBasis: 'list', webSearchRequests: 0, contextWindow: 0, maxOutputTokens: 0 },
};
const usage = { input_tokens: 8, cache_creation_input_tokens: 0, cache_read_input_tokens: 4, output_tokens: 5 };

describe('a turn', () => {
  test('is init, assistant, result', async () => {
    const wrapper = run(setup);
    expect(await talk(wrapper, user('Hello'))).toBe(0);
    const [init, assistant, result] = wrapper.lines;
    expect(wrapper.lines.map(kindOf)).toEqual(['system/init', 'assistant', 'result']);
    expect(steady(init ?? {})).toEqual({
      type: 'system',
      subtype: 'init',
      cwd: '/',
      tools: [],
      mcp_servers: [],
      model: 'fault:talk',
      permissionMode: 'default',
      slash_commands: [],
      apiKeySource: 'none',
      claude_code_version: '0.0.0',
      output_style: 'default',
      agents: [],
      skills: [],
      plugins: [],
      capabilities: ['interrupt_receipt_v1', 'msg_lifecycle_v1'],
    });
    expect(steady(assistant ?? {})).toEqual({
      type: 'assistant',
      message: {
        id: expect.stringMatching(/^msg_[\da-f]{32}$/),
        type: 'message',
        role: 'assistant',
        model: 'fault:talk',
        content: [{ type: 'text', text: '0 before: Hello' }],
        stop_reason: null,
        stop_sequence: null,
        usage,
      },
      parent_tool_use_id: null,
    });
    expect(steady(result ?? {})).toEqual({
      type: 'result',
      subtype: 'success',
      is_error: false,
      result: '0 before: Hello',
      terminal_reason: 'completed',
      stop_reason: 'end_turn',
      api_error_status: null,
      num_turns: 1,
      total_cost_usd: 0,
      usage,
      modelUsage: { 'fault:talk': spent },
      model_usage_since_last_result: { 'fault:talk': spent },
      permission_denials: [],
      queued_turn_count: 0,
    });
    const ids = wrapper.lines.map(({ session_id }) => session_id);
    expect(new Set(ids).size).toBe(1);
    expect(new Set(wrapper.lines.map(({ uuid }) => uuid)).size).toBe(3);
  });

  test('one result for each message, in order; the history grows', async () => {
    const wrapper = run(setup);
    expect(await talk(wrapper, user('one'), user([{ type: 'text', text: 'two' }]), user('three'))).toBe(0);
    expect(results(wrapper).map(({ result }) => result)).toEqual(['0 before: one', '2 before: two', '4 before: three']);
    expect(results(wrapper).map(({ queued_turn_count }) => queued_turn_count)).toEqual([2, 1, 0]);
    expect(results(wrapper).at(-1)?.['modelUsage']).toEqual({
      'fault:talk': { ...spent, inputTokens: 24, outputTokens: 15, cacheReadInputTokens: 12 },
    });
  });

  test('in pieces: the events of the API, each block before its stop', async () => {
    const wrapper = run(setup, '--include-partial-messages');
    await talk(wrapper, user('Hello'));
    expect(wrapper.lines.map(kindOf)).toEqual([
      ...['system/init', 'system/status', 'event/message_start', 'event/content_block_start'],
      ...['event/content_block_delta', 'assistant', 'event/content_block_stop'],
      ...['event/message_delta', 'event/message_stop', 'result'],
    ]);
    const events = wrapper.lines.filter(({ type }) => type === 'stream_event').map(({ event }) => event as Line);
    expect(events.find(({ type }) => type === 'message_delta')).toEqual({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage,
    });
  });

  test('a message with a uuid is followed on its way, shown again and named in the result', async () => {
    const wrapper = run(setup, '--replay-user-messages');
    const uuid = '11111111-1111-4111-8111-111111111111';
    await talk(wrapper, user('Hello', { uuid }));
    expect(wrapper.lines.map(kindOf)).toEqual([
      ...['command_lifecycle/queued', 'command_lifecycle/started', 'system/init', 'user'],
      ...['assistant', 'result', 'command_lifecycle/completed'],
    ]);
    const [, , , replay, , result] = wrapper.lines;
    expect([replay?.['isReplay'], replay?.['uuid'], replay?.['message']]).toEqual([
      true,
      uuid,
      { role: 'user', content: 'Hello' },
    ]);
    expect([result?.['user_message_uuid'], result?.['user_message_uuids']]).toEqual([uuid, [uuid]]);
  });

  test('a message that wants no answer is only remembered', async () => {
    const wrapper = run(setup);
    expect(await talk(wrapper, user('Note this.', { shouldQuery: false }), user('Hello'))).toBe(0);
    expect(results(wrapper).map(({ result, num_turns }) => [result, num_turns])).toEqual([
      ['', 0],
      ['1 before: Hello', 1],
    ]);
  });

  test('an empty message is an error and asks nobody', async () => {
    const wrapper = run(setup);
    const before = server.counts.requests;
    expect(await talk(wrapper, user(''))).toBe(1);
    expect(results(wrapper).map(({ subtype, errors }) => [subtype, errors])).toEqual([
      ['error_during_execution', ['The message is empty.']],
    ]);
    expect(server.counts.requests).toBe(before);
  });
});

describe('errors', () => {
  test('of the server are a success that is an error, after words of nobody', async () => {
    const wrapper = run(setup);
    expect(await talk(wrapper, user('fail'))).toBe(1);
    const [, assistant, result] = wrapper.lines;
    const message = assistant?.['message'] as Line | undefined;
    expect([message?.['model'], assistant?.['error'], assistant?.['is_api_error_message']]).toEqual([
      '<synthetic>',
      'server_error',
      true,
    ]);
    expect(message?.['content']).toEqual([{ type: 'text', text: result?.['result'] }]);
    expect(result).toMatchObject({
      subtype: 'success',
      is_error: true,
      result: expect.stringMatching(/^API Error: 500 .*scripted failure/),
      terminal_reason: 'api_error',
      api_error_status: 500,
      api_error_type: 'api_error',
      num_turns: 1,
      troupe_error: 'TROUPE_ERR_BACKEND_UNAVAILABLE',
    });
  });

  test('the exit code is that of the last result', async () => {
    expect(await talk(run(setup), user('fail'), user('Hello'))).toBe(0);
  });

  test('a failed message leaves nothing behind', async () => {
    const wrapper = run(setup);
    await talk(wrapper, user('fail'), user('Hello'));
    expect(results(wrapper).at(-1)?.['result']).toBe('0 before: Hello');
  });

  test('repeats are told', async () => {
    const wrapper = run({ ...setup, environment: { CLAUDE_CODE_MAX_RETRIES: '1' } });
    await talk(wrapper, user('fail'));
    expect(wrapper.lines.map(kindOf)).toEqual(['system/init', 'system/api_retry', 'assistant', 'result']);
    expect(wrapper.lines[1]).toMatchObject({ attempt: 1, max_retries: 1, error: 'server_error' });
  });

  test('another model goes on when the first fails', async () => {
    const wrapper = run({ ...setup, environment: { LLM_MODEL: 'fault:none' } }, '--fallback-model=fault:talk');
    expect(await talk(wrapper, user('Hello'))).toBe(0);
    expect(wrapper.lines.map(kindOf)).toEqual(['system/init', 'system/model_fallback', 'assistant', 'result']);
  });

  test('a backend without its key fails each turn, not the start', async () => {
    const wrapper = run({ ...setup, endpoint: 'https://api.openai.com' });
    expect(await talk(wrapper, user('Hello'))).toBe(1);
    expect(results(wrapper)[0]).toMatchObject({ api_error_type: 'authentication_error', num_turns: 0 });
  });
});

describe('standard input', () => {
  test.each([
    ['rubbish', 'it is no JSON'],
    ['{"type":"user"}', 'a user line has no `message`'],
    ['{"type":"user","message":{"role":"assistant","content":"x"}}', 'the role of its `message` is not `user`'],
    [
      '{"type":"user","message":{"role":"user"}}',
      'the `content` of its message is neither a text nor a list of blocks',
    ],
    ['{"type":"control_request","request_id":"1"}', 'a control request has no `request` with a `subtype`'],
  ])('%s is told and left out', async (line, problem) => {
    const wrapper = run(setup);
    wrapper.input.write(`${line}\n`);
    expect(await talk(wrapper, user('Hello'))).toBe(0);
    expect(wrapper.troubles).toEqual([`A line of standard input was left out: ${problem}.`]);
    expect(results(wrapper)).toHaveLength(1);
  });

  test.each(['null', '[]', '"x"', '{}', '{"type":"keep_alive"}', '{"type":"assistant"}', '', '\r'])(
    '%j means nothing',
    async (line) => {
      const wrapper = run(setup);
      wrapper.input.write(`${line}\n`);
      expect(await talk(wrapper)).toBe(0);
      expect([wrapper.lines, wrapper.troubles]).toEqual([[], []]);
    },
  );

  test('a line may come byte by byte, and the last one without its end', async () => {
    const wrapper = run(setup);
    for (const byte of Buffer.from(JSON.stringify(user('Grüße 🙂\u2028.')))) wrapper.input.write(Uint8Array.of(byte));
    expect(await talk(wrapper)).toBe(0);
    expect(results(wrapper)[0]?.['result']).toBe('0 before: Grüße 🙂\u2028.');
  });

  test('more messages than may wait are all taken, in order', async () => {
    const wrapper = run(setup, '--no-session-persistence');
    const notes = Array.from({ length: 2500 }, (_, index) => user(`note ${index}`, { shouldQuery: false }));
    expect(await talk(wrapper, ...notes, user('Hello'))).toBe(0);
    expect(results(wrapper).at(-1)?.['result']).toBe('2500 before: Hello');
  });

  test('a picture goes along', async () => {
    const wrapper = run(setup);
    const source = { type: 'base64', media_type: 'image/png', data: 'AAAA' };
    await talk(
      wrapper,
      user([
        { type: 'image', source },
        { type: 'text', text: 'What is it?' },
      ]),
    );
    expect(JSON.stringify(server.requests.at(-1)?.body?.['messages'])).toContain('AAAA');
  });
});

describe('what is set', () => {
  test('the system message by the command line', async () => {
    await talk(run(setup, '--system-prompt', 'Be brief.', '--append-system-prompt=Be kind.'), user('Hello'));
    expect(server.requests.at(-1)?.body?.['messages']).toEqual([
      { role: 'system', content: 'Be brief.\n\nBe kind.' },
      { role: 'user', content: 'Hello' },
    ]);
  });

  test('the system message and the schema by initialize', async () => {
    const wrapper = run(setup);
    const jsonSchema = { type: 'object', properties: { x: { type: 'number' } } };
    const messages = [request('initialize', { systemPrompt: ['Be brief.'], jsonSchema }), user('say {"x":1}')];
    expect(await talk(wrapper, ...messages)).toBe(0);
    const { messages: sent, response_format: format } = server.requests.at(-1)?.body ?? {};
    expect(sent).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'say {"x":1}' },
    ]);
    expect(format).toMatchObject({ type: 'json_schema', json_schema: { schema: jsonSchema } });
    expect(results(wrapper)[0]?.['structured_output']).toEqual({ x: 1 });
  });

  test('an answer that is no JSON has no structured output', async () => {
    const wrapper = run(setup, '--json-schema={"type":"object"}');
    await talk(wrapper, user('Hello'));
    expect(results(wrapper)[0]).not.toHaveProperty('structured_output');
  });

  test('the limits of the environment', async () => {
    await talk(run({ ...setup, environment: { CLAUDE_CODE_MAX_OUTPUT_TOKENS: '77' } }), user('Hello'));
    expect(server.requests.at(-1)?.body?.['max_tokens']).toBe(77);
  });

  test('the key goes to the endpoint that is named, and nowhere else', async () => {
    const wrapper = run({ ...setup, environment: { OPENAI_API_KEY: 'sk-secret-123' } });
    await talk(wrapper, user('Hello'));
    expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer sk-secret-123');
    expect(JSON.stringify(wrapper.lines)).not.toContain('sk-secret-123');
    expect(wrapper.lines[0]).toMatchObject({ apiKeySource: 'OPENAI_API_KEY' });
  });

  test('whole answers of a server by LLM_STREAM=false', async () => {
    const wrapper = run({ ...setup, environment: { LLM_STREAM: 'false' } });
    await talk(wrapper, user('Hello'));
    expect(results(wrapper)).toMatchObject([{ subtype: 'success', result: '0 before: Hello' }]);
    expect(server.requests.at(-1)?.body).toMatchObject({ stream: false });
  });

  test('any backend by LLM_BACKEND', async () => {
    const wrapper = run({ ...setup, endpoint: '', environment: { LLM_BACKEND: 'offline', LLM_MODEL: '' } });
    expect(await talk(wrapper, user('Hello'))).toBe(0);
    expect(wrapper.lines.map(kindOf)).toEqual(['system/init', 'assistant', 'result']);
  });

  test('a backend that does not exist is told at the start', async () => {
    const wrapper = run({ ...setup, environment: { LLM_BACKEND: 'none' } });
    await expect(wrapper.code).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_UNKNOWN' });
  });
});

describe('control requests', () => {
  test('initialize is answered with what a client reads', async () => {
    const wrapper = run(setup);
    expect(await talk(wrapper, request('initialize'))).toBe(0);
    expect(wrapper.lines).toEqual([
      {
        type: 'control_response',
        response: {
          subtype: 'success',
          request_id: 'initialize',
          response: {
            commands: [],
            agents: [],
            output_style: 'default',
            available_output_styles: ['default'],
            models: [],
            account: {},
          },
        },
      },
    ]);
  });

  test('interrupt ends the turn in hand; what waits goes on', async () => {
    const wrapper = run(setup, '--include-partial-messages');
    const uuid = '22222222-2222-4222-8222-222222222222';
    wrapper.send(user('hang'), user('Hello', { uuid }));
    await wrapper.next('event/content_block_delta');
    wrapper.send(request('interrupt'));
    expect(await wrapper.next('control_response')).toEqual({
      type: 'control_response',
      response: { subtype: 'success', request_id: 'interrupt', response: { still_queued: [uuid] } },
    });
    expect(await wrapper.next('assistant')).toMatchObject({
      aborted: true,
      message: { content: [{ type: 'text', text: 'It begins' }] },
    });
    expect(await wrapper.next('user')).toMatchObject({
      message: { content: [{ type: 'text', text: '[Request interrupted by user]' }] },
    });
    expect(await wrapper.next('result')).toMatchObject({
      subtype: 'error_during_execution',
      is_error: true,
      terminal_reason: 'aborted_streaming',
    });
    expect(await wrapper.next('result')).toMatchObject({ result: '0 before: Hello' });
    wrapper.input.end();
    expect(await wrapper.code).toBe(0);
  });

  test('interrupt with nothing to end is a success', async () => {
    const wrapper = run(setup);
    expect(await talk(wrapper, request('interrupt'))).toBe(0);
    expect(wrapper.lines).toHaveLength(1);
  });

  test('set_model holds from the next turn on', async () => {
    const wrapper = run({ ...setup, environment: { LLM_MODEL: 'fault:none' } });
    expect(await talk(wrapper, request('set_model', { model: 'fault:talk' }), user('Hello'))).toBe(0);
    expect(wrapper.lines[0]).toEqual({
      type: 'control_response',
      response: { subtype: 'success', request_id: 'set_model' },
    });
    expect(await wrapper.next('system/init')).toMatchObject({ model: 'fault:talk' });
  });

  test('what is not known is an error', async () => {
    const wrapper = run(setup);
    await talk(wrapper, request('rewind_files'));
    expect(wrapper.lines).toEqual([
      {
        type: 'control_response',
        response: {
          subtype: 'error',
          request_id: 'rewind_files',
          error: 'Unsupported control request subtype: rewind_files',
          error_code: 'unsupported_request',
        },
      },
    ]);
  });

  test('end_session ends it, whatever waits', async () => {
    const wrapper = run(setup);
    wrapper.send(user('hang'));
    await server.when(({ pieces }) => pieces > 0);
    wrapper.send(request('end_session'));
    expect(await wrapper.code).toBe(0);
  });
});
