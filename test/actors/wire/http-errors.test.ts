import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { HttpHeaders } from '../../../actors/wire/http.ts';
import { frameError, replyError, retryAfterMs } from '../../../actors/wire/http-errors.ts';
import { excerpt, redactor } from '../../../actors/wire/redact.ts';
import type { ErrorCode } from '../../../src/core/errors.ts';

const facts = { backend: 'b', model: 'm', redact: redactor(['canary-key']) };

function codeOf(status: number, body: unknown): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return replyError(facts, { status, headers: {}, text }).code.replace('TROUPE_ERR_BACKEND_', '');
}

describe('the error of a reply', () => {
  it.each([
    "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion).",
    "This model's maximum context length is 8192 tokens and your request has 8150 input tokens",
    "'max_tokens' or 'max_completion_tokens' is too large: 64. See the docs. (64 > 8192 - 8150)",
    'you requested 64 output tokens and your prompt contains at least 8129 input tokens, for a total of at least 8193 tokens',
    'request (3011 tokens) exceeds the available context size (1024 tokens), try increasing it',
    'Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens',
    'The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096)',
    'Context size has been exceeded',
    'the prompt is longer than the context length currently available to the model; try a shorter one',
    'the input length exceeds the context length',
    'prompt is too long: 210000 tokens > 200000 maximum',
    'input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000',
    'Your input exceeds the context window of this model. Please adjust your input and try again.',
    'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    'input (902 tokens) is too large to process. increase the physical batch size',
    'Please reduce the length of the messages or completion.',
  ])('is a context overflow, in whatever shape and status: %s', (message) => {
    for (const body of [
      { error: { message } },
      { error: message },
      { object: 'error', message },
      [{ error: { message } }],
      message,
    ])
      for (const status of [400, 422, 500]) expect(codeOf(status, body)).toBe('CONTEXT_OVERFLOW');
    expect(frameError(facts, { message }).class).toBe('context-overflow');
  });

  it.each<[number, unknown, string]>([
    [400, { error: { code: 'context_length_exceeded' } }, 'CONTEXT_OVERFLOW'],
    [400, { error: { type: 'exceed_context_size_error', message: 'odd' } }, 'CONTEXT_OVERFLOW'],
    [
      413,
      { error: { code: 'rate_limit_exceeded', message: 'Request too large: tokens per minute' } },
      'CONTEXT_OVERFLOW',
    ],
    [429, { error: { message: 'Rate limit reached. Please reduce the length of the messages.' } }, 'OVERLOADED'],
    [429, { error: { code: 'insufficient_quota', message: 'You exceeded your current quota' } }, 'QUOTA'],
    [
      429,
      { error: { message: 'You exceeded your current quota, please check your plan and billing details.' } },
      'QUOTA',
    ],
    [
      429,
      { error: { message: 'Quota exceeded: 10 requests per minute. You exceeded your current quota' } },
      'OVERLOADED',
    ],
    [403, { error: { message: 'Your credit balance is too low' } }, 'QUOTA'],
    [400, { error: { message: 'budget has been exceeded' } }, 'QUOTA'],
    [429, '', 'OVERLOADED'],
    [529, '<html>', 'OVERLOADED'],
    [500, { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, 'OVERLOADED'],
    [503, { error: 'server busy, please try again. maximum pending requests exceeded' }, 'OVERLOADED'],
    [503, { error: { message: 'Loading model', type: 'unavailable_error', code: 503 } }, 'UNAVAILABLE'],
    [401, { error: { message: 'Your credit balance' } }, 'AUTH'],
    [403, 'Forbidden', 'AUTH'],
    [400, { error: { message: 'API key not valid. Please pass a valid API key.' } }, 'AUTH'],
    [404, { error: { message: "model 'x' not found", type: 'not_found_error' } }, 'MODEL_UNKNOWN'],
    [
      404,
      { error: { message: 'The model `x` does not exist or you do not have access to it.', code: 'model_not_found' } },
      'MODEL_UNKNOWN',
    ],
    [404, { error: { type: 'not_found_error', message: 'model: claude-x' } }, 'MODEL_UNKNOWN'],
    [400, { error: { message: 'The model `x` does not exist' } }, 'MODEL_UNKNOWN'],
    [404, '<html>', 'REQUEST_INVALID'],
    [422, { detail: [{ msg: 'field required', loc: ['body'] }] }, 'REQUEST_INVALID'],
    [400, { error: { code: 'content_filter', message: 'filtered' } }, 'REFUSED'],
    [
      400,
      {
        error: { message: "The response was filtered due to the prompt triggering Azure's content management policy." },
      },
      'REFUSED',
    ],
    [
      500,
      { error: { message: '[json.exception.parse_error.101] parse error', type: 'server_error' } },
      'REQUEST_INVALID',
    ],
    [501, '', 'REQUEST_INVALID'],
    [408, '', 'UNAVAILABLE'],
    [500, 'null', 'UNAVAILABLE'],
    [502, '<html>', 'UNAVAILABLE'],
    [504, '[]', 'UNAVAILABLE'],
    [418, '', 'REQUEST_INVALID'],
    [600, '', 'PROTOCOL'],
  ])('is classed by status, code and wording: %i %j is %s', (status, body, code) => {
    expect(codeOf(status, body)).toBe(code);
  });

  it.each<[number, string]>([
    [400, 'registry.ollama.ai/library/gemma:2b does not support tools'],
    [404, 'No endpoints found that support tool use.'],
    [400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'],
    [500, 'tools param requires --jinja flag'],
  ])('is that the model calls no tools, in whatever shape: %i %s', (status, message) => {
    for (const body of [{ error: { message } }, { error: message }, message])
      expect(codeOf(status, body)).toBe('TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED');
  });

  it.each<[string, ErrorCode]>([
    ['30-bad-json', 'TROUPE_ERR_BACKEND_REQUEST_INVALID'],
    ['32-no-messages', 'TROUPE_ERR_BACKEND_REQUEST_INVALID'],
    ['35-bad-type', 'TROUPE_ERR_BACKEND_REQUEST_INVALID'],
    ['38-ctx-overflow', 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW'],
    ['42-embeddings-off', 'TROUPE_ERR_BACKEND_REQUEST_INVALID'],
    ['91-auth-wrong', 'TROUPE_ERR_BACKEND_AUTH'],
    ['a2-embeddings-too-long', 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW'],
  ])('is that of llama-server: %s', (name, code) => {
    const file = new URL(`../../fixtures/llama-server/${name}.json`, import.meta.url);
    const { status, headers, body } = JSON.parse(readFileSync(file, 'utf8')).response;
    expect(replyError(facts, { status, headers, text: JSON.stringify(body) }).code).toBe(code);
  });

  it.each<[unknown, string]>([
    [{ message: 'x', type: 'server_error', code: 500 }, 'UNAVAILABLE'],
    [{ message: 'x', type: 'invalid_request_error' }, 'REQUEST_INVALID'],
    [{ message: 'x', type: 'authentication_error' }, 'AUTH'],
    [{ message: 'x', type: 'rate_limit_error' }, 'OVERLOADED'],
    [{ message: 'x', code: 429 }, 'OVERLOADED'],
    [{ message: 'x', code: '429' }, 'UNAVAILABLE'],
    ['a text', 'UNAVAILABLE'],
    [{}, 'UNAVAILABLE'],
    [true, 'UNAVAILABLE'],
    [['x'], 'UNAVAILABLE'],
  ])('in a stream is classed by code and type: %j is %s', (frame, code) => {
    expect(frameError(facts, frame, 'so far canary-key')).toMatchObject({
      code: `TROUPE_ERR_BACKEND_${code}`,
      partialText: 'so far [redacted]',
    });
  });

  it('is read in linear time', () => {
    const text = 'model '.repeat(100_000) + 'Bearer eyJ-'.repeat(100_000);
    expect(codeOf(404, text)).toBe('REQUEST_INVALID');
  });
});

describe('how long to wait', () => {
  const now = Date.parse('2030-01-01T00:00:00Z');
  it.each<[HttpHeaders, number | undefined]>([
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '1.5' }, 1500],
    [{ 'retry-after-ms': '250', 'retry-after': '7' }, 250],
    [{ 'retry-after-ms': 'x', 'retry-after': '7' }, 7000],
    [{ 'retry-after': 'Tue, 01 Jan 2030 00:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Mon, 31 Dec 2029 00:00:00 GMT' }, undefined],
    [{ 'retry-after': 'Tue, nonsense GMT' }, undefined],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after': '0' }, undefined],
    [{ 'retry-after': 'soon 5' }, undefined],
    [{ 'retry-after': '9'.repeat(400) }, undefined],
    [{ 'retry-after': '' }, undefined],
    [{}, undefined],
  ])('is %j = %s', (headers, ms) => {
    expect(retryAfterMs(headers, now)).toBe(ms);
  });
});

describe('redaction', () => {
  it.each([
    ['as it is', 'key canary-"key"!'],
    ['in JSON', `{"key":${JSON.stringify('canary-"key"')}}`],
    ['in a URL', `?key=${encodeURIComponent('canary-"key"')}`],
  ])('takes known secrets out: %s', (_where, text) => {
    expect(redactor(['canary-"key"', undefined, 'x'])(text)).toMatch(/^[^c]*\[redacted\]/);
    expect(redactor(['canary-"key"', undefined, 'x'])(text)).not.toContain('canary');
  });

  it.each([
    'sk-proj-abcdef123456',
    'sk-ant-api03-abc_def',
    'sk-abcd********wxyz',
    'Bearer abc.def',
    'gsk_abcdefghij',
    'AIzaSyA-1234567890',
    'eyJhbGciOiJIUzI1.eyJzdWIi.c2ln',
    'ghp_0123456789abcdef',
  ])('takes out what looks like a key: %s', (key) => {
    expect(redactor([])(`found "${key}" here`)).toBe('found "[redacted]" here');
  });

  it('leaves words alone', () => {
    const text = 'ask-me about risk-free task-lists, the hf model, bearer of news: sk-1';
    expect(redactor([])(text)).toBe(text.replace('bearer of', '[redacted]'));
  });

  it('comes before the cut to 200 characters on one line', () => {
    expect(excerpt(`${'a'.repeat(190)} \n\u0000 canary-key canary-key`, facts.redact)).toBe(
      `${'a'.repeat(190)} [redacte…`,
    );
  });
});
