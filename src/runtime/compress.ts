/**
 * The invoked service `compress`: makes a view of the conversation that fits, or a smaller one.
 * It never rejects but for an abort: where nothing helps, the conversation is sent as it is, and the server has the say.
 */
import type { CompressOutcome, WorkInput } from '../../machines/agent-types.ts';
import type { Conversation, Group } from '../core/conversation.ts';
import { TroupeError, toTroupeError } from '../core/errors.ts';
import type { ToolDefinition } from '../core/types.ts';
import type { AgentRecord, Runtime } from './agent-record.ts';
import type { Ask } from './ask.ts';
import { defaultMaxTokens } from './spending.ts';
import { writerOf } from './summary-writer.ts';
import type { ModelPlace } from './token-book.ts';
import { type View, viewOf } from './view.ts';

/** What a compression did, as `troupe.on('compressed', …)` tells it. */
export interface Compression {
  readonly agent: string;
  /** The ask that it was made for; undefined when nobody asked. */
  readonly askId: string | undefined;
  /** Name of the strategy, `last-resort`, or `nothing` when nothing had to be done. */
  readonly by: string;
  /** Tokens of what is sent, without system message, tools and prompt: by our count, corrected by what the model reported. */
  readonly tokensBefore: number;
  readonly tokensAfter: number;
  /** What went wrong, though this was found; undefined when nothing did. */
  readonly problem: TroupeError | undefined;
}

/** Compresses the conversation of an agent for the backend in use. */
export async function compress(runtime: Runtime, input: WorkInput, abort: AbortController): Promise<CompressOutcome> {
  const record = runtime.record(input.name);
  if (record === undefined) return { tokens: 0 };
  const ask = input.askId === null ? undefined : record.asks.get(input.askId);
  const { signal } = abort;
  const place = placeOf(runtime, record, input.backend);
  const window = await runtime.tokens.askWindow(place, signal);
  const overflowed = ask?.failures.at(-1)?.class === 'context-overflow';
  const limit = limitOf(record, window);
  const wanted = record.wanted;
  const { view, compression, around } = await compressed(runtime, { record, ask, place, signal, overflowed, limit });
  record.wanted = undefined;
  if (view !== undefined && (ask === undefined || ask.conversation === record.conversation)) {
    record.view = view;
    runtime.store.putView(record.name, view.compressed);
  } else if (view !== undefined && ask !== undefined) ask.view = view;
  if (compression.by !== 'nothing') {
    runtime.tell('compressed', compression);
    ask?.emit({ type: 'compressed', tokensBefore: compression.tokensBefore, tokensAfter: compression.tokensAfter });
  }
  wanted?.resolve(compression);
  const tokens = compression.tokensAfter + around;
  const learnt = overflowed && limit === null ? Math.max(tokens, compression.tokensAfter * 2) : limit;
  return { tokens, ...(input.backend === record.spec.chain[0] ? { limitTokens: learnt } : {}) };
}

/** For one ask alone: what it sends takes `maxTokens` at most. The agent's own view stays. */
export async function compressForAsk(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask,
  backend: string,
  signal: AbortSignal,
) {
  if (ask.maxTokens === undefined || ask.view !== undefined) return;
  const place = placeOf(runtime, record, backend);
  const work = { record, ask, place, signal, overflowed: false, limit: ask.maxTokens };
  const { view, compression } = await compressed(runtime, work);
  if (view === undefined) return;
  ask.view = view;
  runtime.tell('compressed', compression);
  ask.emit({ type: 'compressed', tokensBefore: compression.tokensBefore, tokensAfter: compression.tokensAfter });
}

/** Tokens from which a conversation is compressed; null when that is not known. */
export function limitOf({ spec }: Pick<AgentRecord, 'spec'>, window: number | undefined): number | null {
  const { maxTokens, atShare } = spec.compression;
  if (maxTokens !== undefined) return maxTokens;
  if (window === undefined) return null;
  const answer = Math.min(spec.parameters.maxTokens ?? defaultMaxTokens, window / 2);
  return Math.floor((window - answer) * atShare);
}

