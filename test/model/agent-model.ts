/**
 * What an agent should do, written a second time and much simpler: a pure reducer over plain data, without actors, time or
 * promises. It generates tests (which events may happen where) and says what must be seen afterwards.
 */
import type { Message } from '../../src/core/types.ts';
import type { ModelEvent, Shape } from './shape.ts';

/** One ask as the model sees it. */
interface AskModel {
  readonly kind: 'ask' | 'stream';
  /** How it ended: `outcomeLine`. Absent until then. */
  outcome?: string;
  attempts: string[];
  step: number;
  retries: number;
  backend: number;
  /** Backends that failed it for good. */
  failed: number[];
  lastFailure: string;
  overflowed: boolean;
  prompted: boolean;
  delivered: boolean;
  /** Text of the call in flight, and all text that a reader of the stream has seen. */
  partial: string;
  seen: string;
  /** How many of its tools have ended, of those that were not denied. */
  toolsDone: number;
  /** The decisions on the tools of the step in hand, in the order of the calls. */
  decided: ('allow' | 'deny')[];
  /** Number of its last model call. */
  call: number;
  /** Of a stateless agent: what it said in this ask. */
  log: string[];
}

export interface Model {
  readonly shape: Shape;
  at: 'idle' | 'calling' | 'backing-off' | 'failing' | 'approving' | 'tools' | 'compressing' | 'dead';
  hand: string | undefined;
  mailbox: string[];
  outside: string[];
  asks: Record<string, AskModel>;
  /** The conversation, a line for each message. */
  log: string[];
  big: boolean;
  calls: number;
  late: boolean;
  deadLetters: string[];
  refusals: string[];
  twin: { readonly log: string[]; readonly shared: number } | undefined;
}

export function startModel(shape: Shape): Model {
  return {
    ...{ shape, at: 'idle', hand: undefined, mailbox: [], outside: [], asks: {}, log: ['system: Be brief.'] },
    ...{ big: false, calls: 0, late: false, deadLetters: [], refusals: [], twin: undefined },
  };
}

/** What of the model's state decides what can happen next. */
export function modelKey(model: Model): string {
  const { at, mailbox, outside, asks, big, late, twin, log, hand } = model;
  const ask = hand === undefined ? undefined : asks[hand];
  const ended = Object.values(asks).some(({ outcome }) => outcome !== undefined);
  return [
    at,
    `mail ${mailbox.map((id) => asks[id]?.kind[0]).join('')}+${outside.length}`,
    ask === undefined
      ? 'nothing in hand'
      : `${ask.kind} step ${ask.step} retry ${ask.retries} backend ${ask.backend}` +
        `${ask.overflowed ? ' overflowed' : ''}${ask.delivered ? ' delivered' : ''} tools ${ask.toolsDone}${ask.decided.map((decision) => ` ${decision}`).join('')}`,
    ...(ended ? ['ended'] : []),
    ...(big ? ['big'] : []),
    ...(late ? ['late'] : []),
    ...(twin ? [`twin +${twin.log.length > twin.shared ? 1 : 0} parent +${log.length > twin.shared ? 1 : 0}`] : []),
  ].join(', ');
}

/** The events of the shape that may happen now. */
export function enabledEvents(model: Model): ModelEvent[] {
  return model.shape.events.filter((event) => isEnabled(model, event));
}

export function isEnabled(model: Model, event: ModelEvent): boolean {
  const { at, hand, mailbox, outside, asks, late, twin } = model;
  const [verb, which] = event.split('-') as [string, string | undefined];
  if (verb === 'expire' || (verb === 'cancel' && which !== 'settled')) {
    if (which === 'hand') return hand !== undefined;
    if (which === 'outside') return outside.length > 0;
    return mailbox.length > (which === 'last' ? 1 : 0);
  }
  switch (event) {
    case 'ask':
    case 'stream':
      return outside.length < 2;
    case 'ask-again':
      return hand !== undefined;
    case 'cancel-settled':
      return Object.values(asks).some(({ outcome }) => outcome !== undefined);
    case 'fork':
      return twin === undefined;
    case 'twin-ask':
      return twin !== undefined;
    case 'late':
      return late;
    case 'one-tool':
      return at === 'tools' && runningTools(asks[hand ?? '']) === 2;
    case 'rest':
      return at === 'tools';
    case 'allow':
    case 'deny':
    case 'undecided':
      return at === 'approving';
    case 'waited':
      return at === 'backing-off';
    case 'chosen':
      return at === 'failing';
    case 'compressed':
    case 'compress-failed':
      return at === 'compressing';
    case 'ask-aborted':
    case 'compress':
    case 'kill':
      return true;
    default:
      return at === 'calling';
  }
}

