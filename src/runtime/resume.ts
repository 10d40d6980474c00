/**
 * Brings back what a store has kept: the agents with their conversations, and the asks that were accepted and not answered.
 *
 * V1  The log and the table of asks are the truth; no machine's snapshot is stored. An agent begins idle, and takes up the ask
 *     that it had in hand where its last finished step ended, then the others in their order.
 * V2  A tool call that had begun when the process ended is not made again, unless its tool is `idempotent`: the model is told.
 * V3  Calls that wait for a decision wait again. Deadlines are those of the clock on the wall: what is over is rejected.
 * V4  A call of a backend that was in flight is one call in the ledger, of which nothing is known.
 * V5  What was spent is spent: nothing is asked of a backend before every budget knows it.
 */
import type { LedgerSum, StoredAgent, StoredAskState } from '../../actors/store/store.ts';
import { Conversation } from '../core/conversation.ts';
import { type TroupeError, toTroupeError } from '../core/errors.ts';
import type { AssistantMessage, JsonObject } from '../core/types.ts';
import { addSpend, type Spend, unknownUsage } from '../core/usage.ts';
import type { Agent } from './agent.ts';
import type { AgentRecord, Runtime } from './agent-record.ts';
import type { AgentSpec, FallbackTarget } from './agent-spec.ts';
import { neededApprovals } from './approval.ts';
import type { Ask } from './ask.ts';
import { appendStep } from './bind.ts';
import type { Mail } from './mail.ts';
import { failedResult } from './tool-results.ts';
import { type View, viewOf } from './view.ts';

/** What it needs of the troupe. */
export interface ResumeHost {
  readonly runtime: Runtime;
  readonly mail: Mail;
  /** The whole spec of a stored agent: what was stored, with the tools and whatever else is no data. */
  specOf(stored: StoredAgent): AgentSpec | undefined;
  /** Brings it up without writing it again. */
  start(stored: StoredAgent, spec: AgentSpec, conversation: Conversation, kept: Kept): Promise<Agent>;
  /** Spent by agents that are not there. */
  spentByOthers(spend: Spend): void;
  /** An agent, or one of its asks, could not be brought back. It stays in the store. */
  failed(agent: string, error: TroupeError): void;
}

/** What a stored agent has besides its spec and its conversation. */
export interface Kept {
  readonly createdAt: number;
  readonly view: View | undefined;
  readonly spent: Spend;
  /** Gives it its asks, before anybody can know of it. */
  restore(record: AgentRecord): void;
}

/** An agent that is back, with its asks. */
interface Returned {
  readonly agent: Agent;
  readonly record: AgentRecord;
  /** Undefined when it had none in hand. */
  readonly inHand: { readonly ask: Ask; readonly stored: StoredAskState } | undefined;
}

/** Brings back every agent of the store; gives those that came. What they were asked goes on by itself. */
export async function resumeAgents(host: ResumeHost): Promise<Agent[]> {
  const { runtime } = host;
  const { store, clock } = runtime;
  for (const { agent, askId, backend, model } of await store.openCalls())
    store.addUsage({
      agent,
      askId,
      backend,
      model,
      at: clock.now(),
      calls: 1,
      usage: unknownUsage,
      costUsd: undefined,
    });
  const stored = await store.agents();
  const { spentBy, others } = accounts(await store.ledger(), stored);
  host.spentByOthers(others);
  const returned: Returned[] = [];
  for (const [index, one] of stored.entries()) {
    if (runtime.isClosing()) return [];
    // There may be very many of them, and other work.
    if (index % 50 === 49) await new Promise(setImmediate);
    const spent = spentBy.get(one.name) ?? nothing;
    const agent = await bringBack(host, one, spent).catch((thrown) => {
      if (!runtime.isClosing()) host.failed(one.name, toTroupeError(thrown, `Agent "${one.name}"`));
    });
    if (agent === undefined) host.spentByOthers(spent);
    else returned.push(agent);
  }
  for (const one of returned) {
    const { name } = one.agent;
    takeUp(host, one).catch((thrown) => host.failed(name, toTroupeError(thrown, `Agent "${name}"`)));
  }
  return returned.map(({ agent }) => agent);
}

const nothing: Spend = { usage: unknownUsage, costUsd: undefined };

/** What each stored agent has spent, and all others together. Of the day of its birth, what had its name before counts too. */
function accounts(ledger: readonly LedgerSum[], agents: readonly StoredAgent[]) {
  const bornAt = new Map(agents.map(({ name, createdAt }) => [name, createdAt]));
  const spentBy = new Map<string, Spend>();
  let others = nothing;
  for (const sum of ledger) {
    const { agent: name, day } = sum;
    const at = bornAt.get(name);
    if (at === undefined || Date.parse(day) + dayMs <= at) others = addSpend(others, sum);
    else spentBy.set(name, addSpend(spentBy.get(name) ?? nothing, sum));
  }
  return { spentBy, others };
}

const dayMs = 86_400_000;

