/** An agent as its user sees it: ask it, stream it, look at it, kill it. */
import type { Message, Usage } from '../core/types.ts';
import type { AgentActor, AgentRecord } from './agent-record.ts';
import type { AgentSpec } from './agent-spec.ts';
import type { Ask, AskOptions } from './ask.ts';
import type { Reply } from './reply.ts';
import { ReplyStream } from './reply-stream.ts';

/** The machine's top-level states. */
export type AgentState = 'idle' | 'awaiting' | 'tool-loop' | 'compressing' | 'dead';

/** What an agent needs of its troupe. */
export interface AgentHost {
  /** Makes an ask. Throws `TROUPE_ERR_OPTION_INVALID`. */
  prepare(record: AgentRecord, prompt: string, options: AskOptions): Ask;
  /** Puts it into the agent's mailbox, or rejects it. */
  deliver(record: AgentRecord, ask: Ask): void;
  fork(record: AgentRecord, name: string, options: ForkOptions): Promise<Agent>;
  kill(record: AgentRecord, reason: string): void;
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

  /** The running XState actor. */
  get ref(): AgentActor {
    return this.#record.actor;
  }

  get state(): AgentState {
    return stateOf(this.#record);
  }

  /** Asks and waits for the reply. Rejects with one `TroupeError`. Asks are answered in the order they were made. */
  ask(prompt: string, options: AskOptions = {}): Promise<Reply> {
    try {
      const ask = this.#host.prepare(this.#record, prompt, options);
      this.#host.deliver(this.#record, ask);
      return ask.reply;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Asks, and gives the events while they happen. The ask runs whether the stream is read or not; leaving it cancels. */
  stream(prompt: string, options: AskOptions = {}): ReplyStream {
    const ask = this.#host.prepare(this.#record, prompt, options);
    const stream = new ReplyStream(ask, () => this.#record.actor.send({ type: 'cancel', askId: ask.askId }));
    this.#host.deliver(this.#record, ask);
    return stream;
  }

  /** The conversation so far: every step that succeeded. */
  messages(): Message[] {
    return this.#record.conversation.messages();
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

  /** Ends the agent. What is pending rejects with `TROUPE_ERR_AGENT_DEAD` and the reason. A second kill does nothing. */
  async kill(reason = 'killed'): Promise<void> {
    this.#host.kill(this.#record, reason);
  }
}

/** The state of an agent's machine. */
export function stateOf(record: AgentRecord): AgentState {
  const { value } = record.actor.getSnapshot();
  return (typeof value === 'string' ? value : Object.keys(value)[0]) as AgentState;
}
