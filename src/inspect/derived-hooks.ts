/**
 * The hooks as far as the machines alone give them away, for a runtime that calls none.
 * A call's tokens are what the agent has spent more than before it; prompts, texts and single tools stay unknown, so the
 * tools of a step are told as one.
 */
import { type ErrorClass, type ErrorCode, type ErrorSummary, errorCodes } from '../core/errors.ts';
import type { Usage } from '../core/types.ts';
import { unknownUsage } from '../core/usage.ts';
import type { Troupe } from '../runtime/troupe.ts';
import type { CallFailure, TroupeEvents } from '../runtime/troupe-events.ts';
import type { CallBegan, RuntimeHooks, ToolBegan } from './hooks.ts';
import type { MachineStep } from './reading.ts';

interface Before {
  readonly call: CallBegan;
  readonly startedAt: number;
  readonly usage: Usage;
  readonly costUsd: number | undefined;
}

interface ToolsRunning {
  readonly tool: ToolBegan;
  readonly startedAt: number;
}

const calling = 'awaiting.calling';
const running = 'tool-loop.running';

/** Calls `hooks` for what the machines of `troupe` show. */
export function deriveHooks(troupe: Troupe, hooks: RuntimeHooks) {
  const calls = new Map<string, Before>();
  const tools = new Map<string, ToolsRunning>();
  const models = new Map<string, string>();

  const endCall = (agent: string, error: ErrorSummary | undefined) => {
    const before = calls.get(agent);
    if (before === undefined) return;
    calls.delete(agent);
    const { call, startedAt } = before;
    const after = troupe.agent(agent);
    const usage = less(after?.usage() ?? unknownUsage, before.usage);
    const isKnown = usage.inputTokens !== undefined || usage.outputTokens !== undefined;
    const costUsd = isKnown ? minus(after?.costUsd, before.costUsd) : undefined;
    const durationMs = troupe.clock.now() - startedAt;
    hooks.onCall({ ...call, phase: 'end', durationMs, usage, costUsd, ...(error !== undefined && { error }) });
  };
  const endTools = ({ agent, from, event }: MachineStep) => {
    const one = tools.get(agent);
    if (from !== running || one === undefined) return;
    tools.delete(agent);
    const { tool, startedAt } = one;
    const isError = event !== 'xstate.done.actor.runTools';
    const result = { role: 'tool', callId: tool.call.id, name: tool.call.name, content: '', isError } as const;
    hooks.onTool({ ...tool, phase: 'end', result, durationMs: troupe.clock.now() - startedAt });
  };
  const beginCall = ({ agent, to, context }: MachineStep) => {
    const { askId, backend, step } = context;
    if (to !== calling || askId === null) return;
    const call = {
      phase: 'begin',
      agent,
      askId,
      backend,
      step,
      model: modelOf(troupe, models, agent, backend),
    } as const;
    const now = troupe.agent(agent);
    calls.set(agent, {
      ...{ call, startedAt: troupe.clock.now() },
      ...{ usage: now?.usage() ?? unknownUsage, costUsd: now?.costUsd },
    });
    hooks.onCall(call);
  };
  const beginTools = ({ agent, to, context }: MachineStep) => {
    const { askId, step } = context;
    if (to !== running || askId === null) return;
    const call = { id: `step-${step}`, name: `tools of step ${step}`, arguments: '' };
    const tool = { phase: 'begin', agent, askId, call } as const;
    tools.set(agent, { tool, startedAt: troupe.clock.now() });
    hooks.onTool(tool);
  };

  return {
    onEvent(agent: string, event: { readonly type: string; readonly askId?: string }): void {
      if (event.type === 'ask' && event.askId !== undefined)
        hooks.onAsk({ phase: 'accepted', agent, askId: event.askId });
    },
    onSettled({ agent, askId, outcome }: TroupeEvents['ask-settled'][0]): void {
      hooks.onAsk({ phase: 'settled', agent, askId, outcome });
    },
    onFailed({ agent, error }: CallFailure): void {
      endCall(agent, error);
    },
    /** What the step ends. */
    beforeStep(step: MachineStep): void {
      if (!step.entersAnew) return;
      if (step.from === calling) endCall(step.agent, errorOf(step.output));
      endTools(step);
    },
    /** What it begins. */
    afterStep(step: MachineStep): void {
      if (!step.entersAnew) return;
      beginCall(step);
      beginTools(step);
    },
    forget(agent: string): void {
      calls.delete(agent);
      tools.delete(agent);
      for (const key of models.keys()) if (key.startsWith(`${agent}\n`)) models.delete(key);
    },
  };
}

/** The model that an agent uses at a backend. One look at the list of agents serves all of them. */
function modelOf(troupe: Troupe, models: Map<string, string>, agent: string, backend: string): string {
  const key = `${agent}\n${backend}`;
  if (!models.has(key)) for (const info of troupe.agents()) models.set(`${info.name}\n${info.backend}`, info.model);
  return models.get(key) ?? '';
}

/** The error that a class stands for, since the machine knows no more of it. */
function errorOf(output: unknown): ErrorSummary | undefined {
  const { kind, class: errorClass } = (output ?? {}) as { kind?: string; class?: ErrorClass };
  if (kind !== 'failed' || errorClass === undefined) return undefined;
  const [code, row] =
    Object.entries(errorCodes).find(([name, row]) => name.includes('_BACKEND_') && row.class === errorClass) ?? [];
  if (code === undefined || row === undefined)
    return { code: 'TROUPE_ERR_AGENT_CRASHED', class: errorClass, message: '' };
  return { code: code as ErrorCode, class: errorClass, message: row.meaning };
}

function less(after: Usage, before: Usage): Usage {
  return {
    inputTokens: grown(after.inputTokens, before.inputTokens),
    outputTokens: grown(after.outputTokens, before.outputTokens),
    cacheReadTokens: grown(after.cacheReadTokens, before.cacheReadTokens),
    cacheWriteTokens: grown(after.cacheWriteTokens, before.cacheWriteTokens),
  };
}

/** A call that took no tokens did not say how many it took. */
function grown(after: number | undefined, before: number | undefined): number | undefined {
  return minus(after, before) || undefined;
}

function minus(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined ? undefined : after - (before ?? 0);
}
