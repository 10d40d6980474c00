/**
 * The invoked service `runTools`: runs the tool calls of a step, so many at once.
 * Whatever goes wrong with a call becomes its result, which the model sees; only an ask that is stuck makes it reject.
 * A call that has its result already, because it was denied or repeated, does not run.
 */
import type { Tool, ToolContext } from '../../actors/tools/tool.ts';
import type { ToolsOutcome, WorkInput } from '../../machines/agent-types.ts';
import { reasonOf } from '../core/errors.ts';
import type { ToolCall, ToolMessage } from '../core/types.ts';
import { type AgentRecord, type Runtime, workOf } from './agent-record.ts';
import type { Ask } from './ask.ts';
import { onPath } from './ask-path.ts';
import { readArguments } from './tool-arguments.ts';
import { failedResult, resultText } from './tool-results.ts';

/** Runs the tools that the step in hand wants; the results wait in the ask. */
export async function runTools(runtime: Runtime, input: WorkInput, abort: AbortController): Promise<ToolsOutcome> {
  const { record, ask } = workOf(runtime, input);
  const { signal } = abort;
  if (ask.stuck !== undefined) throw ask.stuck;
  const calls = ask.response?.toolCalls ?? [];
  const running = new Set<AbortController>();
  ask.work = abort;
  ask.started = new Set();
  signal.addEventListener(
    'abort',
    () => {
      for (const one of running) one.abort(signal.reason);
    },
    { once: true },
  );
  await runAll(runtime, { record, ask, signal, running }, calls);
  ask.work = undefined;
  const messages = ask.conversation.length + (ask.prompted ? 1 : 2) + calls.length;
  return { askId: input.askId, attempt: input.attempt, messages, tokens: record.actor.getSnapshot().context.tokens };
}

interface Step {
  readonly record: AgentRecord;
  readonly ask: Ask;
  readonly signal: AbortSignal;
  /** The calls in progress, each to be aborted by itself. */
  readonly running: Set<AbortController>;
}

interface Run extends Step {
  readonly call: ToolCall;
}

/** Calls that the backend runs count for no limit: they are only waited for, and may themselves wait for one of ours. */
async function runAll(runtime: Runtime, step: Step, calls: readonly ToolCall[]): Promise<void> {
  const { maxParallelTools } = step.record.spec;
  const { hosted } = step.ask;
  const ours = hosted.size === 0 ? calls : calls.filter(({ id }) => !hosted.has(id));
  const queue = ours.values();
  const takeTurns = async () => {
    for (const call of queue) await runOne(runtime, { ...step, call });
  };
  const turns = Array.from({ length: Math.min(ours.length, maxParallelTools) }, takeTurns);
  const theirs = calls.filter(({ id }) => hosted.has(id)).map((call) => runOne(runtime, { ...step, call }));
  await Promise.all([...theirs, ...turns]);
}

async function runOne(runtime: Runtime, run: Run): Promise<void> {
  const { ask, call, signal, record } = run;
  const { watchers, clock } = runtime;
  if (signal.aborted) return;
  const of = { agent: record.name, askId: ask.askId, call };
  const startedAt = clock.now();
  if (watchers.any) watchers.onTool({ phase: 'begin', ...of });
  ask.started?.add(call.id);
  ask.emit({ type: 'tool-call', call });
  const hosted = ask.hosted.get(call.id);
  const mayRepeat = hosted !== undefined || ask.results.has(call.id) || ask.tools.byName.get(call.name)?.idempotent;
  if (mayRepeat !== true && runtime.store.isDurable) {
    // What may not run twice is on record before it runs once.
    runtime.store.startTool(run.record.name, ask.askId, call.id);
    await runtime.store.barrier();
    if (signal.aborted) return;
  }
  const result = await (hosted ?? ask.results.get(call.id) ?? toolResult(runtime, run));
  if (signal.aborted) return;
  if (hosted === undefined) ask.response?.toolPhase?.give(result);
  ask.results.set(call.id, result);
  ask.emit({ type: 'tool-result', result });
  if (watchers.any) watchers.onTool({ phase: 'end', ...of, result, durationMs: clock.now() - startedAt });
}

/** What ran instead of what the model wrote is said before the result, in the log and to the model. */
async function toolResult(runtime: Runtime, run: Run): Promise<ToolMessage> {
  const { ask, call } = run;
  const changed = ask.approvals?.changed.get(call.id);
  if (changed !== undefined) {
    const result = await resultWith(runtime, run, changed);
    return withNote(result, `[arguments were changed to ${JSON.stringify(changed)}]`);
  }
  const read = await readArguments(call.arguments);
  if ('problem' in read) return failedResult(call, `The arguments are no valid JSON: ${read.problem}`);
  const result = await resultWith(runtime, run, read.value);
  return read.repaired ? withNote(result, `[arguments were read as ${JSON.stringify(read.value)}]`) : result;
}

function withNote(result: ToolMessage, note: string): ToolMessage {
  return { ...result, content: `${note}\n${result.content}` };
}

async function resultWith(runtime: Runtime, run: Run, args: unknown): Promise<ToolMessage> {
  const { record, ask, call } = run;
  const { byName } = ask.tools;
  const tool = byName.get(call.name);
  if (tool === undefined) {
    const known = [...byName.keys()].join(', ') || 'none';
    return failedResult(call, `There is no tool "${call.name}". Tools: ${known}.`);
  }
  try {
    const checked = await tool.check(args);
    if ('problem' in checked) return failedResult(call, `The arguments do not fit: ${checked.problem}`);
    const output = await inTime(runtime, run, tool, checked.value);
    const content = resultText(output, record.spec.maxToolResultChars);
    return { role: 'tool', callId: call.id, name: call.name, content };
  } catch (thrown) {
    return failedResult(call, reasonOf(thrown));
  }
}

/** Runs the tool until it ends, its time is over or the ask is given up, whether it obeys the signal or not. */
async function inTime(runtime: Runtime, run: Run, tool: Tool, args: unknown): Promise<unknown> {
  const { record, ask, call, signal, running } = run;
  signal.throwIfAborted();
  const { clock } = runtime;
  const limitMs = tool.timeoutMs ?? record.spec.timeouts.toolMs;
  const abort = new AbortController();
  const context: ToolContext = { agent: record.name, askId: ask.askId, callId: call.id, signal: abort.signal };
  const timer = clock.setTimeout(() => abort.abort(new Error(`The tool took longer than ${limitMs} ms.`)), limitMs);
  running.add(abort);
  return new Promise((resolve, reject) => {
    abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true });
    onPath({ agent: record, ask, signal: abort.signal, clock }, () => tool.run(args, context)).then((result) => {
      if (abort.signal.aborted) runtime.counts.lateResults += 1;
      resolve(result);
    }, reject);
  }).finally(() => {
    clock.clearTimeout(timer);
    running.delete(abort);
  });
}
