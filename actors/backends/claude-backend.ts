/**
 * What the backend for Claude Code does: a process for each agent, spoken to in stream-json over its standard streams.
 *
 * K1  The conversation of a request is the truth. An agent's process is asked only when it is exactly there; else a process
 *     goes on from the last place of the conversation that Claude Code knows, and is told the rest as text.
 * K2  What a cancelled or failed turn left in a session is never seen again: the next call begins before it.
 * K3  A call ends with the calls that its model wants, or with the turn: its tool loop is the agent's.
 */
import { randomUUID } from 'node:crypto';
import { TroupeError } from '../../src/core/errors.ts';
import type { Clock } from '../../src/core/seams.ts';
import type { Message, SessionMark } from '../../src/core/types.ts';
import type { ModelRequest, ModelResponse } from '../backend.ts';
import { systemClock } from '../clock.ts';
import { emptyAnswer, exitError, isSessionLost, resultError, unstructured } from '../wire/claude-errors.ts';
import { type ClaudeSession, startSession } from '../wire/claude-session.ts';
import type { RoundEnd } from '../wire/claude-turn.ts';
import { asFields } from '../wire/fields.ts';
import type { CallFacts } from '../wire/http-errors.ts';
import { redactor, secretsOf } from '../wire/redact.ts';
import { renderPrompt } from '../wire/rendered-conversation.ts';
import type { ClaudeCliOptions } from './claude-cli.ts';
import { type CommandSetup, commandArguments, commandEnvironment, McpFile } from './claude-command.ts';
import { ClaudeSessions } from './claude-sessions.ts';

const defaultMaxReplyBytes = 64 * 1024 * 1024;

/** Everything that one such backend keeps. */
export class ClaudeBackend {
  readonly #kind: string;
  readonly #options: ClaudeCliOptions;
  readonly #clock: Clock;
  readonly #sessions: ClaudeSessions;
  readonly #mcpFile: McpFile;
  readonly #setup: Omit<CommandSetup, 'mcpFile'>;
  readonly #redact: CallFacts['redact'];

  constructor(kind: string, options: ClaudeCliOptions) {
    const { mcpServers = {}, clock = systemClock, maxProcesses = 8, idleMs = 600_000 } = options;
    this.#kind = kind;
    this.#options = options;
    this.#clock = clock;
    this.#sessions = new ClaudeSessions({ clock, maxProcesses, idleMs });
    this.#mcpFile = new McpFile(mcpServers);
    this.#setup = commandSetup(options);
    this.#redact = redactor([this.#setup.apiKey, ...secretsOf(options.env ?? {})]);
  }

