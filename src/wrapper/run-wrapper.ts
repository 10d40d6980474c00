/** One run of `openai-wrapper`: from the command line to the exit code. */
import { randomUUID } from 'node:crypto';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Arguments, parseArguments } from './arguments.ts';
import { type BackendChoice, chooseBackend } from './backend-choice.ts';
import { userInput } from './lines-in.ts';
import { LineWriter } from './lines-out.ts';
import { readMcpConfigs } from './mcp-config.ts';
import { McpServers } from './mcp-servers.ts';
import { askTimeoutMs, Permissions } from './permissions.ts';
import { CallerRequests } from './requests.ts';
import { emptyResult } from './result.ts';
import { openSession, type Session, SessionProblem } from './session.ts';
import type { Environment } from './session-file.ts';
import { count, Settings } from './settings.ts';
import { ShownCalls } from './shown-calls.ts';
import { Turns } from './turn.ts';
import { Wrapper } from './wrapper.ts';

/** What a run has of its process. */
export interface RunOptions {
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly cwd: string;
  readonly version: string;
  readonly input: Readable;
  readonly output: Writable;
  /** Takes lines for people. */
  readonly onTrouble: (message: string) => void;
  /** Aborted with the exit code as its reason: everything ends now, without a result. */
  readonly terminate: AbortSignal;
  /** Aborted: the turn in hand ends with a result, then the process. */
  readonly interrupt: AbortSignal;
}

/** How long MCP servers and sockets may take to end. */
const closeTimeoutMs = 3000;

/** Runs the wrapper. Resolves with the exit code when all that it started has ended; rejects for a wrong command line. */
export async function runWrapper(options: RunOptions): Promise<number> {
  const given = parseArguments(options.argv);
  if (given.version) {
    options.output.write(`${options.version} (troupe openai-wrapper)\n`);
    return 0;
  }
  const { places, problems } = await readMcpConfigs(given.mcpConfigs, options.cwd);
  for (const problem of problems) options.onTrouble(problem);
  const backends = chooseBackend(options.environment);
  const session = await openSession({ given, ...options }).catch((error: unknown) => {
    if (error instanceof SessionProblem) return error;
    throw error;
  });
  if (session instanceof SessionProblem) return refuse(options, given, session);
  const run = assemble(options, { given, backends, session, ownServers: new Set(places.keys()) });
  for (const [name, place] of places) run.servers.add(name, place);
  return watch(options, given, run);
}

/** Tells that there is no such session, as a result when the caller waits for one. */
async function refuse({ output, onTrouble }: RunOptions, given: Arguments, problem: SessionProblem): Promise<number> {
  onTrouble(problem.message);
  if (!problem.asResult) return 1;
  const lines = new LineWriter({ output, sessionId: randomUUID(), format: given.outputFormat, onGone: () => {} });
  const facts = { durationMs: 0, before: new Map(), denials: [], uuid: undefined, queued: 0 };
  const { lines: told } = emptyResult({ ...facts, wantsJson: false, maxTurns: 0 }, [problem.message]);
  for (const line of told) await lines.put(line);
  return 1;
}

interface RunParts {
  readonly given: Arguments;
  readonly backends: BackendChoice;
  readonly session: Session;
  /** Names of the MCP servers of the command line. */
  readonly ownServers: ReadonlySet<string>;
}

interface Run {
  readonly wrapper: Wrapper;
  readonly turns: Turns;
  readonly servers: McpServers;
  /** Aborted when nobody reads the output any more. */
  readonly gone: AbortSignal;
}

function assemble(options: RunOptions, { given, backends, session, ownServers }: RunParts): Run {
  const { environment, cwd, output, onTrouble } = options;
  const gone = new AbortController();
  const onGone = () => gone.abort();
  const lines = new LineWriter({ output, sessionId: session.id, format: given.outputFormat, onGone });
  const requests = new CallerRequests(lines);
  const settings = new Settings(given, environment);
  const shown = new ShownCalls();
  const startTimeoutMs = count(environment['MCP_TIMEOUT']) || 30_000;
  const callTimeoutMs = count(environment['MCP_TOOL_TIMEOUT']) || 3_600_000;
  const servers = new McpServers({ requests, startTimeoutMs, callTimeoutMs, onTrouble });
  const permissions = new Permissions({
    ...{ allowed: given.allowedTools, disallowed: given.disallowedTools, asks: given.asksPermission },
    ...{ mode: given.permissionMode, requests, shown },
    interrupt: () => void wrapper.interrupt(),
  });
  const toolMs = callTimeoutMs + askTimeoutMs;
  const turns = new Turns({
    ...{ given, settings, backends, session, servers, permissions, shown, lines, cwd, toolMs },
    version: options.version,
  });
  const controlled = { settings, servers, permissions, ownServers };
  const wrapper: Wrapper = new Wrapper({ lines, requests, turns, controlled, onTrouble });
  return { wrapper, turns, servers, gone: gone.signal };
}

async function watch(options: RunOptions, given: Arguments, { wrapper, turns, servers, gone }: Run): Promise<number> {
  const { input, terminate, interrupt } = options;
  onAbort(interrupt, () => wrapper.stop());
  const cut = new Promise<number>((resolve) => {
    const end = (code: number) => {
      wrapper.stop();
      resolve(code);
    };
    onAbort(terminate, () => end(terminate.reason as number));
    onAbort(gone, () => end(1));
  });
  void takeInput(input, given, wrapper);
  const code = await Promise.race([wrapper.run(), cut]);
  const closed = new AbortController();
  const late = sleep(closeTimeoutMs, undefined, { signal: closed.signal }).catch(() => {});
  await Promise.race([Promise.allSettled([turns.close(), servers.close()]), late]);
  closed.abort();
  return code;
}

async function takeInput(input: Readable, given: Arguments, wrapper: Wrapper): Promise<void> {
  if (given.inputFormat === 'stream-json') return wrapper.read(input);
  wrapper.push(userInput(given.prompt ?? (await text(input).catch(() => ''))));
  wrapper.finishInput();
}

function onAbort(signal: AbortSignal, work: () => void): void {
  if (signal.aborted) work();
  else signal.addEventListener('abort', work, { once: true });
}
