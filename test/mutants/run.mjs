/**
 * Plants each bug of mutants.mjs in a copy of the tree, runs the tests that should notice, and prints a table.
 * Exits with 1 when a bug was not caught, or when the tests fail without any. Arguments choose mutants by name.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mutants } from './mutants.mjs';

const root = new URL('../..', import.meta.url).pathname;
const limitMs = 120_000;
const wanted = process.argv.slice(2);
const chosen = mutants.filter(({ name }) => wanted.length === 0 || wanted.includes(name));

const copy = mkdtempSync(join(tmpdir(), 'troupe-mutants-'));
try {
  for (const part of ['src', 'machines', 'actors', 'test', 'package.json', 'tsconfig.json'])
    cpSync(join(root, part), join(copy, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  process.exitCode = await main();
} finally {
  rmSync(copy, { recursive: true, force: true });
}

async function main() {
  for (const mutant of chosen) plant(mutant)();
  const sound = await run([...new Set(chosen.flatMap(({ tests }) => tests))]);
  if (sound.caught !== 'no') {
    print(`The tests fail without any mutant: ${sound.caught}, ${sound.by}`);
    return 1;
  }
  const rows = [];
  for (const mutant of chosen) {
    const restore = plant(mutant);
    const { caught, by } = await run(mutant.tests);
    restore();
    rows.push([mutant.name, caught, by]);
    print(`${caught === 'yes' ? 'caught' : `NOT CAUGHT (${caught})`}: ${mutant.name}`);
  }
  const caught = rows.filter(([, yes]) => yes === 'yes').length;
  print(`\n${table([['mutant', 'caught', 'by'], ...rows])}\n\n${caught} of ${rows.length} caught`);
  return caught === rows.length ? 0 : 1;
}

/** Applies a mutant to the copy; gives what takes it back. Throws when a text is not there exactly once. */
function plant({ name, edits }) {
  const before = new Map();
  for (const { file, search, replace } of edits) {
    const path = join(copy, file);
    const text = readFileSync(path, 'utf8');
    const count = text.split(search).length - 1;
    if (count !== 1)
      throw new Error(`Mutant "${name}": the text to replace stands ${count} times in ${file}:\n${search}`);
    if (!before.has(path)) before.set(path, text);
    writeFileSync(
      path,
      text.replace(search, () => replace),
    );
  }
  return () => {
    for (const [path, text] of before) writeFileSync(path, text);
  };
}

/** Runs test files in the copy until the first failure. */
async function run(tests) {
  const report = join(copy, 'report.json');
  rmSync(report, { force: true });
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      ...tests,
      '--bail=1',
      '--reporter=json',
      `--outputFile=${report}`,
    ],
    { cwd: copy, env: { ...process.env, NODE_ENV: 'production' }, stdio: 'ignore', detached: true },
  );
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    process.kill(-child.pid, 'SIGKILL');
  }, limitMs);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  if (late) return { caught: 'ran out of time', by: '' };
  if (code === 0) return { caught: 'no', by: '' };
  return firstFailure(report);
}

function firstFailure(report) {
  let files;
  try {
    files = JSON.parse(readFileSync(report, 'utf8')).testResults;
  } catch {
    return { caught: 'the tests did not run', by: '' };
  }
  for (const { name, assertionResults } of files) {
    const failed = assertionResults.find(({ status }) => status === 'failed');
    if (failed) return { caught: 'yes', by: `${name.slice(copy.length + 1)}: ${failed.fullName.trim()}` };
  }
  return {
    caught: 'no test failed, but the run did',
    by: files
      .map(({ message }) => message)
      .join(' ')
      .slice(0, 200),
  };
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function print(line) {
  process.stdout.write(`${line}\n`);
}
