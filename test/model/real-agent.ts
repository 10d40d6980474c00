/**
 * The real agent under the model's events: a troupe whose model calls, tools, supervisor, compression and time wait for the
 * test, and `observe`, which says what can be seen of it in the model's words.
 */
import { type AnyActorLogic, fromPromise } from 'xstate';
import { memoryStore } from '../../actors/store/memory.ts';
import type { Store } from '../../actors/store/store.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { Message } from '../../src/core/types.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { ApprovalDecision } from '../../src/runtime/approval.ts';
import type { AskHandle } from '../../src/runtime/ask-handle.ts';
import type { Reply, StreamEvent } from '../../src/runtime/reply.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import { type GatedBackend, gatedBackend } from '../../src/testing/gated-backend.ts';
import { assertValidMessages } from '../../src/testing/messages.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { type Model, targetOf } from './agent-model.ts';
import { Gate } from './gate.ts';
import { GatedTools } from './gated-tools.ts';
import { lifeLine, messageLine, outcomeLine } from './model-lines.ts';
import { PickClock } from './pick-clock.ts';
import type { ModelEvent, Shape } from './shape.ts';

const limitTokens = 1000;
const firstDeadlineMs = 10_000_000;
const backOffMs = 250;
const silentMs = 100;
const approvalMs = 5000;
/** Breakers have their own tests. */
const noBreaker = { allowedFailures: 1_000_000 };

export interface RealAgent {
  /** Makes an event happen and waits until nothing moves. */
  apply(event: ModelEvent, model: Model): Promise<void>;
  observe(): Observation;
  /** Ends everything; what is then still open. */
  finish(): Promise<Rest>;
}

/** What is still open when all is over, and agents whose last life did not end exactly once. */
interface Rest {
  readonly unsettled: number;
  readonly timers: number;
  readonly oddEnds: readonly string[];
}

export const nothingLeft: Rest = { unsettled: 0, timers: 0, oddEnds: [] };

export interface Observation {
  readonly at: string;
  readonly status: string;
  readonly hand: string | null;
  readonly mailbox: readonly string[];
  readonly waiting: number;
  readonly outcomes: Readonly<Record<string, string>>;
  readonly seen: Readonly<Record<string, string>>;
  readonly refusals: readonly string[];
  readonly deadLetters: readonly string[];
  /** Ends of lives, of all agents but the neighbour. */
  readonly lives: readonly string[];
  readonly lateResults: number;
  /** Settlements in the store and as events, by ask: each once. */
  readonly settled: Readonly<Record<string, string>>;
  readonly log: readonly string[];
  readonly stored: readonly string[];
  readonly twin: readonly string[] | undefined;
  /** Requests that wait: backend and messages. */
  readonly requests: readonly string[];
  /** Tools that run and were not told to stop. */
  readonly running: number;
  /** Tool calls that wait for a decision. */
  readonly deciding: number;
  /** Timers that wait. */
  readonly timers: number;
}

export async function realAgent(shape: Shape): Promise<RealAgent> {
  const real = new Real(shape);
  await real.start();
  return real;
}

class Real implements RealAgent {
  readonly #shape: Shape;
  readonly #clock = new PickClock();
  readonly #backends: Record<string, GatedBackend>;
  readonly #troupe: Troupe;
  readonly #store: Store;
  readonly #stored: string[] = [];
  readonly #settled: Record<string, string[]> = {};
  readonly #tools = new GatedTools();
  readonly #gates = { compress: new Gate('worker'), chooseBackend: new Gate('worker') };
  /** The backend of another agent of its group. */
  readonly #beside = gatedBackend();
  readonly #handles = new Map<string, Pick<AskHandle, 'cancel'>>();
  readonly #outcomes: Record<string, string> = {};
  readonly #seen: Record<string, string> = {};
  readonly #refusals: string[] = [];
  readonly #deadLetters: string[] = [];
  readonly #lives: string[] = [];
  /** By agent: `down` for good, and `dead`. */
  readonly #ends = new Map<string, string[]>();
  #agent!: Agent;
  #twin: Agent | undefined;
  #open = 0;
  #compressFails = false;

