/** `--mcp-config`: the tools of MCP servers at the command line, from a file that was named and from no other. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listedModel, type ModelServer, modelServer } from '../contract/server.ts';
import { distFolder, pidsWith } from '../helpers/processes.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-cli-mcp-'));
const bad = new URL('../fixtures/mcp/bad-server.mjs', import.meta.url).pathname;
const config = { mcpServers: { bad: { command: process.execPath, args: [bad], env: { MARK: folder } } } };

let server: ModelServer;
beforeAll(async () => {
  server = await modelServer();
  writeFileSync(join(folder, '.mcp.json'), JSON.stringify(config));
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

/** Runs the command where there is an `.mcp.json`. */
function troupe(words: readonly string[], input: string) {
  const at = ['--endpoint', server.url, '--model', listedModel];
  const child = spawn(process.execPath, [join(distFolder(), 'src/cli/main.js'), ...words, ...at], { cwd: folder });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...output })));
}

test.each([
  ['ask', 'call bad__good {}'],
  ['chat', 'call bad__good {}\n'],
])('%s has the tools of the file', async (command, input) => {
  const { stdout } = (await troupe([command, '--mcp-config', '.mcp.json'], input)) as { stdout: string };
  expect(stdout).toContain('well done');
  expect(pidsWith(folder)).toEqual([]);
});

test('no file is read that was not named', async () => {
  expect(await troupe(['ask'], 'call bad__good {}')).toMatchObject({
    stdout: expect.stringContaining('There is no tool "bad__good"'),
  });
});

test('a file that is none is wrong usage', async () => {
  expect(await troupe(['ask', '--mcp-config', 'none.json'], 'say hello')).toEqual({
    ...{ code: 2, stdout: '', stderr: expect.stringMatching(/^troupe: Cannot read none\.json: ENOENT/) },
  });
});
