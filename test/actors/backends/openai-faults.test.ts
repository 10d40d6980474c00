import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, ModelEvent, ModelResponse } from '../../../actors/backend.ts';
import { type OpenAiOptions, openai } from '../../../actors/backends/openai.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';
import { type FaultServer, faultServer } from '../../helpers/fault-server.ts';
import { allOf, failure, modelRequest } from '../../helpers/model-request.ts';
import { openAiFaults, wholeText } from '../../helpers/openai-wire.ts';

let server: FaultServer;
const backends: Backend[] = [];

beforeAll(async () => {
  server = await faultServer(openAiFaults);
});
afterEach(async () => {
  await Promise.all(backends.splice(0).map((backend) => backend.close?.()));
});
afterAll(() => server.close());

function backend(options: OpenAiOptions = {}): Backend {
  const made = openai({ endpoint: server.url, ...options });
  backends.push(made);
  return made;
}

function call(fault: string, options: OpenAiOptions = {}): Promise<ModelResponse> {
  return backend(options).call(modelRequest({ model: `fault:${fault}` }));
}

describe('an answer', () => {
  it('has text, usage and finish reason', async () => {
    expect(await call('ok')).toEqual({
      text: wholeText,
      toolCalls: [],
      finishReason: { unified: 'stop', raw: 'stop' },
      usage: { inputTokens: 12, outputTokens: 5, cacheReadTokens: 4, cacheWriteTokens: undefined },
      costUsd: undefined,
    });
  });

  it('is shown while it arrives', async () => {
    const events: ModelEvent[] = [];
    await backend().call(modelRequest({ model: 'fault:reasoning', onEvent: (event) => events.push(event) }));
    expect(events).toEqual([
      { type: 'reasoning-delta', text: 'Hm' },
      { type: 'reasoning-delta', text: '.' },
      { type: 'text-delta', text: wholeText },
    ]);
  });

  const whole = `ok no-done reset-after-finish hang-after-end crlf cr-only cr-only-one comments id-retry bom nospace
    chunk-1 early-hints multiline unknown-event after-done null-choice content-parts content-object proto second-choice
    whole-json whole-json-pretty whole-json-as-stream reasoning reset-before-headers-once fin-before-headers-once`;
  it.each(whole.split(/\s+/))('is exact: %s', async (fault) => {
    const { text, finishReason } = await call(fault);
    expect({ text, finishReason }).toEqual({ text: wholeText, finishReason: { unified: 'stop', raw: 'stop' } });
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('may be empty', async () => {
    expect(await call('no-message')).toMatchObject({ text: '', toolCalls: [], finishReason: { unified: 'stop' } });
  });

  it('may be big', async () => {
    expect((await call('big-event')).text).toBe('x'.repeat(1_000_000));
    expect((await call('big-5mb')).text).toBe('x'.repeat(5_000_000));
  });

  it.each([
    ['finish-length', { unified: 'length', raw: 'length' }],
    ['finish-filter', { unified: 'content-filter', raw: 'content_filter' }],
    ['finish-odd', { unified: 'other', raw: 'eos_token' }],
    ['finish-tools-none', { unified: 'other', raw: 'tool_calls' }],
    ['refusal', { unified: 'content-filter', raw: 'stop' }],
  ])('tells why it ended: %s', async (fault, finishReason) => {
    const response = await call(fault);
    expect(response.finishReason).toEqual(finishReason);
    expect(response.text).not.toBe('');
  });

  it.each([
    ['no-usage', undefined, undefined],
    ['usage-negative', undefined, 5],
    ['usage-string', undefined, undefined],
    ['usage-null', undefined, undefined],
    ['usage-every-chunk', 3, 2],
  ])('has unknown usage rather than wrong usage: %s', async (fault, inputTokens, outputTokens) => {
    expect((await call(fault)).usage).toMatchObject({ inputTokens, outputTokens, cacheReadTokens: undefined });
  });
});

describe('a failure', () => {
  const expected: Partial<Record<ErrorCode, string>> = {
    TROUPE_ERR_BACKEND_STREAM_CUT: `reset-mid-stream fin-mid-stream eof-no-chunk eof-closing no-stop half-event short-body done-only
      empty-stream empty-choices-stream deep whole-json-no-finish`,
    TROUPE_ERR_BACKEND_PROTOCOL: `html-200 empty-200 null-200 array-200 object-200 empty-choices trunc-json garbage-event
      null-event deep-200 deep-arguments gzip gzip-codings head-huge bad-status bad-status-echo chunk-bad status-999`,
    TROUPE_ERR_BACKEND_REDIRECT: 'redirect-301 redirect-302 redirect-303 redirect-307 redirect-308 redirect-loop',
    TROUPE_ERR_BACKEND_OVERLOADED: `429-seconds 429-ms 429-date 429-huge 429-none 429-garbage 429-negative 529 503-busy
      event-error-overloaded event-error-429`,
    TROUPE_ERR_BACKEND_QUOTA: '429-quota 402 400-usage-limits',
    TROUPE_ERR_BACKEND_AUTH: '401-echo 403 event-error-echo',
    TROUPE_ERR_BACKEND_MODEL_UNKNOWN: '404-model',
    TROUPE_ERR_BACKEND_REQUEST_INVALID: '400 404-route 500-malformed 501',
    TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW: `413 context-openai context-llama context-lmstudio context-vllm-flat
      context-in-band`,
    TROUPE_ERR_BACKEND_UNAVAILABLE: `500 502 503 504 408 huge-error cut-error 200-error event-error event-error-text
      error-as-stream`,
    TROUPE_ERR_BACKEND_UNREACHABLE: 'reset-before-headers reset-in-headers',
    TROUPE_ERR_BACKEND_REFUSED: 'event-error-with-choices',
  };
  const cases = Object.entries(expected).flatMap(([code, faults]) => faults.split(/\s+/).map((fault) => [fault, code]));
  it.each(cases)('is typed and harmless: %s is %s', async (fault, code) => {
    const apiKey = 'canary-0123456789';
    const before = server.counts.elsewhere;
    const error = await failure(call(fault, { apiKey }));
    expect(error.code).toBe(code);
    expect(error).toMatchObject({ backend: 'openai', model: `fault:${fault}` });
    expect(allOf(error)).not.toContain(apiKey);
    expect(error.message.length).toBeLessThan(500);
    expect(server.counts.elsewhere).toBe(before);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it.each([
    ['429-seconds', 7000],
    ['429-ms', 1500],
    ['429-huge', 86_400_000],
    ['503', 3000],
    ['429-none', undefined],
    ['429-garbage', undefined],
    ['429-negative', undefined],
  ])('says how long the server asks to wait: %s', async (fault, retryAfterMs) => {
    expect((await failure(call(fault))).retryAfterMs).toBe(retryAfterMs);
  });

  it.each(['reset-mid-stream', 'eof-closing', 'no-stop', 'half-event', 'event-error', 'garbage-event'])(
    'keeps the text that had arrived: %s',
    async (fault) => {
      expect((await failure(call(fault))).partialText).toBe('Grüße');
    },
  );

  it('shows what was seen, at most 200 characters of it', async () => {
    const { message } = await failure(call('html-200'));
    expect(message).toContain('text/html');
    expect(message).toContain('Welcome to nginx!');
    expect((await failure(call('huge-error'))).message).toMatch(/"x{199}…"/);
  });

  it('is a size cap that holds', async () => {
    const caps = { maxReplyBytes: 300_000, maxEventBytes: 100_000 };
    for (const fault of ['endless', 'endless-line', 'drip-forever', 'big-event', 'big-5mb'])
      expect((await failure(call(fault, caps))).code).toBe('TROUPE_ERR_BACKEND_TOO_LARGE');
    await server.when(({ openSockets }) => openSockets === 0);
  });

  it('names the endpoint and the remedy when nothing listens there', async () => {
    const idle = createServer();
    await new Promise<void>((resolve) => idle.listen(0, '127.0.0.1', resolve));
    const { port } = idle.address() as { port: number };
    await new Promise((resolve) => idle.close(resolve));
    const error = await failure(call('ok', { endpoint: `http://127.0.0.1:${port}` }));
    expect(error).toMatchObject({ code: 'TROUPE_ERR_BACKEND_UNREACHABLE', retryable: true });
    expect(error.message).toContain(`http://127.0.0.1:${port}`);
    expect(error.message).toContain('Start the server');
    const unknown = await failure(call('ok', { endpoint: 'http://nowhere.invalid' }));
    expect(unknown.code).toBe('TROUPE_ERR_BACKEND_UNREACHABLE');
  });
});
