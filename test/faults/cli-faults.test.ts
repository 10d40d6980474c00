/** Faults of a command that speaks as Claude Code does, and of our own wrapper: what must come of each (F33 to F43). */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import type { Backend } from '../../actors/backend.ts';
import { type ClaudeCliOptions, claudeCli } from '../../actors/backends/claude-cli.ts';
import { subprocess } from '../../actors/backends/subprocess.ts';
import { tool } from '../../actors/tools/tool.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { type ModelServer, modelServer } from '../contract/server.ts';
import { claudeKey, type FakeClaude, fakeClaude } from '../helpers/fake-claude.ts';
import { allOf, failure } from '../helpers/model-request.ts';
import { argumentsOf, pidsWith, until } from '../helpers/processes.ts';
import { builtWrapper } from '../wrapper/built.ts';
import { type FaultRow, runFaultRows } from './fault-rows.ts';

// Far below the deadlines of asks: what does not end by itself does not end in time.
vi.setConfig({ testTimeout: 60_000 });

const tinyClaude = fileURLToPath(new URL('../fixtures/claude/tiny-claude.sh', import.meta.url));

let server: ModelServer;
let claude: FakeClaude;

beforeAll(async () => {
  server = await modelServer();
  claude = await fakeClaude(server.url);
});
afterAll(async () => {
  await server.close();
  await claude.remove();
});

interface Wish {
  readonly options?: ClaudeCliOptions;
  readonly spec?: AgentSpec;
  readonly clock?: VirtualClock;
  /** Instead of the fake command. */
  readonly backend?: Backend;
}

/** Plays with an agent on a command that has this fault. Afterwards no ask has ended twice, and no process is left. */
async function onFault(fault: string, wish: Wish, play: (agent: Agent) => Promise<void>): Promise<void> {
  const { options, spec, clock, backend = claudeCli({ ...claude.options([fault]), ...options }) } = wish;
  const troupe = createTroupe({ backends: { cli: backend }, ...(clock === undefined ? {} : { clock }) });
  const settled: string[] = [];
  troupe.on('ask-settled', ({ askId }) => settled.push(askId));
  try {
    await play(await troupe.spawn('worker', { maxRetries: 0, ...spec }));
  } finally {
    await troupe.close();
  }
  expect([...new Set(settled)]).toEqual(settled);
  expect(pidsWith(claude.home)).toEqual([]);
}

const add = tool({
  name: 'add',
  description: 'Adds.',
  parameters: { type: 'object' },
  execute: ({ a, b }: { a: number; b: number }) => a + b,
});

interface Trial extends Wish {
  readonly ask?: string;
  /** Part of the error's message. */
  readonly says?: string;
  readonly partialText?: string;
}

/** The ask ends with one error of this code, which names no key. */
const fails =
  (code: ErrorCode, { ask = 'say Grüße, wörld', says = '', partialText, ...wish }: Trial = {}) =>
  (fault: string) =>
    onFault(fault, wish, async (agent) => {
      const error = await failure(agent.ask(ask));
      expect(error).toMatchObject({ code, backend: 'cli', message: expect.stringContaining(says) });
      expect(error.partialText).toBe(partialText);
      expect(error.attempts.at(-1)?.error?.code).toBe(code);
      expect(allOf(error)).not.toContain(claudeKey);
    });

/** The ask is answered as if nothing were. */
const answers =
  (wish: Wish = {}) =>
  (fault: string) =>
    onFault(fault, wish, async (agent) => {
      expect((await agent.ask('say Grüße, wörld 🙂')).text).toBe('Grüße, wörld 🙂');
    });

type Row = readonly [stimulus: string, requires: string, run: ((fault: string) => Promise<void>) | string];

const died = 'TROUPE_ERR_PROCESS_DIED';
const silent = { timeouts: { firstEventMs: 1500, idleMs: 1500 } };
const shell = { builtInTools: ['Bash'] };

