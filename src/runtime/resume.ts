/**
 * Brings back what a store has kept: the agents with their conversations, and the asks that were accepted and not answered.
 *
 * V1  The log and the table of asks are the truth; no machine's snapshot is stored. An agent begins idle, and takes up the ask
 *     that it had in hand where its last finished step ended, then the others in their order.
 * V2  A tool call that had begun when the process ended is not made again, unless its tool is `idempotent`: the model is told.
 * V3  Calls that wait for a decision wait again. Deadlines are those of the clock on the wall: what is over is rejected.
 * V4  A call of a backend that was in flight is one call in the ledger, of which nothing is known.
 */
import type { StoredAgent, StoredAskState } from '../../actors/store/store.ts';
import { Conversation } from '../core/conversation.ts';
import { type TroupeError, toTroupeError } from '../core/errors.ts';
import type { AssistantMessage, JsonObject } from '../core/types.ts';
import { unknownUsage } from '../core/usage.ts';
import type { Agent } from './agent.ts';
import type { AgentRecord, Runtime } from './agent-record.ts';
import type { AgentSpec, FallbackTarget } from './agent-spec.ts';
import { neededApprovals } from './approval.ts';
import type { Ask } from './ask.ts';
import type { Mail } from './mail.ts';
import { failedResult } from './tool-results.ts';
import { viewOf } from './view.ts';

/** What it needs of the troupe. */
export interface ResumeHost {
  readonly runtime: Runtime;
  readonly mail: Mail;
  /** The whole spec of a stored agent: what was stored, with the tools and whatever else is no data. */
  specOf(stored: StoredAgent): AgentSpec | undefined;
  /** Brings it up without writing it again. */
  start(
    stored: StoredAgent,
    spec: AgentSpec,
    conversation: Conversation,
  ): Promise<{ agent: Agent; record: AgentRecord }>;
  /** An agent, or one of its asks, could not be brought back. It stays in the store. */
  failed(agent: string, error: TroupeError): void;
}

/** Brings back every agent of the store; gives those that came. */
export async function resumeAgents(host: ResumeHost): Promise<Agent[]> {
  const { store } = host.runtime;
  const agents: Agent[] = [];
  for (const call of await store.openCalls()) {
    const { agent, askId, backend, model } = call;
    const at = host.runtime.clock.now();
    store.addUsage({ agent, askId, backend, model, at, calls: 1, usage: unknownUsage, costUsd: undefined });
  }
  for (const stored of await store.agents()) {
    try {
      const agent = await resumeAgent(host, stored);
      if (agent !== undefined) agents.push(agent);
    } catch (thrown) {
      host.failed(stored.name, toTroupeError(thrown, `Agent "${stored.name}"`));
    }
  }
  return agents;
}

async function resumeAgent(host: ResumeHost, stored: StoredAgent): Promise<Agent | undefined> {
  const { store } = host.runtime;
  const { name, system } = stored;
  const spec = host.specOf(stored);
  if (spec === undefined) return undefined;
  const conversation = new Conversation(system);
  for (const group of await store.groups(name)) conversation.append(group);
  const view = await store.view(name);
  const asks = await store.asks(name);
  const { agent, record } = await host.start(stored, spec, conversation);
  if (view !== undefined) record.view = viewOf(conversation, view);
  for (const { askId, prompt, outcome } of asks)
    if (outcome !== undefined) record.settled.add(askId, { prompt, outcome });
  const open = asks.filter(({ outcome }) => outcome === undefined);
  const inHand = open.find(({ groups, step }) => groups > 0 || step !== undefined);
  if (inHand !== undefined) await takeUp(host, record, inHand);
  for (const ask of open) if (ask !== inHand) host.mail.readmit(record, ask);
  record.isResuming = false;
  host.mail.letIn(record);
  return agent;
}

/** Goes on with the ask that the agent had in hand. */
async function takeUp({ runtime, mail }: ResumeHost, record: AgentRecord, stored: StoredAskState): Promise<void> {
  const { step } = stored;
  const ask = mail.readmit(record, stored, 'in-hand');
  if (ask === undefined) return;
  ask.prompted = stored.groups > 0;
  ask.steps = stored.groups + (step === undefined ? 0 : 1);
  const approvals = step === undefined ? [] : await restoreStep(runtime, record, ask, step);
  if (ask.outcome !== undefined) return;
  const tools = step !== undefined;
  record.actor.send({ type: 'resume', askId: ask.askId, step: stored.groups + 1, approvals, tools });
}

/** The answer that wanted tools, as if it had just come; gives the calls that somebody must decide on. */
async function restoreStep(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask,
  { message, started }: NonNullable<StoredAskState['step']>,
): Promise<readonly string[]> {
  const { signal } = new AbortController();
  const mcpTools = await record.mcp?.tools(record.tools, signal).catch(() => undefined);
  ask.tools = mcpTools ?? record.tools;
  ask.response = responseOf(message);
  for (const call of ask.response.toolCalls) {
    const isIdempotent = ask.tools.byName.get(call.name)?.idempotent === true;
    if (started.includes(call.id) && !isIdempotent) ask.results.set(call.id, failedResult(call, cutOff));
  }
  // Who has begun was allowed to.
  return started.length > 0 ? [] : neededApprovals(runtime, record, ask, signal);
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

/** The part of a spec that can be stored: no function, no backend as an object, no server's environment. */
export function storableSpec({ given }: { readonly given: AgentSpec }): JsonObject {
  const { tools: _code, mcp: _secrets, compression, backend, fallback, system: _own, model: _too, ...data } = given;
  const named = fallback?.flatMap((target): FallbackTarget[] => {
    if (typeof target === 'string') return [target];
    return 'backend' in target && typeof target.backend === 'string' ? [target] : [];
  });
  const numbers = compression === undefined || 'compress' in compression ? undefined : compression;
  const kept = {
    ...data,
    ...(typeof backend === 'string' && { backend }),
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
