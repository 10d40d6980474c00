/** The command `troupe`, as a process of its own. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { chunk, doneEvent, openAiFaults, wholeText } from '../helpers/openai-wire.ts';
import { distFolder } from '../helpers/processes.ts';

const root = new URL('../..', import.meta.url).pathname;
const main = join(distFolder(), 'src/cli/main.js');
const folder = mkdtempSync(join(tmpdir(), 'troupe-cli-'));

const coloured: Fault = ({ reply }) =>
  reply(200, chunk({ content: 'a\u001b[31mred\u001b]0;title\u0007\u202e' }, 'stop') + doneEvent, {
    'content-type': 'text/event-stream',
  });

let server: FaultServer;
beforeAll(async () => {
  server = await faultServer({ ...openAiFaults, coloured });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command with these words and this on standard input. */
function troupe(words: readonly string[], input = '', env: Record<string, string> = {}): Promise<Result> {
  const child = spawn(process.execPath, [main, ...words], {
    cwd: root,
    env: { PATH: process.env['PATH'] ?? '', ...env },
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  child.stdin.on('error', () => {}).end(input);
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...output })));
}

const at = (fault: string) => ['--endpoint', server.url, '--model', `fault:${fault}`];

describe('ask', () => {
  test('streams the answer', async () => {
    expect(await troupe(['ask', 'Hi', 'there', ...at('ok')])).toEqual({
      code: 0,
      stdout: `${wholeText}\n`,
      stderr: '',
    });
    expect(server.requests.at(-1)?.body?.['messages']).toEqual([{ role: 'user', content: 'Hi there' }]);
  });

  test('takes what is piped, behind the words', async () => {
    await troupe(['ask', 'Sum up:', '--system', 'Be brief.', ...at('ok')], 'a text\n');
    expect(server.requests.at(-1)?.body?.['messages']).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Sum up:\n\na text' },
    ]);
  });

  test('prints the reply as JSON', async () => {
    const { code, stdout } = await troupe(['ask', 'Hi', '--json', ...at('ok')]);
    const { text, steps, finishReason } = JSON.parse(stdout);
    expect([code, text, steps, finishReason]).toEqual([0, wholeText, 1, { unified: 'stop', raw: 'stop' }]);
  });

  test('control codes of a model do not reach the terminal', async () => {
    expect((await troupe(['ask', 'Hi', ...at('coloured')])).stdout).toBe('ared\n');
  });

  test('an answer that was cut says so', async () => {
    const { code, stdout, stderr } = await troupe(['ask', 'Hi', ...at('finish-length')]);
    expect([code, stdout, stderr]).toEqual([0, 'Grüße\n', 'The answer was cut at the token limit.\n']);
  });

  test('a failure is one line with what to do, and the code 1; --debug adds the stack', async () => {
    const failed = await troupe(['ask', 'Hi', ...at('403')]);
    expect([failed.code, failed.stdout, failed.stderr.split('\n').length]).toEqual([1, '', 2]);
    expect(failed.stderr).toMatch(/^troupe: openai refused the key .*Check `apiKey`/);
    expect((await troupe(['--debug', 'ask', 'Hi', ...at('403')])).stderr).toContain('    at ');
  });
});

describe('ask --auto', () => {
  const hard = 'Design the architecture and prove that it keeps its invariants';
  /** What there is: a provider, and no command `claude`; a model server of this machine is no match for the prompt. */
  const provider = () => ({ LLM_ENDPOINT: server.url, LLM_MODEL: 'fault:ok', PATH: folder });

  test('asks what it has chosen, and says what that is', async () => {
    expect(await troupe(['ask', '--auto', hard], '', provider())).toEqual({
      code: 0,
      stdout: `${wholeText}\n`,
      stderr: 'Using openai, fault:ok, for a score of 1. --explain says why.\n',
    });
    expect(server.requests.at(-1)?.body).toMatchObject({ model: 'fault:ok', messages: [{ content: hard }] });
  });

  test('--explain says why beside the answer', async () => {
    const { code, stdout, stderr } = await troupe(['ask', '--auto', '--explain', hard], '', provider());
    expect([code, stdout]).toEqual([0, `${wholeText}\n`]);
    expect(stderr).toMatch(/^openai, fault:ok\nscore 1\n {2}\+0\.30 any task\n/);
    expect(stderr).toContain('\n  next worse are openai\n  openai fits\nrejected\n');
    expect(stderr).toContain('\n  offline, rules: no tier names it\n');
    expect(stderr).toContain('\n  claude, sonnet: no `claude` on the PATH\n');
  });

  test('--explain alone asks nothing', async () => {
    const asked = server.requests.length;
    const { code, stdout, stderr } = await troupe(['ask', '--explain', hard], '', provider());
    expect([code, stderr, server.requests.length]).toEqual([0, '', asked]);
    expect(stdout).toMatch(/^openai, fault:ok\nscore 1\n/);
  });

  test('what is piped is material: it makes a prompt long, not hard', async () => {
    const { stdout } = await troupe(['ask', '--explain', 'Sum up:'], `${hard}\n\n${hard}`, provider());
    expect(stdout).toContain('\nscore 0\n');
  });

  test('none that fits is the code 1, and why of each', async () => {
    const { code, stderr } = await troupe(['ask', '--auto', hard, '--max-tokens', '3000000'], '', { PATH: folder });
    expect(code).toBe(1);
    expect(stderr).toContain('troupe: No backend fits the task: offline (rules): no tier names it. ');
    expect(stderr).toContain('openai (gpt-4o-mini): no OPENAI_API_KEY; it takes 128000 tokens of 3000016.');
  });
});

