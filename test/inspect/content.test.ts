/** How much of a text is shown, and that no key is. */
import { expect, test } from 'vitest';
import { contentFilter } from '../../src/inspect/content.ts';

const error = { code: 'TROUPE_ERR_BACKEND_AUTH', class: 'auth', message: 'refused' } as const;

test('the levels', () => {
  const long = 'x'.repeat(100_000);
  const shown = (['none', 'preview', 'full'] as const).map(
    (level) => contentFilter(level, undefined).text(long)?.length,
  );
  expect(shown).toEqual([undefined, 200, 65_536]);
  expect(contentFilter('none', undefined).error(error)).toEqual({ code: error.code, class: 'auth' });
  expect(contentFilter('full', undefined).error(error)).toEqual(error);
});

const canary = `sk-ant-${'canary'.repeat(8)}`;

test.each([
  ['a key', `the key is ${canary} today`],
  ['a header', `authorization: Bearer ${canary}`],
  ['a key across the cut', `${'x '.repeat(90)}${canary}`],
  ['a named member', JSON.stringify({ password: canary.slice(7) })],
  ['a named member across the cut', `${'x '.repeat(90)}{"password":"${'canary'.repeat(20)}"}`],
  ['a named member without an end', `{"password":"${'canary'.repeat(20_000)}`],
  ['a named setting', `DB_PASSWORD=${canary.slice(7)}`],
  ['a named string in quotes', `{'client_secret': '${canary.slice(7)}'}`],
])('%s is taken out', (_name, text) => {
  for (const level of ['preview', 'full'] as const) {
    const shown = contentFilter(level, undefined).text(text) ?? '';
    expect(shown).not.toContain('canary');
    if (level === 'full') expect(shown).toContain('[redacted]');
  }
});

test('a key is recognised past the cut', () => {
  expect(contentFilter('preview', undefined).text(`${'x '.repeat(97)}${canary}`)).toBe(`${'x '.repeat(97)}[reda…`);
});

test('what looks like no secret stays', () => {
  const text = 'const tokens = 5; // the author of "cookies" is unknown';
  expect(contentFilter('full', undefined).text(text)).toBe(text);
});

test('a redactor of the caller comes after ours, or instead', () => {
  const own = contentFilter('full', (text) => text.replaceAll('Ann', 'A.'));
  expect(own.text(`Ann has ${canary}`)).toBe('A. has [redacted]');
  expect(contentFilter('full', false).text(canary)).toBe(canary);
});

test('a text of one million characters is read in no time that grows with its square', () => {
  const { text } = contentFilter('full', undefined);
  for (const piece of ['"', 'password', 'a-', '\\"', 'api-key '])
    expect(text(piece.repeat(1_000_000 / piece.length))?.length).toBeGreaterThan(0);
});
