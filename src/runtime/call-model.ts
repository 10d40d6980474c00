/**
 * The invoked service `callModel`: one model call, from a record to an outcome.
 * It owns the first-event and idle timers and the account of attempts; it never rejects and never appends.
 */
import type { ModelEvent, ModelResponse } from '../../actors/backend.ts';
import { sleep } from '../../actors/clock.ts';
import { untilAborted } from '../../actors/until-aborted.ts';
import type { CallOutcome, WorkInput } from '../../machines/agent-types.ts';
import type { Conversation } from '../core/conversation.ts';
import { type Attempt, type ErrorSummary, TroupeError, toTroupeError } from '../core/errors.ts';
import { printedCalls } from '../core/printed-calls.ts';
import { retryDelayMs } from '../core/retry.ts';
import { upperBound } from '../core/token-bounds.ts';
import type { UserMessage } from '../core/types.ts';
import { totalTokens, unknownUsage } from '../core/usage.ts';
import type { CallEnd } from './admission.ts';
import type { AgentMcp } from './agent-mcp.ts';
import { type AgentRecord, type Runtime, workOf } from './agent-record.ts';
import type { ToolSet } from './agent-spec.ts';
import { neededApprovals } from './approval.ts';
import type { Ask } from './ask.ts';
import { assistantMessage } from './assistant-message.ts';
import { checkResponse } from './check-response.ts';
import { compressForAsk, limitOf, placeOf } from './compress.ts';
import { promptBound } from './prompt-bound.ts';
import { refuseRepeats } from './repeated-calls.ts';
import { costsNothing, defaultMaxTokens, setAside, spendOf } from './spending.ts';
import { type Misfit, outputInvalid, type Sent } from './structured-output.ts';
import { type ModelPlace, worthCounting } from './token-book.ts';
import { hostedResults } from './tool-results.ts';
import { viewInUse } from './view.ts';
import { Watch } from './watch.ts';
import { abandoned } from './work-logic.ts';

/** Makes the model call that `input` describes and says how it ended. Aborting `abort` with `abandoned` gives it up. */
export async function callModel(runtime: Runtime, input: WorkInput, abort: AbortController): Promise<CallOutcome> {
  const { record, ask } = workOf(runtime, input);
  const call = { record, ask, ...placeOf(runtime, record, input.backend), abort };
  ask.begin(record.tools, abort);
  try {
    const turn = admitted(runtime, call);
    if (turn !== undefined) await turn;
  } catch (thrown) {
    if (abort.signal.reason === abandoned) return stale;
    return fail(runtime, call, input, toTroupeError(thrown, `Backend "${input.backend}"`));
  }
  const admission = runtime.admission(input.backend);
  let end: CallEnd | undefined;
  try {
    await begin(runtime, call, input);
    const response = await answer(runtime, call);
    end = { ok: true, tokens: totalTokens(response.usage) };
    return await succeed(runtime, call, input, response);
  } catch (thrown) {
    if (abort.signal.reason === abandoned) return stale;
    const known = toTroupeError(thrown, `Backend "${input.backend}"`);
    end ??= endOf(known);
    if (ask.inFlight === undefined && !isUnmade(known)) blame(ask, known.summary);
    return fail(runtime, call, input, known);
  } finally {
    admission.leave(record.name, end ?? givenUp);
    ask.work = undefined;
  }
}

/** A call that was given up says nothing about its backend. */
const givenUp: CallEnd = { ok: false, error: undefined };

/** What a failed call says about its backend. Where it is ours to say that an answer is none, the backend has answered. */
function endOf(error: TroupeError): CallEnd {
  if (isUnmade(error)) return givenUp;
  return error.code === 'TROUPE_ERR_OUTPUT_INVALID' ? { ok: true, tokens: undefined } : { ok: false, error };
}

/** Whether no call was made, since a budget has no room for it. */
function isUnmade({ code }: TroupeError): boolean {
  return code === 'TROUPE_ERR_BUDGET_EXCEEDED';
}

/** Waits until the call may be made, if it must. Fails when it may not be, or is given up. No backend was called then. */
function admitted(runtime: Runtime, call: Call): Promise<void> | undefined {
  const { record, ask, name, abort } = call;
  const { life, released, mcp } = record;
  const isPlain = life.pausedUntil === 0 && released === undefined && mcp === undefined && ask.maxTokens === undefined;
  if (!isPlain) return admittedLater(runtime, call);
  return runtime.admission(name).enter(record.name, ask.deadlineAt, abort.signal);
}