/** The model after an event. */
export function nextModel(before: Model, event: ModelEvent): Model {
  const { shape, ...data } = before;
  const model: Model = { shape, ...structuredClone(data) };
  apply(model, event);
  letIn(model);
  return model;
}

function apply(model: Model, event: ModelEvent): unknown {
  const { hand } = model;
  if (event.startsWith('cancel-') || event.startsWith('expire-')) return giveUp(model, event);
  switch (event) {
    case 'ask':
    case 'stream':
      return accept(model, event);
    case 'ask-aborted':
      model.refusals.push(model.at === 'dead' ? 'TROUPE_ERR_AGENT_DEAD' : 'TROUPE_ERR_ASK_CANCELLED');
      if (model.at === 'dead') model.deadLetters.push('aborted');
      return;
    case 'ask-again':
      model.refusals.push('TROUPE_ERR_OPTION_INVALID');
      return;
    case 'compress':
      if (model.at === 'idle') model.at = 'compressing';
      return;
    case 'kill':
      return kill(model);
    case 'fork':
      if (model.at === 'dead') model.refusals.push('TROUPE_ERR_AGENT_DEAD');
      else model.twin = { log: [...model.log], shared: model.log.length };
      return;
    case 'twin-ask':
      if (!model.shape.stateless) model.twin?.log.push('user: twin prompt', 'assistant: twin answer');
      return;
    case 'late':
      model.late = false;
      return;
    case 'compressed':
      model.big = false;
      return afterCompress(model);
    case 'compress-failed':
      return afterCompress(model);
    default:
      return hand === undefined ? undefined : inHand(model, hand, model.asks[hand] as AskModel, event);
  }
}

function accept(model: Model, kind: 'ask' | 'stream'): void {
  const id = `a${Object.keys(model.asks).length + 1}`;
  const { shape, mailbox, outside } = model;
  model.asks[id] = {
    ...{ kind, attempts: [], step: 1, retries: 0, backend: 0, failed: [], lastFailure: '', overflowed: false },
    ...{ prompted: false, delivered: false, partial: '', seen: '', toolsDone: 0, decided: [], call: 0, log: [] },
  };
  if (model.at === 'dead') {
    model.deadLetters.push(id);
    fail(model, id, 'TROUPE_ERR_AGENT_DEAD');
  } else if (model.at === 'idle') take(model, id);
  else if (outside.length > 0 || mailbox.length >= shape.mailboxLimit) overflowMailbox(model, id);
  else mailbox.push(id);
}

function overflowMailbox(model: Model, id: string): void {
  const { shape, mailbox, outside } = model;
  if (shape.policy === 'wait') outside.push(id);
  else if (shape.policy === 'drop-oldest' && mailbox.length > 0) {
    fail(model, mailbox.shift() as string, 'TROUPE_ERR_MAILBOX_FULL');
    mailbox.push(id);
  } else fail(model, id, 'TROUPE_ERR_MAILBOX_FULL');
}

function take(model: Model, id: string): void {
  model.hand = id;
  if (model.big) model.at = 'compressing';
  else call(model);
}

function call(model: Model): void {
  const ask = model.asks[model.hand ?? ''] as AskModel;
  model.at = 'calling';
  model.calls += 1;
  Object.assign(ask, { call: model.calls, delivered: false, partial: '', toolsDone: 0, decided: [] });
}

function takeNext(model: Model): void {
  model.hand = undefined;
  model.at = 'idle';
  const next = model.mailbox.shift();
  if (next !== undefined) take(model, next);
}

