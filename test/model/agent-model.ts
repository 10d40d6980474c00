/**
 * What an agent should do, written a second time and much simpler: a pure reducer over plain data, without actors, time or
 * promises. It generates tests (which events may happen where) and says what must be seen afterwards.
 */
import type { ModelEvent, Shape } from './shape.ts';

/** What an ask fails with whose agent crashes. */
export const crashed = 'TROUPE_ERR_AGENT_CRASHED';

/** One ask as the model sees it. */
export interface AskModel {
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
  /** Text that the next call takes back from the reader, and text that it goes on with. */
  discard: number;
  kept: string;
  /** What the model said with the tool calls of the step in hand. */
  said: string;
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
  /** Whether somebody wants it compressed, which it is as soon as it is idle. */
  wish: boolean;
  calls: number;
  /** The backend at which asks begin. */
  home: number;
  /** Times it came back; ends of lives, a line for each. */
  restarts: number;
  lives: string[];
  /** Model calls and tools that were given up and have not ended, how many of them are tools, and how many have ended. */
  strays: number;
  strayTools: number;
  lateResults: number;
  deadLetters: string[];
  refusals: string[];
  twin: { readonly log: string[]; readonly shared: number } | undefined;
}

export function startModel(shape: Shape): Model {
  return {
    ...{ shape, at: 'idle', hand: undefined, mailbox: [], outside: [], asks: {}, log: ['system: Be brief.'] },
    ...{ big: false, wish: false, calls: 0, home: 0, restarts: 0, lives: [], strays: 0, strayTools: 0, lateResults: 0 },
    ...{ deadLetters: [], refusals: [], twin: undefined },
  };
}

/** What of the model's state decides what can happen next. */
export function modelKey(model: Model): string {
  const { at, mailbox, outside, asks, big, wish, home, strays, strayTools, twin, log, hand, restarts, shape } = model;
  const ask = hand === undefined ? undefined : asks[hand];
  const ended = Object.values(asks).some(({ outcome }) => outcome !== undefined);
  return [
    at,
    `mail ${mailbox.map((id) => asks[id]?.kind[0]).join('')}+${outside.length}`,
    ask === undefined ? 'nothing in hand' : askKey(ask),
    ...(at === 'failing' && ask?.lastFailure === crashed ? ['crashed'] : []),
    ...(ended ? ['ended'] : []),
    ...(big ? ['big'] : []),
    ...(wish ? ['wish'] : []),
    ...(strays > 0 ? [`late${strayTools > 0 ? ' tools' : ''}`] : []),
    ...(home > 0 ? [`home ${home}`] : []),
    ...(shape.comesBack === 'once' && restarts > 0 ? ['came back'] : []),
    ...(twin ? [`twin +${twin.log.length > twin.shared ? 1 : 0} parent +${log.length > twin.shared ? 1 : 0}`] : []),
  ].join(', ');
}

function askKey(ask: AskModel): string {
  const { kind, step, retries, backend, overflowed, delivered, discard, kept, toolsDone, decided } = ask;
  return [
    `${kind} step ${step} retry ${retries} backend ${backend}`,
    ...(overflowed ? ['overflowed'] : []),
    ...(delivered ? ['delivered'] : []),
    ...(discard > 0 ? ['to take back'] : []),
    ...(kept === '' ? [] : ['to go on with']),
    `tools ${toolsDone}`,
    ...decided,
  ].join(' ');
}

/** The events of the shape that may happen now. */
export function enabledEvents(model: Model): ModelEvent[] {
  return model.shape.events.filter((event) => isEnabled(model, event));
}

export function isEnabled(model: Model, event: ModelEvent): boolean {
  const { at, hand, mailbox, outside, asks, strays, twin, shape } = model;
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
      return strays > 0;
    case 'stop':
      return at !== 'dead' && shape.events.includes('stop');
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

/** The ask that a cancel or a deadline is about. */
export function targetOf({ hand, mailbox, outside }: Model, event: ModelEvent): string | undefined {
  if (event.endsWith('-hand')) return hand;
  if (event.endsWith('-first')) return mailbox[0];
  if (event.endsWith('-last')) return mailbox.at(-1);
  return event.endsWith('-outside') ? outside[0] : undefined;
}

/** How many tools of a step that may run have not ended. */
export function runningTools(ask: AskModel | undefined): number {
  const { decided = [], toolsDone = 0 } = ask ?? {};
  return 2 - decided.filter((decision) => decision === 'deny').length - toolsDone;
}
