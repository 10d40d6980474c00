/** What an event makes of the model: all that an agent should do. */
import { type AskModel, crashed, type Model, runningTools, targetOf } from './agent-model.ts';
import { lifeLine, outcomeLine, toolLines } from './model-lines.ts';
import type { ModelEvent } from './shape.ts';

const dead = 'TROUPE_ERR_AGENT_DEAD';

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
      model.refusals.push(model.at === 'dead' ? dead : 'TROUPE_ERR_ASK_CANCELLED');
      if (model.at === 'dead') model.deadLetters.push('aborted');
      return;
    case 'ask-again':
      model.refusals.push('TROUPE_ERR_OPTION_INVALID');
      return;
    case 'compress':
      model.wish = model.at !== 'dead';
      if (model.at === 'idle') takeNext(model);
      return;
    case 'kill':
      return kill(model);
    case 'fork':
      if (model.at === 'dead') model.refusals.push(dead);
      else model.twin = { log: [...model.log], shared: model.log.length };
      return;
    case 'twin-ask':
      if (!model.shape.stateless) model.twin?.log.push('user: twin prompt', 'assistant: twin answer');
      return;
    case 'late':
      model.lateResults += model.strays;
      Object.assign(model, { strays: 0, strayTools: 0 });
      return;
    case 'stop':
      return stop(model);
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
    ...{ prompted: false, delivered: false, partial: '', seen: '', discard: 0, kept: '', said: '' },
    ...{ toolsDone: 0, decided: [], call: 0, log: [] },
  };
  if (model.at === 'dead') {
    model.deadLetters.push(id);
    fail(model, id, dead);
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
  (model.asks[id] as AskModel).backend = model.home;
  if (model.big) model.at = 'compressing';
  else call(model);
}

function call(model: Model): void {
  const ask = model.asks[model.hand ?? ''] as AskModel;
  model.at = 'calling';
  model.calls += 1;
  if (ask.discard > 0) ask.seen = ask.seen.slice(0, -ask.discard);
  Object.assign(ask, { call: model.calls, delivered: false, partial: '', discard: 0, toolsDone: 0, decided: [] });
}

function takeNext(model: Model): void {
  model.hand = undefined;
  model.at = model.wish ? 'compressing' : 'idle';
  if (model.wish) return;
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
  model.wish = false;
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
      append(model, id, [`assistant: ${ask.kept}answer ${ask.call}`]);
      model.big = event === 'big-text';
      if (model.shape.sticky) model.home = ask.backend;
      ask.outcome = outcomeLine(`${ask.kept}answer ${ask.call}`, ask.attempts, '');
      return takeNext(model);
    case 'tools':
    case 'big-tools':
    case 'guarded-tools':
      ask.attempts.push(`${backend} ok`);
      Object.assign(ask, { said: `${ask.kept}looking ${ask.call}`, kept: '' });
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

const failureCodes: Partial<Record<ModelEvent, string>> = {
  transient: 'TROUPE_ERR_BACKEND_UNREACHABLE',
  fatal: 'TROUPE_ERR_BACKEND_AUTH',
  crash: crashed,
  overflow: 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW',
  silence: 'TROUPE_ERR_BACKEND_TIMEOUT',
};

function callFailed(model: Model, ask: AskModel, event: ModelEvent, backend: string): void {
  ask.lastFailure = failureCodes[event] ?? 'unknown event';
  ask.attempts.push(`${backend} ${ask.lastFailure}`);
  const { replay, maxRetries } = model.shape;
  const isFinal = ask.delivered && replay === false;
  if (event === 'silence') model.strays += 1;
  if (ask.delivered && replay === true) ask.discard = ask.partial.length;
  if (ask.delivered && replay === 'continue') Object.assign(ask, { kept: `${ask.kept}${ask.partial}`, partial: '' });
  if (event === 'overflow' && !ask.overflowed && !isFinal) {
    ask.overflowed = true;
    model.at = 'compressing';
  } else if ((event === 'transient' || event === 'silence') && !isFinal && ask.retries < maxRetries) {
    ask.retries += 1;
    model.at = 'backing-off';
  } else model.at = 'failing';
}

/** Text that a reader has seen is not answered a second time, unless that is wanted. */
function choose(model: Model, id: string, ask: AskModel): unknown {
  const { backends, replay } = model.shape;
  if (!ask.delivered || replay !== false) {
    ask.failed.push(ask.backend);
    const next = backends.findIndex((_, index) => !ask.failed.includes(index));
    if (next >= 0) {
      Object.assign(ask, { backend: next, retries: 0 });
      return call(model);
    }
  }
  const code = ask.failed.length < 2 ? ask.lastFailure : 'TROUPE_ERR_BACKENDS_EXHAUSTED';
  if (code !== crashed) return failInHand(model, id, code);
  fail(model, id, code);
  return mayComeBack(model) ? comeBack(model, 'crashed') : die(model, 'crashed');
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

function interrupt(model: Model, id: string, code: string): void {
  const ask = model.asks[id] as AskModel;
  if (model.at === 'tools' || model.at === 'approving') append(model, id, toolLines(ask));
  if (model.at === 'calling') ask.attempts.push(`${model.shape.backends[ask.backend]} ${code}`);
  if (model.at === 'calling') model.strays += 1;
  const tools = model.at === 'tools' ? runningTools(ask) : 0;
  Object.assign(model, { strays: model.strays + tools, strayTools: model.strayTools + tools });
}

function kill(model: Model): void {
  if (model.at === 'dead') return;
  if (model.hand !== undefined) interrupt(model, model.hand, dead);
  die(model, 'killed');
}

/** Another agent of its group has crashed. */
function stop(model: Model): void {
  const { hand } = model;
  if (!mayComeBack(model)) {
    kill(model);
    return;
  }
  if (hand !== undefined) {
    interrupt(model, hand, crashed);
    fail(model, hand, crashed);
  }
  comeBack(model, 'stopped');
}

function mayComeBack({ shape, restarts }: Model): boolean {
  return shape.comesBack === 'always' || (shape.comesBack === 'once' && restarts === 0);
}

/** The same agent with another machine: it has what waits, and what was said. */
function comeBack(model: Model, why: 'crashed' | 'stopped'): void {
  Object.assign(model, { home: 0, restarts: model.restarts + 1 });
  endLife(model, why, true);
  takeNext(model);
}

function die(model: Model, why: 'crashed' | 'killed'): void {
  for (const [id, { outcome }] of Object.entries(model.asks)) if (outcome === undefined) fail(model, id, dead);
  Object.assign(model, { at: 'dead', hand: undefined, mailbox: [], outside: [], wish: false });
  endLife(model, why, false);
}

function endLife({ lives, restarts }: Model, why: 'crashed' | 'killed' | 'stopped', comesBack: boolean): void {
  const code = why === 'crashed' ? crashed : undefined;
  lives.push(lifeLine('worker', { why, code, comesBack, restarts }));
}

function fail(model: Model, id: string, code: string): void {
  const ask = model.asks[id] as AskModel;
  ask.outcome = outcomeLine(code, ask.attempts, `${ask.kept}${ask.partial}`);
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
