/** Notices a model that makes the same tool call again and again, and stops it. */
import { TroupeError } from '../core/errors.ts';
import type { AgentRecord } from './agent-record.ts';
import type { Ask } from './ask.ts';
import { canonicalArguments } from './tool-arguments.ts';
import { failedResult } from './tool-results.ts';

/**
 * Counts the calls of the step in hand. A call that was made more than `maxSameCalls` times in a row has its result at once;
 * beyond twice that, the ask is `stuck`. Calls that the backend runs itself are not ours to stop.
 */
export function refuseRepeats({ name: agent, spec }: AgentRecord, ask: Ask): void {
  const { maxSameCalls } = spec;
  const counts = new Map<string, number>();
  for (const call of ask.response?.toolCalls ?? []) {
    if (ask.hosted.has(call.id)) continue;
    const key = `${call.name} ${canonicalArguments(call.arguments)}`;
    const count = (counts.get(key) ?? ask.callCounts?.get(key) ?? 0) + 1;
    counts.set(key, count);
    if (count <= maxSameCalls) continue;
    const told = `This call was made ${count} times in a row, so it was not run again: use its result, or do something else.`;
    ask.results.set(call.id, failedResult(call, told));
    if (count <= 2 * maxSameCalls) continue;
    const message = `Agent "${agent}" made the same call of "${call.name}" ${count} times in a row; raise \`maxSameCalls\` if that is right.`;
    ask.stuck ??= new TroupeError('TROUPE_ERR_ASK_STEPS_EXCEEDED', message);
  }
  ask.callCounts = counts;
}
