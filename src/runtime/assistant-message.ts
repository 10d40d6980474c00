/** What the log keeps of an answer. */
import type { ModelResponse } from '../../actors/backend.ts';
import type { AssistantMessage } from '../core/types.ts';

/** The message of an answer. */
export function assistantMessage({ text, reasoning, toolCalls, thinking, session }: ModelResponse): AssistantMessage {
  return {
    role: 'assistant',
    content: text,
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(session === undefined ? {} : { session }),
  };
}
