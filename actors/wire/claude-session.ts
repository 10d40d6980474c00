/**
 * One process of Claude Code and the session in it: started, asked, interrupted, ended.
 *
 * S1  One user message is in flight at a time: queued ones would be merged into one turn with one result.
 * S2  Only whole JSON of our own making is ever written: one bad line ends the command.
 * S3  Lines of unknown types or of another message's result are passed over; those that are no JSON are counted, too.
 * S4  It is ended in order: interrupt, end of input, SIGTERM, SIGKILL for it and what descends from it.
 */
import { randomUUID } from 'node:crypto';
import { isTroupeError, TroupeError } from '../../src/core/errors.ts';
import type { Clock } from '../../src/core/seams.ts';
import type { JsonObject, ToolCall, ToolDefinition, ToolMessage } from '../../src/core/types.ts';
import type { Spend } from '../../src/core/usage.ts';
import type { ModelEvent, ToolPhase } from '../backend.ts';
import { exitError, failedServers, type Noise, notReady, startError } from './claude-errors.ts';
import { ClaudeTools, ownServer } from './claude-tools.ts';
import { ClaudeTurn, type RoundEnd } from './claude-turn.ts';
import { restOf, spendOf } from './claude-usage.ts';
import { asFields, type Fields, parseFields } from './fields.ts';
import type { CallFacts } from './http-errors.ts';
import { type ChildProcess, type ProcessExit, startProcess } from './process.ts';
import type { RenderedPrompt } from './rendered-conversation.ts';

export interface SessionOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  /** The session's id, chosen by us and named in `args`. */
  readonly id: string;
  readonly system: string | undefined;
  readonly tools: readonly ToolDefinition[];
  /** JSON Schema of every answer; absent: free text. */
  readonly schema: JsonObject | undefined;
  /** Names of the external MCP servers that must be there. */
  readonly servers: readonly string[];
  readonly facts: CallFacts;
  readonly clock: Clock;
  readonly startTimeoutMs: number;
  /** How long it has at each step of its end. */
  readonly endGraceMs: number;
  readonly maxReplyBytes: number;
}

/** The longest that an interrupted turn may take to say what it cost, and an idle process to end with its input. */
const longestGraceMs = 2000;

/** Starts a process and waits until it answers. Rejects with a typed error; whatever was started is gone by then. */
export async function startSession(options: SessionOptions, signal: AbortSignal): Promise<ClaudeSession> {
  let session: ClaudeSession | undefined;
  const early: string[] = [];
  const process = await startProcess({
    command: options.command,
    args: options.args,
    env: options.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    redact: options.facts.redact,
    onLine: (line) => (session === undefined ? early.push(line) : session.takeLine(line)),
  });
  session = new ClaudeSession(options, process);
  for (const line of early) session.takeLine(line);
  try {
    await session.initialize(signal);
    return session;
  } catch (thrown) {
    await session.end();
    throw thrown;
  }
}

export class ClaudeSession {
  readonly id: string;
  /** The last entry of the conversation in it; undefined before the first answer. */
  entry: string | undefined;
  /** Takes what a turn that was given up turned out to cost. */
  onLateSpend: ((spend: Spend) => void) | undefined;
  /** What it said so far that was no message. */
  readonly noise: Noise = { lines: 0, first: '' };
  readonly #options: SessionOptions;
  readonly #process: ChildProcess;
  readonly #tools: ClaudeTools;
  readonly #replies = new Map<string, (response: Fields) => void>();
  #requestCount = 0;
  #turn: ClaudeTurn | undefined;
  #messageId: string | undefined;
  #lastEntry: string | undefined;
  #phase: { readonly calls: readonly ToolCall[] } | undefined;
  #exit: ProcessExit | undefined;
  #ending: Promise<void> | undefined;

