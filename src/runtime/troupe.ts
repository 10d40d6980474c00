/**
 * A troupe: the registry of agents, their backends, and the way in.
 *
 * T1  A name is taken from the moment `spawn` is called until the agent is dead.
 * T2  An ask that cannot be delivered is a rejected promise and a `dead-letter` event.
 * T3  `close()` kills every agent, closes every backend, and can be called again.
 */
import { EventEmitter } from 'eventemitter3';
import { createActor } from 'xstate';
import type { Backend } from '../../actors/backend.ts';
import { systemClock } from '../../actors/clock.ts';
import { Conversation } from '../core/conversation.ts';
import { TroupeError, toTroupeError } from '../core/errors.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import type { Clock, Ids, Random } from '../core/seams.ts';
import type { Usage } from '../core/types.ts';
import { addKnown, addUsage, unknownUsage } from '../core/usage.ts';
import { Agent, type AgentHost, type AgentState, stateOf } from './agent.ts';
import type { AgentRecord, Runtime } from './agent-record.ts';
import { type AgentSpec, type ResolvedSpec, resolveSpec } from './agent-spec.ts';
import { Ask, type AskOptions } from './ask.ts';
import { Backends, embeddedBackend } from './backends.ts';
import { agentDead, bindAgentMachine } from './bind.ts';

/** Options of `createTroupe`; every one may be left out. */
export interface TroupeOptions {
  /** Backends by the name that agents use. Built-in ones are there without it: `offline`, `openai`. */
  readonly backends?: Readonly<Record<string, Backend>>;
  /** What a spec leaves out. `defaults.backend`: the first of `backends`, else `offline`. */
  readonly defaults?: AgentSpec;
  /** Default: the process's clock. */
  readonly clock?: Clock;
  /** Default: a counter for each kind. */
  readonly ids?: Ids;
  /** Default: `Math.random`. */
  readonly random?: Random;
}

/** Events of a troupe, with their arguments. */
export interface TroupeEvents {
  'agent-spawned': [agent: Agent];
  'agent-dead': [name: string];
  'dead-letter': [letter: DeadLetter];
}

/** An ask that could not be delivered. */
export interface DeadLetter {
  readonly agent: string;
  readonly askId: string;
  readonly error: TroupeError;
}

/** One row of `troupe.agents()`. */
export interface AgentInfo {
  readonly name: string;
  readonly state: AgentState;
  readonly backend: string;
  readonly model: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Asks that wait behind the one in hand. */
  readonly waiting: number;
  readonly usage: Usage;
  /** USD; undefined when no price is known. */
  readonly costUsd: number | undefined;
}

/** Makes a troupe. Throws `TROUPE_ERR_OPTION_INVALID` with every problem that it finds. */
export function createTroupe(options: TroupeOptions = {}): Troupe {
  checkOptions('createTroupe', options, troupeRules);
  return new Troupe(options);
}