export function placeOf(runtime: Runtime, { spec }: Pick<AgentRecord, 'spec'>, name: string): ModelPlace {
  const backend = runtime.backend(name);
  return { name, backend, model: spec.models.get(name) ?? backend.model };
}

interface Work {
  readonly record: AgentRecord;
  readonly ask: Ask | undefined;
  readonly place: ModelPlace;
  readonly signal: AbortSignal;
  /** Whether a server has said that what was sent is too long. */
  readonly overflowed: boolean;
  readonly limit: number | null;
}

async function compressed(runtime: Runtime, work: Work) {
  const { record, ask, place, signal, overflowed, limit } = work;
  const { spec } = record;
  const log = ask?.conversation ?? record.conversation;
  const { defaultStrategy, planCompression } = await import('../../actors/compression/index.ts');
  const { keepFirst, keepLast, strategy = defaultStrategy() } = spec.compression;
  const counter = await runtime.tokens.counter(place);
  const groups = log.groups();
  const previous = log === record.conversation ? record.view?.compressed : ask?.view?.compressed;
  const prompt: Group = ask === undefined || ask.prompted ? [] : [ask.prompt];
  const around = tokensAround(counter, log, prompt, ask?.tools.definitions ?? record.tools.definitions);
  const sentNow =
    previous === undefined
      ? groups
      : [...previous.head, ...previous.kept.map((at) => groups[at] ?? []), ...groups.slice(previous.groupCount)];
  const tokensNow = sentNow.reduce((sum, group) => sum + counter.tokensOf(group), 0);
  // Too long by the server's word, or by the caller's: half of what it is now is the most.
  const roomTokens = limit === null ? Number.POSITIVE_INFINITY : Math.max(limit - around, 0);
  const isForced = overflowed || (ask === undefined && record.wanted !== undefined);
  const targetTokens = Math.floor(Math.min(roomTokens, isForced ? tokensNow / 2 : Number.POSITIVE_INFINITY));
  const deadline = new AbortController();
  const timer = runtime.clock.setTimeout(() => deadline.abort(tooSlow(strategy.name)), patienceMs(runtime, ask));
  try {
    const plan = await planCompression(strategy, {
      ...{ groups, previous, prompt, targetTokens, signal, deadline: deadline.signal },
      tokensOf: (group) => counter.tokensOf(group),
      ...{ protectedHeadGroups: keepFirst, protectedTailGroups: keepLast },
      ...writerOf(runtime, record, ask, place, signal),
    });
    const { by, before, after, head, kept, problem } = plan;
    const view: View | undefined =
      by === 'nothing' ? undefined : viewOf(log, { head, kept, groupCount: groups.length });
    const compression: Compression = {
      ...{ agent: record.name, askId: ask?.askId, by, tokensBefore: before, tokensAfter: after, problem },
    };
    return { view, compression, around };
  } catch (thrown) {
    signal.throwIfAborted();
    const problem = toTroupeError(thrown, 'The compression');
    const compression: Compression = {
      ...{
        agent: record.name,
        askId: ask?.askId,
        by: 'nothing',
        tokensBefore: tokensNow,
        tokensAfter: tokensNow,
        problem,
      },
    };
    return { view: undefined, compression, around };
  } finally {
    runtime.clock.clearTimeout(timer);
  }
}

/** Tokens of what is sent beside the conversation's groups. */
function tokensAround(
  counter: Awaited<ReturnType<Runtime['tokens']['counter']>>,
  log: Conversation,
  prompt: Group,
  tools: readonly ToolDefinition[],
): number {
  const messages = [...(log.system === undefined ? [] : [log.system]), ...prompt];
  return counter.tokensOfRequest({ messages, tools });
}

/** A strategy has two minutes, and half of what time the ask has left. */
function patienceMs({ clock }: Runtime, ask: Ask | undefined): number {
  const leftMs = ask === undefined ? longestMs : (ask.deadlineAt - clock.now()) / 2;
  return Math.max(Math.min(leftMs, longestMs), 0);
}

const longestMs = 120_000;

function tooSlow(name: string): TroupeError {
  return new TroupeError('TROUPE_ERR_BACKEND_TIMEOUT', `The compression strategy "${name}" took too long.`);
}
