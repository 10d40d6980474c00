/** Rules about the tree itself: docs that are true, nothing left over. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errorCodes } from '../src/core/errors.ts';
import { backendTables, modelTable, setupTable } from './helpers/readme-tables.ts';

const root = new URL('..', import.meta.url).pathname;
const readme = readFileSync(join(root, 'README.md'), 'utf8');

function files(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

const sources = ['src', 'machines', 'actors', 'bench'].flatMap(files).filter((path) => path.endsWith('.ts'));

/** What stands in the README between the marks of this name. */
function between(name: string): string | undefined {
  return new RegExp(`<!-- ${name}:start -->\\n([\\s\\S]*?)<!-- ${name}:end -->`).exec(readme)?.[1];
}

test('the README lists every error code with its class and meaning, and no other', () => {
  const rows = Object.entries(errorCodes).map(
    ([code, { class: errorClass, retryable, meaning }]) =>
      `| \`${code}\` | ${errorClass} | ${retryable ? 'yes' : 'no'} | ${meaning} |`,
  );
  expect(between('errors')).toBe(['| code | class | retry | meaning |', '|---|---|---|---|', ...rows, ''].join('\n'));
});

test('the README says of backends and models what the catalog says', () => {
  expect([between('backends'), between('models'), between('set-ups')]).toEqual([
    backendTables(),
    modelTable(),
    setupTable(),
  ]);
});

test('every error code is made somewhere, and every code that is made is in the table', () => {
  const text = sources.filter((path) => !path.endsWith('core/errors.ts')).map((path) => readFileSync(path, 'utf8'));
  const made = new Set(text.join('\n').match(/TROUPE_ERR_[A-Z_]+/g));
  made.add('TROUPE_ERR_AGENT_CRASHED');
  expect([...made].sort()).toEqual(Object.keys(errorCodes).sort());
});

test('every source file opens with what it owns', () => {
  const silent = sources.filter((path) => !/^(#!.*\n)?\/\*\*/.test(readFileSync(path, 'utf8')));
  expect(silent).toEqual([]);
});

test('no reminder is left in a source', () => {
  const left = sources.filter((path) => /\b(TODO|FIXME|XXX)\b(?!['"`|/)])/.test(readFileSync(path, 'utf8')));
  expect(left.filter((path) => !path.includes('/rules/'))).toEqual([]);
});
