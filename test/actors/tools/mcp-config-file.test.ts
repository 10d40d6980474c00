/** MCP servers from a file in the shape of `.mcp.json`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadMcpConfig } from '../../../actors/tools/mcp-config-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-mcp-config-'));
const path = join(folder, 'mcp.json');
afterAll(() => rmSync(folder, { recursive: true }));

function load(content: unknown) {
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return loadMcpConfig(path);
}

const withVariables = new URL('../../fixtures/mcp/with-variables.json', import.meta.url).pathname;

test('a file is read as it is, but for variables and the fields of others', async () => {
  const env = { BIN: '/opt', KEY: 'abc', HOST: 'example.org' };
  expect(await loadMcpConfig(withVariables, { env })).toEqual({
    files: { command: '/opt/server', args: ['--root', '/srv'], env: { KEY: 'k-abc' } },
    web: { type: 'http', url: 'https://example.org/mcp', headers: { Authorization: 'Bearer abc' }, tools: ['a'] },
  });
});

test('a variable that is not set is told of', async () => {
  await expect(loadMcpConfig(withVariables, { env: { KEY: 'abc' } })).rejects.toMatchObject({
    ...{ code: 'TROUPE_ERR_OPTION_INVALID' },
    message: `${withVariables}, MCP server "files" wants the variable BIN, which is not set.`,
  });
});

test.each([
  ['{"mcpServers": {"a": {"command": "sk-secret"', 'is no valid JSON.'],
  [{ servers: {} }, 'must be of the form {"mcpServers":'],
  [{ mcpServers: { a: {} } }, 'MCP server "a" needs either a `command` or a `url`.'],
  [{ mcpServers: { a: 7 } }, 'MCP server "a" needs either a `command` or a `url`.'],
  [{ mcpServers: { 'a b': { command: 'x' } } }, '"a b" is no name of an MCP server'],
  [{ mcpServers: { a: { type: 'sdk', command: 'x' } } }, '`type` must be "stdio", "http" or "sse", not "sdk"'],
])('%j is refused', async (content, reason) => {
  const refused = load(content);
  await expect(refused).rejects.toMatchObject({ code: 'TROUPE_ERR_OPTION_INVALID' });
  await expect(refused).rejects.toThrow(reason);
  await expect(refused).rejects.not.toThrow('sk-secret');
});

test('a file that is not there is refused', async () => {
  await expect(loadMcpConfig(join(folder, 'none.json'))).rejects.toMatchObject({
    ...{ code: 'TROUPE_ERR_OPTION_INVALID', message: expect.stringMatching(/^Cannot read .*none\.json: ENOENT/) },
  });
});
