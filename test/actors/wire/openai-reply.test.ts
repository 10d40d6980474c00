import { readFileSync } from 'node:fs';
import fastCheck from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelEvent, ModelResponse } from '../../../actors/backend.ts';
import { ChatReply } from '../../../actors/wire/openai-reply.ts';
import { redactor } from '../../../actors/wire/redact.ts';
import { sseReader } from '../../../actors/wire/sse.ts';
import { isTroupeError } from '../../../src/core/errors.ts';
import { chunk, completion, doneEvent, openAiDialect } from '../../helpers/openai-wire.ts';

const facts = { backend: 'openai', model: 'm', redact: redactor([]) };

/** A recording. One was abridged in its middle: the events that it lost are put back as one. */
function recorded(name: string): { sse: string; body: object } {
  const file = new URL(`../../fixtures/llama-server/${name}.json`, import.meta.url);
  const { sse, body } = JSON.parse(readFileSync(file, 'utf8')).response;
  const lost = chunk({ tool_calls: [{ index: 1, function: { arguments: 'ty"\n\n: "Rom' } }] });
  return { sse: sse?.replace(/da\n…\(cut\)…\n.*\n\n/, lost), body };
}

/** Reads a stream in these pieces. */
function replay(pieces: readonly Uint8Array[]): { response: ModelResponse; shown: string } {
  const events: ModelEvent[] = [];
  const reply = new ChatReply(facts, (event) => events.push(event));
  const read = sseReader({ onEvent: (data) => reply.takeEvent(data) });
  for (const piece of pieces) read(piece);
  return { response: reply.response(), shown: events.map((event) => ('text' in event ? event.text : '')).join('') };
}

function whole(body: object): ModelResponse {
  const reply = new ChatReply(facts, () => {});
  reply.takeBody(JSON.stringify(body), {});
  return reply.response();
}

const streams = [
  '11-chat-stream-no-usage',
  '12-chat-stream-usage',
  '14-chat-thinking-stream',
  '16-tools-required-stream',
  '25-tool-args-truncated-stream',
];

describe('recorded streams of llama-server', () => {
  it.each(streams)('give the same answer however their bytes are split: %s', (name) => {
    const bytes = Buffer.from(recorded(name).sse);
    const expected = replay([bytes]);
    expect(expected.response).toMatchSnapshot();
    expect(replay(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(expected);
    for (let at = 0; at <= bytes.length; at += 1)
      expect(replay([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected);
  });

  it.each(streams)('are never a success when they are cut before the finish reason: %s', (name) => {
    const bytes = Buffer.from(recorded(name).sse);
    const finish = bytes.indexOf('\n\n', bytes.indexOf('"finish_reason":"')) + 2;
    for (let at = 0; at < finish; at += 1)
      expect(() => replay([bytes.subarray(0, at)])).toThrow('without a finish reason');
    expect(replay([bytes.subarray(0, finish)]).response.text).toBe(replay([bytes]).response.text);
  });

  it('give the calls of a whole answer, and none of one that was cut by its length', () => {
    const { response } = replay([Buffer.from(recorded('16-tools-required-stream').sse)]);
    expect(response.finishReason).toEqual({ unified: 'tool-calls', raw: 'tool_calls' });
    expect(response.toolCalls.map(({ name, arguments: text }) => [name, JSON.parse(text)])).toEqual([
      ['get_weather', { city: 'Rome', days: 1 }],
      ['get_weather', { city: 'Rome', days: 2 }],
    ]);
    const cut = replay([Buffer.from(recorded('25-tool-args-truncated-stream').sse)]).response;
    expect(cut.finishReason.unified).toBe('length');
    expect(cut.toolCalls).toEqual([]);
  });
});

describe('a whole completion', () => {
  it.each(['10-chat', '15-tools-required', '19-tools-parallel-required'])('is read as a stream is: %s', (name) => {
    expect(whole(recorded(name).body)).toMatchSnapshot();
  });

  it('is read as the stream of the same content', () => {
    const tool_calls = [{ id: 'a', index: 0, type: 'function', function: { name: 'f', arguments: '{"x":1}' } }];
    const fields = { content: 'Hi', reasoning_content: 'Hm', tool_calls };
    const streamed = replay([Buffer.from(chunk(fields) + chunk({}, 'tool_calls') + doneEvent)]).response;
    const { usage, ...rest } = whole(completion(fields, 'tool_calls'));
    expect(rest).toEqual({ ...rest, ...streamed, usage: undefined, finishReason: streamed.finishReason });
    expect(usage.inputTokens).toBe(12);
  });
});

describe('a finish reason', () => {
  const call = (text: string) =>
    chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: text } }] });
  it.each([
    ['tool_calls', '{"x":1}', 'tool-calls', 1],
    ['tool_calls', '{"x":', 'tool-calls', 1],
    ['stop', '{"x":1}', 'tool-calls', 1],
    ['stop', '', 'tool-calls', 1],
    ['eos', '{}', 'tool-calls', 1],
    ['length', '{"x":1}', 'length', 0],
    ['content_filter', '{"x":1}', 'content-filter', 0],
  ])('decides about tool calls: %s after %s', (raw, text, unified, count) => {
    const { response } = replay([Buffer.from(call(text) + chunk({}, raw))]);
    expect(response.finishReason).toEqual({ unified, raw });
    expect(response.toolCalls.length).toBe(count);
  });

  it('that says "stop" in mid-call is a cut answer', () => {
    expect(() => replay([Buffer.from(call('{"x":') + chunk({}, 'stop'))])).toThrow('in the middle of a tool call');
  });
});

it('reads any bytes to an answer or a typed error', () => {
  const good = [...openAiDialect.begin, ...openAiDialect.end].join('');
  const piece = fastCheck.oneof(
    fastCheck.constantFrom(...openAiDialect.begin, ...openAiDialect.end, 'data: ', '\n\n', '\r', '{"choices":[', ':'),
    fastCheck.json().map((json) => `data: ${json}\n\n`),
    fastCheck.json().map((json) => `data: {"choices":[{"delta":${json},"finish_reason":"stop"}]}\n\n`),
    fastCheck.json().map((json) => `data: {"choices":[{"delta":{"tool_calls":${json}}}]}\n\n`),
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
    { numRuns: 2000 },
  );
});
