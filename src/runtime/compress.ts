/**
 * The invoked service `compress`: makes a view of the conversation that fits, or a smaller one.
 * It never rejects but for an abort: where nothing helps, the conversation is sent as it is, and the server has the say.
 */
import type { CompressOutcome, WorkInput } from '../../machines/agent-types.ts';
import type { Conversation, Group } from '../core/conversation.ts';
import { TroupeError, toTroupeError } from '../core/errors.ts';
import type { ToolDefinition } from '../core/types.ts';
import type { AgentRecord, Runtime } from './agent-record.ts';
import { noTools } from './agent-spec.ts';
import type { Ask } from './ask.ts';
import { defaultMaxTokens } from './spending.ts';
import type { ModelPlace } from './token-book.ts';
import { type View, viewInUse, viewOf } from './view.ts';
import { abandoned } from './work-logic.ts';

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

/** Compresses the conversation of an agent for the backend in use, or what the ask in hand sends of it for itself. */
export async function compress(runtime: Runtime, input: WorkInput, abort: AbortController): Promise<CompressOutcome> {
  const record = runtime.record(input.name);
  if (record === undefined) return { tokens: 0 };
  const ask = input.askId === null ? undefined : record.asks.get(input.askId);
  const { signal } = abort;
  const place = placeOf(runtime, record, input.backend);
  const window = await runtime.tokens.askWindow(place, { clock: runtime.clock, signal });
  const { limits, tokens: tokensBefore } = record.actor.getSnapshot().context;
  const isFirst = input.backend === record.spec.chain[0];
  const overflowed = hasOverflowed(ask, input.backend);
  const known = limitOf(record, window);
  // What a server has taught by refusing holds where nobody says how much it takes.
  const limit = known ?? (isFirst ? limits.compressAtTokens : null);
  const work = { record, ask, place, signal };
  let done: Awaited<ReturnType<typeof compressed>>;
  let wanted: AgentRecord['wanted'];
  do {
    wanted = record.wanted;
    done = await compressed(runtime, { ...work, limit, isForced: overflowed || wanted !== undefined });
    tellOf(runtime, record, ask, done);
    // Who has wanted it meanwhile wants what was just made to be shorter, if nothing was.
  } while (record.wanted !== wanted && done.compression.by === 'nothing');
  record.wanted?.resolve(done.compression);
  record.wanted = undefined;
  if (hasOwnView(record, ask)) return { tokens: tokensBefore };
  const { tokensAfter } = done.compression;
  const tokens = tokensAfter + done.around;
  const mayLearn = overflowed && known === null && record.spec.compression.strategy?.name !== 'none';
  const learnt = mayLearn ? Math.max(tokens, tokensAfter * 2) : limit;
  return { tokens, ...(isFirst && learnt !== null ? { limitTokens: learnt } : {}) };
}

/** For one ask alone: what it sends takes `maxTokens` at most. The agent's own view stays. */
export async function compressForAsk(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask,
  backend: string,
  signal: AbortSignal,
): Promise<void> {
  const place = placeOf(runtime, record, backend);
  const done = await compressed(runtime, { record, ask, place, signal, isForced: false, limit: null });
  tellOf(runtime, record, ask, done);
}

/** Whether what an ask sends is chosen for it alone. */
function hasOwnView(record: AgentRecord, ask: Ask | undefined): ask is Ask {
  return ask !== undefined && (ask.maxTokens !== undefined || ask.conversation !== record.conversation);
}

/** Whether the server has just said that what was sent is too long. */
function hasOverflowed(ask: Ask | undefined, backend: string): boolean {
  const last = ask?.attempts.findLast(({ purpose }) => purpose !== 'compression');
  return last?.backend === backend && last.error?.class === 'context-overflow';
}

function tellOf(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask | undefined,
  { view, compression }: Awaited<ReturnType<typeof compressed>>,
): void {
  if (view !== undefined && hasOwnView(record, ask)) ask.view = view;
  else if (view !== undefined) {
    record.view = view;
    runtime.store.putView(record.name, view.compressed);
  }
  if (compression.by === 'nothing') return;
  runtime.tell('compressed', compression);
  ask?.emit({ type: 'compressed', tokensBefore: compression.tokensBefore, tokensAfter: compression.tokensAfter });
}

