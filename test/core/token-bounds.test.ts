/** The bound that spares a count: never below what is counted, whoever counts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { requestAllowance, upperBound, upperBoundOfTools, utf8Bytes } from '../../src/core/token-bounds.ts';
import type { Message, ToolDefinition } from '../../src/core/types.ts';
import { otherTokenizers, piecesOf, serverCounts, textKinds } from '../helpers/token-samples.ts';

const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }), halfPairs());

/** Text with surrogates that have no other half. */
function halfPairs(): fc.Arbitrary<string> {
  const unit = fc.oneof(fc.integer({ min: 0xd7f0, max: 0xe010 }), fc.integer({ min: 0, max: 0x900 }));
  return fc.array(unit).map((units) => String.fromCharCode(...units));
}

test('bytes are those of the UTF-8 encoder', () => {
  fc.assert(fc.property(anyText, (text) => utf8Bytes(text) === Buffer.byteLength(text)));
});

describe('upperBound', () => {
  const tool: ToolDefinition = { name: 'f', description: 'é', parameters: { type: 'object', enum: [1, 2] } };

  test.each<[string, readonly Message[], number]>([
    ['nothing', [], 0],
    ['a text of one byte a character', [{ role: 'user', content: 'abc' }], 16 + 3],
    ['other characters', [{ role: 'system', content: 'é你😀' }], 16 + 2 + 3 + 4],
    [
      'a picture, whatever its size',
      [{ role: 'user', content: '', images: [{ mediaType: 'image/png', data: 'AAAA' }] }],
      16 + 15_000,
    ],
    [
      'a call and its result',
      [
        { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'look', arguments: '{"a":1}' }] },
        { role: 'tool', callId: 'c1', name: 'look', content: 'ok' },
      ],
      16 + 32 + 2 + 4 + 7 + (16 + 32 + 2 + 4 + 2),
    ],
    [
      'thinking that is sent back, not that which is only shown',
      [{ role: 'assistant', content: '', reasoning: 'hm', thinking: { protocol: 'anthropic', blocks: [{ a: 1 }] } }],
      16 + '[{"a":1}]'.length,
    ],
  ])('%s', (_, messages, bound) => {
    expect(upperBound(messages)).toBe(bound);
  });

  test('no tools, no bytes; tools, their JSON with blanks and the words around them', () => {
    expect(upperBoundOfTools([])).toBe(0);
    expect(upperBoundOfTools([tool])).toBe(600 + 32 + Buffer.byteLength(JSON.stringify(tool, null, 1)));
  });
});

test.each(otherTokenizers)('$family has no more tokens than bytes and one', ({ tokens }) => {
  const passed = textKinds.flatMap((kind) =>
    piecesOf(kind).filter((piece, at) => (tokens[kind][at] ?? Number.NaN) > utf8Bytes(piece) + 1),
  );
  expect(passed).toEqual([]);
});

test('no request of a recording has more tokens than its bound', () => {
  const passed = serverCounts.filter(
    ({ messages, tools = [], inputTokens }) =>
      inputTokens > upperBound(messages) + upperBoundOfTools(tools) + requestAllowance,
  );
  expect(passed).toEqual([]);
});