const rows: Readonly<Record<string, readonly Row[]>> = {
  F33: [
    ['die-at-start', 'error with exit code and stderr', fails(died, { says: 'exit code 1): "Error: something is' })],
    ['die-with-key', 'error with stderr without the key', fails(died, { says: 'Error: [redacted] is no key' })],
    ['old-version', 'error that says what to do', fails('TROUPE_ERR_PROCESS_START_FAILED', { says: '2.1 or later' })],
    ['die-mid-turn', 'error with partial text', fails(died, { says: 'exit code 1', partialText: 'Grü' })],
    ['die-after-tool', 'error', fails(died, { ask: 'call add {"a":1,"b":2}', spec: { tools: [add] } })],
    ['kill-mid-turn', 'error with the signal', fails(died, { says: 'signal SIGKILL', partialText: 'Grü' })],
    ['no-result', 'exit 0 is no answer', fails(died, { says: 'exit code 0', partialText: 'Grüße, wörld' })],
    ['fail-after-result', 'exit 1 after the result is an answer', answers()],
    ['die-in-second-turn', 'nothing was heard of it: another process answers', asksTwice],
    ['killed-between-asks', 'the next ask has another process', killedBetweenAsks],
  ],
  F34: [
    ['partial-line', 'half a last line is no result', fails(died, { partialText: 'Grüße, wörld' })],
    ['no-newline', 'a whole last line counts', answers()],
    ['garbage-line', 'skipped', answers()],
    ['garbage-line,die-mid-turn', 'counted', fails(died, { says: 'no messages: 6', partialText: 'Grü' })],
    ['crlf', 'exact text', answers()],
    ['split-bytes', 'exact text', answers()],
    ['long-line', '10 MB are read and passed over', answers()],
    ['endless-line', 'error at the cap of a line', fails('TROUPE_ERR_BACKEND_TOO_LARGE')],
  ],
  F35: [
    ['never', 'never ready: a timer ends it', neverReady],
    ['mute', 'no event: a timer ends it', fails('TROUPE_ERR_BACKEND_TIMEOUT', { spec: silent })],
    ['drip', 'events without content: a timer ends it', fails('TROUPE_ERR_BACKEND_TIMEOUT', { spec: silent })],
    [
      'stuck-after-tool',
      'a timer ends it',
      fails('TROUPE_ERR_BACKEND_TIMEOUT', { ask: 'call add {"a":1,"b":2}', spec: { tools: [add], ...silent } }),
    ],
    ['babble', 'content without end: the deadline ends it', babble],
  ],
  F36: [
    ['hang-after-result', 'the reply comes with the result; the process ends', answers()],
    ['hang-after-result', 'the next ask is answered by another process', hangsThenAsked],
  ],
  F37: [
    ['ignore-term', 'reply; leader and grandchild end by SIGKILL', answers()],
    ['leave-grandchild', 'error though a grandchild holds stdout', fails(died, { partialText: 'Grüße, wörld' })],
    ['leave-grandchild-after-result', 'reply; the grandchild ends', answers()],
    ['ignore-term', 'leader killed from outside: error; the grandchild ends', leaderKilled],
  ],
  F38: [
    ['empty-success', 'success without a word is a cut stream', emptySuccess],
    ['error 500 of the API', 'unavailable, may be repeated', apiError('500', 'TROUPE_ERR_BACKEND_UNAVAILABLE', true)],
    ['error 429 of the API', 'overloaded, may be repeated', apiError('429', 'TROUPE_ERR_BACKEND_OVERLOADED', true)],
    ['error 401 of the API', 'auth, not repeated', apiError('401', 'TROUPE_ERR_BACKEND_AUTH', false)],
    [
      'is-error-529',
      'overloaded by the text alone',
      fails('TROUPE_ERR_BACKEND_OVERLOADED', { partialText: 'Grüße, wörld' }),
    ],
    [
      'exec-error-529',
      'overloaded by the text alone',
      fails('TROUPE_ERR_BACKEND_OVERLOADED', { partialText: 'Grüße, wörld' }),
    ],
    ['exec-error', 'error', fails('TROUPE_ERR_BACKEND_PROTOCOL', { says: 'Cannot read', partialText: 'Grüße, wörld' })],
    [
      'max-turns',
      'error',
      fails('TROUPE_ERR_BACKEND_PROTOCOL', { says: 'maximum number', partialText: 'Grüße, wörld' }),
    ],
    ['max-budget', 'quota', fails('TROUPE_ERR_BACKEND_QUOTA', { says: 'budget', partialText: 'Grüße, wörld' })],
  ],
  F39: [
    ['dup-result', 'the second answers no other ask', asksTwice],
    ['late-result', 'that of a cancelled ask answers no other', cancelledThenAsked],
    ['late-result', 'the end of its process ends no other ask', askedMeanwhile],
    ['late-result', 'that of an ask whose time is over answers no other', lateThenAsked],
  ],
  F40: [
    ['stderr-flood', 'drained', answers()],
    ['stdin closed', 'error, no uncaught EPIPE', closesInput],
    ['die-when-ready', 'error for 1 MB that nobody reads, no uncaught EPIPE', unreadInput],
  ],
  'F41, F42': [
    ['permission-request', 'denied, the turn goes on', deniedPermission],
    ['strange-request', 'answered with an error, the turn goes on', strangeRequest],
    ['unknown-type', 'passed over', answers()],
    [
      'other-session',
      'error',
      fails('TROUPE_ERR_BACKEND_PROTOCOL', { says: 'another session', partialText: 'Grüße, wörld' }),
    ],
    ['stdin kept open', 'the prompt comes by stdin, never as an argument', promptByInput],
    ['CLAUDECODE inherited', 'the command does not see it', inheritedVariables],
  ],
  F43: [
    ['wrapper SIGTERM', 'the call and the process end', wrapperTerminated],
    ['wrapper stdin EOF', 'the call in flight ends with its result', wrapperInputEnds],
    ['wrapper stdout broken', 'it ends quietly', wrapperOutputBroken],
    ['wrapper killed', 'error with the signal', wrapperKilled],
  ],
};

