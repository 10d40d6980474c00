/** Talking to a process: what goes in, what comes out, what it sees. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type ChildProcess,
  defaultInheritEnv,
  type ProcessOptions,
  startProcess,
} from '../../../actors/wire/process.ts';
import { hostToken } from '../../../actors/wire/process-marker.ts';
import { isAlive, killAll, pidsWith, program } from '../../helpers/processes.ts';

// Programs start slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let stateDir: string;
let lines: string[] = [];
const started: ChildProcess[] = [];

beforeAll(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'troupe-process-'));
});

afterEach(async () => {
  vi.unstubAllEnvs();
  lines = [];
  await Promise.all(started.splice(0).map((child) => child.end({ termGraceMs: 0 })));
  const left = pidsWith(hostToken());
  killAll(left);
  expect(left).toEqual([]);
});

afterAll(() => rmSync(stateDir, { recursive: true }));

type Run = Partial<ProcessOptions> & { readonly name: string; readonly with?: readonly string[] };

async function start({ name, with: args = [], ...options }: Run): Promise<ChildProcess> {
  const child = await startProcess({
    command: process.execPath,
    args: [program(name), ...args],
    onLine: (line) => lines.push(line),
    stateDir,
    ...options,
  });
  started.push(child);
  return child;
}

function nextLine(): { readonly onLine: (line: string) => void; readonly line: Promise<string> } {
  let take: (line: string) => void = () => {};
  const line = new Promise<string>((resolve) => {
    take = resolve;
  });
  return { onLine: (text) => take(text), line };
}

function base64(text: string | Uint8Array): string {
  return Buffer.from(text).toString('base64');
}

describe('stdin and stdout', () => {
  it('carry lines both ways in the order of the calls, however many wait', async () => {
    const child = await start({ name: 'echo' });
    const sent = Array.from({ length: 2_000 }, (_, index) => `${index} ü🙂 ${'x'.repeat(index)}`);
    await Promise.all(sent.map((line) => child.write(line)));
    child.closeInput();
    expect(await child.exited).toEqual({ code: 0, signal: undefined, stderr: '' });
    expect(lines).toEqual(sent);
  });

  it('are cut at LF or CRLF before they are decoded; blank lines are none, an unended last one is a line', async () => {
    const bytes = Buffer.from('a ü\r\n\n \r\n 🙂 b\nlast ü');
    const child = await start({ name: 'say', with: Array.from(bytes, (byte) => base64(Uint8Array.of(byte))) });
    expect((await child.exited).code).toBe(0);
    expect(lines).toEqual(['a ü', ' 🙂 b', 'last ü']);
  });

  it('end with the process when a line passes its cap', async () => {
    const child = await start({ name: 'flood', with: ['stdout', '70', 'end'], maxLineBytes: 1_000_000 });
    const { failure } = await child.exited;
    expect(failure).toMatchObject({
      code: 'TROUPE_ERR_BACKEND_TOO_LARGE',
      message: 'One line of `node` passed 1000000 bytes. Raise `maxLineBytes` if such lines are wanted.',
    });
    expect(lines).toEqual([]);
    await child.end();
    expect(isAlive(child.pid)).toBe(false);
  });

  it('let a line of 60 MB pass by default', async () => {
    const child = await start({ name: 'flood', with: ['stdout', '60', 'end'] });
    expect(await child.exited).toEqual({ code: 0, signal: undefined, stderr: '' });
    expect(lines.map((line) => line.length)).toEqual([60 * 1024 * 1024 + 3]);
  });

  it('end with the process when the taker of a line throws, and it gets no other', async () => {
    const seen: string[] = [];
    const onLine = (line: string) => {
      seen.push(line);
      throw new Error('enough');
    };
    const child = await start({ name: 'say', with: [base64('1\n2\n3')], onLine });
    const { failure } = await child.exited;
    expect(failure).toMatchObject({ code: 'TROUPE_ERR_AGENT_CRASHED', message: '`onLine` of `node` threw: enough' });
    expect(seen).toEqual(['1']);
  });

  it('tell a writer that nobody reads, by a rejection and nothing else', async () => {
    const { onLine, line } = nextLine();
    const child = await start({ name: 'close-input', onLine });
    await line;
    const unread = {
      code: 'TROUPE_ERR_PROCESS_DIED',
      message: expect.stringMatching(/^`node` takes no more input \(E/),
    };
    const written = await Promise.allSettled([child.write('a'), child.write('b'), child.write('c')]);
    expect(written).toEqual(Array(3).fill({ status: 'rejected', reason: expect.objectContaining(unread) }));
    await expect(child.write('d')).rejects.toMatchObject(unread);
    await child.end();
    await expect(child.write('e')).rejects.toMatchObject(unread);
  });

  it('take no more for who does not read than the cap', async () => {
    const { onLine, line } = nextLine();
    const child = await start({ name: 'polite', onLine });
    await line;
    const tooMuch = expect.objectContaining({ code: 'TROUPE_ERR_BACKEND_TOO_LARGE' });
    const unread = expect.objectContaining({ code: 'TROUPE_ERR_PROCESS_DIED' });
    const writing = Promise.allSettled([child.write('x'.repeat(70_000_000)), child.write('more')]);
    await child.end();
    expect((await writing).map((outcome) => outcome.status === 'rejected' && outcome.reason)).toEqual([
      unread,
      tooMuch,
    ]);
  });

  it('reject what was not taken when the process ends', async () => {
    const { onLine, line } = nextLine();
    const child = await start({ name: 'polite', onLine });
    await line;
    const unread = expect(child.write('x'.repeat(10_000_000))).rejects.toMatchObject({
      code: 'TROUPE_ERR_PROCESS_DIED',
    });
    expect(await child.end()).toEqual({ code: 7, signal: undefined, stderr: '' });
    await unread;
  });
});

describe('stderr', () => {
  it('is kept with the exit code, without control codes', async () => {
    const text = '\u001B[31mred\u001B[0m\tü\r\n\u0007\u0000bell \u001B]8;;http://a\u0007link\u001B]8;;\u0007';
    const child = await start({ name: 'complain', with: ['3', base64(text)] });
    expect(await child.exited).toEqual({ code: 3, signal: undefined, stderr: 'red\tü\nbell link' });
  });

  it('is drained, and its last 8 KB are kept', async () => {
    const child = await start({ name: 'flood', with: ['stderr', '50', 'the end'] });
    expect(await child.exited).toEqual({
      code: 0,
      signal: undefined,
      stderr: `${'x'.repeat(8 * 1024 - 8)}the end\n`,
    });
  });
});

describe('the environment', () => {
  async function environment(options: Partial<ProcessOptions>): Promise<unknown> {
    const { onLine, line } = nextLine();
    await start({ name: 'show-environment', onLine, ...options });
    return JSON.parse(await line);
  }

  const canaries = [
    'CLAUDECODE',
    'CLAUDE_CODE_SSE_PORT',
    'ANTHROPIC_API_KEY',
    'OPENAI_API_KEY',
    'NODE_OPTIONS',
    'LD_DEBUG_X',
  ];
  const marker = expect.stringMatching(new RegExp(`^${hostToken()}\\.\\d+$`));

  it('holds what any program needs and nothing else', async () => {
    for (const name of canaries) vi.stubEnv(name, '');
    for (const name of defaultInheritEnv) vi.stubEnv(name, process.env[name] ?? `/a/${name}`);
    const wanted = Object.fromEntries(defaultInheritEnv.map((name) => [name, process.env[name]]));
    expect(await environment({})).toEqual({ ...wanted, TROUPE_CHILD: marker });
  });

  it('holds what was named, and what was given on top', async () => {
    vi.stubEnv('ANTHROPIC_API_KEY', 'named');
    vi.stubEnv('OPENAI_API_KEY', 'not named');
    const inheritEnv = ['ANTHROPIC_API_KEY', 'NO_SUCH_VARIABLE'];
    const seen = await environment({ inheritEnv, env: { GIVEN: 'ü', TROUPE_CHILD: 'mine' } });
    expect(seen).toEqual({ ANTHROPIC_API_KEY: 'named', GIVEN: 'ü', TROUPE_CHILD: marker });
  });

  it('adds its mark to those of the trees that this process is in', async () => {
    vi.stubEnv('TROUPE_CHILD', 'outer.1,middle.4');
    expect(await environment({ inheritEnv: [] })).toEqual({
      TROUPE_CHILD: expect.stringMatching(new RegExp(`^outer\\.1,middle\\.4,${hostToken()}\\.\\d+$`)),
    });
  });
});

describe('a start that is impossible', () => {
  const impossible = { code: 'TROUPE_ERR_PROCESS_START_FAILED', retryable: false };
  const env = { KEY: 'canary' };

  it.each([
    [
      { command: 'no-such-program' },
      {
        ...impossible,
        message: 'Cannot start `no-such-program`: there is no such program. Install it, or give its full path.',
      },
    ],
    [
      { command: '/etc/passwd' },
      { ...impossible, message: 'Cannot start `/etc/passwd`: it may not be executed (EACCES).' },
    ],
    [
      { command: 'sh', args: ['canary'.repeat(500_000)] },
      { ...impossible, message: 'Cannot start `sh`: its arguments and environment are too long (E2BIG).' },
    ],
    [
      { command: 'sh', cwd: '/no/such/folder' },
      { ...impossible, message: 'Cannot start `sh`: the folder /no/such/folder of `cwd` does not exist.' },
    ],
    [
      { command: 'sh', args: ['canary\0'] },
      {
        code: 'TROUPE_ERR_OPTION_INVALID',
        message: '`args` of a process holds a NUL, which no process can be given. Remove it.',
      },
    ],
    [
      { command: 'sh', env: { KEY: 'canary\0' } },
      {
        code: 'TROUPE_ERR_OPTION_INVALID',
        message: '`env` of a process holds a NUL, which no process can be given. Remove it.',
      },
    ],
  ])('rejects (%#)', async (options, error) => {
    const thrown = await startProcess({ args: ['canary'], env, onLine: () => {}, stateDir, ...options }).catch(
      (e) => e,
    );
    expect(thrown).toMatchObject(error);
    expect(`${thrown.message} ${thrown.stack} ${JSON.stringify(thrown)} ${thrown.cause}`).not.toContain('canary');
  });
});