  constructor(options: SessionOptions, process: ChildProcess) {
    this.id = options.id;
    this.#options = options;
    this.#process = process;
    this.#tools = new ClaudeTools(options.tools);
    void process.exited.then((exit) => this.#takeExit(exit));
  }

  /** Resolves when its process has ended, by itself or not. */
  get ended(): Promise<unknown> {
    return this.#process.exited;
  }

  /** Whether its process ended before anything was heard of the round. */
  get diedUnheard(): boolean {
    return this.#turn?.isOver === true && !this.#turn.isHeard;
  }

  /** Whether a new message may be sent. */
  get isIdle(): boolean {
    return this.#exit === undefined && this.#ending === undefined && (this.#turn?.isOver ?? true);
  }

  /** Whether its turn waits for just the results that this list ends with. */
  waitsFor(callIds: readonly string[]): boolean {
    const calls = this.#phase?.calls;
    if (calls === undefined || this.#ending !== undefined || this.#turn?.isOver !== false) return false;
    if (calls.length !== callIds.length) return false;
    return calls.every(({ id }, index) => id === callIds[index]);
  }

  /** Tells it who we are; its answer is the proof that it lives. */
  async initialize(signal: AbortSignal): Promise<void> {
    const { system = '', tools, schema, startTimeoutMs, clock, facts, command } = this.#options;
    const answered = this.#request('initialize', {
      systemPrompt: [system],
      ...(schema === undefined ? {} : { jsonSchema: schema }),
      ...(tools.length === 0 ? {} : { sdkMcpServers: [ownServer] }),
    });
    await new Promise<void>((resolve, reject) => {
      const late = () => reject(notReady(facts, command, startTimeoutMs));
      const timer = clock.setTimeout(late, startTimeoutMs);
      const onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      const died = this.#process.exited.then((exit) => Promise.reject(startError(facts, command, exit, this.noise)));
      Promise.race([answered, died])
        .then(() => resolve(), reject)
        .finally(() => {
          clock.clearTimeout(timer);
          signal.removeEventListener('abort', onAbort);
        });
    });
  }