runFaultRows(
  'Claude CLI and wrapper',
  Object.entries(rows).flatMap(([fault, list]) =>
    list.map(([stimulus, requires, run]): FaultRow => {
      return { fault, stimulus, requires, run: typeof run === 'string' ? run : () => run(stimulus) };
    }),
  ),
);

function killedBetweenAsks(): Promise<void> {
  return onFault('', {}, async (agent) => {
    await agent.ask('say one');
    process.kill(claude.alive()[0] ?? 0, 'SIGKILL');
    await until(() => claude.alive().length === 0, 'the process is gone');
    expect((await agent.ask('say two')).text).toBe('two');
  });
}

function neverReady(fault: string): Promise<void> {
  return onFault(fault, { options: { startTimeoutMs: 500 } }, async (agent) => {
    const error = await failure(agent.ask('say Hi'));
    expect(error).toMatchObject({ code: 'TROUPE_ERR_BACKEND_TIMEOUT', message: expect.stringContaining('not ready') });
  });
}

function babble(fault: string): Promise<void> {
  return onFault(fault, {}, async (agent) => {
    const error = await failure(agent.ask('say Hi', { timeoutMs: 1500 }));
    expect(error).toMatchObject({ code: 'TROUPE_ERR_ASK_TIMEOUT', partialText: expect.stringMatching(/^(more )+$/) });
  });
}

function hangsThenAsked(fault: string): Promise<void> {
  return onFault(fault, { spec: { maxRetries: 1, timeouts: { firstEventMs: 1500 } } }, async (agent) => {
    expect((await agent.ask('say one')).text).toBe('one');
    expect((await agent.ask('say two')).text).toBe('two');
  });
}

function leaderKilled(fault: string): Promise<void> {
  return onFault(fault, {}, async (agent) => {
    const asked = failure(agent.ask('hang'));
    await server.waiting(1);
    expect(claude.alive()).toHaveLength(2);
    process.kill(claude.alive()[0] ?? 0, 'SIGKILL');
    expect(await asked).toMatchObject({ code: died, message: expect.stringContaining('SIGKILL') });
    await until(() => claude.alive().length === 0, 'the grandchild is gone');
  });
}

function emptySuccess(fault: string): Promise<void> {
  return fails('TROUPE_ERR_BACKEND_STREAM_CUT', { partialText: 'Grüße, wörld' })(fault);
}

/** An error of the API, which the command gives on as `success` with `is_error`. */
function apiError(status: string, code: ErrorCode, retryable: boolean): (fault: string) => Promise<void> {
  return () =>
    onFault('', {}, async (agent) => {
      expect(await failure(agent.ask(`error ${status}`))).toMatchObject({ code, retryable, status: Number(status) });
    });
}

function asksTwice(fault: string): Promise<void> {
  return onFault(fault, {}, async (agent) => {
    for (const word of ['one', 'two', 'three']) expect((await agent.ask(`say ${word}`)).text).toBe(word);
  });
}

function cancelledThenAsked(fault: string): Promise<void> {
  return onFault(fault, {}, async (agent) => {
    const handle = agent.askAsync('hang');
    await server.waiting(1);
    handle.cancel();
    expect((await agent.ask('say two')).text).toBe('two');
  });
}

function askedMeanwhile(fault: string): Promise<void> {
  return onFault(fault, {}, async (agent) => {
    const handle = agent.askAsync('hang');
    await server.waiting(1);
    handle.cancel();
    const asked = agent.ask('hold two');
    const isHeld = () => server.heard.at(-1)?.messages.at(-1)?.text === 'hold two';
    await until(() => isHeld() && claude.alive().length === 1, 'the first process is gone, the second is asked');
    server.release();
    expect((await asked).text).toBe('two');
  });
}

function lateThenAsked(fault: string): Promise<void> {
  const clock = new VirtualClock();
  return onFault(fault, { clock }, async (agent) => {
    const asked = failure(agent.ask('hang', { timeoutMs: 60_000 }));
    await server.waiting(1);
    await clock.advance(60_001);
    expect((await asked).code).toBe('TROUPE_ERR_ASK_TIMEOUT');
    expect((await agent.ask('say two')).text).toBe('two');
  });
}

