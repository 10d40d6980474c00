/** Who writes summaries and makes vectors while a conversation is compressed: calls of a backend like any other, and paid like any. */
import type { Backend, ModelRequest } from '../../actors/backend.ts';
import type { CompressionInput } from '../../actors/compression/strategy.ts';
import { untilAborted } from '../../actors/until-aborted.ts';
import type { Reservation } from '../core/budget.ts';
import { Conversation } from '../core/conversation.ts';
import { type Attempt, toTroupeError } from '../core/errors.ts';
import { type Spend, totalTokens, unknownUsage } from '../core/usage.ts';
import type { AgentRecord, Runtime } from './agent-record.ts';
import type { Ask } from './ask.ts';
import { checkResponse } from './check-response.ts';
import { promptBound } from './prompt-bound.ts';
import { costsNothing, setAside, spendOf } from './spending.ts';
import type { ModelPlace } from './token-book.ts';
import { abandoned } from './work-logic.ts';

/** The verbs that a strategy has beside its eyes. */
export function writerOf(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask | undefined,
  inUse: ModelPlace,
  signal: AbortSignal,
): Pick<CompressionInput, 'write' | 'embed'> {
  const { writer, writerModel, embedder } = record.spec.compression;
  const usual = writer === undefined ? inUse : placeAt(runtime, writer);
  const place = { ...usual, model: writerModel ?? usual.model };
  const embedding = embedder === undefined ? inUse.backend : runtime.backend(embedder);
  // A backend is asked one thing after the other: it has one place for each agent.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(work: () => Promise<Result>) => {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  };
  const site: Site = { runtime, record, ask, signal };
  const write: CompressionInput['write'] = (prompt, maxTokens) => inTurn(() => written(site, place, prompt, maxTokens));
  if (embedding.embed === undefined) return { write, embed: undefined };
  const vectors: Embed = (texts) => inTurn(() => embedded(site, embedding, embedder ?? inUse.name, texts));
  return { write, embed: sameFor(record, embedding, vectors) };
}

/** Strategies keep vectors by the function that made them: an agent has one for each backend, whatever it works for now. */
function sameFor(record: AgentRecord, backend: Backend, now: Embed): Embed {
  const ofRecord = embedders.get(record) ?? new WeakMap<Backend, Embedder>();
  embedders.set(record, ofRecord);
  const embedder = ofRecord.get(backend) ?? new Embedder(now);
  ofRecord.set(backend, embedder);
  embedder.now = now;
  return embedder.embed;
}

type Embed = NonNullable<CompressionInput['embed']>;

class Embedder {
  now: Embed;
  readonly embed: Embed = (texts) => this.now(texts);

  constructor(now: Embed) {
    this.now = now;
  }
}

const embedders = new WeakMap<AgentRecord, WeakMap<Backend, Embedder>>();

interface Site {
  readonly runtime: Runtime;
  readonly record: AgentRecord;
  readonly ask: Ask | undefined;
  readonly signal: AbortSignal;
}

function placeAt(runtime: Runtime, name: string): ModelPlace {
  const backend = runtime.backend(name);
  return { name, backend, model: backend.model };
}

async function written(
  site: Site,
  { name, backend, model }: ModelPlace,
  prompt: string,
  maxTokens: number,
): Promise<string> {
  const { runtime, record, signal } = site;
  const request: ModelRequest = {
    ...{ agent: `${record.name} (summary)`, model, conversation: new Conversation(), tools: [], signal },
    prompt: [{ role: 'user', content: prompt }],
    parameters: { maxTokens },
    onEvent: () => {},
    onLateSpend: (spend) => runtime.addSpend(record, { ...spend, backend: name, model, calls: 0 }),
  };
  const promptTokens = () => promptBound(request.conversation, request.prompt, []);
  const bounds = { backend, model, promptTokens, maxOutputTokens: maxTokens };
  return paid(site, { name, backend, bounds }, async () => {
    const response = checkResponse(await untilAborted(backend.call(request), signal), backend.kind);
    return { result: response.text, spend: spendOf(runtime.prices, backend, model, response) };
  }).finally(() => backend.release?.(request.agent).catch(() => {}));
}

async function embedded(site: Site, backend: Backend, name: string, texts: readonly string[]) {
  const { runtime, signal } = site;
  const embed = backend.embed?.bind(backend);
  if (embed === undefined) return [];
  const promptTokens = () =>
    promptBound(
      new Conversation(),
      texts.map((content) => ({ role: 'user', content })),
      [],
    );
  const bounds = { backend, model: backend.model, promptTokens, maxOutputTokens: 0 };
  return paid(site, { name, backend, bounds }, async () => {
    const { vectors, usage, model } = await untilAborted(embed({ texts, signal }), signal);
    const response = {
      text: '',
      toolCalls: [],
      finishReason: { unified: 'stop', raw: undefined },
      usage,
      costUsd: undefined,
    } as const;
    return { result: vectors, model, spend: spendOf(runtime.prices, backend, model, response) };
  });
}

/** Waits for its turn, sets aside what it may cost, does the work and enters it into the books. */
async function paid<Result>(
  { runtime, record, ask, signal }: Site,
  {
    name,
    backend,
    bounds,
  }: { readonly name: string; readonly backend: Backend; readonly bounds: Parameters<typeof setAside>[2] },
  work: () => Promise<{ readonly result: Result; readonly spend: Spend; readonly model?: string }>,
): Promise<Result> {
  const admission = runtime.admission(name);
  const agent = `${record.name} (summary)`;
  const turn = admission.enter(agent, ask?.deadlineAt ?? runtime.clock.now() + 120_000, signal);
  if (turn !== undefined) await turn;
  const startedAt = runtime.clock.now();
  // Several may be made for one ask at the same time.
  const callId = runtime.ids('summary');
  const close = ({ usage, costUsd }: Spend, model: string, error?: Attempt['error']) => {
    runtime.addSpend(record, { backend: name, model, askId: callId, calls: 1, usage, costUsd });
    const durationMs = runtime.clock.now() - startedAt;
    ask?.attempts.push({
      backend: name,
      model,
      step: ask.steps + 1,
      purpose: 'compression',
      durationMs,
      usage,
      costUsd,
      ...(error && { error }),
    });
  };
  const reservations: Reservation[] = [];
  try {
    for (const budget of [record.writerBudget, ask?.budget ?? record.budget]) {
      const reservation = setAside(budget, runtime.prices, bounds);
      if (reservation !== undefined) reservations.push(reservation);
    }
    runtime.store.beginCall({ agent: record.name, askId: callId, backend: name, model: bounds.model, startedAt });
    await untilAborted(runtime.store.barrier(), signal);
    const { result, spend, model = bounds.model } = await work();
    for (const reservation of reservations) reservation.settle(spend.costUsd);
    admission.leave(agent, { ok: true, tokens: totalTokens(spend.usage) });
    close(spend, model);
    return result;
  } catch (thrown) {
    const error = toTroupeError(thrown, `Backend "${backend.kind}"`);
    const isUnmade = error.code === 'TROUPE_ERR_BUDGET_EXCEEDED';
    // One that was too slow has failed; one that nobody waits for any more has not.
    admission.leave(agent, { ok: false, error: isUnmade || error === abandoned ? undefined : error });
    for (const reservation of reservations) {
      if (isUnmade || costsNothing(error)) reservation.release();
      else reservation.settle(undefined);
    }
    if (!isUnmade) close({ usage: unknownUsage, costUsd: undefined }, bounds.model, error.summary);
    throw error;
  }
}
