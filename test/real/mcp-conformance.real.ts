/** The client scenarios of the protocol's own conformance suite, run against our pool. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const here = new URL('.', import.meta.url).pathname;
const suite = createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/dist/index.js');
const node =
  Number(process.versions.node.split('.')[0]) < 22 ? ['--import', join(here, 'mcp-conformance-node-20.mjs')] : [];
const folder = mkdtempSync(join(tmpdir(), 'troupe-conformance-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Scenarios that do not apply, and why. */
const others: Readonly<Record<string, string>> = {
  'elicitation-sep1034-client-defaults': 'we say that we cannot be asked for input',
  'auth/cross-app-access-complete-flow': 'an extension that the SDK has no provider for',
};

const scenarios = (await run(['list'])).stdout
  .split('Client scenarios')[1]
  ?.split('\n')
  .map((line) => /^ {2}- (\S+)/.exec(line)?.[1])
  .filter((name) => name !== undefined);

test('the list of scenarios that do not apply names only scenarios there are', () => {
  expect(scenarios?.length).toBeGreaterThan(20);
  expect(Object.keys(others).filter((name) => !scenarios?.includes(name))).toEqual([]);
});

test.each(scenarios?.filter((name) => !(name in others)) ?? [])('%s passes', async (scenario) => {
  const results = join(folder, scenario.replace('/', '-'));
  const command = `${process.execPath} ${join(here, 'mcp-conformance-client.mjs')}`;
  await run(['client', '--command', command, '--scenario', scenario, '--output-dir', results]);
  const [name = ''] = readdirSync(results, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('checks.json'),
  );
  const checks: { readonly id: string; readonly status: string; readonly errorMessage?: string }[] = JSON.parse(
    readFileSync(join(results, name), 'utf8'),
  );
  const judged = checks.filter(({ status }) => status !== 'INFO');
  expect(judged.length).toBeGreaterThan(0);
  expect(judged.filter(({ status }) => status === 'FAILURE')).toEqual([]);
});

function run(words: readonly string[]): Promise<{ readonly stdout: string; readonly code: number | null }> {
  const child = spawn(process.execPath, [...node, suite, ...words], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ stdout, code })));
}