  constructor(shape: Shape) {
    this.#shape = shape;
    this.#backends = Object.fromEntries(shape.backends.map((name) => [name, gatedBackend({ ignoreAbort: true })]));
    this.#store = watchedStore((agent, line) => agent === 'worker' && this.#stored.push(line));
    const settleAsk = this.#store.settleAsk.bind(this.#store);
    this.#store.settleAsk = (agent, askId, outcome) => {
      this.#count(agent, askId, `stored ${outcome.kind}`);
      settleAsk(agent, askId, outcome);
    };
    this.#troupe = createTroupe({
      ...{ backends: { ...this.#backends, beside: this.#beside }, clock: this.#clock, store: this.#store },
      ...{ random: () => 0.5, limits: Object.fromEntries(shape.backends.map((name) => [name, noBreaker])) },
    });
    this.#troupe.on('ask-settled', ({ agent, askId, outcome }) => this.#count(agent, askId, outcome));
    this.#troupe.on('dead-letter', ({ askId }) => this.#deadLetters.push(askId));
    this.#troupe.on('agent-spawned', ({ name }) => this.#ends.set(name, []));
    this.#troupe.on('agent-down', ({ agent, why, error, comesBack, restarts }) => {
      if (!comesBack) this.#ends.get(agent)?.push('down');
      if (agent !== 'neighbour') this.#lives.push(lifeLine(agent, { why, code: error?.code, comesBack, restarts }));
    });
    this.#troupe.on('agent-dead', (name) => this.#ends.get(name)?.push('dead'));
  }

  async start(): Promise<void> {
    const { mailboxLimit, policy, maxRetries, maxSteps, onUndecided, backends, stateless, sticky, replay } =
      this.#shape;
    const { comesBack, events } = this.#shape;
    const limits = { maxRestarts: comesBack === 'once' ? 1 : 100, withinMs: comesBack === 'once' ? 1e9 : 1 };
    const isInGroup = events.includes('stop');
    if (isInGroup) {
      this.#troupe.group('crew', { strategy: 'one-for-all', ...limits });
      await this.#troupe.spawn('neighbour', { group: 'crew', backend: 'beside' });
    }
    this.#agent = await this.#troupe.spawn('worker', {
      ...{
        system: 'Be brief.',
        fallback: backends.slice(1),
        tools: [this.#tools.make('gate'), this.#tools.make('guarded')],
      },
      ...{ mailboxLimit, mailboxPolicy: policy, maxRetries, maxSteps, stateless, stickyFallback: sticky, replay },
      ...{ maxSameCalls: 100, approval: { timeoutMs: approvalMs, onTimeout: onUndecided } },
      restart: comesBack === 'never' ? 'temporary' : limits,
      ...(isInGroup && { group: 'crew' }),
      timeouts: { firstEventMs: silentMs, idleMs: silentMs },
    });
    const { machine } = this.#agent.ref.getSnapshot() as unknown as BoundSnapshot;
    const { actors, guards } = machine.implementations;
    // So that every machine of the agent has the limit, those after a crash included.
    for (const name of ['has mail and grew too much', 'grew too much']) guards[name] = withLimit(guards[name]);
    actors['chooseBackend'] = this.#gates.chooseBackend.before(actors['chooseBackend'] as AnyActorLogic);
    const compress = fromPromise(async () => {
      if (this.#compressFails) throw new Error('the strategy failed');
      return { tokens: 10 };
    });
    actors['compress'] = this.#gates.compress.before(compress);
  }

  /** `model` is as it is before the event. */
  async apply(event: ModelEvent, model: Model): Promise<void> {
    this.#do(event, model);
    await settle();
    if (event === 'stop') {
      this.#beside.next().reject(new Error('a bug'));
      await settle();
    }
    if (event !== 'twin-ask') return;
    this.#backends[this.#shape.backends[0] as string]?.next('twin').resolve({ text: 'twin answer' });
    await settle();
  }

  #do(event: ModelEvent, model: Model): unknown {
    const target = targetOf(model, event);
    if (event.startsWith('cancel-') && target !== undefined) return this.#handles.get(target)?.cancel();
    if (event.startsWith('expire-') && target !== undefined) return this.#clock.fire(deadlineOf(target));
    switch (event) {
      case 'ask':
      case 'stream':
        return this.#ask(event, model);
      case 'ask-aborted':
        return this.#refused({ askId: 'aborted', signal: AbortSignal.abort() });
      case 'ask-again':
        return this.#refused({ askId: model.hand as string });
      case 'cancel-settled':
        for (const [id, { outcome }] of Object.entries(model.asks))
          if (outcome !== undefined) this.#handles.get(id)?.cancel();
        return;
      case 'compress':
        return this.#agent.ref.send({ type: 'compress' });
      case 'kill':
        void this.#agent.kill('the test is over');
        return;
      case 'fork':
        return this.#fork();
      case 'twin-ask':
        void this.#twin?.ask('twin prompt');
        return;
      case 'stop':
        // Crashes that are to be forgiven are further apart than the limits count.
        this.#clock.move(1);
        void this.#troupe.agent('neighbour')?.ask('crash');
        return;
      case 'silence':
        return this.#keepSilent(model);
      case 'waited':
        return this.#clock.fire(this.#waitMs(model));
      case 'chosen':
        return this.#gates.chooseBackend.open();
      case 'compressed':
      case 'compress-failed':
        this.#compressFails = event === 'compress-failed';
        return this.#gates.compress.open();
      case 'allow':
        return this.#decide('allow');
      case 'deny':
        return this.#decide({ deny: 'no' });
      case 'undecided':
        return this.#clock.fire(approvalMs);
      case 'one-tool':
        return this.#tools.running[0]?.done();
      case 'rest':
        for (const tool of this.#tools.running) tool.done();
        return;
      case 'late':
        return this.#answerLate();
      default:
        return this.#answer(event, model);
    }
  }

  observe(): Observation {
    const { context, value, status } = this.#agent.ref.getSnapshot();
    const requests = Object.entries(this.#backends).flatMap(([name, { pending }]) =>
      pending.map(({ agent, messages }) => `${agent} at ${name}: ${lines(messages).join(' | ')}`),
    );
    for (const { calls } of Object.values(this.#backends)) for (const call of calls) assertValidMessages(call.messages);
    assertValidMessages(this.#agent.messages());
    return {
      ...{ at: typeof value === 'string' ? value : JSON.stringify(value), status, hand: context.askId },
      mailbox: status === 'active' ? context.mailbox : [],
      waiting: this.#troupe.agents().find(({ name }) => name === 'worker')?.waiting ?? 0,
      ...{ outcomes: this.#outcomes, seen: this.#seen, refusals: this.#refusals, deadLetters: this.#deadLetters },
      ...{ lives: this.#lives, lateResults: this.#troupe.health().lateResults },
      settled: Object.fromEntries(Object.entries(this.#settled).map(([id, facts]) => [id, facts.sort().join(', ')])),
      log: lines(this.#agent.messages()),
      stored: this.#stored,
      twin: this.#twin && lines(this.#twin.messages()),
      requests,
      running: this.#tools.running.length,
      deciding: this.#agent.approvals().length,
      timers: this.#clock.pending,
    };
  }

  async finish(): Promise<Rest> {
    await this.#troupe.close();
    await settle();
    const oddEnds = [...this.#ends].flatMap(([agent, ends]) =>
      ends.join() === 'down,dead' ? [] : [`${agent}: ${ends}`],
    );
    return { unsettled: this.#open, timers: this.#clock.pending, oddEnds };
  }

  #count(agent: string, askId: string, fact: string): void {
    if (agent !== 'worker') return;
    this.#settled[askId] ??= [];
    this.#settled[askId].push(fact);
  }

  #ask(kind: 'ask' | 'stream', model: Model): void {
    const askId = `a${Object.keys(model.asks).length + 1}`;
    const options = { askId, timeoutMs: deadlineOf(askId) };
    this.#seen[askId] = '';
    if (kind === 'ask') {
      const handle = this.#agent.askAsync(`prompt ${askId}`, options);
      this.#handles.set(askId, handle);
      this.#watch(askId, handle.wait());
      return;
    }
    const abort = new AbortController();
    const stream = this.#agent.stream(`prompt ${askId}`, { ...options, signal: abort.signal });
    this.#handles.set(askId, { cancel: () => abort.abort() });
    this.#watch(askId, stream.reply);
    const reading = (async () => {
      for await (const event of stream) this.#seen[askId] = shown(this.#seen[askId] ?? '', event);
    })();
    reading.catch(() => {});
  }

  #watch(askId: string, reply: Promise<Reply>): void {
    this.#open += 1;
    const end = (line: string) => {
      this.#open -= 1;
      this.#outcomes[askId] = line;
    };
    reply.then(
      ({ text, attempts }) => end(outcomeLine(text, attemptLines(attempts), '')),
      (error: TroupeError) =>
        end(outcomeLine(error.code ?? String(error), attemptLines(error.attempts ?? []), error.partialText ?? '')),
    );
  }

  #refused(options: { readonly askId: string; readonly signal?: AbortSignal }): void {
    const refusal = (error: TroupeError) => this.#refusals.push(error.code);
    const handle = this.#agent.askAsync('again', options);
    handle.wait().then(() => this.#refusals.push('answered'), refusal);
    // Its handle has nothing to do with the ask whose id it wanted.
    handle.cancel();
  }

  #fork(): void {
    this.#agent.fork('twin', { group: 'twins' }).then(
      (twin) => {
        this.#twin = twin;
      },
      (error: TroupeError) => this.#refusals.push(error.code),
    );
  }

  #answer(event: ModelEvent, model: Model): unknown {
    const ask = model.asks[model.hand ?? ''];
    const number = ask?.call;
    const backend = this.#backends[this.#shape.backends[ask?.backend ?? 0] as string] as GatedBackend;
    const call = backend.next('worker');
    const usage = (total: number) => ({
      ...{ inputTokens: total, outputTokens: 0, cacheReadTokens: undefined, cacheWriteTokens: undefined },
    });
    const total = event.startsWith('big-') ? limitTokens * 2 : 10;
    const name = event === 'guarded-tools' ? 'guarded' : 'gate';
    const toolCalls = ['1', '2'].map((last) => ({ id: `c${number}-${last}`, name, arguments: '' }));
    switch (event) {
      case 'delta':
        return call.text('piece ');
      case 'text':
      case 'big-text':
        return call.resolve({ text: `answer ${number}`, usage: usage(total) });
      case 'tools':
      case 'big-tools':
      case 'guarded-tools':
        return call.resolve({ text: `looking ${number}`, toolCalls, usage: usage(total) });
      case 'transient':
        return call.reject(new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'reset'));
      case 'fatal':
        return call.reject(new TroupeError('TROUPE_ERR_BACKEND_AUTH', 'wrong key'));
      case 'crash':
        this.#clock.move(1);
        return call.reject(new Error('a bug'));
      case 'overflow':
        return call.reject(new TroupeError('TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW', 'too long'));
      default:
        throw new Error(`The harness does not know "${event}".`);
    }
  }

  /** Lets the time pass in which a call may be silent. */
  #keepSilent(model: Model): void {
    const backend = this.#backends[this.#shape.backends[model.asks[model.hand ?? '']?.backend ?? 0] as string];
    const call = backend?.next('worker');
    for (let looks = 0; call?.request.signal.aborted === false && looks < 10; looks += 1) this.#clock.pass(silentMs);
  }

  /** Everything that was given up answers: model calls and tools. */
  #answerLate(): void {
    for (const { aborted } of Object.values(this.#backends)) {
      for (const [index, call] of aborted.entries()) {
        call.text('late piece');
        const toolCalls = index % 2 === 0 ? [] : [{ id: 'late', name: 'gate', arguments: '' }];
        call.resolve({ text: 'late answer', toolCalls });
      }
    }
    for (const tool of this.#tools.aborted) tool.done();
  }

  #decide(decision: ApprovalDecision): void {
    const [next] = this.#agent.approvals();
    this.#agent.approve(next?.call.id ?? 'none', decision);
  }

  #waitMs(model: Model): number {
    return backOffMs * 2 ** ((model.asks[model.hand ?? '']?.retries ?? 1) - 1);
  }
}

