/**
 * The way of an ask into an agent's mailbox, and out of it when it is cancelled or expires.
 *
 * M1  Every ask is settled: by the agent's machine, or here when the machine never gets it.
 * M2  Asks enter the mailbox in the order in which they were delivered, those that waited outside first.
 */
import type { StoredAskState } from '../../actors/store/store.ts';
import type { Schema } from '../../actors/tools/schema.ts';
import { Budget } from '../core/budget.ts';
import { Conversation } from '../core/conversation.ts';
import { TroupeError, toTroupeError } from '../core/errors.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import { upperBound } from '../core/token-bounds.ts';
import type { Image } from '../core/types.ts';
import type { AgentRecord, Runtime } from './agent-record.ts';
import { isReplay } from './agent-spec.ts';
import { Ask, type AskOptions } from './ask.ts';
import { currentPath, offPath, pathRefusal, waitFor } from './ask-path.ts';
import { agentDead, failureOf, mailboxFull, reject } from './bind.ts';
import { replyOf } from './reply.ts';
import type { AnsweredAsk } from './settled-asks.ts';
import { outputForm, outputInvalid } from './structured-output.ts';

const noImages: readonly Image[] = [];

/** Asks that may wait outside one mailbox. */
const outsideLimit = 10_000;

/** What mail needs to know of the troupe. */
export interface MailHost {
  isAlive(record: AgentRecord): boolean;
  /** An ask that could not be delivered. */
  deadLetter(record: AgentRecord, askId: string, error: TroupeError): void;
  /** An ask was accepted; `settled` follows. */
  accepted(record: AgentRecord, ask: Ask): void;
  settled(record: AgentRecord, ask: Ask): void;
  /** Why no ask is taken any more; undefined while asks are. `isInner`: whether a tool makes it for an ask in hand. */
  closed(isInner: boolean): TroupeError | undefined;
}

export class Mail {
  readonly #runtime: Runtime;
  readonly #host: MailHost;

  constructor(runtime: Runtime, host: MailHost) {
    this.#runtime = runtime;
    this.#host = host;
  }

  /** Makes an ask. Throws `TROUPE_ERR_OPTION_INVALID`. */
  prepare(record: AgentRecord, prompt: string, options: AskOptions<Schema | undefined>): Ask {
    try {
      return this.#make(record, prompt, options);
    } catch (thrown) {
      throw toTroupeError(thrown, `Agent "${record.name}"`);
    }
  }

