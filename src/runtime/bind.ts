/**
 * Binds the agent machine to the runtime: one bound machine for all agents of a troupe.
 *
 * An action here only works in memory and never throws; it finds its agent by `context.name`.
 */
import { sleep } from '../../actors/clock.ts';
import type { AskOutcome, StoredReply } from '../../actors/store/store.ts';
import { agentMachine } from '../../machines/agent.ts';
import type { AgentContext, AgentEvent, BackendChoice, WorkInput } from '../../machines/agent-types.ts';
import type { Group } from '../core/conversation.ts';
import { type ErrorDetails, TroupeError, toTroupeError } from '../core/errors.ts';
import { upperBound } from '../core/token-bounds.ts';
import type { Json } from '../core/types.ts';
import { unknownUsage } from '../core/usage.ts';
import { type AgentRecord, type Runtime, workOf } from './agent-record.ts';
import { askForApproval } from './approval.ts';
import type { Ask } from './ask.ts';
import { assistantMessage } from './assistant-message.ts';
import { account, callModel } from './call-model.ts';
import { compress, limitOf, placeOf } from './compress.ts';
import type { Reply } from './reply.ts';
import { runTools } from './run-tools.ts';
import { worthCounting } from './token-book.ts';
import { resultsOf } from './tool-results.ts';
import { withoutSession } from './view.ts';
import { workLogic } from './work-logic.ts';

/** The agent machine with everything that it names. */
export function bindAgentMachine(runtime: Runtime): typeof agentMachine {
  return agentMachine.provide({
    actors: {
      callModel: workLogic((input, abort) => callModel(runtime, input, abort)),
      runTools: workLogic((input, abort) => runTools(runtime, input, abort)),
      compress: workLogic((input, abort) => compress(runtime, input, abort)),
      wait: workLogic(({ ms }, { signal }) => sleep(runtime.clock, ms, signal)),
      chooseBackend: workLogic((input, { signal }) => chooseBackend(runtime, input, signal)),
    },
    actions: {
      'let in who waits outside': ({ context }) => {
        const record = runtime.record(context.name);
        if (record) runtime.letIn(record);
      },
      'append the step': ({ context }) => inHand(runtime, context, (record, ask) => appendStep(runtime, record, ask)),
      'append the interrupted step': ({ context }) =>
        inHand(runtime, context, (record, ask) => {
          if (!ask.appended && (ask.response?.toolCalls.length ?? 0) > 0) appendStep(runtime, record, ask);
        }),
      'ask for approval': ({ context }) =>
        inHand(runtime, context, (record, ask) => askForApproval(runtime, record, ask, context.approvals)),
      'resolve the ask': ({ context }) => inHand(runtime, context, (record, ask) => resolve(runtime, record, ask)),
      'reject the ask': ({ context, event }) =>
        inHand(runtime, context, (record, ask) => reject(runtime, record, ask, failureOf(context, ask, event))),
      'reject the queued ask': ({ context, event }) =>
        withAsk(runtime, context, askIdOf(event), (record, ask) =>
          reject(runtime, record, ask, failureOf(context, ask, event)),
        ),
      'reject the oldest': ({ context }) =>
        withAsk(runtime, context, context.mailbox[0], (record, ask) =>
          reject(runtime, record, ask, mailboxFull(context)),
        ),
      'refuse the ask': ({ context, event }) =>
        withAsk(runtime, context, askIdOf(event), (record, ask) => reject(runtime, record, ask, mailboxFull(context))),
      'reject everything': ({ context, event }) => {
        const record = runtime.record(context.name);
        if (record === undefined || record.asks.size === 0) return;
        const error = agentDead(context.name, event.type === 'kill' ? event.reason : 'it is gone');
        for (const ask of record.asks.values()) reject(runtime, record, ask, error);
      },
    },
  });
}

/** The error of an ask that reaches a dead agent or dies with it. */
export function agentDead(name: string, reason: string): TroupeError {
  return new TroupeError('TROUPE_ERR_AGENT_DEAD', `Agent "${name}" is dead (${reason}); spawn another.`, {
    agent: name,
  });
}

type Work = (record: AgentRecord, ask: Ask) => void;

function inHand(runtime: Runtime, context: AgentContext, work: Work): void {
  withAsk(runtime, context, context.askId, work);
}

