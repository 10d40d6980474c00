/**
 * The backend that is always there: rules inside this process, no language model, no network.
 * It takes part in the tool loop as a model would. With `list_files` and `read_file` among its tools it reads the code
 * and says what `actors/rules` find in it; without them it sums up what it is given, or says what it is.
 */
import { backendCatalog } from '../../src/core/catalog.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { ToolCall } from '../../src/core/types.ts';
import { zeroUsage } from '../../src/core/usage.ts';
import { type Backend, type ModelRequest, type ModelResponse, requestMessages } from '../backend.ts';
import { backendInfo } from './backend-info.ts';
import type { Reviewing } from './offline-review.ts';
import { type Task, taskOf } from './offline-task.ts';
import { wordsFor } from './offline-words.ts';

/** Options of `offline()`. */
export interface OfflineOptions {
  /** Files that one review reads at most; what is left out is said in the answer. Default 400. */
  readonly maxFiles?: number;
}

/** Makes the embedded backend. It holds nothing but options: every call is answered from its messages alone. */
export function offline(options: OfflineOptions = {}): Backend {
  const { maxFiles = 400 } = options;
  if (!Number.isInteger(maxFiles) || maxFiles < 1) {
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', '`maxFiles` of offline() must be an integer above 0.');
  }
  return {
    kind: 'offline',
    model: backendCatalog.offline.model,
    info: backendInfo('offline'),
    call: async (request) => {
      const task = taskOf(requestMessages(request), request.parameters);
      const names = new Set(request.tools.map(({ name }) => name));
      const canRead = names.has('list_files') && names.has('read_file');
      const reviewing: Reviewing = { task, maxFiles, checkpoint: () => throwIfAborted(request) };
      throwIfAborted(request);
      const step = canRead ? await review(reviewing) : { text: wordsFor(task) };
      throwIfAborted(request);
      return 'text' in step ? say(step.text, request) : callTools(step.calls, task, request);
    },
  };
}

/** The next step of a review. Its rules are loaded by the first one. */
async function review(reviewing: Reviewing) {
  const { reviewStep } = await import('./offline-review.ts');
  return reviewStep(reviewing);
}

function say(text: string, { onEvent }: ModelRequest): ModelResponse {
  for (const line of text.match(/[^\n]*\n|[^\n]+$/g) ?? []) onEvent({ type: 'text-delta', text: line });
  return {
    text,
    toolCalls: [],
    finishReason: { unified: 'stop', raw: undefined },
    usage: zeroUsage,
    costUsd: 0,
  };
}

function callTools(
  calls: readonly { readonly name: string; readonly args: object }[],
  task: Task,
  { onEvent }: ModelRequest,
): ModelResponse {
  onEvent({ type: 'tool-call-delta' });
  const toolCalls = calls.map(
    ({ name, args }, index): ToolCall => ({
      id: `offline-${task.messageCount}-${index + 1}`,
      name,
      arguments: JSON.stringify(args),
    }),
  );
  return {
    text: '',
    toolCalls,
    finishReason: { unified: 'tool-calls', raw: undefined },
    usage: zeroUsage,
    costUsd: 0,
  };
}

function throwIfAborted({ signal }: ModelRequest): void {
  if (!signal.aborted) return;
  throw new TroupeError('TROUPE_ERR_ASK_CANCELLED', 'The call was cancelled.', {
    backend: 'offline',
    cause: signal.reason,
  });
}