async function admittedLater(runtime: Runtime, { record, ask, name, abort }: Call): Promise<void> {
  const { signal } = abort;
  const pauseMs = record.life.pausedUntil - runtime.clock.now();
  if (pauseMs > 0) await sleep(runtime.clock, pauseMs, signal);
  // What its backends kept of its life before this one.
  if (record.released !== undefined) await untilAborted(record.released, signal);
  if (record.mcp !== undefined) ask.tools = await mcpTools(record, record.mcp, signal);
  if (ask.maxTokens !== undefined && boundOf(record, ask) > ask.maxTokens)
    await compressForAsk(runtime, record, ask, name, signal);
  const turn = runtime.admission(name).enter(record.name, ask.deadlineAt, signal);
  if (turn !== undefined) await turn;
}

/** The call is on record before it is made, and so is everything that it tells a model. */
async function begin(runtime: Runtime, call: Call, { step, retries }: WorkInput): Promise<void> {
  if (retries === 0) runtime.retryBudget.call();
  await open(runtime, call, step);
  call.ask.emit({ type: 'step-start', step, backend: call.name, model: call.model });
}

/** Sets aside what a call may cost and puts it on record. Throws `TROUPE_ERR_BUDGET_EXCEEDED`. */
async function open(runtime: Runtime, call: Call, step: number, misfit?: Misfit): Promise<void> {
  const { record, ask, backend, name, model, abort } = call;
  const reservation = setAside(ask.budget, runtime.prices, {
    ...{ backend, model },
    promptTokens: () => boundOf(record, ask) + (misfit === undefined ? 0 : upperBound([misfit.answer])),
    maxOutputTokens: record.spec.parameters.maxTokens ?? defaultMaxTokens,
  });
  const startedAt = runtime.clock.now();
  ask.inFlight = { backend: name, model, step, startedAt, reservation, isSent: false };
  const { watchers } = runtime;
  const of = { agent: record.name, askId: ask.askId };
  if (watchers.any) watchers.onCall({ phase: 'begin', ...of, backend: name, model, step });
  runtime.store.beginCall({ agent: record.name, askId: ask.askId, backend: name, model, startedAt });
  await runtime.store.barrier();
  abort.signal.throwIfAborted();
}

/** The most tokens that what is sent for an ask can have. */
function boundOf(record: AgentRecord, ask: Ask): number {
  const kept = ask.kept === '' ? [] : [{ role: 'assistant', content: ask.kept } as const, goOn];
  const prompt = [...(ask.prompted ? [] : [ask.prompt]), ...kept];
  return promptBound(sentOf(record, ask), prompt, ask.tools.definitions) + (ask.form?.boundTokens ?? 0);
}

/** What of its conversation is sent for an ask. */
function sentOf(record: AgentRecord, ask: Ask): Conversation {
  return viewInUse(record, ask)?.conversation ?? ask.conversation;
}

