/** Signals end a command: with what runs, or at once; with its exit code, and with nobody left. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { listedModel, type ModelServer, modelServer } from '../contract/server.ts';
import { openAiDialect, openAiFaults, wholeText } from '../helpers/openai-wire.ts';
import { killAll, pidsWith, until } from '../helpers/processes.ts';
import { TroupeCommand } from '../helpers/troupe-command.ts';

vi.setConfig({ testTimeout: 30_000 });

const folder = mkdtempSync(join(tmpdir(), 'troupe-interrupt-'));
const program = (path: string) => new URL(`../fixtures/${path}`, import.meta.url).pathname;
const ending = 'What runs has 5 s to end; a second signal ends it at once.\n';

/** Lets go of the answers that are held back. */
const held = new Set<() => void>();
const release = () => {
  for (const go of held) go();
  held.clear();
};

/** Begins its answer; the rest comes when the test lets it go. */
const holding: Fault = async ({ head, write, response }) => {
  head(200, { 'content-type': openAiDialect.contentType });
  for (const piece of openAiDialect.begin) await write(piece);
  await new Promise<void>((resolve) => held.add(resolve));
  for (const piece of openAiDialect.end) await write(piece);
  response.end();
};

let server: FaultServer;
let model: ModelServer;
beforeAll(async () => {
  server = await faultServer({ ...openAiFaults, holding });
  model = await modelServer();
  const config = (args: readonly string[]) => ({
    mcpServers: { bad: { command: process.execPath, args, env: { MARK: folder } } },
  });
  writeFileSync(join(folder, 'mcp.json'), JSON.stringify(config([program('mcp/bad-server.mjs')])));
  const claude = join(folder, 'claude');
  writeFileSync(claude, `#!/bin/sh\nexec '${process.execPath}' '${program('claude/fake-claude.mjs')}' "$@"\n`);
  chmodSync(claude, 0o755);
});
afterAll(async () => {
  release();
  killAll(pidsWith(folder));
  await server.close();
  await model.close();
  rmSync(folder, { recursive: true, force: true });
});

const at = (fault: string) => ['--endpoint', server.url, '--model', `fault:${fault}`];

/** A command that has begun to show an answer which does not end. */
async function asking(...words: readonly string[]): Promise<TroupeCommand> {
  const command = new TroupeCommand(words, { cwd: folder });
  if (words[0] === 'chat') command.type('Hi\n');
  else command.end();
  await command.says('stdout', 'Grüße');
  return command;
}

describe('ask', () => {
  test('SIGTERM: what runs may end', async () => {
    const command = await asking('ask', 'Hi', ...at('holding'));
    command.kill('SIGTERM');
    await command.says('stderr', ending);
    release();
    expect(await command.ended).toEqual({ code: 143, stdout: `${wholeText}\n`, stderr: ending });
  });

  test('SIGTERM: what does not end in 5 s is cut off', async () => {
    const command = await asking('ask', 'Hi', ...at('drip-forever'));
    command.kill('SIGTERM');
    expect(await command.ended).toEqual({ code: 143, stdout: 'Grüße\n', stderr: `${ending}cancelled\n` });
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('SIGTERM, then %s: at once', async (second) => {
    const { aborted } = server.counts;
    const command = await asking('ask', 'Hi', ...at('holding'));
    command.kill('SIGTERM');
    await command.says('stderr', ending);
    command.kill(second);
    await server.when((counts) => counts.aborted > aborted);
    expect(await command.ended).toEqual({ code: 143, stdout: 'Grüße\n', stderr: `${ending}cancelled\n` });
  });

  test('Ctrl-C cancels at once', async () => {
    const { aborted } = server.counts;
    const command = await asking('ask', 'Hi', ...at('holding'));
    command.kill('SIGINT');
    await server.when((counts) => counts.aborted > aborted);
    expect(await command.ended).toEqual({ code: 130, stdout: 'Grüße\n', stderr: 'cancelled\n' });
  });

  test('a kept agent outlives it, and its store is free', async () => {
    const command = await asking('ask', 'Hi', '--agent', 'kept', ...at('holding'));
    command.kill('SIGINT');
    expect(await command.ended).toMatchObject({ code: 130 });
    const agents = new TroupeCommand(['agents', '--json'], { cwd: folder });
    const [agent] = JSON.parse((await agents.ended).stdout);
    expect(agent).toMatchObject({ name: 'kept', messages: 0, openAsks: 0 });
  });
});

describe('nobody is left', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('of MCP servers, by %s twice', async (signal, code) => {
    const words = ['ask', '--mcp-config', 'mcp.json', '--endpoint', model.url, '--model', listedModel];
    const command = new TroupeCommand([...words, 'call bad__hang {}'], { cwd: folder });
    command.end();
    await until(() => pidsWith(`MARK=${folder}`).length === 1, 'the server is up');
    await until(() => model.heard.length > 0, 'the model was asked');
    command.kill(signal);
    if (signal === 'SIGTERM') await command.says('stderr', ending);
    command.kill(signal);
    expect(await command.ended).toMatchObject({ code });
    await until(() => pidsWith(`MARK=${folder}`).length === 0, 'the server is gone');
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('of Claude Code, by %s', async (signal, code) => {
    const env = { PATH: `${folder}:${process.env['PATH']}`, HOME: folder, ANTHROPIC_BASE_URL: model.url };
    const heard = model.heard.length;
    const command = new TroupeCommand(['ask', '--backend', 'claude', 'hang'], {
      ...{ cwd: folder, env: { ...env, ANTHROPIC_API_KEY: 'canary' } },
    });
    command.end();
    await until(() => model.heard.length > heard, 'the model was asked');
    expect(pidsWith(`HOME=${folder}`).length).toBeGreaterThan(1);
    command.kill(signal);
    if (signal === 'SIGTERM') {
      await command.says('stderr', ending);
      command.kill(signal);
    }
    expect(await command.ended).toMatchObject({ code });
    await until(() => pidsWith(`HOME=${folder}`).length === 0, 'all are gone');
  });
});

describe('chat', () => {
  test('SIGTERM while nothing runs', async () => {
    const command = new TroupeCommand(['chat', ...at('ok')], { cwd: folder });
    command.type('/history\n');
    await command.says('stdout', 'Nothing was said yet.\n');
    command.kill('SIGTERM');
    expect(await command.ended).toMatchObject({ code: 143, stdout: 'Nothing was said yet.\n' });
  });

  test('SIGTERM: the answer may end, and no line is taken after it', async () => {
    const command = await asking('chat', ...at('holding'));
    command.kill('SIGTERM');
    await command.says('stderr', ending);
    command.type('And you?\n');
    release();
    expect(await command.ended).toEqual({ code: 143, stdout: `${wholeText}\n`, stderr: ending });
  });

  test('SIGTERM twice', async () => {
    const command = await asking('chat', ...at('holding'));
    command.kill('SIGTERM');
    await command.says('stderr', ending);
    command.kill('SIGTERM');
    expect(await command.ended).toMatchObject({ code: 143, stdout: 'Grüße\n' });
  });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('review: %s', async (signal, code) => {
  const { requests } = server.counts;
  writeFileSync(join(folder, 'one.js'), 'export const one = 1;\n');
  const command = new TroupeCommand(['review', 'one.js', ...at('holding')], { cwd: folder });
  await server.when((counts) => counts.requests > requests);
  command.kill(signal);
  if (signal === 'SIGTERM') {
    await command.says('stderr', ending);
    command.kill(signal);
  }
  expect(await command.ended).toMatchObject({ code });
});
