/** The results of tool calls, as the model sees them. */
import type { ModelResponse } from '../../actors/backend.ts';
import { reasonOf, TroupeError } from '../core/errors.ts';
import type { ToolCall, ToolMessage } from '../core/types.ts';
import type { Ask } from './ask.ts';

/** The results of the calls that the backend runs itself, by id. None of them rejects. */
export function hostedResults({ toolCalls, toolPhase }: ModelResponse): HostedResults {
  if (toolPhase === undefined) return noHostedResults;
  const results = new Map<string, Promise<ToolMessage>>();
  for (const call of toolCalls) {
    const result = toolPhase.hosted(call.id);
    if (result !== undefined)
      results.set(
        call.id,
        result.catch((thrown) => failedResult(call, reasonOf(thrown))),
      );
  }
  return results;
}

export type HostedResults = ReadonlyMap<string, Promise<ToolMessage>>;

export const noHostedResults: HostedResults = new Map();

/** The results of a step in the order of its calls; a call that has none was interrupted, and its result says so. */
export function resultsOf(ask: Ask): ToolMessage[] {
  return (ask.response?.toolCalls ?? []).map((call) => ask.results.get(call.id) ?? interrupted(ask, call));
}

function interrupted(ask: Ask, call: ToolCall): ToolMessage {
  const mayHaveRun = ask.started?.has(call.id) || ask.hosted.has(call.id);
  if (!mayHaveRun) return failedResult(call, 'This call was interrupted before it ran.');
  return failedResult(call, 'This call was interrupted; whether it had an effect is not known.');
}

/** The result of a call that did not do what it should. */
export function failedResult(call: ToolCall, content: string): ToolMessage {
  return { role: 'tool', callId: call.id, name: call.name, content, isError: true };
}

/** What a tool returned, as text of at most `maxChars` characters. Throws when it is no JSON. */
export function resultText(output: unknown, maxChars: number): string {
  const text = typeof output === 'string' ? output : output === undefined ? 'done' : JSON.stringify(output);
  if (typeof text !== 'string')
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', 'The tool returned what is no JSON.');
  if (text.length <= maxChars) return text;
  const shown = text.slice(0, maxChars).replace(/[\ud800-\udbff]$/, '');
  return `${shown}\n[cut: ${text.length - shown.length} more characters]`;
}
