/**
 * The invoked service `callModel`: one model call, from a record to an outcome.
 * It owns the first-event and idle timers and the account of attempts; it never rejects and never appends.
 */
import type { Backend, ModelEvent, ModelResponse } from '../../actors/backend.ts';
import type { CallOutcome, WorkInput } from '../../machines/agent.ts';
import { type Attempt, TroupeError, toTroupeError } from '../core/errors.ts';
import { retryDelayMs } from '../core/retry.ts';
import type { Clock } from '../core/seams.ts';
import { totalTokens, unknownUsage } from '../core/usage.ts';
import { type AgentRecord, type Runtime, workOf } from './agent-record.ts';
import type { Timeouts } from './agent-spec.ts';
import type { Ask } from './ask.ts';
import { checkResponse } from './check-response.ts';
import { callSafely } from './guards.ts';
import { abandoned } from './work-logic.ts';

/** Makes the model call that `input` describes and says how it ended. Aborting `abort` with `abandoned` gives it up. */
export async function callModel(runtime: Runtime, input: WorkInput, abort: AbortController): Promise<CallOutcome> {
  const { record, ask } = workOf(runtime, input);
  const backend = runtime.backend(input.backend);
  const model = record.spec.models.get(input.backend) ?? backend.model;
  ask.begin({ backend: input.backend, model, step: input.step, startedAt: runtime.clock.now() }, abort);
  await runtime.store.barrier();
  if (abort.signal.aborted) return stale;
  ask.emit({ type: 'step-start', step: input.step, backend: input.backend, model });
  try {
    const response = await watchedCall(runtime, { record, ask, backend, model, abort });
    return abort.signal.reason === abandoned ? stale : succeed(runtime, record, ask, input, response);
  } catch (thrown) {
    if (abort.signal.reason === abandoned) return stale;
    const known = toTroupeError(thrown, `Backend "${input.backend}"`);
    const error = known.with({
      partialText: known.partialText ?? (ask.partialText || undefined),
      agent: record.name,
      askId: ask.askId,
      backend: input.backend,
      model,
    });
    return fail(runtime, record, ask, input, error);
  } finally {
    ask.work = undefined;
  }
}

/** What nobody waits for: the machine has left the state that invoked the call. */
const stale: CallOutcome = {
  kind: 'failed',
  askId: null,
  attempt: -1,
  class: 'cancelled',
  retryInMs: null,
  shown: false,
};

interface Call {
  readonly record: AgentRecord;
  readonly ask: Ask;
  readonly backend: Backend;
  readonly model: string;
  readonly abort: AbortController;
}

/** The call, watched for silence. It ends when its controller is aborted, whether the backend obeys or not. */
function watchedCall(runtime: Runtime, { record, ask, backend, model, abort }: Call): Promise<ModelResponse> {
  const { signal } = abort;
  const watch = new Watch(runtime.clock, record.spec.timeouts, (what, ms) => {
    const message = `Backend "${backend.kind}" sent ${what} for ${ms} ms.`;
    abort.abort(new TroupeError('TROUPE_ERR_BACKEND_TIMEOUT', message));
  });
  let over = false;
  const onEvent = (event: ModelEvent) => {
    if (over || signal.aborted) return;
    watch.heard();
    if (event.type !== 'tool-call-delta') ask.emit(event);
  };
  return new Promise<ModelResponse>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    backend
      .call({
        agent: record.name,
        model,
        conversation: ask.conversation,
        prompt: ask.prompted ? [] : [ask.prompt],
        tools: record.tools.definitions,
        parameters: record.spec.parameters,
        signal,
        onEvent,
        onLateSpend: (spend) => runtime.addSpend(record, { ...spend, calls: 0 }),
      })
      .then((response) => resolve(checkResponse(response, backend.kind)))
      .catch(reject);
  }).finally(() => {
    over = true;
    watch.end();
  });
}

/** Tells when nothing was heard for too long: before the first content, or between two. One timer for a whole call. */
class Watch {
  readonly #clock: Clock;
  readonly #limits: Required<Timeouts>;
  readonly #onSilence: (what: string, ms: number) => void;
  #lastAt: number;
  #heard = false;
  #timer: unknown;

  constructor(clock: Clock, limits: Required<Timeouts>, onSilence: (what: string, ms: number) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#onSilence = onSilence;
    this.#lastAt = clock.now();
    this.#arm(limits.firstEventMs);
  }

  heard(): void {
    this.#heard = true;
    this.#lastAt = this.#clock.now();
  }

  end(): void {
    this.#clock.clearTimeout(this.#timer);
  }

  /** Never sleeps longer than `idleMs`: something may be heard meanwhile, and from then on that limit counts. */
  #arm(ms: number): void {
    this.#timer = this.#clock.setTimeout(() => this.#look(), Math.min(ms, this.#limits.idleMs));
  }

  #look(): void {
    const { firstEventMs, idleMs } = this.#limits;
    const limitMs = this.#heard ? idleMs : firstEventMs;
    const leftMs = this.#lastAt + limitMs - this.#clock.now();
    if (leftMs > 0) callSafely(() => this.#arm(leftMs));
    else this.#onSilence(this.#heard ? 'nothing more' : 'no content', limitMs);
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
  const { summary } = error;
  account(runtime, record, ask, { usage: unknownUsage, costUsd: undefined, error: summary });
  ask.failures.push(error);
  const remainingMs = ask.deadlineAt - runtime.clock.now();
  const facts = { ...pick(error), retries: input.retries, remainingMs, delivered: ask.delivered };
  const retryInMs = retryDelayMs(facts, runtime.random);
  if (retryInMs !== null && input.retries < record.spec.maxRetries) ask.emit({ type: 'retry', error: summary });
  const fence = { askId: input.askId, attempt: input.attempt };
  return { kind: 'failed', ...fence, class: error.class, retryInMs, shown: ask.delivered };
}

function pick({ class: errorClass, retryable, retryAfterMs }: TroupeError) {
  return { class: errorClass, retryable, retryAfterMs };
}

/** Closes the account of the call in flight, if there is one. */
export function account(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask,
  result: Pick<Attempt, 'usage' | 'costUsd' | 'error'>,
): void {
  if (ask.inFlight === undefined) return;
  const { backend, model, step, startedAt } = ask.inFlight;
  ask.inFlight = undefined;
  ask.attempts.push({ backend, model, step, durationMs: runtime.clock.now() - startedAt, ...result });
  runtime.addSpend(record, { calls: 1, usage: result.usage, costUsd: result.costUsd });
}
