/**
 * Watches a troupe and says what happens, message by message.
 *
 * O1  It never throws into an agent, never sends to one and keeps nothing of a context but a few figures.
 * O2  What it keeps of an agent goes with the agent, what it keeps of an ask with the ask.
 */
import type { InspectionEvent, StateValue, Subscription } from 'xstate';
import { agentMachine } from '../../machines/agent.ts';
import { modelInfo } from '../core/models.ts';
import type { Agent } from '../runtime/agent.ts';
import { callSafely } from '../runtime/guards.ts';
import type {
  AskAccepted,
  AskSettled,
  CallBegan,
  CallEnded,
  RuntimeHooks,
  ToolBegan,
  ToolEnded,
} from '../runtime/hooks.ts';
import type { Troupe } from '../runtime/troupe.ts';
import type { TroupeEvents } from '../runtime/troupe-events.ts';
import type { AgentInfo } from '../runtime/troupe-info.ts';
import type { ContentFilter } from './content.ts';
import { shortEvent } from './drawing.ts';
import { type AgentView, type Detail, supervisorName, type Tokens } from './messages.ts';
import { type MachineStep, pathOf, roundedMs, tokensOf } from './reading.ts';

/** What it remembers of an agent, to say what has changed. */
interface Live {
  path: string;
  depth: number;
  tokens: number;
  messages: number;
  windowTokens: number | undefined;
  /** When its asks were accepted, by id. */
  readonly acceptedAt: Map<string, number>;
}

export interface ObserverOptions {
  readonly troupe: Troupe;
  readonly filter: ContentFilter;
  readonly tell: (agent: string, detail: Detail) => void;
}

export class Observer implements RuntimeHooks {
  readonly #troupe: Troupe;
  readonly #filter: ContentFilter;
  readonly #tell: (agent: string, detail: Detail) => void;
  readonly #live = new Map<string, Live>();
  readonly #subscription: Subscription;
  readonly #listeners: readonly (() => void)[];
  #supervisorPath: string;

  constructor({ troupe, filter, tell }: ObserverOptions) {
    this.#troupe = troupe;
    this.#filter = filter;
    this.#tell = tell;
    this.#supervisorPath = pathOf(troupe.ref.getSnapshot().value);
    for (const info of troupe.agents()) this.#remember(info.name, viewOf(troupe, info));
    this.#subscription = troupe.ref.system.inspect((event: InspectionEvent) => callSafely(() => this.#take(event)));
    this.#listeners = this.#listen();
  }

