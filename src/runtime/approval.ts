/**
 * Tool calls that somebody must allow before they run.
 *
 * P1  A call waits for one decision; a second one, or one on a call that does not wait, is an error.
 * P2  Every wait ends: by a decision, by the agent's policy when its time is over, or with the ask.
 * P3  The message keeps what the model wrote. What ran instead stands in the result: `[arguments were changed to …]`.
 */
import type { Tool } from '../../actors/tools/tool.ts';
import { TroupeError } from '../core/errors.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import type { JsonObject, ToolCall } from '../core/types.ts';
import type { AgentRecord, Runtime } from './agent-record.ts';
import type { Ask } from './ask.ts';
import { callSafely } from './guards.ts';
import { readArguments } from './tool-arguments.ts';
import { failedResult } from './tool-results.ts';

/** A tool call that waits for `agent.approve`. */
export interface PendingApproval {
  readonly agent: string;
  readonly askId: string;
  readonly call: ToolCall;
  /** Milliseconds since the epoch; then the agent's `approval.onTimeout`, or the ask's deadline, decides. */
  readonly expiresAt: number;
}

/** Run it; run it with other arguments, which are checked like the model's; or do not, and tell the model why. */
export type ApprovalDecision =
  | 'allow'
  | { readonly allow: true; readonly arguments?: JsonObject }
  | { readonly deny: string };

/** The approvals of one step. */
export interface Approvals {
  /** By id of the call. */
  readonly waiting: Map<string, PendingApproval>;
  /** Arguments to run a call with, by its id. */
  readonly changed: Map<string, JsonObject>;
  /** Ends the timer. */
  readonly stop: () => void;
}

/** The ids of the calls in hand that must be allowed. Calls that will not run anyway need nobody. Never rejects. */
export async function neededApprovals(
  runtime: Runtime,
  record: AgentRecord,
  ask: Ask,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { toolCalls = [] } = ask.response ?? {};
  const needed = toolCalls.map((call) => {
    const tool = ask.tools.byName.get(call.name);
    const { approve = false } = tool ?? {};
    if (tool === undefined || approve === false) return false;
    if (ask.results.has(call.id) || ask.hosted.has(call.id)) return false;
    const limitMs = tool.timeoutMs ?? record.spec.timeouts.toolMs;
    return yesUnlessNo(runtime, { answer: () => needsApproval(tool, call), limitMs, signal });
  });
  const answers = await Promise.all(needed);
  return toolCalls.filter((_, index) => answers[index]).map(({ id }) => id);
}

/** Whether this call must be allowed: not if its arguments are wrong, since it is refused then. */
async function needsApproval({ approve, check }: Tool, call: ToolCall): Promise<boolean> {
  const read = await readArguments(call.arguments);
  if ('problem' in read) return false;
  const checked = await check(read.value);
  if ('problem' in checked) return false;
  return typeof approve === 'function' ? approve(checked.value, call) : true;
}

