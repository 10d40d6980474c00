/**
 * Turns: a message of the user becomes an ask, its events become lines, and its end a result.
 * Each turn has an agent of its own in the session's conversation: what was set meanwhile holds from the next turn on.
 */
import { randomUUID } from 'node:crypto';
import type { Backend } from '../../actors/backend.ts';
import { toTroupeError } from '../core/errors.ts';
import type { AgentSpec } from '../runtime/agent-spec.ts';
import { createTroupe } from '../runtime/troupe.ts';
import type { Arguments } from './arguments.ts';
import type { BackendChoice } from './backend-choice.ts';
import { type Ending, failedEnding, follow } from './follow.ts';
import type { UserInput } from './lines-in.ts';
import { initLine, type LineWriter, lifecycleLine, replayLine } from './lines-out.ts';
import type { McpServers } from './mcp-servers.ts';
import type { Permissions } from './permissions.ts';
import { emptyResult, type ResultFacts, type TurnResult, turnResult } from './result.ts';
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';
import type { ShownCalls } from './shown-calls.ts';

export interface TurnOptions {
  readonly given: Arguments;
  readonly settings: Settings;
  readonly backends: BackendChoice;
  readonly session: Session;
  readonly servers: McpServers;
  readonly permissions: Permissions;
  readonly shown: ShownCalls;
  readonly lines: LineWriter;
  readonly cwd: string;
  readonly version: string;
  /** Milliseconds for one call of a tool, the time to ask for it included. */
  readonly toolMs: number;
}

/** What a turn depends on besides its message. */
export interface TurnMoment {
  /** Aborted: the turn is interrupted. */
  readonly signal: AbortSignal;
  /** How many messages wait behind this one. */
  readonly queued: () => number;
}

/** The caller has the say over how long a turn may take; these only end what nobody waits for. */
const timeouts = { askMs: 24 * 3_600_000, firstEventMs: 600_000 };

export class Turns {
  readonly #options: TurnOptions;
  readonly #troupe = createTroupe();
  /** Backends that were made, by model: a fallback to another model needs one of its own. */
  readonly #made = new Map<string | undefined, Backend>();

  constructor(options: TurnOptions) {
    this.#options = options;
  }

  /** Answers one message. Resolves with whether the result is an error. */
  async run(message: UserInput, moment: TurnMoment): Promise<boolean> {
    const { lines, session, permissions } = this.#options;
    const startedAt = performance.now();
    const uuid = message.uuid ?? randomUUID();
    if (message.uuid !== undefined) await lines.put(lifecycleLine(uuid, 'started'));
    permissions.denials = [];
    const facts = (): ResultFacts => ({
      ...{ durationMs: performance.now() - startedAt, before: session.spends, denials: permissions.denials },
      ...{ uuid: message.uuid, queued: moment.queued(), maxTurns: this.#options.settings.maxTurns },
      wantsJson: this.#options.settings.jsonSchema !== undefined,
    });
    const { result, ending } = message.wantsAnswer
      ? await this.#ask({ ...message, uuid }, moment, facts)
      : this.#append(message, facts);
    session.spends = result.spends;
    await session.save(uuid, ending);
    for (const line of result.lines) await lines.put(line);
    const state = moment.signal.aborted ? 'cancelled' : 'completed';
    if (message.uuid !== undefined) await lines.put(lifecycleLine(uuid, state));
    return result.isError;
  }

  /** Frees what the backends hold. */
  close(): Promise<void> {
    return this.#troupe.close();
  }

  #append({ text, images }: UserInput, facts: () => ResultFacts): { result: TurnResult; ending?: undefined } {
    const { session, settings } = this.#options;
    const prompt = { role: 'user', content: text, ...(images.length === 0 ? {} : { images }) } as const;
    session.conversation(settings.system).append([prompt]);
    return { result: emptyResult(facts()) };
  }

  async #ask(
    message: UserInput & { readonly uuid: string },
    moment: TurnMoment,
    facts: () => ResultFacts,
  ): Promise<{ result: TurnResult; ending?: Ending }> {
    const { lines, servers, permissions, given } = this.#options;
    await Promise.race([servers.ready(), aborted(moment.signal)]);
    const tools = permissions.guard(servers.tools());
    await lines.put(this.#init(tools.map(({ definition }) => definition.name)));
    if (given.replay) await lines.put(replayLine(message.content, message.uuid));
    if (message.text.trim() === '' && message.images.length === 0) {
      return { result: emptyResult(facts(), ['The message is empty.']) };
    }
    const ending = await this.#answer(message, moment.signal, { tools });
    return { result: turnResult(ending, facts()), ending };
  }

  async #answer({ text, images }: UserInput, signal: AbortSignal, spec: AgentSpec): Promise<Ending> {
    const { session, settings, given, lines, shown } = this.#options;
    const conversation = session.conversation(settings.system);
    try {
      const agent = await this.#troupe.spawn(
        'main',
        { ...this.#spec(conversation.system?.content), ...spec },
        conversation,
      );
      try {
        const options = { lines, shown, partials: given.partials, maxRetries: settings.maxRetries };
        return await follow(agent.stream(text, { signal, images }), options);
      } finally {
        shown.clear();
        await agent.kill();
      }
    } catch (thrown) {
      return failedEnding(toTroupeError(thrown, 'The wrapper'));
    }
  }

  #spec(system: string | undefined): AgentSpec {
    const { settings, given, backends, toolMs } = this.#options;
    const { maxRetries, maxTokens, maxTurns: maxSteps, jsonSchema: schema, model = backends.model } = settings;
    return {
      backend: this.#backend(undefined),
      fallback: given.fallbackModels.map((name) => ({ backend: this.#backend(name), model: name })),
      ...(model !== undefined && { model }),
      ...(system !== undefined && { system }),
      // How often a model may call the same is for the client to say, as it is with Claude Code.
      ...{ maxSteps, maxSameCalls: maxSteps, maxRetries, timeouts: { ...timeouts, toolMs } },
      parameters: {
        ...(maxTokens !== undefined && { maxTokens }),
        ...(schema !== undefined && { responseFormat: { type: 'schema', name: 'answer', schema } as const }),
      },
    };
  }

  #backend(model: string | undefined): Backend {
    const backend = this.#made.get(model) ?? this.#options.backends.make();
    this.#made.set(model, backend);
    return backend;
  }

  #init(tools: readonly string[]) {
    const { settings, backends, servers, permissions, cwd, version } = this.#options;
    return initLine({
      ...{ cwd, version, tools, mcpServers: servers.status(), permissionMode: permissions.mode },
      model: settings.model ?? backends.model ?? this.#made.get(undefined)?.model ?? 'default',
      apiKeySource: backends.keySource,
    });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
