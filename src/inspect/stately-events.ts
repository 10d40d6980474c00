/**
 * Messages as the events that Stately Inspector takes: the wire format of `@statelyai/inspect` 0.7, which a test compares with
 * the package itself. What is in them is what our messages say, so it is as redacted as they are: never a context.
 */
import type { AnyStateMachine } from 'xstate';
import { type AgentView, type InspectMessage, type InspectSnapshot, supervisorName } from './messages.ts';

interface Common {
  /** The agent's name. */
  readonly sessionId: string;
  readonly rootId: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: string;
  readonly _version: string;
  readonly id: null;
}

/** What a machine is in. */
export interface StatelySnapshot {
  readonly status: 'active' | 'done';
  readonly value: unknown;
  readonly context: Figures;
}

export type StatelyEvent =
  | (Common & {
      readonly type: '@xstate.actor';
      readonly name: string;
      readonly parentId: string | undefined;
      /** The machine's config as JSON. */
      readonly definition: string;
      readonly snapshot: StatelySnapshot;
    })
  | (Common & {
      readonly type: '@xstate.event';
      readonly event: { readonly type: string };
      readonly sourceId: string | undefined;
    })
  | (Common & {
      readonly type: '@xstate.snapshot';
      readonly event: { readonly type: string };
      readonly snapshot: StatelySnapshot;
    });

/** Stands where a machine's context would. */
interface Figures {
  readonly depth?: number;
  readonly messages?: number;
  readonly tokens?: number;
}

/** Turns messages into events. It keeps a few figures for each living agent. */
export class StatelyEvents {
  readonly #definitions: ReadonlyMap<string, string>;
  readonly #figures = new Map<string, Figures>();

  constructor(machines: readonly AnyStateMachine[]) {
    this.#definitions = new Map(machines.map((machine) => [machine.id, definitionOf(machine)]));
  }

  /** Everybody as they are now. `supervisor` is the state of the supervisor. */
  rosterOf({ at, agents }: InspectSnapshot, supervisor: { machine: string; state: string }): StatelyEvent[] {
    const { machine, state } = supervisor;
    const root = this.#actor(at, { name: supervisorName, machine, state });
    return [root, ...agents.map((view) => this.#actor(at, view))];
  }

  /** One message; some say nothing that the inspector could show. */
  eventsOf(message: InspectMessage): StatelyEvent[] {
    const { at, agent, kind, seq: _seq, ...detail } = message;
    if (message.kind === 'spawned') return [this.#actor(at, message.view)];
    if (message.kind === 'dead') {
      this.#figures.delete(agent);
      return [];
    }
    if (message.kind === 'mail' || message.kind === 'context') {
      const { depth, messages, tokens } = { ...this.#figures.get(agent), ...detail } as Figures;
      this.#figures.set(agent, definedOnly({ depth, messages, tokens }));
      return [];
    }
    if (message.kind === 'state') {
      const event = { type: message.event };
      const snapshot = this.#snapshot(agent, message.to);
      // An ask that was accepted stands there already.
      const sent = message.event === 'ask' ? [] : [this.#event(at, agent, event)];
      return [...sent, { ...common(at, agent), type: '@xstate.snapshot', event, snapshot }];
    }
    const { phase, ...rest } = detail as { readonly phase?: string };
    const by = message.kind === 'ask' && message.phase === 'accepted' ? message.by : undefined;
    const type =
      message.kind === 'ask' && message.phase === 'accepted' ? 'ask' : [kind, phase].filter(Boolean).join(' ');
    return [this.#event(at, agent, { type, ...rest }, by)];
  }

  #actor(at: number, { name, machine, state, ...view }: ActorView): StatelyEvent {
    const { depth, messages, tokens } = view;
    if (name !== supervisorName) this.#figures.set(name, definedOnly({ depth, messages, tokens }));
    return {
      ...common(at, name),
      type: '@xstate.actor',
      name,
      parentId: name === supervisorName ? undefined : supervisorName,
      definition: this.#definitions.get(machine) ?? JSON.stringify({ id: machine }),
      snapshot: this.#snapshot(name, state),
    };
  }

  #event(at: number, agent: string, event: { readonly type: string }, sourceId?: string): StatelyEvent {
    return { ...common(at, agent), type: '@xstate.event', event, sourceId };
  }

  #snapshot(agent: string, path: string): StatelySnapshot {
    const status = path === 'dead' ? 'done' : 'active';
    return { status, value: stateValueOf(path), context: this.#figures.get(agent) ?? {} };
  }
}

type ActorView = Pick<AgentView, 'name' | 'machine' | 'state'> & Partial<AgentView>;

function common(at: number, sessionId: string): Common {
  return { sessionId, rootId: supervisorName, createdAt: String(Math.round(at)), _version: '0.7.2', id: null };
}

function definedOnly(figures: { [Key in keyof Figures]: Figures[Key] | undefined }): Figures {
  return Object.fromEntries(Object.entries(figures).filter(([, figure]) => figure !== undefined));
}

/** A dotted path as XState writes a state: `awaiting.calling` is `{ awaiting: 'calling' }`. */
function stateValueOf(path: string): unknown {
  return path
    .split('.')
    .reduceRight<unknown>((inner, name) => (inner === undefined ? name : { [name]: inner }), undefined);
}

/** A machine's config as JSON. A function is written by its name. */
function definitionOf({ config }: AnyStateMachine): string {
  return JSON.stringify(config, (_key, value: unknown) => (typeof value === 'function' ? { type: value.name } : value));
}