function letIn(model: Model): void {
  const { shape, mailbox, outside } = model;
  while (outside.length > 0 && (model.at === 'idle' || mailbox.length < shape.mailboxLimit)) {
    const next = outside.shift() as string;
    if (model.at === 'idle') take(model, next);
    else mailbox.push(next);
  }
}

function afterCompress(model: Model): void {
  if (model.hand === undefined) takeNext(model);
  else call(model);
}

function inHand(model: Model, id: string, ask: AskModel, event: ModelEvent): unknown {
  const backend = model.shape.backends[ask.backend];
  switch (event) {
    case 'delta':
      ask.partial += 'piece ';
      if (ask.kind === 'stream') Object.assign(ask, { delivered: true, seen: `${ask.seen}piece ` });
      return;
    case 'text':
    case 'big-text':
      ask.attempts.push(`${backend} ok`);
      append(model, id, [`assistant: answer ${ask.call}`]);
      model.big = event === 'big-text';
      ask.outcome = outcomeLine(`answer ${ask.call}`, ask.attempts, '');
      return takeNext(model);
    case 'tools':
    case 'big-tools':
    case 'guarded-tools':
      ask.attempts.push(`${backend} ok`);
      model.big = event === 'big-tools';
      if (ask.step < model.shape.maxSteps) model.at = event === 'guarded-tools' ? 'approving' : 'tools';
      else failInHand(model, id, 'TROUPE_ERR_ASK_STEPS_EXCEEDED');
      return;
    case 'allow':
    case 'deny':
      return decide(model, id, ask, [event]);
    case 'undecided':
      if (model.shape.onUndecided === 'fail') return giveUp(model, 'expire-hand');
      return decide(model, id, ask, Array(2 - ask.decided.length).fill('deny'));
    case 'one-tool':
      ask.toolsDone = 1;
      return;
    case 'rest':
      return toolsEnd(model, id, ask);
    case 'waited':
      return call(model);
    case 'chosen':
      return choose(model, id, ask);
    default:
      return callFailed(model, ask, event, backend ?? '');
  }
}

/** The tools run once all of them are decided on; without any that may, the step is over. */
function decide(model: Model, id: string, ask: AskModel, decisions: readonly ('allow' | 'deny')[]): void {
  ask.decided.push(...decisions);
  if (ask.decided.length < 2) return;
  model.at = 'tools';
  if (runningTools(ask) === 0) toolsEnd(model, id, ask);
}

function toolsEnd(model: Model, id: string, ask: AskModel): void {
  ask.toolsDone += runningTools(ask);
  append(model, id, toolLines(ask));
  Object.assign(ask, { step: ask.step + 1, retries: 0, toolsDone: 0, decided: [] });
  if (model.big) model.at = 'compressing';
  else call(model);
}

/** How many tools of a step that may run have not ended. */
export function runningTools(ask: AskModel | undefined): number {
  const { decided = [], toolsDone = 0 } = ask ?? {};
  return 2 - decided.filter((decision) => decision === 'deny').length - toolsDone;
}

const failureCodes: Partial<Record<ModelEvent, string>> = {
  transient: 'TROUPE_ERR_BACKEND_UNREACHABLE',
  fatal: 'TROUPE_ERR_BACKEND_AUTH',
  overflow: 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW',
  silence: 'TROUPE_ERR_BACKEND_TIMEOUT',
};

function callFailed(model: Model, ask: AskModel, event: ModelEvent, backend: string): void {
  ask.lastFailure = failureCodes[event] ?? 'unknown event';
  ask.attempts.push(`${backend} ${ask.lastFailure}`);
  model.late ||= event === 'silence';
  if (event === 'overflow' && !ask.overflowed && !ask.delivered) {
    ask.overflowed = true;
    model.at = 'compressing';
  } else if (event !== 'fatal' && event !== 'overflow' && !ask.delivered && ask.retries < model.shape.maxRetries) {
    ask.retries += 1;
    model.at = 'backing-off';
  } else model.at = 'failing';
}

