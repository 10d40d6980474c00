/**
 * The invoked service `callModel`: one model call, from a record to an outcome.
 * It owns the first-event and idle timers and the account of attempts; it never rejects and never appends.
 */
import type { Backend, ModelEvent, ModelResponse } from '../../actors/backend.ts';
import type { CallOutcome, WorkInput } from '../../machines/agent.ts';
import { type Attempt, TroupeError, toTroupeError } from '../core/errors.ts';
import { retryDelayMs } from '../core/retry.ts';
import { addKnown, addUsage, totalTokens, unknownUsage } from '../core/usage.ts';
import { type AgentRecord, type Runtime, workOf } from './agent-record.ts';
import type { Ask } from './ask.ts';

/** Makes the model call that `input` describes and says how it ended. */
export async function callModel(runtime: Runtime, input: WorkInput, signal: AbortSignal): Promise<CallOutcome> {
  const { record, ask } = workOf(runtime, input);
  const backend = runtime.backend(input.backend);
  const model = record.spec.models.get(input.backend) ?? backend.model;
  const call = { backend: input.backend, model, step: input.step, startedAt: runtime.clock.now() };
  Object.assign(ask, { inFlight: call, partialText: '', delivered: false, response: undefined });
  ask.results.clear();
  await runtime.store.barrier();
  if (signal.aborted) return stale;
  ask.emit({ type: 'step-start', step: input.step, backend: input.backend, model });
  try {
    const response = await watchedCall(runtime, { record, ask, backend, model, signal });
    if (signal.aborted) throw signal.reason;
    return succeed(runtime, record, ask, input, response);
  } catch (thrown) {
    if (signal.aborted) return stale;
    const known = toTroupeError(thrown, `Backend "${input.backend}"`);
    const error = known.with({
      partialText: known.partialText ?? (ask.partialText || undefined),
      agent: record.name,
      askId: ask.askId,
      backend: input.backend,
      model,
    });
    return fail(runtime, record, ask, input, error);
  }
}

/** What nobody waits for: the machine has left the state that invoked the call. */
const stale: CallOutcome = { kind: 'failed', askId: null, attempt: -1, class: 'cancelled', retryInMs: null };

interface Call {
  readonly record: AgentRecord;
  readonly ask: Ask;
  readonly backend: Backend;
  readonly model: string;
  readonly signal: AbortSignal;
}

/** The call under its two timers. It ends when the signal or a timer says so, whether the backend obeys or not. */
async function watchedCall(runtime: Runtime, { record, ask, backend, model, signal }: Call): Promise<ModelResponse> {
  const { clock } = runtime;
  const { firstEventMs, idleMs } = record.spec.timeouts;
  const abort = new AbortController();
  const stop = () => abort.abort(signal.reason);
  let lastEventAt = clock.now();
  let timer = clock.setTimeout(() => expire(firstEventMs, 'no content'), firstEventMs);
  let heard = false;
  const expire = (ms: number, what: string) => {
    const quietMs = clock.now() - lastEventAt;
    if (heard && quietMs < idleMs) {
      timer = clock.setTimeout(() => expire(idleMs, 'nothing more'), idleMs - quietMs);
      return;
    }
    abort.abort(new TroupeError('TROUPE_ERR_BACKEND_TIMEOUT', `Backend "${backend.kind}" sent ${what} for ${ms} ms.`));
  };
  const onEvent = (event: ModelEvent) => {
    if (abort.signal.aborted) return;
    lastEventAt = clock.now();
    if (!heard) {
      heard = true;
      clock.clearTimeout(timer);
      timer = clock.setTimeout(() => expire(idleMs, 'nothing more'), idleMs);
    }
    if (event.type !== 'tool-call-delta') ask.emit(event);
  };
  signal.addEventListener('abort', stop, { once: true });
  ask.onSettled(stop);
  try {
    return await new Promise<ModelResponse>((resolve, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true });
      backend
        .call({
          agent: record.name,
          model,
          conversation: ask.conversation,
          prompt: ask.prompted ? [] : [ask.prompt],
          tools: record.tools.definitions,
          parameters: record.spec.parameters,
          signal: abort.signal,
          onEvent,
        })
        .then(resolve, reject);
    });
  } finally {
    clock.clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

function succeed(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask,
  input: WorkInput,
  response: ModelResponse,
): CallOutcome {
  const { usage, finishReason } = response;
  const costUsd = response.costUsd ?? (runtime.backend(input.backend).info.price === 'free' ? 0 : undefined);
  account(runtime, record, ask, { usage, costUsd });
  ask.steps += 1;
  ask.response = runnable(response);
  ask.emit({ type: 'step-end', step: input.step, usage, finishReason });
  const wantsTools = ask.response.toolCalls.length > 0;
  const fence = { askId: input.askId, attempt: input.attempt };
  const measured = {
    messages: ask.conversation.length + (ask.prompted ? 1 : 2),
    tokens: totalTokens(usage) ?? 0,
    costUsd: record.costUsd ?? 0,
  };
  return wantsTools
    ? { ...fence, ...measured, kind: 'tool-calls', approvals: [] }
    : { ...fence, ...measured, kind: 'text' };
}

/** Calls of an answer that was cut or filtered may be cut themselves: they never run. */
function runnable(response: ModelResponse): ModelResponse {
  const { unified } = response.finishReason;
  return unified === 'length' || unified === 'content-filter' ? { ...response, toolCalls: [] } : response;
}

function fail(runtime: Runtime, record: AgentRecord, ask: Ask, input: WorkInput, error: TroupeError): CallOutcome {
  const summary = { code: error.code, class: error.class, message: error.message };
  account(runtime, record, ask, { usage: unknownUsage, costUsd: undefined, error: summary });
  ask.failures.push(error);
  const remainingMs = ask.deadlineAt - runtime.clock.now();
  const facts = { ...pick(error), retries: input.retries, remainingMs, delivered: ask.delivered };
  const retryInMs = retryDelayMs(facts, runtime.random);
  if (retryInMs !== null && input.retries < record.spec.maxRetries) ask.emit({ type: 'retry', error: summary });
  return { kind: 'failed', askId: input.askId, attempt: input.attempt, class: error.class, retryInMs };
}

function pick({ class: errorClass, retryable, retryAfterMs }: TroupeError) {
  return { class: errorClass, retryable, retryAfterMs };
}

/** Closes the account of the call in flight. */
function account(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask,
  result: Pick<Attempt, 'usage' | 'costUsd' | 'error'>,
): void {
  if (ask.inFlight === undefined) return;
  const { startedAt, ...call } = ask.inFlight;
  ask.inFlight = undefined;
  ask.attempts.push({ ...call, ...result, durationMs: runtime.clock.now() - startedAt });
  record.usage = addUsage(record.usage, result.usage);
  record.costUsd = addKnown(record.costUsd, result.costUsd);
  runtime.store.addUsage({ agent: record.name, calls: 1, usage: result.usage, costUsd: result.costUsd });
}