/** The tools of a step: its own and those of its MCP servers. */
async function mcpTools(record: AgentRecord, mcp: AgentMcp, signal: AbortSignal): Promise<ToolSet> {
  try {
    return await mcp.tools(record.tools, signal);
  } catch (thrown) {
    throw toTroupeError(thrown, 'An MCP server');
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

interface Call extends ModelPlace {
  readonly record: AgentRecord;
  readonly ask: Ask;
  readonly abort: AbortController;
}

/** The answer of a step. One that does not fit the ask's schema is sent back once, with what is wrong with it. */
async function answer(runtime: Runtime, call: Call): Promise<ModelResponse> {
  const { ask } = call;
  const { step = 1 } = ask.inFlight ?? {};
  const first = await oneAnswer(runtime, call);
  const misfit = await misfitOf(runtime, call, first);
  if (misfit === undefined) return first;
  // `delivered` stays: what fails from here on is not tried again when a listener has text of the first answer.
  const { summary } = outputInvalid(misfit.problem, first.text);
  blame(ask, summary);
  ask.emit({ type: 'repair', error: summary });
  ask.partialText = '';
  await open(runtime, call, step, misfit);
  const second = await oneAnswer(runtime, call, misfit);
  const still = await misfitOf(runtime, call, second);
  if (still !== undefined) throw outputInvalid(still.problem, second.text);
  return second;
}

async function oneAnswer(runtime: Runtime, call: Call, misfit?: Misfit): Promise<ModelResponse> {
  const { ask } = call;
  const response = runnable(await watchedCall(runtime, call, misfit));
  if (ask.kept === '') return withPrintedCalls(runtime, call, response);
  const text = `${ask.kept}${response.text}`;
  ask.kept = '';
  return { ...response, text };
}

/** Why an answer does not fit the ask's schema; undefined when it does, or is not the last word. */
async function misfitOf(runtime: Runtime, call: Call, response: ModelResponse): Promise<Misfit | undefined> {
  const { ask, abort } = call;
  if (ask.form === undefined || response.toolCalls.length > 0) return undefined;
  // What the call took is known, whatever becomes of its answer.
  accountAnswer(runtime, call, response);
  const { text, thinking, finishReason } = response;
  if (finishReason.unified === 'length' || finishReason.unified === 'content-filter')
    throw outputInvalid(`it was cut short (${finishReason.raw ?? finishReason.unified})`, text);
  const read = await untilAborted(ask.form.read(text), abort.signal);
  if ('problem' in read)
    return { ...read, answer: { role: 'assistant', content: text, ...(thinking === undefined ? {} : { thinking }) } };
  ask.output = read.output;
  return undefined;
}

/** Calls that the model printed as text become calls, unless the agent's spec says otherwise. */
function withPrintedCalls(runtime: Runtime, { record, ask, model }: Call, response: ModelResponse): ModelResponse {
  const { text, toolCalls, finishReason } = response;
  const { printedToolCalls } = record.spec;
  if (printedToolCalls === 'ignore' || ask.tools.definitions.length === 0) return response;
  if (toolCalls.length > 0 || finishReason.unified !== 'stop') return response;
  const printed = printedCalls(text, (name) => ask.tools.byName.has(name));
  if (printed === undefined) return response;
  const names = printed.calls.map(({ name }) => `"${name}"`).join(', ');
  runtime.warn(record, 'printed-tool-calls', `The model "${model}" printed its call of ${names} as text.`);
  if (printedToolCalls === 'warn') return response;
  const unified = 'tool-calls';
  return { ...response, text: printed.text, toolCalls: printed.calls, finishReason: { ...finishReason, unified } };
}

/** The call, watched for silence. It ends when its controller is aborted, whether the backend obeys or not. */
function watchedCall(runtime: Runtime, call: Call, misfit: Misfit | undefined): Promise<ModelResponse> {
  const { record, ask, backend, model, abort } = call;
  const { signal } = abort;
  const { conversation, prompt, parameters, isLogged } = sentFor(call, misfit);
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
  if (ask.inFlight !== undefined) ask.inFlight.isSent = true;
  return new Promise<ModelResponse>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    backend
      .call({
        agent: record.name,
        model,
        conversation,
        prompt,
        parameters,
        tools: ask.tools.definitions,
        signal,
        onEvent,
        onLateSpend: (spend) => runtime.addSpend(record, { ...spend, backend: call.name, model, calls: 0 }),
      })
      .then((response) => {
        if (over) runtime.counts.lateResults += 1;
        resolve(ownMark(checkResponse(response, backend.kind), isLogged));
      })
      .catch(reject);
  }).finally(() => {
    over = true;
    watch.end();
  });
}

/** The conversation, what follows it and the parameters: as they are, or so that the answer has the form of a schema. */
function sentFor({ record, ask, backend }: Call, misfit: Misfit | undefined): Sent {
  const { prompt, prompted, form, kept } = ask;
  const conversation = sentOf(record, ask);
  const { parameters } = record.spec;
  if (kept !== '') {
    const asked = prompted ? [] : [prompt];
    return {
      conversation,
      prompt: [...asked, { role: 'assistant', content: kept }, goOn],
      parameters,
      isLogged: false,
    };
  }
  if (form === undefined) return { conversation, prompt: prompted ? [] : [prompt], parameters, isLogged: true };
  const tools = ask.tools.definitions;
  return form.sent({ conversation, prompt, prompted, parameters, tools }, backend, misfit);
}