  /** Watches no longer. */
  stop(): void {
    this.#subscription.unsubscribe();
    for (const leave of this.#listeners) leave();
    this.#live.clear();
  }

  onAsk(event: AskAccepted | AskSettled): void {
    const { agent, askId } = event;
    const acceptedAt = this.#live.get(agent)?.acceptedAt;
    if (event.phase === 'accepted') {
      const prompt = this.#filter.text(event.prompt);
      acceptedAt?.set(askId, this.#troupe.clock.now());
      this.#tell(agent, {
        ...{ kind: 'ask', phase: 'accepted', askId },
        ...(event.by !== undefined && { by: event.by }),
        ...(prompt !== undefined && { prompt }),
      });
      return;
    }
    const since = acceptedAt?.get(askId);
    const text = this.#filter.text(event.text);
    const error = this.#filter.error(event.error);
    acceptedAt?.delete(askId);
    this.#tell(agent, {
      ...{ kind: 'ask', phase: 'settled', askId, outcome: event.outcome },
      ...(since !== undefined && { durationMs: roundedMs(this.#troupe.clock.now() - since) }),
      ...(text !== undefined && { text }),
      ...(error !== undefined && { error }),
    });
  }

  onCall(event: CallBegan | CallEnded): void {
    const { agent, askId, backend, model, step } = event;
    const key = { askId, backend, model, step };
    const live = this.#live.get(agent);
    if (live !== undefined) live.windowTokens = modelInfo(model)?.contextTokens;
    if (event.phase === 'begin') {
      this.#tell(agent, { kind: 'call', phase: 'begin', ...key });
      return;
    }
    const error = this.#filter.error(event.error);
    this.#tell(agent, {
      ...{ kind: 'call', phase: 'end', ...key, durationMs: roundedMs(event.durationMs) },
      ...tokensOf(event),
      ...(error !== undefined && { error }),
      total: this.#totalOf(agent),
    });
  }

  onTool(event: ToolBegan | ToolEnded): void {
    const { agent, askId, call } = event;
    const key = { askId, callId: call.id, tool: this.#filter.name(call.name) };
    if (event.phase === 'begin') {
      const text = this.#filter.text(call.arguments);
      this.#tell(agent, { kind: 'tool', phase: 'begin', ...key, ...(text !== undefined && { arguments: text }) });
      return;
    }
    const { durationMs, result } = event;
    const text = this.#filter.text(result.content);
    this.#tell(agent, {
      ...{ kind: 'tool', phase: 'end', ...key, durationMs: roundedMs(durationMs), isError: result.isError === true },
      ...(text !== undefined && { result: text }),
    });
  }

  #remember(name: string, { state, depth, tokens, messages, windowTokens }: AgentView): void {
    this.#live.set(name, {
      ...{ path: state, depth, tokens, messages, windowTokens },
      acceptedAt: new Map(),
    });
  }

  #totalOf(agent: string): Tokens {
    const { usage, costUsd } = asSpender(this.#troupe.agent(agent));
    return tokensOf({ usage, costUsd });
  }

  #take(event: InspectionEvent): void {
    if (event.type === '@xstate.event') this.#takeEvent(nameOf(event.actorRef), event.event);
    if (event.type !== '@xstate.microstep') return;
    const { machine, value, context } = event.snapshot as unknown as MachineSnapshotParts;
    const way = event._transitions[0];
    const to = pathOf(value);
    if (event.actorRef === this.#troupe.ref) {
      const from = this.#supervisorPath;
      this.#supervisorPath = to;
      if (to !== from) this.#tell(supervisorName, { kind: 'state', from, to, event: event.event.type, source: from });
      return;
    }
    const live = machine?.id === agentMachine.id ? this.#live.get(context.name) : undefined;
    if (live === undefined || way === undefined) return;
    const { output } = event.event as { readonly output?: unknown };
    const source = way.source.path.join('.');
    const entersAnew = way.target !== undefined && way.target.length > 0;
    const from = live.path;
    live.path = to;
    this.#say(live, { agent: context.name, from, to, event: event.event.type, source, entersAnew, context, output });
  }

  /** An event before it is taken. An agent that is started anew begins with one of XState's. */
  #takeEvent(agent: string, event: { readonly type: string; readonly askId?: string }): void {
    const live = this.#live.get(agent);
    if (live === undefined) return;
    if (event.type !== 'xstate.init' || live.path !== 'dead') return;
    const from = live.path;
    live.path = 'idle';
    this.#tell(agent, { kind: 'state', from, to: live.path, event: 'restart', source: '' });
  }

  #say(live: Live, step: MachineStep): void {
    const { agent, from, to, event, source, entersAnew, context } = step;
    if (entersAnew) this.#tell(agent, { kind: 'state', from, to, event: shortEvent(event), source });
    if (context.mailbox.length !== live.depth) {
      live.depth = context.mailbox.length;
      this.#tell(agent, { kind: 'mail', depth: live.depth });
    }
    if (context.tokens !== live.tokens || context.messages !== live.messages) {
      const { tokens, messages } = context;
      const { windowTokens } = live;
      Object.assign(live, { tokens, messages });
      this.#tell(agent, {
        ...{ kind: 'context', tokens, messages },
        ...(windowTokens !== undefined && { windowTokens }),
      });
    }
  }

  #listen(): (() => void)[] {
    const filter = this.#filter;
    const on = <Name extends keyof TroupeEvents>(name: Name, listener: (...args: TroupeEvents[Name]) => void) => {
      this.#troupe.on(name, listener);
      return () => void this.#troupe.off(name, listener);
    };
    const warn = (agent: string, code: string, words?: string) => {
      const message = filter.text(words);
      this.#tell(agent, { kind: 'warning', code, ...(message !== undefined && { message }) });
    };
    return [
      this.#troupe.watch(this),
      on('agent-spawned', (agent) => {
        const view = newView(agent, this.#troupe.clock.now());
        this.#remember(agent.name, view);
        this.#tell(agent.name, { kind: 'spawned', view });
      }),
      on('agent-dead', (name) => {
        this.#live.delete(name);
        this.#tell(name, { kind: 'dead' });
      }),
      on('agent-down', ({ agent, comesBack, restarts, error: summary }) => {
        const error = filter.error(summary);
        if (comesBack) this.#tell(agent, { kind: 'restart', restarts, ...(error !== undefined && { error }) });
      }),
      on('call-failed', (failure) => {
        const { agent, askId, backend, retryInMs } = failure;
        const error = filter.error(failure.error);
        if (retryInMs !== undefined)
          this.#tell(agent, {
            kind: 'retry',
            askId,
            backend,
            retryInMs: roundedMs(retryInMs),
            ...(error && { error }),
          });
      }),
      on('fallback', ({ agent, askId, from, to, error: summary }) => {
        const error = filter.error(summary);
        this.#tell(agent, { kind: 'fallback', askId, from, to, ...(error && { error }) });
      }),
      on('compressed', ({ agent, by, tokensBefore, tokensAfter, problem }) => {
        const error = filter.error(problem?.summary);
        this.#tell(agent, { kind: 'compressed', by, tokensBefore, tokensAfter, ...(error && { error }) });
      }),
      on('budget', ({ budget, share, spentUsd, limitUsd }) =>
        this.#tell(supervisorName, { kind: 'budget', budget, share, spentUsd, limitUsd }),
      ),
      on('breaker', ({ backend, state, class: errorClass, retryAt }) =>
        this.#tell(supervisorName, {
          ...{ kind: 'breaker', backend, state },
          ...(errorClass !== undefined && { class: errorClass }),
          ...(retryAt !== undefined && { retryAt: roundedMs(retryAt) }),
        }),
      ),
      on('dead-letter', ({ agent, askId, error }) =>
        this.#tell(agent, { kind: 'dead-letter', askId, code: error.code }),
      ),
      on('approval-needed', ({ agent, askId, call, expiresAt }) => {
        const text = filter.text(call.arguments);
        this.#tell(agent, {
          ...{ kind: 'approval', askId, callId: call.id, tool: filter.name(call.name), expiresAt },
          ...(text !== undefined && { arguments: text }),
        });
      }),
      on('warning', ({ agent, code, message }) => warn(agent, code, message)),
      on('mcp-failed', ({ server }) => warn(supervisorName, 'mcp-failed', server)),
      on('mcp-tool-changed', ({ server, tool }) => warn(supervisorName, 'mcp-tool-changed', `${server}: ${tool}`)),
      on('mcp-warning', ({ server, message }) => warn(supervisorName, 'mcp-warning', `${server}: ${message}`)),
      on('store-failed', ({ code, message }) => warn(supervisorName, code, message)),
    ];
  }
}