/** Text that a reader has seen is never answered a second time. */
function choose(model: Model, id: string, ask: AskModel): unknown {
  const { backends } = model.shape;
  if (!ask.delivered) {
    ask.failed.push(ask.backend);
    const next = backends.findIndex((_, index) => !ask.failed.includes(index));
    if (next >= 0) {
      Object.assign(ask, { backend: next, retries: 0 });
      return call(model);
    }
  }
  return failInHand(model, id, ask.failed.length < 2 ? ask.lastFailure : 'TROUPE_ERR_BACKENDS_EXHAUSTED');
}

/** Cancel or deadline, of an ask wherever it is. */
function giveUp(model: Model, event: ModelEvent): void {
  const code = event.startsWith('cancel') ? 'TROUPE_ERR_ASK_CANCELLED' : 'TROUPE_ERR_ASK_TIMEOUT';
  const id = targetOf(model, event);
  if (id === undefined) return;
  if (id === model.hand) {
    interrupt(model, id, code);
    failInHand(model, id, code);
  } else {
    model.mailbox = model.mailbox.filter((other) => other !== id);
    model.outside = model.outside.filter((other) => other !== id);
    fail(model, id, code);
  }
}

/** The ask that a cancel or a deadline is about. */
export function targetOf({ hand, mailbox, outside }: Model, event: ModelEvent): string | undefined {
  if (event.endsWith('-hand')) return hand;
  if (event.endsWith('-first')) return mailbox[0];
  if (event.endsWith('-last')) return mailbox.at(-1);
  return event.endsWith('-outside') ? outside[0] : undefined;
}

function interrupt(model: Model, id: string, code: string): void {
  const ask = model.asks[id] as AskModel;
  if (model.at === 'tools' || model.at === 'approving') append(model, id, toolLines(ask));
  if (model.at === 'calling') ask.attempts.push(`${model.shape.backends[ask.backend]} ${code}`);
  model.late ||= model.at === 'calling' || model.at === 'tools';
}

function kill(model: Model): void {
  if (model.at === 'dead') return;
  const code = 'TROUPE_ERR_AGENT_DEAD';
  if (model.hand !== undefined) interrupt(model, model.hand, code);
  for (const [id, { outcome }] of Object.entries(model.asks)) if (outcome === undefined) fail(model, id, code);
  Object.assign(model, { at: 'dead', hand: undefined, mailbox: [], outside: [] });
}

function fail(model: Model, id: string, code: string): void {
  const ask = model.asks[id] as AskModel;
  ask.outcome = outcomeLine(code, ask.attempts, ask.partial);
}

function failInHand(model: Model, id: string, code: string): void {
  fail(model, id, code);
  takeNext(model);
}

function append(model: Model, id: string, lines: readonly string[]): void {
  const ask = model.asks[id] as AskModel;
  const log = model.shape.stateless ? ask.log : model.log;
  log.push(...(ask.prompted ? [] : [`user: prompt ${id}`]), ...lines);
  ask.prompted = true;
}

function toolLines({ call: number, toolsDone, decided }: AskModel): string[] {
  let done = toolsDone;
  const ends = [0, 1].map((index) => {
    if (decided[index] === 'deny') return 'denied';
    done -= 1;
    return done < 0 ? 'interrupted' : 'done';
  });
  return [
    `assistant: looking ${number} -> c${number}-1 c${number}-2`,
    ...ends.map((end, index) => `tool: c${number}-${index + 1} ${end}`),
  ];
}

/** What the call in flight must have sent. */
export function requestOf(model: Model): string[] {
  const id = model.hand ?? '';
  const ask = model.asks[id] as AskModel;
  return [...model.log, ...ask.log, ...(ask.prompted ? [] : [`user: prompt ${id}`])];
}

export function outcomeLine(what: string, attempts: readonly string[], partial: string): string {
  return `${what} (${attempts.join(', ')})${partial === '' ? '' : ` after "${partial}"`}`;
}

/** A message as the model writes it. */
export function messageLine(message: Message): string {
  switch (message.role) {
    case 'assistant': {
      const calls = message.toolCalls?.map(({ id }) => id).join(' ');
      return `assistant: ${message.content}${calls === undefined ? '' : ` -> ${calls}`}`;
    }
    case 'tool':
      return `tool: ${message.callId} ${/interrupted|denied/.exec(message.content)?.[0] ?? message.content}`;
    default:
      return `${message.role}: ${message.content}`;
  }
}
