/**
 * Plants each bug of mutants.mjs and supervision-mutants.mjs in a copy of the tree, runs the tests that should notice, and prints a table.
 * Exits with 1 when a bug was not caught, or when the tests fail without any. Arguments choose mutants by name.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mutants } from './mutants.mjs';
import { supervisionMutants } from './supervision-mutants.mjs';

const root = new URL('../..', import.meta.url).pathname;
/** Installs clients of its own, and is not run here. */
const real = join(root, 'test/real');
/** Of one mutant, which is caught sooner or not at all; and of all tests without any. */
const [limitMs, soundLimitMs] = [60_000, 180_000];
const wanted = process.argv.slice(2);
const chosen = [...mutants, ...supervisionMutants].filter(({ name }) => wanted.length === 0 || wanted.includes(name));

/** Copies of the tree in which mutants are tried side by side. */
const lanes = Array.from({ length: Math.min(2, chosen.length) }, () => mkdtempSync(join(tmpdir(), 'troupe-mutants-')));
try {
  for (const copy of lanes) {
    for (const part of ['src', 'machines', 'actors', 'test', 'package.json', 'tsconfig.json'])
      cpSync(join(root, part), join(copy, part), { recursive: true, filter: (path) => path !== real });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  }
  process.exitCode = await main();
} finally {
  for (const copy of lanes) rmSync(copy, { recursive: true, force: true });
}

async function main() {
  const startedAt = Date.now();
  for (const mutant of chosen) plant(lanes[0], mutant)();
  const [whole, parts] = [chosen.filter(({ only }) => !only), chosen.filter(({ only }) => only)];
  const sound = await Promise.all([runAll(lanes[0], whole), runAll(lanes.at(-1), parts)]);
  const unsound = sound.find(({ caught }) => caught !== 'no');
  if (unsound !== undefined) {
    print(`The tests fail without any mutant: ${unsound.caught}, ${unsound.by}`);
    return 1;
  }
  const rows = new Map();
  const queue = chosen.values();
  await Promise.all(
    lanes.map(async (copy) => {
      for (const mutant of queue) {
        const restore = plant(copy, mutant);
        const { caught, by } = await run(copy, mutant, limitMs);
        restore();
        rows.set(mutant, [mutant.name, caught, by]);
        print(`${caught === 'yes' ? 'caught' : `NOT CAUGHT (${caught})`}: ${mutant.name}`);
      }
    }),
  );
  const list = chosen.map((mutant) => rows.get(mutant));
  const caught = list.filter(([, yes]) => yes === 'yes').length;
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  print(`\n${table([['mutant', 'caught', 'by'], ...list])}\n\n${caught} of ${list.length} caught, in ${seconds} s`);
  return caught === list.length ? 0 : 1;
}

/** Runs all tests of these mutants once. */
function runAll(copy, some) {
  if (some.length === 0) return { caught: 'no', by: '' };
  const only = some.every((mutant) => mutant.only) ? some.map((mutant) => mutant.only).join('|') : undefined;
  return run(copy, { tests: [...new Set(some.flatMap(({ tests }) => tests))], only }, soundLimitMs);
}

/** Applies a mutant to the copy; gives what takes it back. Throws when a text is not there exactly once. */
function plant(copy, { name, edits }) {
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

/** Runs test files in the copy until the first failure; with `only`, the tests whose name matches. */
async function run(copy, { tests, only }, withinMs) {
  const report = join(copy, 'report.json');
  rmSync(report, { force: true });
  const child = spawn(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      ...tests,
      ...(only === undefined ? [] : ['--testNamePattern', only]),
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
  }, withinMs);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  if (late) return { caught: 'ran out of time', by: '' };
  if (code === 0) return { caught: 'no', by: '' };
  return firstFailure(copy, report);
}

function firstFailure(copy, report) {
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
