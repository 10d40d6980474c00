/** No MCP server outlives the process that uses it, even when that process is killed and the server does not listen. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { distFolder, pidsWith, until } from '../../helpers/processes.ts';

const fixture = (name: string) => new URL(`../../fixtures/mcp/${name}.mjs`, import.meta.url).pathname;

test('a server ends when its host is killed', async () => {
  const mark = `troupe-mcp-host-${process.pid}`;
  const host = spawn(process.execPath, [fixture('host'), distFolder(), fixture('bad-server'), mark]);
  await once(host.stdout, 'data');
  expect(pidsWith(`MARK=${mark}`)).toHaveLength(1);
  host.kill('SIGKILL');
  await until(() => pidsWith(`MARK=${mark}`).length === 0, 'the end of the server');
}, 30_000);