type Guard = (args: { readonly context: { readonly limits: object } }, ...rest: unknown[]) => boolean;

interface BoundSnapshot {
  readonly machine: {
    readonly implementations: {
      readonly actors: Record<string, unknown>;
      readonly guards: Record<string, Guard | undefined>;
    };
  };
}

/** The guard of an agent whose conversation must not take more than `limitTokens`. */
function withLimit(guard: Guard | undefined): Guard {
  return (args, ...rest) => {
    const limits = { ...args.context.limits, compressAtTokens: limitTokens };
    return guard?.({ ...args, context: { ...args.context, limits } }, ...rest) ?? false;
  };
}

/** What a reader of a stream has on the screen after an event. */
function shown(screen: string, event: StreamEvent): string {
  if (event.type === 'text-delta') return screen + event.text;
  return event.type === 'restarted' ? screen.slice(0, screen.length - event.discardChars) : screen;
}

/** Each ask has a deadline that no other timer has. */
function deadlineOf(askId: string): number {
  return firstDeadlineMs + Number(askId.slice(1));
}

function attemptLines(attempts: Reply['attempts']): string[] {
  return attempts.map(({ backend, error }) => `${backend} ${error?.code ?? 'ok'}`);
}

function lines(messages: readonly Message[]): string[] {
  return messages.map(messageLine);
}

/** A store in memory that tells of every message that is appended. */
function watchedStore(tell: (agent: string, line: string) => void): Store {
  const store = memoryStore();
  const appendGroup = store.appendGroup.bind(store);
  return Object.assign(store, {
    appendGroup: (agent: string, group: readonly Message[]) => {
      for (const message of group) tell(agent, messageLine(message));
      appendGroup(agent, group);
    },
  });
}