export class Troupe implements AsyncDisposable {
  readonly #agents = new Map<string, { readonly record: AgentRecord; readonly agent: Agent }>();
  readonly #backends: Backends;
  readonly #defaults: AgentSpec;
  readonly #events = new EventEmitter<TroupeEvents>();
  readonly #runtime: Runtime;
  readonly #machine: ReturnType<typeof bindAgentMachine>;
  readonly #host: AgentHost = {
    prepare: (record, prompt, options) => this.#prepare(record, prompt, options),
    deliver: (record, ask) => this.#deliver(record, ask),
  };
  #buried: { readonly usage: Usage; readonly costUsd: number | undefined } = {
    usage: unknownUsage,
    costUsd: undefined,
  };
  #closing: Promise<void> | undefined;

  /** Use `createTroupe`. */
  constructor(options: TroupeOptions) {
    const { backends = {}, defaults = {}, clock = systemClock, ids = counter(), random = Math.random } = options;
    this.#backends = new Backends(backends);
    this.#defaults = { backend: Object.keys(backends)[0] ?? embeddedBackend, ...defaults };
    this.#runtime = {
      clock,
      ids,
      random,
      record: (name) => this.#agents.get(name)?.record,
      backend: (name) => this.#backends.get(name),
      bury: (record) => this.#bury(record),
    };
    this.#machine = bindAgentMachine(this.#runtime);
  }

  /** The clock that all its time comes from. */
  get clock(): Clock {
    return this.#runtime.clock;
  }

  /** Brings up an agent. Rejects when the name is taken, an option is wrong or the backend cannot be had. */
  async spawn(name: string, spec: AgentSpec = {}): Promise<Agent> {
    this.#assertOpen();
    checkOptions('spawn', { name }, { name: isName });
    if (this.#agents.has(name)) {
      const message = `There is a living agent "${name}"; kill it first or choose another name.`;
      throw new TroupeError('TROUPE_ERR_AGENT_NAME_TAKEN', message, { agent: name });
    }
    const full = { ...this.#defaults, ...spec };
    const resolved = resolveSpec(`spawn("${name}")`, full);
    const backend = this.#backendName(full.backend);
    this.#backends.get(backend);
    const agent = this.#start(name, resolved, backend, full.model);
    this.#emit('agent-spawned', agent);
    return agent;
  }

  /** The living agent of this name. */
  agent(name: string): Agent | undefined {
    return this.#agents.get(name)?.agent;
  }

  /** The living agents, in the order they were spawned. */
  agents(): AgentInfo[] {
    return [...this.#agents.values()].map(({ record }) => {
      const { context } = record.actor.getSnapshot();
      return {
        name: record.name,
        state: stateOf(record),
        backend: context.backend,
        model: record.model ?? this.#backends.get(context.backend).model,
        createdAt: record.createdAt,
        waiting: context.mailbox.length,
        usage: record.usage,
        costUsd: record.costUsd,
      };
    });
  }

  /** Tokens and USD of all agents, dead ones included. */
  usage(): { readonly usage: Usage; readonly costUsd: number | undefined } {
    let sum = this.#buried;
    for (const { record } of this.#agents.values()) sum = addSpend(sum, record);
    return sum;
  }

  /** Calls `listener` at every event of this name. What a listener throws is dropped. */
  on<Name extends keyof TroupeEvents>(name: Name, listener: (...args: TroupeEvents[Name]) => void): this {
    this.#events.on(name, listener as EventEmitter.EventListener<TroupeEvents, Name>);
    return this;
  }

  off<Name extends keyof TroupeEvents>(name: Name, listener: (...args: TroupeEvents[Name]) => void): this {
    this.#events.off(name, listener as EventEmitter.EventListener<TroupeEvents, Name>);
    return this;
  }

  /** Kills all agents and closes all backends. Rejects with what a backend's `close` rejects with. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #prepare(record: AgentRecord, prompt: string, options: AskOptions): Ask {
    checkOptions(`ask of "${record.name}"`, { prompt, ...options }, askRules);
    const { clock, ids } = this.#runtime;
    const { askId = ids('ask'), timeoutMs = record.spec.timeouts.askMs } = options;
    return new Ask(prompt, { ...options, askId, timeoutMs }, clock);
  }

  #deliver(record: AgentRecord, ask: Ask): void {
    const { askId, signal } = ask;
    const { actor } = record;
    const refusal = this.#refusal(record, ask);
    if (refusal !== undefined) {
      ask.reject(refusal.with({ agent: record.name, askId }));
      return;
    }
    record.asks.set(askId, ask);
    const { clock } = this.#runtime;
    const timer = clock.setTimeout(() => actor.send({ type: 'expire', askId }), ask.deadlineAt - clock.now());
    const onAbort = () => actor.send({ type: 'cancel', askId });
    signal?.addEventListener('abort', onAbort, { once: true });
    ask.onSettled(() => {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    });
    actor.send({ type: 'ask', askId, tokens: actor.getSnapshot().context.tokens });
  }

  /** Why an ask cannot be delivered. */
  #refusal({ name, asks, actor }: AgentRecord, { askId, signal }: Ask): TroupeError | undefined {
    if (this.#agents.get(name)?.record.actor !== actor) {
      const error = agentDead(name, 'it was killed or has crashed');
      this.#emit('dead-letter', { agent: name, askId, error });
      return error;
    }
    if (asks.has(askId)) {
      return new TroupeError('TROUPE_ERR_OPTION_INVALID', `\`askId\` "${askId}" is that of an ask in progress.`);
    }
    if (signal?.aborted !== true) return undefined;
    return new TroupeError('TROUPE_ERR_ASK_CANCELLED', `The \`signal\` of the ask to "${name}" was aborted already.`);
  }

  #start(name: string, spec: ResolvedSpec, backend: string, model: string | undefined): Agent {
    const { maxSteps, maxRetries, mailboxLimit } = spec;
    const conversation = new Conversation(spec.system);
    const actor = createActor(this.#machine, {
      id: name,
      input: {
        name,
        backend,
        limits: { maxSteps, maxRetries, mailboxLimit, compressAtTokens: null },
        messages: conversation.length,
        tokens: 0,
      },
    });
    const createdAt = this.#runtime.clock.now();
    const record: AgentRecord = {
      ...{ name, spec, conversation, createdAt, backend, model, actor },
      ...{ asks: new Map(), usage: unknownUsage, costUsd: undefined },
    };
    const agent = new Agent(record, this.#host);
    this.#agents.set(name, { record, agent });
    actor.subscribe({ error: (thrown) => this.#crash(record, thrown) });
    actor.start();
    return agent;
  }

  /** The machine itself failed (I9 says never): what waits is answered, the agent is gone, nobody else notices. */
  #crash(record: AgentRecord, thrown: unknown): void {
    const error = toTroupeError(thrown, `Agent "${record.name}"`);
    for (const ask of record.asks.values()) ask.reject(error.with({ agent: record.name, askId: ask.askId }));
    record.asks.clear();
    this.#bury(record);
  }

  #bury(record: AgentRecord): void {
    if (this.#agents.get(record.name)?.record !== record) return;
    this.#agents.delete(record.name);
    this.#buried = addSpend(this.#buried, record);
    this.#emit('agent-dead', record.name);
  }

  #backendName(backend: string | Backend = embeddedBackend): string {
    return typeof backend === 'string' ? backend : this.#backends.nameOf(backend);
  }

  async #close(): Promise<void> {
    for (const { record } of [...this.#agents.values()])
      record.actor.send({ type: 'kill', reason: 'the troupe was closed' });
    await this.#backends.close();
  }

  #assertOpen(): void {
    if (this.#closing === undefined) return;
    throw new TroupeError('TROUPE_ERR_TROUPE_CLOSED', 'The troupe is closed: create another.');
  }

  /** Like `emit`, but a listener that throws neither stops the others nor reaches us. */
  #emit<Name extends keyof TroupeEvents>(name: Name, ...args: TroupeEvents[Name]): void {
    for (const listener of this.#events.listeners(name)) {
      try {
        (listener as (...args: TroupeEvents[Name]) => void)(...args);
      } catch {
        // A listener's own failure is its own.
      }
    }
  }
}