/** What a model is told whose answer broke off. It is not logged. */
const goOn: UserMessage = {
  role: 'user',
  content: 'Your answer broke off here. Go on with the very next character of it. Repeat nothing and explain nothing.',
};

/** A place in a session that heard what the log does not say is no place to go on from. */
function ownMark(response: ModelResponse, isLogged: boolean): ModelResponse {
  if (isLogged || response.session === undefined) return response;
  const { session: _elsewhere, ...rest } = response;
  return rest;
}

async function succeed(runtime: Runtime, call: Call, input: WorkInput, response: ModelResponse): Promise<CallOutcome> {
  const { record, ask, abort } = call;
  const { usage, finishReason } = response;
  accountAnswer(runtime, call, response);
  const limitTokens = await readTokens(runtime, call, usage.inputTokens);
  ask.steps += 1;
  ask.response = response;
  ask.emit({ type: 'step-end', step: input.step, usage, finishReason });
  const fence = { askId: input.askId, attempt: input.attempt };
  const measured = {
    messages: ask.conversation.length + (ask.prompted ? 1 : 2),
    tokens: tokensAfter(record, ask, response),
    costUsd: record.costUsd ?? 0,
    ...(limitTokens === undefined ? {} : { limitTokens }),
  };
  if (ask.response.toolCalls.length === 0) return { ...fence, ...measured, kind: 'text' };
  ask.hosted = hostedResults(ask.response);
  refuseRepeats(record, ask);
  const mayRun = ask.stuck === undefined && input.step < record.spec.maxSteps;
  if (mayRun && runtime.store.isDurable) runtime.store.putStep(record.name, ask.askId, assistantMessage(response));
  const approvals = mayRun ? await neededApprovals(runtime, record, ask, abort.signal) : [];
  return { ...fence, ...measured, kind: 'tool-calls', approvals };
}

/** Tokens of the agent's conversation with an answer, as far as known. */
function tokensAfter(record: AgentRecord, ask: Ask, { usage, text }: ModelResponse): number {
  const ofAnswer = () => upperBound([{ role: 'assistant', content: text }]);
  if (ask.maxTokens === undefined || ask.conversation !== record.conversation)
    return totalTokens(usage) ?? boundOf(record, ask) + ofAnswer();
  // The report is of what was sent for this ask alone.
  const { tokens } = record.actor.getSnapshot().context;
  return tokens + (ask.prompted ? 0 : upperBound([ask.prompt])) + (usage.outputTokens ?? ofAnswer());
}

/**
 * What a report teaches: that the server cut the prompt, which is a warning, and, of a server of one's own with a conversation
 * that is worth it, how much it takes. That is the limit from now on when it is the agent's first backend.
 */
async function readTokens(runtime: Runtime, call: Call, inputTokens: number | undefined): Promise<number | undefined> {
  const { record, ask, model, name, backend, abort } = call;
  if (inputTokens === undefined || inputTokens < worthCounting) return undefined;
  const { tokens, clock } = runtime;
  const patience = { clock, signal: abort.signal };
  const prompt = ask.prompted ? [] : [ask.prompt];
  const isCut = await tokens.read(call, {
    ...{ tools: ask.tools.definitions, inputTokens, patience },
    messages: () => [...sentOf(record, ask).messages(), ...prompt],
    boundTokens: () => boundOf(record, ask),
  });
  if (isCut) {
    const message = `"${model}" at "${name}" has read ${inputTokens} tokens of a longer prompt: the server cut it without a word. Give it a larger context, or set \`compression\`.`;
    runtime.warn(record, 'prompt-truncated', message);
  }
  if (backend.info.inference === 'cloud' || name !== record.spec.chain[0] || tokens.window(call) !== undefined)
    return undefined;
  return limitOf(record, await tokens.askWindow(call, patience)) ?? undefined;
}

/** Calls of an answer that was cut or filtered may be cut themselves: they never run. */
function runnable(response: ModelResponse): ModelResponse {
  const { unified } = response.finishReason;
  return unified === 'length' || unified === 'content-filter' ? { ...response, toolCalls: [] } : response;
}

