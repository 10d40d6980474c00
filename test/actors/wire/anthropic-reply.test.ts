import { readFileSync } from 'node:fs';
import fastCheck from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelEvent, ModelResponse } from '../../../actors/backend.ts';
import { MessagesReply } from '../../../actors/wire/anthropic-reply.ts';
import { replyError } from '../../../actors/wire/http-errors.ts';
import { redactor } from '../../../actors/wire/redact.ts';
import { sseReader } from '../../../actors/wire/sse.ts';
import { type ErrorCode, isTroupeError } from '../../../src/core/errors.ts';
import { call } from '../../helpers/anthropic-contents.ts';
import { anthropicDialect, event, events, message } from '../../helpers/anthropic-wire.ts';

const facts = { backend: 'anthropic', model: 'm', redact: redactor([]) };

function recorded(name: string): { status: number; headers: Record<string, string>; sse: string; body: object } {
  const file = new URL(`../../fixtures/llama-server/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).response;
}

/** Reads a stream in these pieces. */
function replay(pieces: readonly Uint8Array[]): { response: ModelResponse; shown: string } {
  const seen: ModelEvent[] = [];
  const reply = new MessagesReply(facts, (event) => seen.push(event));
  const read = sseReader({ onEvent: (data) => reply.takeEvent(data) });
  for (const piece of pieces) read(piece);
  return { response: reply.response(), shown: seen.map((event) => ('text' in event ? event.text : '')).join('') };
}

const streamOf = (...list: readonly object[]): ModelResponse =>
  replay([Buffer.from(list.map((data) => event(data as { type: string })).join(''))]).response;

function whole(body: object): ModelResponse {
  const reply = new MessagesReply(facts, () => {});
  reply.takeBody(JSON.stringify(body), {});
  return reply.response();
}

const usage = (read: number, rest: number, outputTokens: number) => ({
  inputTokens: read + rest,
  outputTokens,
  cacheReadTokens: read,
  cacheWriteTokens: undefined,
});

/** What llama-server streamed, as it is to be read. Both tool calls of the second were cut: one of them looks whole. */
const streams: readonly (readonly [string, ModelResponse])[] = [
  [
    '51-messages-stream',
    {
      text: 'of the file. The above.',
      toolCalls: [],
      finishReason: { unified: 'stop', raw: 'end_turn' },
      usage: usage(10, 1, 8),
      costUsd: undefined,
    },
  ],
  [
    '53-messages-tool-any-stream',
    {
      text: '</think>\n\n\n\n',
      toolCalls: [],
      finishReason: { unified: 'length', raw: 'max_tokens' },
      usage: usage(203, 1, 200),
      costUsd: undefined,
    },
  ],
];

describe('recorded streams of llama-server', () => {
  it.each(streams)('give the same answer however their bytes are split: %s', (name, response) => {
    const bytes = Buffer.from(recorded(name).sse);
    const expected = { response, shown: response.text };
    expect(replay([bytes])).toEqual(expected);
    expect(replay(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(expected);
    for (let at = 0; at <= bytes.length; at += 1)
      expect(replay([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected);
  });

  it.each(streams)('are never a success when they are cut before the stop reason: %s', (name, response) => {
    const bytes = Buffer.from(recorded(name).sse);
    const finish = bytes.indexOf('\n\n', bytes.indexOf('"stop_reason":"')) + 2;
    for (let at = 0; at < finish; at += 1)
      expect(() => replay([bytes.subarray(0, at)])).toThrow('without a finish reason');
    expect(replay([bytes.subarray(0, finish)]).response).toEqual(response);
  });

  it('give calls whose blocks end only with the answer', () => {
    const { sse } = recorded('53-messages-tool-any-stream');
    const ended = sse.replace('"stop_reason":"max_tokens"', '"stop_reason":"tool_use"');
    const { toolCalls, finishReason } = replay([Buffer.from(ended)]).response;
    expect(finishReason).toEqual({ unified: 'tool-calls', raw: 'tool_use' });
    expect(toolCalls).toEqual([
      {
        id: 'ag1ggwv5bpoXjyBeyGWfqAM9Wb9tKSWR',
        name: 'get_weather',
        arguments: '{\n\n  "city"\n\n    : "Paris", "days"\n\n: 8\n\n     }',
      },
      {
        id: 'W9kJK6nbz2yR9PM67Wl4BAw07ITlZatv',
        name: 'get_weather',
        arguments: '{\n\n"city"\n\n       : "Rome", "days"',
      },
    ]);
  });
});

describe('recorded whole answers of llama-server', () => {
  const length = { unified: 'length', raw: 'max_tokens' } as const;
  const stop = { unified: 'stop', raw: 'end_turn' } as const;
  it.each<[string, ModelResponse]>([
    ['50-messages', { text: '.', toolCalls: [], finishReason: stop, usage: usage(4, 7, 2), costUsd: undefined }],
    [
      '52-messages-tool-any',
      {
        text: '<tool_call><tool_call>.15/ch.0.</think><think>\n\n',
        toolCalls: [],
        finishReason: length,
        usage: usage(67, 137, 200),
        costUsd: undefined,
      },
    ],
    [
      '54-messages-tool-named',
      {
        text: '\n\n\n<tool_call></tool_call>\n\n<tool_call><think>\n',
        toolCalls: [],
        finishReason: length,
        usage: usage(136, 129, 200),
        costUsd: undefined,
      },
    ],
    [
      '57-messages-tool-result',
      { text: '', toolCalls: [], finishReason: stop, usage: usage(4, 254, 1), costUsd: undefined },
    ],
  ])('are read, and no call of one that was cut is run: %s', (name, response) => {
    expect(whole(recorded(name).body)).toEqual(response);
  });

  it.each<[string, ErrorCode]>([
    ['55-messages-overflow', 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW'],
    ['56-messages-bad', 'TROUPE_ERR_BACKEND_UNAVAILABLE'],
    ['95-auth-messages-wrong', 'TROUPE_ERR_BACKEND_AUTH'],
  ])('are errors: %s', (name, code) => {
    const { status, headers, body } = recorded(name);
    expect(replyError(facts, { status, headers, text: JSON.stringify(body) }).code).toBe(code);
  });
});

describe('the events of Anthropic', () => {
  const start = {
    type: 'message_start',
    message: {
      ...{ id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-sonnet-5-5', content: [] },
      ...{ stop_reason: null, stop_sequence: null },
      usage: {
        ...{ input_tokens: 100, cache_creation_input_tokens: 10, cache_read_input_tokens: 20 },
        ...{ output_tokens: 1, service_tier: 'standard' },
      },
    },
  };
  const text = [
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'on' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'e' } },
    { type: 'content_block_stop', index: 0 },
  ];
  const stop = { type: 'message_stop' };

  it('count all of the prompt, and generated tokens at the end only', () => {
    const end = {
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: 7 },
    };
    expect(streamOf(start, ...text, end, stop)).toEqual({
      text: 'one',
      toolCalls: [],
      finishReason: { unified: 'stop', raw: 'end_turn' },
      usage: { inputTokens: 130, outputTokens: 7, cacheReadTokens: 20, cacheWriteTokens: 10 },
      costUsd: undefined,
    });
    expect(streamOf(start, ...text, { ...end, usage: undefined }, stop).usage.outputTokens).toBeUndefined();
  });

  it('are no answer when the message stops without a reason', () => {
    const end = {
      ...{ type: 'message_delta', context_management: null },
      delta: { container: null, stop_details: null, stop_reason: null, stop_sequence: null },
      usage: { input_tokens: 100, output_tokens: 1, iterations: [] },
    };
    expect(() => streamOf(start, ...text, end, stop)).toThrow('without a finish reason');
  });

  it('give thinking back as it came, in order, but none that nobody signed', () => {
    const end = { type: 'message_delta', delta: { stop_reason: 'end_turn' } };
    const piece = (index: number, delta: object) => ({ type: 'content_block_delta', index, delta });
    const begin = (index: number, block: object) => ({ type: 'content_block_start', index, content_block: block });
    const response = streamOf(
      start,
      begin(0, { type: 'thinking', thinking: '', signature: '', later: 1 }),
      begin(1, { type: 'thinking', thinking: '' }),
      piece(0, { type: 'thinking_delta', thinking: 'Let me ' }),
      piece(1, { type: 'thinking_delta', thinking: 'unsigned ' }),
      piece(0, { type: 'thinking_delta', thinking: 'see.' }),
      piece(0, { type: 'signature_delta', signature: 'EqQB' }),
      piece(0, { type: 'signature_delta', signature: 'ig==' }),
      begin(2, { type: 'redacted_thinking', data: 'EmwK' }),
      piece(9, { type: 'thinking_delta', thinking: 'lost' }),
      ...[begin(3, { type: 'text', text: 'So' }), end, stop],
    );
    const blocks = [
      { type: 'thinking', thinking: 'Let me see.', signature: 'EqQBig==', later: 1 },
      { type: 'redacted_thinking', data: 'EmwK' },
    ];
    expect(response.thinking).toEqual({ protocol: 'anthropic', blocks });
    expect([response.text, response.reasoning]).toEqual(['So', 'Let me unsigned see.lost']);
    expect(whole(message([...blocks, { type: 'text', text: 'So' }])).thinking).toEqual({
      protocol: 'anthropic',
      blocks,
    });
    expect(whole(message([{ type: 'thinking', thinking: 'Hm.' }]))).not.toHaveProperty('thinking');
  });
});

describe('a stop reason', () => {
  it.each([
    ['tool_use', '{"x":1}', 'tool-calls', 1],
    ['tool_use', '{"x":', 'tool-calls', 1],
    ['end_turn', '{"x":1}', 'tool-calls', 1],
    ['pause_turn', '{"x":1}', 'tool-calls', 1],
    ['max_tokens', '{"x":1}', 'length', 0],
    ['model_context_window_exceeded', '{"x":1}', 'length', 0],
    ['refusal', '{"x":1}', 'content-filter', 0],
  ])('decides about tool calls: %s after %s', (raw, text, unified, count) => {
    const { response } = replay([Buffer.from(events({ blocks: [call('f', text, 'a')], stop: raw }).join(''))]);
    expect(response.finishReason).toEqual({ unified, raw });
    expect(response.toolCalls).toEqual([{ id: 'a', name: 'f', arguments: text }].slice(0, count));
  });

  it('that says "end_turn" in mid-call is a cut answer', () => {
    const cut = events({ blocks: [call('f', '{"x":', 'a')] }).join('');
    expect(() => replay([Buffer.from(cut)])).toThrow('in the middle of a tool call');
  });
});

it('reads any bytes to an answer or a typed error', () => {
  const good = [...anthropicDialect.begin, ...anthropicDialect.end].join('');
  const json = fastCheck.json();
  const field = fastCheck.constantFrom('message', 'content_block', 'delta', 'usage', 'content', 'index');
  const type = fastCheck.constantFrom(
    ...['message_start', 'content_block_start', 'content_block_delta', 'message_delta', 'message', 'message_stop'],
  );
  const block = fastCheck.constantFrom('text', 'tool_use', 'thinking', 'signature_delta', 'input_json_delta');
  const piece = fastCheck.oneof(
    fastCheck.constantFrom(...anthropicDialect.begin, ...anthropicDialect.end, 'data: ', '\n\n', '\r', '{"type":', ':'),
    json.map((value) => `data: ${value}\n\n`),
    fastCheck.tuple(type, field, json).map(([name, key, value]) => `data: {"type":"${name}","${key}":${value}}\n\n`),
    fastCheck.tuple(type, block, json).map(([name, kind, value]) => {
      const odd = ['text', 'thinking', 'signature', 'input', 'partial_json'].map((key) => `"${key}":${value}`);
      const part = `{"type":"${kind}",${odd}}`;
      return `data: {"type":"${name}","index":${value},"delta":${part},"content_block":${part}}\n\n`;
    }),
    fastCheck.nat(good.length).map((at) => good.slice(0, at)),
  );
  fastCheck.assert(
    fastCheck.property(fastCheck.array(piece), (pieces) => {
      try {
        expect(typeof replay([Buffer.from(pieces.join(''))]).response.text).toBe('string');
      } catch (error) {
        if (!isTroupeError(error)) throw error;
      }
    }),
    { numRuns: 2000, seed: 5 },
  );
});