function closesInput(): Promise<void> {
  const options = { command: '/bin/sh', args: [tinyClaude], env: { HOME: claude.home, MODE: 'close' } };
  return fails(died, { options, says: 'takes no more input (EPIPE)' })('');
}

function unreadInput(fault: string): Promise<void> {
  return onFault(fault, {}, async (agent) => {
    const error = await failure(agent.ask(`${'x'.repeat(1_000_000)}\nsay Hi`));
    expect(error).toMatchObject({ code: died, class: 'crashed', retryable: true });
  });
}

function deniedPermission(fault: string): Promise<void> {
  return onFault(fault, { options: shell }, async (agent) => {
    const { text } = await agent.ask('call Bash {"command":"echo ran"}');
    expect(text).toMatch(/^Permission to use Bash has been denied/);
  });
}

function strangeRequest(fault: string): Promise<void> {
  return onFault(fault, { options: { ...shell, allowedTools: ['Bash'] } }, async (agent) => {
    expect((await agent.ask('call Bash {"command":"echo ran"}')).text).toBe('ran');
  });
}

function promptByInput(): Promise<void> {
  return onFault('', {}, async (agent) => {
    await agent.ask('say a-word-of-the-prompt');
    expect(argumentsOf(claude.alive()[0] ?? 0).join(' ')).not.toContain('a-word-of-the-prompt');
    expect(server.heard.at(-1)?.messages.at(-1)?.text).toBe('say a-word-of-the-prompt');
  });
}

async function inheritedVariables(): Promise<void> {
  const names = [
    'CLAUDECODE',
    'CLAUDE_CODE_ENTRYPOINT',
    'CLAUDE_CODE_SESSION_ID',
    'ANTHROPIC_AUTH_TOKEN',
    'NODE_OPTIONS',
  ];
  for (const name of names) vi.stubEnv(name, name === 'NODE_OPTIONS' ? '--no-warnings' : '1');
  try {
    await onFault('', {}, async (agent) => {
      await agent.ask('say Hi');
      const environment = readFileSync(`/proc/${claude.alive()[0]}/environ`, 'utf8').split('\0');
      const seen = environment.map((variable) => variable.split('=')[0]);
      expect(seen.filter((name) => names.includes(name ?? ''))).toEqual([]);
    });
  } finally {
    vi.unstubAllEnvs();
  }
}

/** The wrapper amid a call, and how it ended. */
async function startWrapper(prompt: string) {
  const { PATH = '' } = process.env;
  const env = { PATH, HOME: claude.home, LLM_ENDPOINT: server.url, LLM_MODEL: 'contract-model' };
  const child: ChildProcessWithoutNullStreams = spawn(process.execPath, [builtWrapper()], { env });
  let output = '';
  let errors = '';
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (errors += text));
  const ended = new Promise<{ code: number | null; results: unknown[]; errors: string }>((resolve) => {
    child.on('close', (code) => {
      const lines = output.split('\n').filter((line) => line.includes('"type":"result"'));
      resolve({ code, results: lines.map((line) => JSON.parse(line)), errors });
    });
  });
  child.stdin.write(`${JSON.stringify({ type: 'user', message: { role: 'user', content: prompt } })}\n`);
  await server.waiting(1);
  return { child, ended };
}

async function wrapperTerminated(): Promise<void> {
  const { aborted } = server.counts;
  const { child, ended } = await startWrapper('hang');
  child.kill('SIGTERM');
  expect((await ended).code).toBe(143);
  await server.when((counts) => counts.aborted > aborted);
}

async function wrapperInputEnds(): Promise<void> {
  const { child, ended } = await startWrapper('hold Hello there');
  child.stdin.end();
  server.release();
  expect(await ended).toMatchObject({ code: 0, results: [{ is_error: false, result: 'Hello there' }], errors: '' });
}

async function wrapperOutputBroken(): Promise<void> {
  const { child, ended } = await startWrapper('hold Hello there');
  child.stdout.destroy();
  server.release();
  expect(await ended).toMatchObject({ code: 1, errors: '' });
}

function wrapperKilled(): Promise<void> {
  const backend = subprocess({
    ...{ endpoint: server.url, backend: 'openai', wrapper: builtWrapper(), model: 'contract-model', apiKey: claudeKey },
    env: { HOME: claude.home },
  });
  return onFault('', { backend }, async (agent) => {
    const asked = failure(agent.ask('hang after Well'));
    await server.waiting(1);
    for (const pid of pidsWith(claude.home)) process.kill(pid, 'SIGKILL');
    expect(await asked).toMatchObject({ code: died, message: expect.stringContaining('SIGKILL') });
  });
}
