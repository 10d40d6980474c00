/** The driver of the supervisor machine: requests go in as events, the machine's effects settle them. */
import { type ActorRefFrom, createActor } from 'xstate';
import { type DownEvent, nextBackend, type SupervisorEvent, supervisorMachine } from '../../machines/supervisor.ts';
import { type ErrorClass, TroupeError, toTroupeError } from '../core/errors.ts';
import { guardInspectors } from './guards.ts';

/** What the supervisor does with agents, which the troupe keeps. */
export interface SupervisorHost {
  kill(name: string, reason: string): void;
  killEveryone(reason: string): void;
  /** The agent's machine is done, or failed with `error`. */
  report(name: string, error?: TroupeError): void;
  restart(name: string): void;
  stopGroupOf(name: string): void;
  killGroupOf(name: string): void;
  bury(name: string): void;
}

/** The part of a failed ask that the choice of the next backend depends on. */
export interface FailedCall {
  readonly chain: readonly string[];
  readonly tried: readonly string[];
  /** Backends whose breaker is open. */
  readonly shut: readonly string[];
  readonly backend: string;
  readonly class: ErrorClass;
}

interface Request {
  /** Does what was asked for, once the machine lets it. */
  readonly grant: () => void;
  readonly refuse: (error: TroupeError) => void;
}

type EventOf<Type extends SupervisorEvent['type']> = Extract<SupervisorEvent, { readonly type: Type }>;

export class Supervisor {
  readonly ref: ActorRefFrom<typeof supervisorMachine>;
  readonly #requests = new Map<string, Request>();
  #tickets = 0;

  constructor(host: SupervisorHost) {
    this.ref = createActor(this.#bind(host), { id: 'supervisor' });
    guardInspectors(this.ref);
    this.ref.start();
  }

  /** Runs `start` if the name is free; rejects with what stands against it. */
  spawn<Result>(name: string, taken: boolean, start: () => Result): Promise<Result> {
    return this.#request((ticket) => ({ type: 'spawn', ticket, name, taken }), start);
  }

  /** Runs `start` if the name is free and the parent alive. */
  fork<Result>(name: string, taken: boolean, parentIsAlive: boolean, start: () => Result): Promise<Result> {
    return this.#request((ticket) => ({ type: 'fork', ticket, name, taken, parentIsAlive }), start);
  }

  kill(name: string, reason: string): void {
    this.ref.send({ type: 'kill', name, reason });
  }

  /** Where a failed ask goes on. */
  chooseBackend(call: FailedCall): Promise<string | undefined> {
    const next = () => nextBackend(call);
    return this.#request((ticket) => ({ type: 'choose', ticket, ...call }), next).catch(() => undefined);
  }

  /** Says what a restart policy makes of the end of a life. */
  down(facts: Omit<DownEvent, 'type'>): void {
    this.ref.send({ type: 'down', ...facts });
  }

  /** Kills every agent; nothing is started afterwards. Called from within an effect, it takes hold when that is over. */
  async close(): Promise<void> {
    this.ref.send({ type: 'close' });
    await Promise.resolve();
    this.ref.stop();
  }

  #request<Result>(toEvent: (ticket: string) => SupervisorEvent, work: () => Result): Promise<Result> {
    this.#tickets += 1;
    const ticket = String(this.#tickets);
    return new Promise((resolve, reject) => {
      const grant = () => {
        try {
          resolve(work());
        } catch (thrown) {
          reject(thrown);
        }
      };
      this.#requests.set(ticket, { grant, refuse: reject });
      this.ref.send(toEvent(ticket));
      if (this.ref.getSnapshot().status !== 'active') this.#settle(ticket)?.refuse(closed());
    });
  }

  #settle(ticket: string): Request | undefined {
    const request = this.#requests.get(ticket);
    this.#requests.delete(ticket);
    return request;
  }

  #bind(host: SupervisorHost) {
    const grant = ({ event }: { event: SupervisorEvent }) => ticketOf(event, (ticket) => this.#settle(ticket)?.grant());
    const refuse = (why: (event: SupervisorEvent) => TroupeError) => {
      return ({ event }: { event: SupervisorEvent }) =>
        ticketOf(event, (ticket) => this.#settle(ticket)?.refuse(why(event)));
    };
    return supervisorMachine.provide({
      actions: {
        'start the agent': grant,
        'start the fork': grant,
        'answer with the next backend': grant,
        'answer with nothing': refuse(closed),
        'refuse the name': refuse(nameTaken),
        'refuse the parent': refuse(parentDead),
        'refuse as closed': refuse(closed),
        'kill the agent': ({ event }) => {
          const { name, reason } = event as EventOf<'kill'>;
          host.kill(name, reason);
        },
        'kill every agent': () => host.killEveryone('the troupe was closed'),
        'report the death': ({ event }) => host.report((event as EventOf<'xstate.done.actor.*'>).actorId),
        'report the failure': ({ event }) => {
          const { actorId, error } = event as EventOf<'xstate.error.actor.*'>;
          host.report(actorId, toTroupeError(error, `Agent "${actorId}"`));
        },
        'restart the agent': ({ event }) => host.restart((event as DownEvent).name),
        'stop the group': ({ event }) => host.stopGroupOf((event as DownEvent).name),
        'kill the group': ({ event }) => host.killGroupOf((event as DownEvent).name),
        'bury the agent': ({ event }) => host.bury((event as DownEvent).name),
      },
    });
  }
}

function ticketOf(event: SupervisorEvent, use: (ticket: string) => void): void {
  if ('ticket' in event) use(event.ticket);
}

function nameTaken(event: SupervisorEvent): TroupeError {
  const agent = 'name' in event ? event.name : '';
  const message = `There is a living agent "${agent}"; kill it first or choose another name.`;
  return new TroupeError('TROUPE_ERR_AGENT_NAME_TAKEN', message, { agent });
}

function parentDead(event: SupervisorEvent): TroupeError {
  const agent = 'name' in event ? event.name : '';
  return new TroupeError('TROUPE_ERR_AGENT_DEAD', `"${agent}" cannot be forked from a dead agent.`, { agent });
}

function closed(): TroupeError {
  return new TroupeError('TROUPE_ERR_TROUPE_CLOSED', 'The troupe is closed; create another.');
}
