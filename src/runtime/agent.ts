/** An agent as its user sees it: ask it, stream it, look at it, kill it. */
import type { Schema } from '../../actors/tools/schema.ts';
import type { Tool } from '../../actors/tools/tool.ts';
import type { TroupeError } from '../core/errors.ts';
import type { Clock } from '../core/seams.ts';
import type { Message, ToolCall, Usage } from '../core/types.ts';
import type { AgentActor, AgentRecord } from './agent-record.ts';
import { type AgentSpec, toolSet } from './agent-spec.ts';
import { type ApprovalDecision, decide, type PendingApproval, pendingApprovals } from './approval.ts';
import type { Ask, AskOptions } from './ask.ts';
import { AskHandle } from './ask-handle.ts';
import type { Compression } from './compress.ts';
import { guardActor } from './guards.ts';
import type { Mail } from './mail.ts';
import type { Reply } from './reply.ts';
import { ReplyStream } from './reply-stream.ts';
import type { OutputOf } from './structured-output.ts';

/** The machine's top-level states. */
export type AgentState = 'idle' | 'awaiting' | 'tool-loop' | 'compressing' | 'dead';

/** What an agent needs of its troupe. */
export interface AgentHost {
  readonly mail: Mail;
  readonly clock: Clock;
  /** Resolves when what was written so far is durable, with the error when it cannot be made so. */
  barrier(): Promise<TroupeError | undefined>;
  fork(record: AgentRecord, name: string, options: ForkOptions): Promise<Agent>;
  /** Resolves when it is compressed, which it is when it is idle. */
  compress(record: AgentRecord): Promise<Compression>;
  /** Resolves when what backends kept for it is gone. */
  kill(record: AgentRecord, reason: string): Promise<void>;
}

/** Options of `fork`: where to cut, and what the twin's spec has otherwise than its parent's. */
export interface ForkOptions extends AgentSpec {
  /** How many messages the twin shares, rounded down to whole groups. Default: all. */
  readonly at?: number;
}

export class Agent {
  readonly #record: AgentRecord;
  readonly #host: AgentHost;

  /** Agents are made by `troupe.spawn`. */
  constructor(record: AgentRecord, host: AgentHost) {
    this.#record = record;
    this.#host = host;
  }

  get name(): string {
    return this.#record.name;
  }

  /** The running XState actor. What its observers throw is dropped. */
  get ref(): AgentActor {
    return guardActor(this.#record.actor);
  }

  get state(): AgentState {
    return stateOf(this.#record);
  }

  /** Asks and waits for the reply. Rejects with one `TroupeError`. Asks are answered in the order they were made. */
  ask<Wanted extends Schema | undefined = undefined>(
    prompt: string,
    options: AskOptions<Wanted> = {},
  ): Promise<Reply<OutputOf<Wanted>>> {
    try {
      const { reply } = this.#deliver(this.#host.mail.prepare(this.#record, prompt, options));
      return reply as Promise<Reply<OutputOf<Wanted>>>;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Asks and gives a handle at once. Throws `TROUPE_ERR_OPTION_INVALID`; every other failure is the handle's. */
  askAsync<Wanted extends Schema | undefined = undefined>(
    prompt: string,
    options: AskOptions<Wanted> = {},
  ): AskHandle<OutputOf<Wanted>> {
    const { mail, clock } = this.#host;
    const ask = this.#deliver(mail.prepare(this.#record, prompt, options));
    const accepted = ask.outcome === 'failed' ? ask.reply.then(() => {}) : this.#host.barrier().then(throwIfSet);
    return new AskHandle(ask, accepted, {
      agent: this.name,
      clock,
      isRunning: (askId) => this.#record.actor.getSnapshot().context.askId === askId,
      cancel: () => mail.cancel(this.#record, ask),
    });
  }

  /** Asks, and gives the events while they happen. The ask runs whether the stream is read or not; leaving it cancels. */
  stream<Wanted extends Schema | undefined = undefined>(
    prompt: string,
    options: AskOptions<Wanted> = {},
  ): ReplyStream<OutputOf<Wanted>> {
    const { mail } = this.#host;
    const ask = mail.prepare(this.#record, prompt, options);
    const stream = new ReplyStream<OutputOf<Wanted>>(ask, () => mail.cancel(this.#record, ask));
    mail.deliver(this.#record, ask, false);
    return stream;
  }

  /** The names of its tools: its own, and those that its MCP servers have shown. */
  get tools(): string[] {
    const { tools, mcp } = this.#record;
    return [...(mcp?.known(tools) ?? tools).byName.keys()];
  }

  /** Gives it more tools, from its next model call on. Throws when a name is taken. */
  addTools(...tools: readonly Tool[]): void {
    const { byName } = this.#record.tools;
    this.#record.tools = toolSet(`addTools of "${this.name}"`, [...byName.values(), ...tools]);
  }

  /** Takes tools away, from its next model call on; a call that is running goes on. Names it does not have are ignored. */
  removeTools(...names: readonly string[]): void {
    const kept = [...this.#record.tools.byName.values()].filter(({ definition }) => !names.includes(definition.name));
    this.#record.tools = toolSet(`removeTools of "${this.name}"`, kept);
  }

  /** The tool calls that wait for a decision. */
  approvals(): readonly PendingApproval[] {
    return pendingApprovals(this.#record);
  }

  /**
   * Decides on a tool call that waits: by its id, or by the call itself, which is safer where ids may come again. Throws
   * `TROUPE_ERR_OPTION_INVALID` when no such call waits any more. When all calls of a step are decided on, those that were
   * allowed run; the model is told why the others do not.
   */
  approve(call: string | ToolCall, decision: ApprovalDecision): void {
    decide(this.#record, call, decision);
  }

  /** The conversation so far: every step that succeeded. With `sent`, what the next ask sends of it. */
  messages(options: { readonly sent?: boolean } = {}): Message[] {
    const { conversation, view } = this.#record;
    return (options.sent === true ? (view?.conversation ?? conversation) : conversation).messages();
  }

  /**
   * Makes what is sent of the conversation about half as long, as soon as the agent is idle; the log stays whole. Resolves with
   * what that did. Rejects with `TROUPE_ERR_AGENT_DEAD`.
   */
  compress(): Promise<Compression> {
    return this.#host.compress(this.#record);
  }

  /** Tokens over all model calls of this agent; a field is undefined while no call has reported it. */
  usage(): Usage {
    return this.#record.usage;
  }

  /** USD over all model calls; undefined while no price is known. */
  get costUsd(): number | undefined {
    return this.#record.costUsd;
  }

  /**
   * An agent with the same spec and the same conversation so far, at no cost per message. What an ask in progress has not
   * finished is not in it. From then on neither sees what the other says.
   */
  fork(name: string, options: ForkOptions = {}): Promise<Agent> {
    return this.#host.fork(this.#record, name, options);
  }

  /**
   * Ends the agent at once: what is pending rejects with `TROUPE_ERR_AGENT_DEAD` and the reason. Resolves when its processes
   * are gone, too. A second kill does nothing.
   */
  kill(reason = 'killed'): Promise<void> {
    return this.#host.kill(this.#record, reason);
  }

  #deliver(ask: Ask): Ask {
    return this.#host.mail.deliver(this.#record, ask);
  }
}

function throwIfSet(error: TroupeError | undefined): void {
  if (error !== undefined) throw error;
}

/** The state of an agent's machine. */
export function stateOf(record: AgentRecord): AgentState {
  const { value } = record.actor.getSnapshot();
  return (typeof value === 'string' ? value : Object.keys(value)[0]) as AgentState;
}