/** Tokens from which a conversation is compressed; null when that is not known. */
export function limitOf({ spec }: Pick<AgentRecord, 'spec'>, window: number | undefined): number | null {
  const { maxTokens, atShare, strategy } = spec.compression;
  if (maxTokens !== undefined) return maxTokens;
  if (window === undefined || strategy?.name === 'none') return null;
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
  /** Whether it is too long in any case, as a server or a user has said. */
  readonly isForced: boolean;
  readonly limit: number | null;
}

async function compressed(runtime: Runtime, work: Work) {
  const { record, ask, place, signal } = work;
  const { defaultStrategy, planCompression } = await import('../../actors/compression/index.ts');
  const { writerOf } = await import('./summary-writer.ts');
  const { keepFirst, keepLast, strategy = defaultStrategy() } = record.spec.compression;
  const log = ask?.conversation ?? record.conversation;
  const counter = await runtime.tokens.counter(place);
  const previous = viewInUse(record, ask)?.compressed;
  const prompt: Group = ask === undefined || ask.prompted ? [] : [ask.prompt];
  const around = tokensAround(counter, log, prompt, toolsOf(record, ask));
  const groups = log.groups();
  const tokensOf = (group: Group) => counter.tokensOf(group);
  const tokensNow = sentNow(groups, previous).reduce((sum, group) => sum + tokensOf(group), 0);
  const told = { agent: record.name, askId: ask?.askId };
  // Whoever writes is given up with the strategy: its call must not hold a place of the backend any longer.
  const writing = new AbortController();
  const timer = runtime.clock.setTimeout(() => writing.abort(tooSlow(strategy.name)), patienceMs(runtime, ask));
  try {
    const plan = await planCompression(strategy, {
      ...{ groups, previous, prompt, tokensOf, signal, deadline: writing.signal },
      targetTokens: targetOf(work, tokensNow, around),
      ...{ protectedHeadGroups: keepFirst, protectedTailGroups: keepLast },
      ...writerOf(runtime, record, ask, place, AbortSignal.any([signal, writing.signal])),
    });
    const { before, after, head, kept, problem } = plan;
    // What is no shorter is no gain, and a session of the backend's own would be lost for it.
    const by = after < before ? plan.by : 'nothing';
    const view = by === 'nothing' ? undefined : viewOf(log, { head, kept, groupCount: groups.length });
    const tokensAfter = view === undefined ? before : after;
    return { view, compression: { ...told, by, tokensBefore: before, tokensAfter, problem }, around };
  } catch (thrown) {
    signal.throwIfAborted();
    const problem = toTroupeError(thrown, 'The compression');
    const asItWas = { by: 'nothing', tokensBefore: tokensNow, tokensAfter: tokensNow };
    const compression: Compression = { ...told, ...asItWas, problem };
    return { view: undefined, compression, around };
  } finally {
    runtime.clock.clearTimeout(timer);
    writing.abort(abandoned);
  }
}

/** Tokens that the groups may take. Too long by the server's word, or by the caller's: half of what it is now is the most. */
function targetOf({ ask, limit, isForced }: Work, tokensNow: number, around: number): number {
  const most = Math.min(limit ?? Number.POSITIVE_INFINITY, ask?.maxTokens ?? Number.POSITIVE_INFINITY);
  const roomTokens = Math.max(most - around, 0);
  return Math.floor(isForced ? Math.min(roomTokens, tokensNow / 2) : roomTokens);
}

function sentNow(groups: readonly Group[], previous: View['compressed'] | undefined): readonly Group[] {
  if (previous === undefined) return groups;
  const kept = previous.kept.map((number) => groups[number] ?? []);
  return [...previous.head, ...kept, ...groups.slice(previous.groupCount)];
}

/** The tools of the next call, as far as they are known before it. */
function toolsOf({ tools, mcp }: AgentRecord, ask: Ask | undefined): readonly ToolDefinition[] {
  if (ask !== undefined && ask.tools !== noTools) return ask.tools.definitions;
  return (mcp?.known(tools) ?? tools).definitions;
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