  /** Sends a user message: a turn begins. */
  prompt({ text, images }: RenderedPrompt): void {
    this.#messageId = randomUUID();
    this.#turn = new ClaudeTurn(this.#options.maxReplyBytes);
    const pictures = images.map(({ mediaType, data }) => ({
      type: 'image',
      source: { type: 'base64', media_type: mediaType, data },
    }));
    const content = pictures.length === 0 ? text : [...pictures, { type: 'text', text }];
    // Without `client_composed` a text that begins with "/" is a command, and "@path" sends that file.
    this.#write({
      type: 'user',
      uuid: this.#messageId,
      client_composed: true,
      parent_tool_use_id: null,
      message: { role: 'user', content },
    });
  }

  /** The end of the round in hand; what is said until then goes to `listener`. */
  async next(listener: (event: ModelEvent) => void): Promise<RoundEnd> {
    this.#phase = undefined;
    const turn = this.#turn;
    if (turn === undefined) throw new Error('A round was awaited before any message was sent.');
    const end = await turn.next(listener);
    if (end.kind === 'calls') this.#phase = { calls: end.calls };
    if (end.kind === 'result') this.entry = this.#lastEntry;
    return end;
  }

  /** What the turn in hand took, but for the rounds that told their own usage. */
  spendOf(result: Fields): Spend {
    const { usage, costUsd } = spendOf(result);
    return { usage: this.#turn === undefined ? usage : restOf(usage, this.#turn.told), costUsd };
  }

  /** The time until the next call of `next`, for the calls that the last one ended with. */
  toolPhase(): ToolPhase {
    const phase = this.#phase;
    return {
      hosted: (callId) => this.#turn?.hosted(callId),
      give: (result: ToolMessage) => this.#tools.give(result),
      abandon: () => {
        if (phase !== undefined && this.#phase === phase) void this.end();
      },
    };
  }

  /** Ends the turn, the process and all that descends from it. Resolves when they are gone. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /** Takes one line of output. */
  takeLine(text: string): void {
    const line = parseFields(text);
    if (line === undefined) {
      this.#takeNoise(text);
      return;
    }
    const { type } = line;
    if (type === 'control_response') this.#takeReply(asFields(line['response']) ?? {});
    else if (type === 'control_request') this.#takeRequest(line);
    else if (type === 'system' && line['subtype'] === 'init') this.#takeInit(line);
    else if (type !== 'result' || this.#isOurs(line)) {
      if (type === 'result' && !this.#isHere(line)) return;
      const isEntry = (type === 'assistant' || type === 'user') && (line['parent_tool_use_id'] ?? null) === null;
      if (isEntry && typeof line['uuid'] === 'string') this.#lastEntry = line['uuid'];
      this.#turn?.take(line);
    }
  }

  #takeNoise(text: string): void {
    this.noise.lines += 1;
    if (this.noise.lines === 1) this.noise.first = text.slice(0, 1000);
  }

  /** A result that names other messages than ours belongs to a turn that was given up. */
  #isOurs(result: Fields): boolean {
    const named = result['user_message_uuids'];
    return !Array.isArray(named) || named.length === 0 || named.includes(this.#messageId);
  }

  #takeInit(init: Fields): void {
    const { facts, servers } = this.#options;
    if (!this.#isHere(init)) return;
    const failed = failedServers(init, servers);
    if (failed.length === 0) return;
    const message = `${facts.backend} could not start the MCP server "${failed.join('", "')}". Check it in \`mcpServers\`.`;
    this.#turn?.fail(new TroupeError('TROUPE_ERR_BACKEND_REQUEST_INVALID', message));
  }

  /** Whether a line is of our session; one of another ends the turn. */
  #isHere(line: Fields): boolean {
    if (typeof line['session_id'] !== 'string' || line['session_id'] === this.id) return true;
    const message = `${this.#options.facts.backend} works in another session than it was told to. Check that \`command\` is Claude Code 2.1 or later.`;
    this.#turn?.fail(new TroupeError('TROUPE_ERR_BACKEND_PROTOCOL', message));
    return false;
  }

  #takeReply(response: Fields): void {
    const id = String(response['request_id']);
    this.#replies.get(id)?.(response);
    this.#replies.delete(id);
  }

  /** What the command asks of us. Each request is answered, or it would wait for ever. */
  #takeRequest(line: Fields): void {
    const id = line['request_id'];
    const request = asFields(line['request']) ?? {};
    const respond = (outcome: object) =>
      this.#write({ type: 'control_response', response: { request_id: id, ...outcome } });
    const succeed = (response: object) => respond({ subtype: 'success', response });
    if (request['subtype'] === 'mcp_message') {
      const message = asFields(request['message']) ?? {};
      if (this.#tools.take(message, (mcp) => succeed({ mcp_response: mcp }))) this.#turn?.noteToolRuns();
    } else if (request['subtype'] === 'can_use_tool')
      succeed({ behavior: 'deny', message: 'Nobody is here to allow this tool.' });
    else respond({ subtype: 'error', error: `troupe does not answer "${String(request['subtype'])}".` });
  }

  #takeExit(exit: ProcessExit): void {
    this.#exit = exit;
    this.#turn?.die(exit);
  }

  #request(subtype: string, fields: object = {}): Promise<Fields> {
    this.#requestCount += 1;
    const id = `troupe-${this.#requestCount}`;
    const answered = new Promise<Fields>((resolve) => this.#replies.set(id, resolve));
    this.#write({ type: 'control_request', request_id: id, request: { subtype, ...fields } });
    return answered;
  }

  #write(message: object): void {
    this.#process.write(JSON.stringify(message)).catch((thrown: unknown) => {
      if (this.#exit !== undefined) return;
      this.#turn?.fail(isTroupeError(thrown) ? thrown : exitError(this.#options.facts, noExit, this.noise));
      void this.end();
    });
  }

  async #end(): Promise<void> {
    const turn = this.#turn;
    const { endGraceMs } = this.#options;
    const graceMs = Math.min(longestGraceMs, endGraceMs);
    if (turn !== undefined && !turn.isOver && this.#exit === undefined) {
      void this.#request('interrupt');
      const result = await this.#within(turn.finished, graceMs);
      if (result !== undefined) this.onLateSpend?.(this.spendOf(result));
    }
    await this.#process.end({ inputGraceMs: graceMs, termGraceMs: endGraceMs });
  }

  /** What a promise comes to, or undefined after so many milliseconds. */
  #within<Value>(promise: Promise<Value>, ms: number): Promise<Value | undefined> {
    const { clock } = this.#options;
    return new Promise((resolve) => {
      const timer = clock.setTimeout(() => resolve(undefined), ms);
      void promise.then(resolve).finally(() => clock.clearTimeout(timer));
    });
  }
}

const noExit: ProcessExit = { code: undefined, signal: undefined, stderr: '' };