/** What comes of a call that failed, or that could not be made. Who the error is about is on it, unless it says so itself. */
function fail(runtime: Runtime, call: Call, input: WorkInput, thrown: TroupeError): CallOutcome {
  const { record, ask, name: backend, model } = call;
  const nowMs = runtime.clock.now();
  const wasMade = ask.inFlight !== undefined || thrown.code === 'TROUPE_ERR_OUTPUT_INVALID';
  const error = thrown.with({
    partialText: `${ask.kept}${thrown.partialText ?? ask.partialText}` || undefined,
    agent: record.name,
    askId: ask.askId,
    ...(isOfMcp(thrown) ? {} : { backend, model }),
    retryAt: thrown.retryAfterMs === undefined ? undefined : nowMs + thrown.retryAfterMs,
  });
  const { summary, retryable, retryAfterMs } = error;
  const heard = thrown.partialText ?? (ask.partialText || undefined);
  const { status, cause } = error;
  const isFree = costsNothing({ status, cause, partialText: heard });
  account(runtime, record, ask, { usage: unknownUsage, costUsd: undefined, error: summary }, isFree);
  ask.failures.push(error);
  const shown = ask.delivered && ask.replay === false;
  const facts = { class: error.class, retryable, retryAfterMs, retries: input.retries, delivered: shown };
  const delayMs = retryDelayMs({ ...facts, remainingMs: timeToRepeat(call, error, nowMs) }, runtime.random);
  const mayRetry =
    delayMs !== null && input.retries < record.spec.maxRetries && thrown.code !== 'TROUPE_ERR_BACKEND_COOLING';
  const retryInMs = mayRetry && runtime.retryBudget.mayRetry() ? delayMs : null;
  if (retryInMs !== null) ask.emit({ type: 'retry', error: summary });
  if (wasMade) {
    const { name: agent } = record;
    const { askId } = ask;
    runtime.tell('call-failed', { agent, askId, backend, model, error: summary, retryInMs: retryInMs ?? undefined });
  }
  ask.keepPartial();
  return { kind: 'failed', askId: input.askId, attempt: input.attempt, class: error.class, retryInMs, shown };
}

/** Silence takes long to notice: who waits for it again must leave the backends that are left the time to be silent, too. */
function timeToRepeat({ record, ask, name }: Call, error: TroupeError, nowMs: number): number {
  const leftMs = ask.deadlineAt - nowMs;
  const others = record.spec.chain.filter((other) => other !== name && !ask.failedBackends.has(other)).length;
  if (error.class !== 'timeout' || others === 0) return leftMs;
  return leftMs - record.spec.timeouts.firstEventMs * (1 + others);
}

/** Where the tools are missing no backend is at fault, and no other one helps. */
function isOfMcp({ code }: TroupeError): boolean {
  return code === 'TROUPE_ERR_MCP_SERVER_FAILED';
}

/** A round of a backend's own tool loop costs what the end of the loop says, or what is learnt when it is given up. */
function accountAnswer(runtime: Runtime, { record, ask, backend, model }: Call, response: ModelResponse): void {
  const spend = spendOf(runtime.prices, backend, model, response);
  account(runtime, record, ask, spend, response.toolPhase !== undefined && spend.costUsd === undefined);
}

/** Says of the last call that it failed, though it was answered. */
function blame(ask: Ask, error: ErrorSummary): void {
  const last = ask.attempts.pop();
  if (last !== undefined) ask.attempts.push({ ...last, error });
}

/** Closes the account of the call in flight, if there is one. `isFree`: it surely has cost nothing, or says so later. */
export function account(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask,
  result: Pick<Attempt, 'usage' | 'costUsd' | 'error'>,
  isFree = false,
): void {
  if (ask.inFlight === undefined) return;
  const { backend, model, step, startedAt, reservation, isSent } = ask.inFlight;
  ask.inFlight = undefined;
  if (isFree || !isSent) reservation?.release();
  else reservation?.settle(result.costUsd);
  const attempt = { backend, model, step, durationMs: runtime.clock.now() - startedAt, ...result };
  ask.attempts.push(attempt);
  const { usage, costUsd } = result;
  runtime.addSpend(record, { backend, model, askId: ask.askId, calls: 1, usage, costUsd });
  const { watchers } = runtime;
  if (watchers.any) watchers.onCall({ phase: 'end', agent: record.name, askId: ask.askId, ...attempt });
}