/** Works on an ask of the agent; nothing happens when the ask is settled or the agent gone. */
function withAsk(runtime: Runtime, { name }: AgentContext, askId: string | null | undefined, work: Work): void {
  const record = runtime.record(name);
  const ask = record?.asks.get(askId ?? '');
  if (record && ask) work(record, ask);
}

function askIdOf(event: AgentEvent): string | undefined {
  return 'askId' in event ? event.askId : undefined;
}

/** The step's group: the prompt if it is the first, the model's message, and a result for each of its calls. */
export function appendStep(runtime: Runtime, record: AgentRecord, ask: Ask): void {
  const { name, spec } = record;
  const { response, conversation } = ask;
  if (response === undefined) return;
  const group: Group = [...(ask.prompted ? [] : [ask.prompt]), assistantMessage(response), ...resultsOf(ask)];
  // A session that was sent less for this ask alone has not heard what the agent goes on with.
  const logged = ask.view === undefined ? group : withoutSession(group);
  conversation.append(logged);
  if (conversation === record.conversation) record.view?.conversation.append(logged);
  ask.view?.conversation.append(group);
  if (!spec.stateless) runtime.store.appendGroup(name, logged, ask.askId);
  ask.prompted = true;
  ask.appended = true;
}

function resolve(runtime: Runtime, record: AgentRecord, ask: Ask): void {
  const { response } = ask;
  if (response === undefined) return;
  record.asks.delete(ask.askId);
  const reply: Reply<unknown> = {
    askId: ask.askId,
    agent: record.name,
    text: response.text,
    output: ask.output,
    ...(response.reasoning === undefined ? {} : { reasoning: response.reasoning }),
    finishReason: response.finishReason,
    steps: ask.steps,
    usage: ask.usage,
    costUsd: ask.costUsd,
    attempts: ask.attempts,
    durationMs: runtime.clock.now() - ask.acceptedAt,
  };
  const outcome: AskOutcome = { kind: 'reply', reply: storedReply(reply) };
  runtime.store.settleAsk(record.name, ask.askId, outcome);
  if (ask.isNamed) record.settled.add(ask.askId, { prompt: ask.prompt.content, outcome });
  afterBarrier(runtime, ask, () => ask.resolve(reply));
}

function storedReply({
  text,
  output,
  reasoning,
  finishReason,
  steps,
  attempts,
  durationMs,
}: Reply<unknown>): StoredReply {
  return {
    ...{ text, finishReason, steps, attempts, durationMs },
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(output === undefined ? {} : { output: output as Json }),
  };
}

/**
 * Settles an ask with an error, once what was written before is durable, but at once when it must not wait: its time is
 * over, or its agent is gone.
 */
export function reject(runtime: Runtime, record: AgentRecord, ask: Ask, error: TroupeError): void {
  account(runtime, record, ask, { usage: unknownUsage, costUsd: undefined, error: error.summary });
  record.asks.delete(ask.askId);
  const details: ErrorDetails = {
    agent: record.name,
    askId: ask.askId,
    attempts: ask.attempts,
    partialText: error.partialText ?? (`${ask.kept}${ask.partialText}` || undefined),
  };
  // What a process before this one was asked, the next one answers.
  if (!(ask.isReadmitted && runtime.isClosing()))
    runtime.store.settleAsk(record.name, ask.askId, { kind: 'error', ...error.summary });
  if (ask.isNamed)
    record.settled.add(ask.askId, { prompt: ask.prompt.content, outcome: { kind: 'error', ...error.summary } });
  const full = error.with(details);
  if (error.class === 'crashed') record.life.lastError = error.summary;
  if (error.code === 'TROUPE_ERR_ASK_TIMEOUT' || error.code === 'TROUPE_ERR_AGENT_DEAD') ask.reject(full);
  else afterBarrier(runtime, ask, () => ask.reject(full));
}

/** Settles an ask when what was written before is durable, is known not to become so, or the ask's time is over. */
function afterBarrier({ store }: Runtime, ask: Ask, settle: () => void): void {
  ask.decided = settle;
  store.barrier().then(settle, settle);
}