async function bringBack(host: ResumeHost, stored: StoredAgent, spent: Spend): Promise<Returned | undefined> {
  const { store } = host.runtime;
  const { name, createdAt } = stored;
  const spec = host.specOf(stored);
  if (spec === undefined) return undefined;
  const conversation = new Conversation(spec.system);
  for (const group of await store.groups(name)) conversation.append(group);
  const kept = await store.view(name);
  const view = kept && viewOf(conversation, kept);
  const asks = await store.asks(name);
  let returned: Omit<Returned, 'agent'> | undefined;
  const restore = (record: AgentRecord) => {
    returned = { record, inHand: restoreAsks(host.mail, record, asks) };
  };
  const agent = await host.start(stored, spec, conversation, { createdAt, view, spent, restore });
  return returned && { agent, ...returned };
}

/** Gives the one that it had in hand; the others wait outside until that is taken up. */
function restoreAsks(mail: Mail, record: AgentRecord, asks: readonly StoredAskState[]): Returned['inHand'] {
  let inHand: Returned['inHand'];
  for (const stored of asks) {
    const { askId, prompt, outcome, groups, step } = stored;
    if (outcome !== undefined) {
      record.settled.add(askId, { prompt, outcome });
      continue;
    }
    const ask = mail.readmit(record, stored);
    if (inHand === undefined && (groups > 0 || step !== undefined)) inHand = { ask, stored };
    else record.outside.push(ask);
  }
  return inHand;
}

/** Lets it go on with what it was asked. */
async function takeUp({ runtime, mail }: ResumeHost, { record, inHand }: Returned): Promise<void> {
  try {
    mail.expireOverdue(record);
    if (inHand !== undefined) await goOn(runtime, record, inHand);
  } finally {
    record.isResuming = false;
    mail.letIn(record);
    if (record.wanted !== undefined) record.actor.send({ type: 'compress' });
  }
}

/** Goes on with the ask that the agent had in hand, unless it is over. */
async function goOn(runtime: Runtime, record: AgentRecord, { ask, stored }: NonNullable<Returned['inHand']>) {
  const { groups, step } = stored;
  ask.prompted = groups > 0;
  ask.steps = groups + (step === undefined ? 0 : 1);
  if (step !== undefined) {
    // The answer that wanted tools, as if it had just come.
    ask.response = responseOf(step.message);
    ask.started = new Set(step.started);
  }
  const isOver = () => record.asks.get(ask.askId) !== ask;
  const approvals = step === undefined || isOver() ? [] : await restoreTools(runtime, record, ask, step.started);
  if (!isOver()) {
    record.actor.send({ type: 'resume', askId: ask.askId, step: groups + 1, approvals, tools: step !== undefined });
  } else if (step !== undefined && runtime.record(record.name) === record) {
    appendStep(runtime, record, ask);
  }
}

/** The tools of the step; gives the calls that somebody must decide on. */
async function restoreTools(runtime: Runtime, record: AgentRecord, ask: Ask, started: readonly string[]) {
  const { signal } = new AbortController();
  const mcpTools = await record.mcp?.tools(record.tools, signal).catch(() => undefined);
  ask.tools = mcpTools ?? record.tools;
  for (const call of ask.response?.toolCalls ?? []) {
    const tool = ask.tools.byName.get(call.name);
    // A tool that is not ours ran where the backend is, or may have run when it was.
    const mayRun = tool !== undefined && (tool.idempotent === true || !started.includes(call.id));
    if (!mayRun) ask.results.set(call.id, failedResult(call, cutOff));
  }
  return neededApprovals(runtime, record, ask, signal);
}

const cutOff = 'This call was interrupted by the end of the process; whether it had an effect is not known.';

function responseOf({
  content,
  toolCalls = [],
  reasoning,
  thinking,
  session,
}: AssistantMessage): NonNullable<Ask['response']> {
  return {
    ...{ text: content, toolCalls, usage: unknownUsage, costUsd: undefined },
    finishReason: { unified: 'tool-calls', raw: undefined },
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(session === undefined ? {} : { session }),
  };
}

/** What is stored of a spec beside backend, model and system: no function, no backend as an object, no server's environment. */
export function storableSpec({ given }: { readonly given: AgentSpec }): JsonObject {
  const {
    tools: _code,
    mcp: _secrets,
    backend: _first,
    model: _its,
    system: _own,
    compression,
    fallback,
    ...data
  } = given;
  const named = fallback?.flatMap((target): FallbackTarget[] => {
    if (typeof target === 'string') return [target];
    return 'backend' in target && typeof target.backend === 'string' ? [target] : [];
  });
  const numbers = compression === undefined || 'compress' in compression ? undefined : compression;
  const kept = {
    ...data,
    ...(named !== undefined && { fallback: named }),
    ...(numbers !== undefined && { compression: numbers }),
  };
  // What is left and is no JSON, such as a strategy, goes here.
  return JSON.parse(JSON.stringify(kept, dropObjects)) as JsonObject;
}

/** Leaves out backends and strategies, which only look like data. */
function dropObjects(key: string, value: unknown): unknown {
  const isCode = typeof value === 'object' && value !== null && ('call' in value || 'compress' in value);
  return isCode && key !== '' ? undefined : value;
}