  #make(record: AgentRecord, prompt: string, options: AskOptions<Schema | undefined>): Ask {
    checkOptions(`ask of "${record.name}"`, { prompt, ...options }, askRules);
    const { clock, ids } = this.#runtime;
    const { spec } = record;
    const { askId = ids('ask'), signal, images = noImages, schema } = options;
    const outer = currentPath();
    const timeoutMs = Math.min(
      options.timeoutMs ?? spec.timeouts.askMs,
      outer?.timeLeftMs() ?? Number.POSITIVE_INFINITY,
    );
    const conversation = spec.stateless ? new Conversation(spec.system) : record.conversation;
    const form = schema === undefined ? undefined : outputForm(schema);
    const { replay = spec.replay, budgetUsd, compression } = options;
    const parent = record.budget;
    const budget = budgetUsd === undefined ? parent : new Budget(`ask "${askId}"`, budgetUsd, { parent });
    return new Ask(prompt, {
      ...{ askId, timeoutMs, signal, images, clock, conversation, outer, form, replay, budget },
      maxTokens: compression?.maxTokens,
      isNamed: options.askId !== undefined,
    });
  }

  /**
   * Puts an ask into the mailbox, lets it wait outside, or rejects it. Gives the ask that is answered: another one when the same
   * was asked before under this id, and may be joined.
   */
  deliver(record: AgentRecord, ask: Ask, mayJoin = true): Ask {
    const running = mayJoin && ask.isNamed ? record.asks.get(ask.askId) : undefined;
    if (running?.prompt.content === ask.prompt.content && this.#join(record, running, ask)) return running;
    this.#deliver(record, ask);
    return ask;
  }

  /** Lets who asks wait for an ask in progress; false when it would wait for itself. */
  #join(record: AgentRecord, running: Ask, { outer, form }: Ask): boolean {
    if (outer !== undefined) {
      if (pathRefusal(record, outer, this.#runtime.maxAskDepth) !== undefined) return false;
      running.onSettled(waitFor(record, outer));
    }
    running.form ??= form;
    return true;
  }

  /** An ask that a process before this one accepted: the agent has it, and it is watched. */
  readmit(record: AgentRecord, stored: StoredAskState): Ask {
    const { askId, prompt, images = noImages, acceptedAt, deadlineAt } = stored;
    const { spec, budget } = record;
    const conversation = spec.stateless ? new Conversation(spec.system) : record.conversation;
    const ask = new Ask(prompt, {
      ...{ askId, timeoutMs: 0, images, clock: this.#runtime.clock, conversation, budget, replay: spec.replay },
      ...{ signal: undefined, outer: undefined, form: undefined, maxTokens: undefined },
      ...{ isNamed: true, accepted: { acceptedAt, deadlineAt } },
    });
    record.asks.set(askId, ask);
    this.#watch(record, ask);
    return ask;
  }

  /** Ends the asks of an agent whose time is over. */
  expireOverdue(record: AgentRecord): void {
    const now = this.#runtime.clock.now();
    for (const ask of record.asks.values()) if (ask.deadlineAt <= now) this.#end(record, ask, 'expire');
  }

  #deliver(record: AgentRecord, ask: Ask): void {
    try {
      offPath(() => this.#admit(record, ask));
    } catch (thrown) {
      record.asks.delete(ask.askId);
      ask.reject(toTroupeError(thrown, `Agent "${record.name}"`).with({ agent: record.name, askId: ask.askId }));
    }
  }

  #admit(record: AgentRecord, ask: Ask): void {
    const { askId, acceptedAt, deadlineAt } = ask;
    const { content: prompt, images } = ask.prompt;
    const refusal = this.#refusal(record, ask);
    if (refusal !== undefined) {
      ask.reject(refusal.with({ agent: record.name, askId }));
      return;
    }
    const answered = ask.isNamed ? record.settled.answered(askId) : undefined;
    if (answered !== undefined) {
      answerAgain(this.#runtime, record, ask, answered);
      return;
    }
    record.asks.set(askId, ask);
    const { store } = this.#runtime;
    store.putAsk({ agent: record.name, askId, prompt, ...(images && { images }), acceptedAt, deadlineAt });
    this.#watch(record, ask);
    const mustWait = record.isResuming || record.outside.length > 0;
    if (mustWait || (record.spec.mailboxPolicy === 'wait' && isFull(record))) this.#wait(record, ask);
    else this.#send(record, ask);
  }

  #tell({ name: agent }: AgentRecord, { askId, prompt, outer }: Ask): void {
    const { watchers } = this.#runtime;
    const by = outer && { by: outer.agent.name };
    if (watchers.any) watchers.onAsk({ phase: 'accepted', agent, askId, prompt: prompt.content, ...by });
  }

  /** Its timer, its hold on signals and whoever waits for it, until it settles. */
  #watch(record: AgentRecord, ask: Ask): void {
    const { signal, outer, deadlineAt } = ask;
    const { clock } = this.#runtime;
    this.#host.accepted(record, ask);
    this.#tell(record, ask);
    const timer = clock.setTimeout(() => this.#end(record, ask, 'expire'), deadlineAt - clock.now());
    const onAbort = () => this.#end(record, ask, 'cancel');
    signal?.addEventListener('abort', onAbort, { once: true });
    outer?.signal.addEventListener('abort', onAbort, { once: true });
    if (outer !== undefined) ask.onSettled(waitFor(record, outer));
    ask.onSettled(() => {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      outer?.signal.removeEventListener('abort', onAbort);
      this.letIn(record);
      this.#host.settled(record, ask);
    });
  }

  /** Ends an ask of the agent as cancelled. Nothing happens when it is settled. */
  cancel(record: AgentRecord, ask: Ask): void {
    this.#end(record, ask, 'cancel');
  }

  #send({ actor }: AgentRecord, { askId, prompt }: Ask): void {
    const { tokens, limits } = actor.getSnapshot().context;
    const ofPrompt = limits.compressAtTokens === null ? 0 : upperBound([prompt]);
    actor.send({ type: 'ask', askId, tokens: tokens + ofPrompt });
  }

  #wait(record: AgentRecord, ask: Ask): void {
    if (record.outside.length < outsideLimit) record.outside.push(ask);
    else reject(this.#runtime, record, ask, mailboxFull(record.actor.getSnapshot().context, outsideLimit));
  }

  /** Lets in those that wait outside; soon, since the machine may be in the middle of the step that makes room. */
  letIn(record: AgentRecord): void {
    if (record.outside.length > 0) queueMicrotask(() => this.#fill(record));
  }

  #fill(record: AgentRecord): void {
    while (record.outside.length > 0 && this.#host.isAlive(record) && !record.isResuming && !isFull(record)) {
      const next = record.outside.shift();
      if (next !== undefined && next.outcome === undefined) this.#send(record, next);
    }
  }

  #end(record: AgentRecord, ask: Ask, type: 'cancel' | 'expire'): void {
    const { askId } = ask;
    const event = { type, askId };
    const at = record.outside.indexOf(ask);
    if (type === 'expire' && ask.decided !== undefined) {
      this.#runtime.store.failed(new Error(`a barrier took longer than the ask "${askId}" had`));
      ask.decided();
    } else if (record.asks.get(askId) !== ask) {
      // It is settled or was refused; the id may be another's by now.
    } else if (at < 0 && !record.isResuming) {
      record.actor.send(event);
    } else {
      if (at >= 0) record.outside.splice(at, 1);
      reject(this.#runtime, record, ask, failureOf(record.actor.getSnapshot().context, ask, event));
    }
  }

  /** Why an ask cannot be delivered. */
  #refusal(record: AgentRecord, { askId, signal, outer }: Ask): TroupeError | undefined {
    const { name, asks } = record;
    const undeliverable =
      this.#host.closed(outer !== undefined) ??
      (this.#host.isAlive(record) ? undefined : agentDead(name, 'it was killed or has crashed'));
    if (undeliverable !== undefined) {
      this.#host.deadLetter(record, askId, undeliverable);
      return undeliverable;
    }
    if (signal?.aborted || outer?.signal.aborted) {
      const message = `The \`signal\` of the ask to "${name}", or of the tool that asks, was aborted already.`;
      return new TroupeError('TROUPE_ERR_ASK_CANCELLED', message);
    }
    const refusal = outer && pathRefusal(record, outer, this.#runtime.maxAskDepth);
    if (refusal !== undefined || !asks.has(askId)) return refusal;
    return new TroupeError('TROUPE_ERR_OPTION_INVALID', `\`askId\` "${askId}" is that of an ask in progress.`);
  }
}

/** Whether the machine would refuse one more ask. */
function isFull({ actor }: AgentRecord): boolean {
  const { value, context } = actor.getSnapshot();
  return value !== 'idle' && context.mailbox.length >= context.limits.mailboxLimit;
}

const isSignal: Rule = (value) =>
  typeof (value as AbortSignal | null)?.addEventListener === 'function' ? undefined : 'an AbortSignal';

const imageTypes: readonly unknown[] = [
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
] satisfies readonly Image['mediaType'][];

const isImages: Rule = (value) =>
  Array.isArray(value) &&
  value.every((image) => imageTypes.includes(image?.mediaType) && typeof image.data === 'string')
    ? undefined
    : `a list of { mediaType, data } with a \`mediaType\` of ${imageTypes.join(', ')} and \`data\` in base64`;

const askRules: Readonly<Record<keyof AskOptions | 'prompt', Rule>> = {
  prompt: rules.anyText,
  askId: rules.text,
  timeoutMs: rules.positiveMs,
  signal: isSignal,
  images: isImages,
  replay: isReplay,
  budgetUsd: rules.amount,
  compression: (value) =>
    rules.positiveCount((value as { maxTokens?: unknown } | null)?.maxTokens) === undefined
      ? undefined
      : '{ maxTokens } with a whole number above 0',
  schema: (value) => (typeof value === 'function' ? undefined : rules.object(value)),
};

/** Answers an ask that was answered before, once that answer is durable. */
function answerAgain(runtime: Runtime, { name: agent }: AgentRecord, ask: Ask, answered: AnsweredAsk): void {
  const { askId, deadlineAt } = ask;
  const { clock, store } = runtime;
  if (answered.prompt !== ask.prompt.content) {
    const message = `\`askId\` "${askId}" is that of another prompt, which was answered.`;
    ask.reject(new TroupeError('TROUPE_ERR_OPTION_INVALID', message, { agent, askId }));
    return;
  }
  const answer = async () => {
    const reply = replyOf(agent, askId, answered.reply);
    const read = ask.form === undefined ? reply : await ask.form.read(reply.text);
    if ('problem' in read) throw outputInvalid(read.problem, reply.text);
    ask.resolve({ ...reply, output: read.output });
  };
  const settle = () => void answer().catch((thrown) => ask.reject(toTroupeError(thrown, `Agent "${agent}"`)));
  const timer = clock.setTimeout(settle, deadlineAt - clock.now());
  ask.onSettled(() => clock.clearTimeout(timer));
  store.barrier().then(settle, settle);
}
