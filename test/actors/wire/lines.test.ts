import { expect, test } from 'vitest';
import { lineReader } from '../../../actors/wire/lines.ts';
import { TroupeError } from '../../../src/core/errors.ts';

// What it has in common with lines of JSON (splits, cap, linear time) is tested there.
test('lines keep everything but their line end, blank ones are lines, the rest is taken once', () => {
  const lines: string[] = [];
  const tooLong = () => new TroupeError('TROUPE_ERR_BACKEND_TOO_LARGE', 'too long');
  const reader = lineReader({ onLine: (line) => lines.push(line), maxLineBytes: 100, tooLong });
  reader.read(Buffer.from('  a \r\n\n\r\n\tb\rc\nd'));
  expect({ lines, rest: reader.rest(), again: reader.rest() }).toEqual({
    lines: ['  a ', '', '', '\tb\rc'],
    rest: 'd',
    again: '',
  });
});