function addSpend(sum: ReturnType<Troupe['usage']>, { usage, costUsd }: Pick<AgentRecord, 'usage' | 'costUsd'>) {
  return { usage: addUsage(sum.usage, usage), costUsd: addKnown(sum.costUsd, costUsd) };
}

function counter(): Ids {
  const counts = new Map<string, number>();
  return (kind) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return `${kind}-${count}`;
  };
}

const isName: Rule = (value) =>
  typeof value === 'string' && /^[\p{L}\p{N}][\p{L}\p{N} ._:-]{0,99}$/u.test(value)
    ? undefined
    : 'a name of 1 to 100 letters, digits, blanks, ".", "_", ":" or "-" that begins with a letter or digit';

const isSignal: Rule = (value) =>
  typeof (value as AbortSignal | null)?.addEventListener === 'function' ? undefined : 'an AbortSignal';

const askRules: Readonly<Record<keyof AskOptions | 'prompt', Rule>> = {
  prompt: rules.anyText,
  askId: rules.text,
  timeoutMs: rules.positiveMs,
  signal: isSignal,
};

const troupeRules: Readonly<Record<keyof TroupeOptions, Rule>> = {
  backends: rules.object,
  defaults: rules.object,
  clock: rules.object,
  ids: rules.callback,
  random: rules.callback,
};