/** The next backend of the chain, unless the caller has seen text of the failed call: that must not come twice. */
async function chooseBackend(runtime: Runtime, input: WorkInput, signal: AbortSignal): Promise<BackendChoice> {
  const { record, ask } = workOf(runtime, input);
  const failure = ask.failures.at(-1);
  const giveUp = (): BackendChoice => {
    const crashed = failure === undefined || allFailed(ask)?.class === 'crashed';
    return { kind: 'give-up', crashed };
  };
  // Where no backend failed, no other one helps.
  if (failure?.backend === undefined || (ask.delivered && ask.replay === false)) return giveUp();
  ask.failedBackends.add(input.backend);
  const { chain } = record.spec;
  const tried = [...ask.failedBackends];
  const next = await runtime.chooseBackend({ chain, tried, backend: input.backend, class: failure.class });
  if (next === undefined) return giveUp();
  const { summary } = failure;
  ask.emit({ type: 'fallback', backend: next, error: summary });
  runtime.tell('fallback', { agent: record.name, askId: ask.askId, from: input.backend, to: next, error: summary });
  return { kind: 'use', backend: next, compressFirst: await isTooMuchFor(runtime, record, ask, next, signal) };
}

/** Whether what an ask sends may be more than another backend takes; one that must be asked for that is, if it is worth it. */
async function isTooMuchFor(runtime: Runtime, record: AgentRecord, ask: Ask, backend: string, signal: AbortSignal) {
  const tokens = record.actor.getSnapshot().context.tokens + (ask.prompted ? 0 : upperBound([ask.prompt]));
  const place = placeOf(runtime, record, backend);
  const { clock } = runtime;
  const isWorthAsking = tokens > worthCounting;
  const window = isWorthAsking
    ? await runtime.tokens.askWindow(place, { clock, signal })
    : runtime.tokens.window(place);
  const limit = limitOf(record, window);
  return limit !== null && tokens > limit;
}

/** One failure as it is; those of several backends as one error that names each. */
function allFailed(ask: Ask): TroupeError | undefined {
  const last = ask.failures.at(-1);
  if (ask.failedBackends.size < 2) return last;
  const lastOf = new Map(ask.failures.map((failure) => [failure.backend ?? '', failure]));
  const causes = [...lastOf.values()];
  const list = [...lastOf].map(([backend, { message }]) => `${backend}: ${message}`).join(' | ');
  return new TroupeError('TROUPE_ERR_BACKENDS_EXHAUSTED', `No backend could answer. ${list}`, {
    cause: new AggregateError(causes, 'The last failure of each backend.'),
    retryable: causes.some(({ retryable }) => retryable),
  });
}

/** Why an ask fails, told by the event that ended it. */
export function failureOf(context: AgentContext, ask: Ask, event: { readonly type: string }): TroupeError {
  const { name, limits } = context;
  if (event.type === 'cancel')
    return new TroupeError('TROUPE_ERR_ASK_CANCELLED', `The ask to "${name}" was cancelled.`);
  if (event.type === 'stop') {
    const message = `Agent "${name}" was started anew: ${(event as { readonly reason?: string }).reason ?? 'with its group'}.`;
    return new TroupeError('TROUPE_ERR_AGENT_CRASHED', message);
  }
  if (event.type === 'expire') {
    const ms = Math.round(ask.deadlineAt - ask.acceptedAt);
    const message = ask.expiry ?? `The ask to "${name}" did not end within ${ms} ms.`;
    return new TroupeError('TROUPE_ERR_ASK_TIMEOUT', message);
  }
  if ((ask.response?.toolCalls.length ?? 0) > 0 && context.step >= limits.maxSteps) {
    const message = `Agent "${name}" still wanted tools after ${limits.maxSteps} steps; raise \`maxSteps\` if that is right.`;
    return new TroupeError('TROUPE_ERR_ASK_STEPS_EXCEEDED', message);
  }
  if ('error' in event) return toTroupeError(event.error, `Agent "${name}"`);
  return allFailed(ask) ?? new TroupeError('TROUPE_ERR_AGENT_CRASHED', `Agent "${name}" gave up for no known reason.`);
}

/** The error of an ask for which there is no room; it carries what waits and the limit. */
export function mailboxFull({ name, limits, mailbox }: AgentContext, waitingOutside = 0): TroupeError {
  const waiting = mailbox.length + waitingOutside;
  const message = `Agent "${name}" has ${waiting} asks waiting; its \`mailboxLimit\` is ${limits.mailboxLimit}.`;
  return new TroupeError('TROUPE_ERR_MAILBOX_FULL', message, { waiting, limit: limits.mailboxLimit });
}
