import fastCheck from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sseReader } from '../../../actors/wire/sse.ts';

function read(pieces: readonly (string | Uint8Array)[], maxEventBytes?: number): (string | undefined)[][] {
  const events: (string | undefined)[][] = [];
  const reader = sseReader({ maxEventBytes, onEvent: (data, name) => events.push([data, name]) });
  for (const piece of pieces) reader(Buffer.from(piece));
  return events;
}

describe('an event stream', () => {
  it.each([
    ['LF', 'data: a\n\ndata: b\n\n'],
    ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n'],
    ['CR', 'data: a\r\rdata: b\r\r'],
    ['mixed', 'data: a\r\n\ndata: b\n\r'],
    ['no space', 'data:a\n\ndata:b\n\n'],
    ['comments', ': ping\n\ndata: a\n\n:\n: x\ndata: b\n\n'],
    ['a byte order mark', '\uFEFFdata: a\n\ndata: b\n\n'],
    ['other fields', 'retry: 10\nid: 1\nodd\nfoo: bar\ndata: a\n\nid\ndata: b\n\n'],
    ['a half event at the end', 'data: a\n\ndata: b\n\ndata: c\n'],
  ])('is read with %s, split anywhere', (_what, text) => {
    const bytes = Buffer.from(text);
    for (let at = 0; at <= bytes.length; at += 1)
      expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual([
        ['a', undefined],
        ['b', undefined],
      ]);
    expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual([
      ['a', undefined],
      ['b', undefined],
    ]);
  });

  it('joins lines of data and gives the name', () => {
    expect(read(['event: x\ndata: a\ndata:  b\ndata\n\n'])).toEqual([['a\n b\n', 'x']]);
  });

  it('gives the same events for any split of the same bytes', () => {
    const line = fastCheck.oneof(
      fastCheck.string({ unit: 'grapheme' }).map((text) => `data: ${text.replace(/[\r\n]/g, '')}`),
      fastCheck.constantFrom('', ': ping', 'event: e', 'data'),
    );
    const lines = fastCheck.array(fastCheck.tuple(line, fastCheck.constantFrom('\n', '\r\n', '\r')));
    fastCheck.assert(
      fastCheck.property(lines, fastCheck.array(fastCheck.nat(300)), (parts, cuts) => {
        const bytes = Buffer.from(parts.flat().join(''));
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        expect(read(pieces)).toEqual(read([bytes]));
      }),
      { numRuns: 2000 },
    );
  });

  it('caps an event, be it one line or many, and lets one below the cap pass', () => {
    const tooLarge = expect.objectContaining({ code: 'TROUPE_ERR_BACKEND_TOO_LARGE' });
    expect(() => read(Array(20).fill('x'.repeat(100)), 1000)).toThrow(tooLarge);
    expect(() => read(Array(20).fill(`data: ${'x'.repeat(100)}\n`), 1000)).toThrow(tooLarge);
    expect(() => read(Array(20).fill(`: ${'x'.repeat(100)}`), 1000)).toThrow(tooLarge);
    expect(read([`data: ${'x'.repeat(900)}\n`, '\n'], 1000)).toEqual([['x'.repeat(900), undefined]]);
    expect(read(Array(20).fill(`data: ${'x'.repeat(900)}\n\n`), 1000).length).toBe(20);
  });
});
