import fastCheck from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ndjsonReader } from '../../../actors/wire/ndjson.ts';

function read(pieces: readonly (string | Uint8Array)[], maxEventBytes?: number): string[] {
  const lines: string[] = [];
  const reader = ndjsonReader({ maxEventBytes, onEvent: (line) => lines.push(line) });
  for (const piece of pieces) reader.read(Buffer.from(piece));
  reader.end();
  return lines;
}

describe('a stream of lines', () => {
  it.each([
    ['LF', '{"a":"ü"}\n{"b":"🙂"}\n'],
    ['CRLF', '{"a":"ü"}\r\n{"b":"🙂"}\r\n'],
    ['blank lines', '\n\r\n{"a":"ü"}\n \n\t\n{"b":"🙂"}\n\n'],
    ['blanks around', ' {"a":"ü"} \n\t{"b":"🙂"}'],
    ['a byte order mark', '\uFEFF{"a":"ü"}\n{"b":"🙂"}\n'],
    ['no line feed at the end', '{"a":"ü"}\n{"b":"🙂"}'],
    ['a half line at the end', '{"a":"ü"}\n{"b":"🙂"}\n{"c":'],
  ])('is read with %s, split anywhere', (_what, text) => {
    const bytes = Buffer.from(text);
    const expected = ['{"a":"ü"}', '{"b":"🙂"}'];
    for (let at = 0; at <= bytes.length; at += 1)
      expect(read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected);
    expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  it('gives the same lines for any split of the same bytes', () => {
    const line = fastCheck.oneof(
      fastCheck.json().map((json) => json.trim()),
      fastCheck.string({ unit: 'grapheme' }),
      fastCheck.constantFrom('', ' ', '{'),
    );
    const lines = fastCheck.array(fastCheck.tuple(line, fastCheck.constantFrom('\n', '\r\n')));
    fastCheck.assert(
      fastCheck.property(lines, fastCheck.array(fastCheck.nat(300)), (parts, cuts) => {
        const bytes = Buffer.from(parts.flat().join(''));
        const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
        expect(read(pieces)).toEqual(read([bytes]));
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  it('gives every value that was written, in order', () => {
    fastCheck.assert(
      fastCheck.property(fastCheck.array(fastCheck.jsonValue()), (values) => {
        const text = values.map((value) => `${JSON.stringify(value)}\n`).join('');
        expect(read([text])).toEqual(values.map((value) => JSON.stringify(value)));
      }),
      { numRuns: 500, seed: 7 },
    );
  });

  it('caps a line, whatever the pieces, and lets those below the cap pass', () => {
    const tooLarge = expect.objectContaining({ code: 'TROUPE_ERR_BACKEND_TOO_LARGE' });
    expect(() => read(['x'.repeat(1001)], 1000)).toThrow(tooLarge);
    expect(() => read(Array(11).fill('x'.repeat(100)), 1000)).toThrow(tooLarge);
    expect(() => read([`${'ü'.repeat(501)}\n`], 1000)).toThrow(tooLarge);
    expect(read(Array(20).fill(`${'x'.repeat(999)}\n`), 1000).length).toBe(20);
    expect(read([`${'ü'.repeat(500)}\n`], 1000)).toEqual(['ü'.repeat(500)]);
  });

  it('is read in linear time, a byte at a time', () => {
    const bytes = Buffer.from(`"${'x'.repeat(1_000_000)}"\n`);
    expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))[0]?.length).toBe(1_000_002);
  });

  it('lets out what its taker throws, and is at the next line then', () => {
    const lines: string[] = [];
    const reader = ndjsonReader({
      onEvent: (line) => {
        lines.push(line);
        if (line === '1') throw new Error('enough');
      },
    });
    expect(() => reader.read(Buffer.from('1\n2\n'))).toThrow('enough');
    reader.read(Buffer.from('3\n'));
    expect(lines).toEqual(['1', '3']);
  });
});
