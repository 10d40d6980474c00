import { expect, it } from 'vitest';
import { ErrorTail } from '../../../actors/wire/error-tail.ts';
import { redactor } from '../../../actors/wire/redact.ts';

const secret = 'canary/'.repeat(20);
const redact = redactor([secret]);

function tail(...pieces: string[]): string {
  const errors = new ErrorTail();
  for (const piece of pieces) errors.add(Buffer.from(piece));
  return errors.text(redact);
}

it('a short text is shown whole, as often as it is asked for', () => {
  const errors = new ErrorTail();
  errors.add(Buffer.from('first ü\n'));
  expect(errors.text(redact)).toBe('first ü\n');
  errors.add(Buffer.from('second\n'));
  expect([errors.text(redact), errors.text(redact)]).toEqual(Array(2).fill('first ü\nsecond\n'));
});

it('a secret is not shown, wherever it stands and whatever comes behind', () => {
  const seen = new Set<string>();
  for (let behind = 8_000; behind < 8_400; behind += 1)
    seen.add(tail('-'.repeat(20_000), secret, '.'.repeat(behind)).slice(0, 12));
  for (let behind = 16_000; behind < 16_500; behind += 1)
    seen.add(tail('-'.repeat(20_000), secret, '.'.repeat(behind)).slice(0, 12));
  expect([...seen].filter((text) => /canary|anary|nary|ary/.test(text))).toEqual([]);
});

it('a secret that the cut went through is not shown, though redacting made the rest short', () => {
  const many = `${secret} `.repeat(200);
  for (let from = 0; from < secret.length; from += 1) expect(tail('-'.repeat(from), many)).not.toContain('canary');
});

it('a secret with control codes in it is one all the same', () => {
  expect(tail(`${secret.slice(0, 20)}\u001B[1m${secret.slice(20, 30)}\u0000${secret.slice(30)}`)).toBe('[redacted]');
});

it('small pieces add up', () => {
  expect(tail(...Array.from({ length: 100_000 }, (_, index) => `${index}\n`))).toMatch(/^\d*\n(\d{5}\n)*99999\n$/);
});