/** An agent as it is now. */
export function viewOf(troupe: Troupe, info: AgentInfo): AgentView {
  const { name, model, group, createdAt, usage, costUsd } = info;
  const { context, value } = troupe.agent(name)?.ref.getSnapshot() ?? {};
  const windowTokens = modelInfo(model)?.contextTokens;
  return {
    ...{ name, machine: agentMachine.id, state: value === undefined ? info.state : pathOf(value), model, createdAt },
    backend: info.backend,
    depth: info.waiting,
    restarts: info.restarts,
    messages: context?.messages ?? 0,
    tokens: context?.tokens ?? 0,
    total: tokensOf({ usage, costUsd }),
    ...(group !== undefined && { group }),
    ...(windowTokens !== undefined && { windowTokens }),
    ...(typeof context?.askId === 'string' && { askId: context.askId }),
  };
}

/** An agent that was just born. What it calls is known at its first call: to look it up now would cost O(agents). */
function newView(agent: Agent, createdAt: number): AgentView {
  const { context, value } = agent.ref.getSnapshot();
  return {
    ...{ name: agent.name, machine: agentMachine.id, state: pathOf(value), backend: context.backend, createdAt },
    ...{ depth: 0, restarts: 0, messages: context.messages, tokens: context.tokens, total: {} },
  };
}

function asSpender(agent: Agent | undefined) {
  return { usage: agent?.usage(), costUsd: agent?.costUsd };
}

/** An actor's name: an agent's own, for an agent. */
function nameOf(ref: unknown): string {
  return (ref as { readonly id: string }).id;
}

interface MachineSnapshotParts {
  readonly machine?: { readonly id: string };
  readonly value: StateValue;
  readonly context: MachineStep['context'];
}
