/** How Claude Code is started: each word of it is what the real command was seen to need. */
import { readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  type CommandSetup,
  commandArguments,
  commandEnvironment,
  McpFile,
  type SessionWish,
} from '../../../actors/backends/claude-command.ts';

const setup: CommandSetup = {
  ...{ args: [], env: {}, builtInTools: [], allowedTools: [], permissionMode: 'dontAsk' },
  ...{ apiKey: undefined, endpoint: undefined, configDir: undefined, mcpFile: undefined },
};
const wish: SessionWish = { id: 'new', model: 'sonnet', tools: [], parameters: {}, mark: undefined };
const always = ['-p', '--verbose', '--input-format=stream-json', '--output-format=stream-json'];

test('a login is used without the settings of anybody', () => {
  expect(commandArguments(setup, wish)).toEqual([
    ...always,
    '--include-partial-messages',
    '--session-id=new',
    '--model=sonnet',
    '--tools=',
    '--permission-mode=dontAsk',
    '--strict-mcp-config',
    '--system-prompt-snapshot=off',
    '--setting-sources=',
  ]);
});

test('a key is used bare, a session goes on as a copy from its entry, every list is one word', () => {
  const schema = { type: 'object' } as const;
  const given = commandArguments(
    {
      ...setup,
      ...{ args: ['cli.mjs'], apiKey: 'canary', builtInTools: ['Bash', 'Read'], allowedTools: ['Bash(git *)'] },
      mcpFile: '/tmp/servers.json',
    },
    {
      ...wish,
      tools: [{ name: 'add', description: 'Adds.', parameters: {} }],
      parameters: { responseFormat: { type: 'schema', name: 'answer', schema } },
      mark: { backend: 'claude', id: 'old', entry: 'last' },
    },
  );
  expect(given).toEqual([
    'cli.mjs',
    ...always,
    '--include-partial-messages',
    '--session-id=new',
    '--model=sonnet',
    '--tools=Bash,Read',
    '--allowedTools=Bash(git *),mcp__troupe',
    '--permission-mode=dontAsk',
    '--strict-mcp-config',
    '--mcp-config=/tmp/servers.json',
    '--system-prompt-snapshot=off',
    '--bare',
    '--json-schema={"type":"object"}',
    '--resume=old',
    '--resume-session-at=last',
    '--fork-session',
  ]);
});

test('the environment holds the key, no repeats of its own, and what the user wants last', () => {
  const env = commandEnvironment(
    { ...setup, apiKey: 'canary', endpoint: 'http://127.0.0.1:1', configDir: '/c', env: { MCP_TIMEOUT: '1' } },
    { maxTokens: 100 },
  );
  expect(env).toEqual({
    CLAUDE_CODE_MAX_RETRIES: '0',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_TELEMETRY: '1',
    MCP_TIMEOUT: '1',
    DISABLE_AUTO_COMPACT: '1',
    ANTHROPIC_API_KEY: 'canary',
    ANTHROPIC_BASE_URL: 'http://127.0.0.1:1',
    CLAUDE_CONFIG_DIR: '/c',
    CLAUDE_CODE_MAX_OUTPUT_TOKENS: '100',
  });
});

test('the file of servers is for its owner alone, and there is none without servers', async () => {
  const none = new McpFile({});
  expect(await none.path()).toBeUndefined();
  const file = new McpFile({ shop: { command: 'shop' } });
  const path = (await file.path()) ?? '';
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ mcpServers: { shop: { command: 'shop' } } });
  await Promise.all([none.remove(), file.remove()]);
  expect(() => statSync(path)).toThrow();
});
