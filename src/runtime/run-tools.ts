/**
 * The invoked service `runTools`: runs the tool calls of a step, all at once.
 * Whatever goes wrong with a call becomes its result, which the model sees; nothing here rejects.
 */
import type { Tool, ToolContext } from '../../actors/tools/tool.ts';
import type { ToolsOutcome, WorkInput } from '../../machines/agent.ts';
import { reasonOf, TroupeError } from '../core/errors.ts';
import type { ToolCall, ToolMessage } from '../core/types.ts';
import { type AgentRecord, type Runtime, workOf } from './agent-record.ts';
import type { Ask } from './ask.ts';

/** Characters of a result that the model is shown. */
const maxResultLength = 100_000;

/** Runs the tools that the step in hand wants; the results wait in the ask. */
export async function runTools(runtime: Runtime, input: WorkInput, abort: AbortController): Promise<ToolsOutcome> {
  const { record, ask } = workOf(runtime, input);
  const { signal } = abort;
  const calls = ask.response?.toolCalls ?? [];
  const running = new Set<AbortController>();
  ask.work = abort;
  signal.addEventListener(
    'abort',
    () => {
      for (const one of running) one.abort(signal.reason);
    },
    { once: true },
  );
  await Promise.all(calls.map((call) => runOne(runtime, { record, ask, call, signal, running })));
  ask.work = undefined;
  const messages = ask.conversation.length + (ask.prompted ? 1 : 2) + calls.length;
  return { askId: input.askId, attempt: input.attempt, messages, tokens: record.actor.getSnapshot().context.tokens };
}

interface Run {
  readonly record: AgentRecord;
  readonly ask: Ask;
  readonly call: ToolCall;
  readonly signal: AbortSignal;
  /** The calls in progress, each to be aborted by itself. */
  readonly running: Set<AbortController>;
}

async function runOne(runtime: Runtime, run: Run): Promise<void> {
  const { ask, call, signal } = run;
  ask.emit({ type: 'tool-call', call });
  const phase = ask.response?.toolPhase;
  const hosted = phase?.hosted(call.id)?.catch((thrown: unknown) => failure(call, reasonOf(thrown)));
  const result = await (hosted ?? toolResult(runtime, run));
  if (signal.aborted) return;
  if (hosted === undefined) phase?.give(result);
  ask.results.set(call.id, result);
  ask.emit({ type: 'tool-result', result });
}

async function toolResult(runtime: Runtime, run: Run): Promise<ToolMessage> {
  const { record, call } = run;
  const tool = record.tools.byName.get(call.name);
  if (tool === undefined) {
    const known = [...record.tools.byName.keys()].join(', ') || 'none';
    return failure(call, `There is no tool "${call.name}". Tools: ${known}.`);
  }
  const parsed = parseArguments(call.arguments);
  if ('problem' in parsed) return failure(call, `The arguments are no valid JSON: ${parsed.problem}`);
  try {
    const checked = await tool.check(parsed.value);
    if ('problem' in checked) return failure(call, `The arguments do not fit: ${checked.problem}`);
    return {
      role: 'tool',
      callId: call.id,
      name: call.name,
      content: show(await inTime(runtime, run, tool, checked.value)),
    };
  } catch (thrown) {
    return failure(call, reasonOf(thrown));
  }
}

/** Runs the tool until it ends, its time is over or the ask is given up, whether it obeys the signal or not. */
function inTime(runtime: Runtime, { record, ask, call, running }: Run, tool: Tool, args: unknown): Promise<unknown> {
  const { clock } = runtime;
  const { toolMs } = record.spec.timeouts;
  const abort = new AbortController();
  const context: ToolContext = { agent: record.name, askId: ask.askId, callId: call.id, signal: abort.signal };
  const timer = clock.setTimeout(() => abort.abort(new Error(`The tool took longer than ${toolMs} ms.`)), toolMs);
  running.add(abort);
  return new Promise((resolve, reject) => {
    abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true });
    tool.run(args, context).then(resolve, reject);
  }).finally(() => {
    clock.clearTimeout(timer);
    running.delete(abort);
  });
}

/** The results of a step in the order of its calls; a call that has none was interrupted, and its result says so. */
export function resultsOf(ask: Ask): ToolMessage[] {
  const interrupted = 'This call was interrupted; whether it had an effect is not known.';
  return (ask.response?.toolCalls ?? []).map((call) => ask.results.get(call.id) ?? failure(call, interrupted));
}

function parseArguments(text: string): { value: unknown } | { problem: string } {
  if (text.trim() === '') return { value: {} };
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function show(output: unknown): string {
  const text = typeof output === 'string' ? output : output === undefined ? 'done' : JSON.stringify(output);
  if (typeof text !== 'string')
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', 'The tool returned what is no JSON.');
  if (text.length <= maxResultLength) return text;
  return `${text.slice(0, maxResultLength)}\n[cut: ${text.length - maxResultLength} more characters]`;
}

function failure(call: ToolCall, content: string): ToolMessage {
  return { role: 'tool', callId: call.id, name: call.name, content, isError: true };
}