describe('wrong usage has the code 2 and says what is right', () => {
  test.each([
    ['no prompt', ['ask', '--backend', 'offline'], 'There is no prompt'],
    ['no such backend', ['ask', 'Hi', '--backend', 'olama'], 'There is no backend "olama"; there are "'],
    ['a choice of what is chosen', ['ask', 'Hi', '--auto', '--model', 'x'], 'leave out `--backend`, `--model`'],
    ['no such option', ['ask', 'Hi', '--modle', 'x'], 'Did you mean --model?'],
    ['no such command', ['aks'], 'Did you mean ask?'],
    ['not a number', ['ask', 'Hi', '--timeout', 'soon'], 'It must be a number'],
    ['no such path', ['review', 'no/such/path', '--backend', 'offline'], 'it does not exist'],
  ])('%s', async (_name, words, says) => {
    const { code, stdout, stderr } = await troupe(words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(says);
  });

  test('a key that is missing is named', async () => {
    const { code, stderr } = await troupe(['ask', 'Hi', '--backend', 'openai']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('Set OPENAI_API_KEY')]);
  });
});

describe('review', () => {
  test('prints findings and a table, and tells progress in plain lines', async () => {
    const { code, stdout, stderr } = await troupe(['review', 'examples/sample-project', '--backend', 'offline']);
    expect(code).toBe(0);
    expect(stdout).toContain('src/auth.js:8  A password is hashed with sha256  [security]');
    expect(stdout).toMatch(/agent +backend +steps +tokens +USD +seconds\norchestrator +offline\/rules +2 +0 +0\.0000/);
    expect(stderr).toContain('security: read_file ×');
    expect(stderr).toContain('docs: done, 3 steps\n');
  });

  test('prints JSON', async () => {
    const path = join(folder, 'one.js');
    writeFileSync(path, 'export const run = (text) => eval(text);\n');
    const { stdout } = await troupe(['review', path, '--backend', 'offline', '--json']);
    const report = JSON.parse(stdout);
    expect([report.files, report.findings[0].file, report.findings[0].line]).toEqual([1, 'one.js', 1]);
  });

  test('an expert that fails is told, the rest is printed, and the code is 1', async () => {
    const { code, stdout } = await troupe(['review', 'examples/sample-project', ...at('403')]);
    expect(code).toBe(1);
    expect(stdout).toContain('security FAILED, its findings are missing: openai refused the key');
  });
});

describe('doctor', () => {
  test('says what is here', async () => {
    const { code, stdout } = await troupe(['doctor', '--json'], '', { OPENAI_API_KEY: 'canary-key' });
    const rows: { backend: string; state: string; price: string }[] = JSON.parse(stdout);
    expect(code).toBe(0);
    expect(rows.find(({ backend }) => backend === 'offline')).toMatchObject({ state: 'ready', price: 'free' });
    expect(rows.find(({ backend }) => backend === 'openai')).toMatchObject({ state: 'ready', price: 'per-token' });
    expect(rows.find(({ backend }) => backend === 'anthropic')?.state).toBe('missing');
    expect(stdout).not.toContain('canary');
  });

  test('says how to get what is not', async () => {
    const { code, stdout } = await troupe(['doctor']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^offline +ready +embedded, free +embedded rules/);
    expect(stdout).toMatch(
      /^openai +missing +cloud, per-token +no OPENAI_API_KEY\. Set OPENAI_API_KEY, or LLM_ENDPOINT/m,
    );
  });
});
