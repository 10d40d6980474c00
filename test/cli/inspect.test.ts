/** `--inspect`, `--record` and `troupe inspect`, as processes of their own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readRecording } from '../../src/inspect/recording.ts';
import { type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { openAiFaults, wholeText } from '../helpers/openai-wire.ts';
import { openStream, send } from '../inspect/stage.ts';

const root = new URL('../..', import.meta.url).pathname;
const main = join(root, 'dist/src/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'troupe-inspect-'));

/** A model that never answers. */
const hang: Fault = () => new Promise(() => {});

let server: FaultServer;
beforeAll(async () => {
  server = await faultServer({ ...openAiFaults, hang });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The command, running. */
function begin(words: readonly string[], options: readonly string[] = []) {
  const child = spawn(process.execPath, [...options, main, ...words], {
    cwd: root,
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  let look = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
    look();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
    look();
  });
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, ...output })),
  );
  /** The address that it prints, on either stream. */
  const address = new Promise<URL>((resolve) => {
    look = () => {
      const found = /http:\/\/127\.0\.0\.1:\d+\/\?token=\S+/.exec(`${output.stdout}\n${output.stderr}`)?.[0];
      if (found !== undefined) resolve(new URL(found));
    };
  });
  return { child, ended, address };
}

const at = (fault: string) => ['--endpoint', server.url, '--model', `fault:${fault}`];

function placeOf({ port, searchParams }: URL) {
  return { port: Number(port), token: searchParams.get('token') ?? '' };
}

describe('--inspect', () => {
  test('serves the page while the command runs, and goes with it', async () => {
    const { child, ended, address } = begin(['ask', 'my secret prompt', ...at('hang'), '--inspect']);
    const place = placeOf(await address);
    const page = await send(place.port, { path: `/?token=${place.token}` });
    expect([page.status, page.text.includes('data-actions="false"')]).toEqual([200, true]);
    expect((await send(place.port, { path: '/' })).status).toBe(403);
    const stream = await openStream(place);
    const calling = (data: unknown) => JSON.stringify(data).includes('awaiting.calling');
    await stream.until(({ data }) => calling(data));
    expect(stream.bytes).not.toContain('secret');
    const action = { method: 'POST', path: `/actions?token=${place.token}` };
    expect((await send(place.port, action)).status).toBe(403);
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    await expect(send(place.port, { path: '/' })).rejects.toThrow('ECONNREFUSED');
  });

  test('shows prompts and takes actions when it is told to', async () => {
    const words = ['ask', 'my prompt', ...at('hang'), '--inspect=0', '--inspect-content', 'full', '--inspect-actions'];
    const { ended, address } = begin(words);
    const place = placeOf(await address);
    const stream = await openStream(place);
    await stream.until(({ data }) => JSON.stringify(data).includes('"state":"awaiting.calling"'));
    const sent = await send(place.port, {
      ...{ method: 'POST', path: `/actions?token=${place.token}`, body: '{"type":"kill","agent":"ask"}' },
      headers: { 'content-type': 'application/json' },
    });
    expect(sent.status).toBe(204);
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([1, expect.stringContaining('killed from the inspector')]);
  });

  test('without it nothing of the inspector is loaded', async () => {
    const hook = join(root, 'test/fixtures/package/log-loads.mjs');
    const loadedBy = async (words: readonly string[]) => {
      const { code, stderr } = await begin(['ask', 'Hi', ...at('ok'), ...words], ['--import', hook]).ended;
      expect(code).toBe(0);
      return [...stderr.matchAll(/loaded file:.*\/dist\/src\/inspect\/(\S+)/g)].map((match) => match[1]);
    };
    expect(await loadedBy([])).toEqual([]);
    expect(await loadedBy(['--record', join(folder, 'loads.jsonl')])).toContain('index.js');
  });
});

describe('--record and inspect', () => {
  test('what was recorded is served by `inspect`', async () => {
    const path = join(folder, 'review.jsonl');
    const words = ['review', 'examples/sample-project', '--backend', 'offline', '--json', '--record', path];
    const { code, stdout } = await begin(words).ended;
    expect([code, JSON.parse(stdout).agents.length]).toEqual([0, 5]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const recording = await readRecording(path);
    const spawned = recording.messages.filter(({ kind }) => kind === 'spawned').map(({ agent }) => agent);
    expect(spawned.sort()).toEqual(['docs', 'orchestrator', 'performance', 'security', 'style']);
    expect([recording.damagedLines, recording.missing]).toEqual([0, 0]);
    expect(readFileSync(path, 'utf8')).not.toContain('auth.js');

    const { child, ended, address } = begin(['inspect', path]);
    const { port, token } = placeOf(await address);
    const served = await send(port, { path: `/recording?token=${token}` });
    expect(JSON.parse(served.text)).toEqual(JSON.parse(JSON.stringify(recording)));
    child.kill('SIGTERM');
    expect((await ended).code).toBe(143);
  });

  test('content is recorded as far as it is asked for', async () => {
    const path = join(folder, 'preview.jsonl');
    const { code } = await begin(['ask', 'Hi', ...at('ok'), '--record', path, '--inspect-content', 'preview']).ended;
    expect(code).toBe(0);
    const asks = (await readRecording(path)).messages.filter(({ kind }) => kind === 'ask');
    expect(asks).toMatchObject([{ prompt: 'Hi' }, { text: wholeText }]);
  });

  test('a recording that was cut is shown as far as it goes, and said to be cut', async () => {
    const whole = join(folder, 'whole.jsonl');
    await begin(['ask', 'Hi', ...at('ok'), '--record', whole]).ended;
    const cut = join(folder, 'cut.jsonl');
    writeFileSync(cut, readFileSync(whole, 'utf8').slice(0, -20));
    const { child, ended, address } = begin(['inspect', cut]);
    await address;
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([130, '1 line of the recording cannot be read.\n']);
  });
});

test.each([
  ['a port that is none', ['ask', 'Hi', '--inspect=70000'], 'It must be a port'],
  ['a prompt where the port goes', ['ask', '--inspect', 'Hi'], 'write `--inspect=0`'],
  ['no such level', ['ask', 'Hi', '--inspect', '--inspect-content', 'some'], 'Allowed choices are none, preview, full'],
  ['no recording', ['inspect', 'package.json'], 'is no recording'],
  ['no such file', ['inspect', 'no/such/file'], 'cannot be read'],
  ['a file that cannot be', ['ask', 'Hi', '--backend', 'offline', '--record', 'no/such/x'], 'cannot be written'],
])('%s is wrong usage', async (_name, words, says) => {
  const { code, stdout, stderr } = await begin(words).ended;
  expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(says)]);
});