  /** Makes one call: a prompt and what is said of it until tools or the end. */
  call(request: ModelRequest): Promise<ModelResponse> {
    const { signal, agent } = request;
    return new Promise((resolve, reject) => {
      const stop = () => {
        reject(signal.reason);
        void this.#sessions.drop(agent);
      };
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop, { once: true });
      this.#answer(request)
        .then(resolve, (error: unknown) => {
          // A call that was given up has dropped its own already; by now the agent may have another.
          if (!signal.aborted) void this.#sessions.drop(agent);
          reject(error);
        })
        .finally(() => signal.removeEventListener('abort', stop));
    });
  }

  release(agent: string): Promise<void> {
    return this.#sessions.drop(agent);
  }

  async close(): Promise<void> {
    await this.#sessions.close();
    await this.#mcpFile.remove();
  }

  async #answer(request: ModelRequest): Promise<ModelResponse> {
    const facts: CallFacts = { backend: this.#kind, model: request.model, redact: this.#redact };
    const before = this.#sessions.of(request.agent)?.session;
    const session = await this.#begin(request, facts);
    const end = await this.#listen(session, request);
    // A process that had ended before it was asked is no failure: nothing was heard, another one is asked.
    if (session !== before || !session.diedUnheard) return this.#respond(request, facts, session, end);
    await this.#sessions.drop(request.agent);
    const fresh = await this.#begin(request, facts);
    return this.#respond(request, facts, fresh, await this.#listen(fresh, request));
  }

  #listen(session: ClaudeSession, { onLateSpend, onEvent }: ModelRequest): Promise<RoundEnd> {
    session.onLateSpend = onLateSpend;
    return session.next(onEvent);
  }

  /** A session in whose turn the answer comes: one that waits for our results, or one that was just asked. */
  async #begin(request: ModelRequest, facts: CallFacts): Promise<ClaudeSession> {
    const { agent, conversation, prompt, signal } = request;
    const held = this.#sessions.of(agent);
    if (held !== undefined && prompt.length === 0 && held.session.waitsFor(lastResults(request))) return held.session;
    if (prompt.some(({ role, content }) => role === 'user' && content.trim() === ''))
      throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `${this.#kind} takes no empty \`prompt\`. Say something.`);
    const { mark, rest } = lastMark(request, this.#kind);
    const setup = setupKey(request);
    if (held?.setup === setup && held.session.isIdle && isAt(held.session, mark)) {
      this.#sessions.use(agent);
      held.session.prompt(renderPrompt([...rest, ...prompt]));
      return held.session;
    }
    const open = (from: SessionMark | undefined) =>
      this.#sessions.open(agent, setup, () => this.#start(request, facts, from), signal);
    try {
      const session = await open(mark);
      session.prompt(renderPrompt([...rest, ...prompt]));
      return session;
    } catch (thrown) {
      if (mark === undefined || !isSessionLost(thrown)) throw thrown;
      const session = await open(undefined);
      session.prompt(renderPrompt([...conversation.groups().flat(), ...prompt]));
      return session;
    }
  }

  async #start(request: ModelRequest, facts: CallFacts, mark: SessionMark | undefined): Promise<ClaudeSession> {
    const { model, tools, parameters, conversation, signal } = request;
    const { command = 'claude', startTimeoutMs = 30_000, endGraceMs = 5000, cwd } = this.#options;
    const { maxReplyBytes = defaultMaxReplyBytes } = this.#options;
    const setup = { ...this.#setup, mcpFile: await this.#mcpFile.path() };
    const id = randomUUID();
    const { responseFormat } = parameters;
    return startSession(
      {
        ...{ command, id, facts, tools, startTimeoutMs, endGraceMs, maxReplyBytes, cwd, clock: this.#clock },
        args: commandArguments(setup, { id, model, tools, parameters, mark }),
        env: commandEnvironment(setup, parameters),
        system: conversation.system?.content,
        schema: responseFormat?.type === 'schema' ? responseFormat.schema : undefined,
        servers: Object.keys(this.#options.mcpServers ?? {}),
      },
      signal,
    );
  }

  #respond(request: ModelRequest, facts: CallFacts, session: ClaudeSession, end: RoundEnd): ModelResponse {
    const { text, reasoning } = end.said;
    const partialText = text === '' ? {} : { partialText: text };
    if (end.kind === 'failed') throw end.error.with({ ...partialText, backend: facts.backend, model: facts.model });
    if (end.kind === 'died') throw exitError(facts, end.exit, session.noise).with(partialText);
    const said = reasoning === '' ? {} : { reasoning };
    if (end.kind === 'calls') {
      const finishReason = { unified: 'tool-calls', raw: 'tool_use' } as const;
      const { calls: toolCalls, usage } = end;
      return { ...said, text, toolCalls, finishReason, usage, costUsd: undefined, toolPhase: session.toolPhase() };
    }
    const spend = session.spendOf(end.result);
    try {
      const answer = answerText(request, facts, end.result, text);
      this.#sessions.rest(request.agent);
      const { id, entry } = session;
      const mark = entry === undefined ? {} : { session: { backend: this.#kind, id, entry } };
      return { ...said, text: answer, toolCalls: [], finishReason: finishReasonOf(end.result), ...spend, ...mark };
    } catch (thrown) {
      // A turn that failed is paid for like any other.
      request.onLateSpend?.(spend);
      throw thrown;
    }
  }
}

function commandSetup(options: ClaudeCliOptions): Omit<CommandSetup, 'mcpFile'> {
  const { args = [], env = {}, configDir, builtInTools = [], permissionMode = 'dontAsk', mcpServers = {} } = options;
  const servers = Object.keys(mcpServers).map((name) => `mcp__${name}`);
  return {
    ...{ args, env, configDir, builtInTools, permissionMode },
    apiKey: options.apiKey,
    endpoint: options.endpoint,
    allowedTools: [...(options.allowedTools ?? []), ...servers],
  };
}

/** What a session is opened with and keeps: any change needs another one. */
function setupKey({ model, conversation, tools, parameters }: ModelRequest): string {
  const { maxTokens, responseFormat } = parameters;
  return JSON.stringify([model, conversation.system?.content, tools, maxTokens, responseFormat]);
}

/** Ids of the calls whose results end the conversation. */
function lastResults({ conversation }: ModelRequest): string[] {
  const group = conversation.log.groups[conversation.groupCount - 1] ?? [];
  return group.flatMap((message) => (message.role === 'tool' ? [message.callId] : []));
}

/** The last place of the conversation that this backend has in a session, and what was said since. */
function lastMark({ conversation }: ModelRequest, kind: string): { mark: SessionMark | undefined; rest: Message[] } {
  const { groups } = conversation.log;
  for (let at = conversation.groupCount - 1; at >= 0; at -= 1) {
    const last = groups[at]?.at(-1);
    const mark = last?.role === 'assistant' ? last.session : undefined;
    if (mark?.backend === kind) return { mark, rest: conversation.groups(at + 1).flat() };
  }
  return { mark: undefined, rest: conversation.groups().flat() };
}

function isAt({ id, entry }: ClaudeSession, mark: SessionMark | undefined): boolean {
  return mark === undefined ? entry === undefined : mark.id === id && mark.entry === entry;
}

/** The answer that a result stands for; throws when it is none. */
function answerText(request: ModelRequest, facts: CallFacts, result: Readonly<Record<string, unknown>>, said: string) {
  const error = resultError(facts, result);
  if (error !== undefined) throw error.with({ partialText: said || undefined });
  const text = said === '' && typeof result['result'] === 'string' ? result['result'] : said;
  if (request.parameters.responseFormat?.type === 'schema') {
    if (asFields(result['structured_output']) === undefined) throw unstructured(facts, text);
    return JSON.stringify(result['structured_output']);
  }
  // Its last words are none: what had arrived before was cut off.
  if (text === '' || result['result'] === '') throw emptyAnswer(facts).with({ partialText: text || undefined });
  return text;
}

function finishReasonOf(result: Readonly<Record<string, unknown>>): ModelResponse['finishReason'] {
  const raw = typeof result['stop_reason'] === 'string' ? result['stop_reason'] : undefined;
  const unified = finishReasons.get(raw ?? 'end_turn') ?? 'other';
  return { unified, raw };
}

const finishReasons: ReadonlyMap<string, ModelResponse['finishReason']['unified']> = new Map([
  ['end_turn', 'stop'],
  ['stop_sequence', 'stop'],
  // The tool by which a structured answer was given.
  ['tool_use', 'stop'],
  ['max_tokens', 'length'],
  ['model_context_window_exceeded', 'length'],
  ['refusal', 'content-filter'],
]);