interface Question {
  readonly answer: () => Promise<boolean>;
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

/** True unless the answer is false: a question that fails, takes too long or is given up counts as a yes. */
async function yesUnlessNo({ clock }: Runtime, { answer, limitMs, signal }: Question): Promise<boolean> {
  let timer: unknown;
  try {
    return await new Promise<boolean>((resolve, reject) => {
      timer = clock.setTimeout(() => resolve(true), limitMs);
      signal.addEventListener('abort', () => resolve(true), { once: true });
      answer().then((said) => resolve(said !== false), reject);
    });
  } catch {
    return true;
  } finally {
    clock.clearTimeout(timer);
  }
}

/** Lets calls of the step in hand wait for a decision and tells of each. */
export function askForApproval(runtime: Runtime, record: AgentRecord, ask: Ask, callIds: readonly string[]): void {
  const { clock } = runtime;
  const expiresAt = Math.min(clock.now() + record.spec.approval.timeoutMs, ask.deadlineAt);
  const calls = (ask.response?.toolCalls ?? []).filter(({ id }) => callIds.includes(id));
  const pending = calls.map((call) => ({ agent: record.name, askId: ask.askId, call, expiresAt }));
  let timer: unknown;
  const stop = () => clock.clearTimeout(timer);
  ask.approvals = { waiting: new Map(pending.map((one) => [one.call.id, one])), changed: new Map(), stop };
  // Without a timer of its own, the deadline of the ask ends it.
  if (expiresAt < ask.deadlineAt) {
    callSafely(() => {
      timer = clock.setTimeout(() => timedOut(record, ask), expiresAt - clock.now());
    });
    ask.onSettled(stop);
  }
  for (const one of pending) {
    ask.emit({ type: 'approval-needed', call: one.call, expiresAt });
    runtime.approvalNeeded(one);
  }
}

/** The calls of an agent that wait for a decision. */
export function pendingApprovals(record: AgentRecord): readonly PendingApproval[] {
  return [...(askInHand(record)?.approvals?.waiting.values() ?? [])];
}

/** Decides on a call. Throws `TROUPE_ERR_OPTION_INVALID` when it does not wait for that, or the decision is none. */
export function decide(record: AgentRecord, call: string | ToolCall, decision: ApprovalDecision): void {
  checkOptions(`approve of "${record.name}"`, { decision }, { decision: isDecision });
  const callId = typeof call === 'string' ? call : call.id;
  const ask = askInHand(record);
  const pending = ask?.approvals?.waiting.get(callId);
  if (ask?.approvals === undefined || pending === undefined || !isSame(pending.call, call)) {
    const waiting = pendingApprovals(record).map((one) => `"${one.call.id}"`);
    const message = `No call "${callId}" of agent "${record.name}" waits for a decision; waiting: ${waiting.join(', ') || 'none'}.`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message, { agent: record.name });
  }
  const { waiting, changed, stop } = ask.approvals;
  if (typeof decision === 'object' && 'deny' in decision) {
    ask.results.set(callId, failedResult(pending.call, `The call was denied: ${decision.deny}`));
  } else if (typeof decision === 'object' && decision.arguments !== undefined) {
    changed.set(callId, decision.arguments);
  }
  waiting.delete(callId);
  if (waiting.size === 0) stop();
  record.actor.send({ type: 'approve', callId });
}

function timedOut(record: AgentRecord, ask: Ask): void {
  const { timeoutMs, onTimeout } = record.spec.approval;
  const waiting = askInHand(record) === ask ? pendingApprovals(record) : [];
  if (waiting.length === 0) return;
  if (onTimeout === 'deny') {
    for (const { call } of waiting) decide(record, call, { deny: `nobody decided within ${timeoutMs} ms.` });
    return;
  }
  const names = waiting.map(({ call }) => `"${call.name}"`).join(', ');
  ask.expiry = `Nobody decided on the call of ${names} within ${timeoutMs} ms, the \`approval.timeoutMs\` of "${record.name}".`;
  record.actor.send({ type: 'expire', askId: ask.askId });
}

function askInHand({ actor, asks }: AgentRecord): Ask | undefined {
  return asks.get(actor.getSnapshot().context.askId ?? '');
}

/** Ids that a server left out begin anew with each answer: who passes the call itself cannot decide on another one. */
function isSame(pending: ToolCall, call: string | ToolCall): boolean {
  return typeof call === 'string' || (call.name === pending.name && call.arguments === pending.arguments);
}

const isDecision: Rule = (value) => {
  const wanted = '"allow", { allow: true, arguments? } or { deny: reason }';
  if (value === 'allow') return undefined;
  if (typeof value !== 'object' || value === null) return wanted;
  const { allow, deny, arguments: changed, ...others } = value as Record<string, unknown>;
  if (Object.keys(others).length > 0) return wanted;
  if (deny !== undefined) return typeof deny === 'string' && allow === undefined ? undefined : wanted;
  const fits = changed === undefined || (rules.object(changed) === undefined && !Array.isArray(changed));
  return allow === true && fits ? undefined : wanted;
};
