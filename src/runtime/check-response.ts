/** What a backend resolves with, looked at before anything is done with it: a backend of a user's may be wrong. */
import type { ModelResponse } from '../../actors/backend.ts';
import { TroupeError } from '../core/errors.ts';

/** The response, if it is one. Throws `TROUPE_ERR_BACKEND_PROTOCOL` naming the field that is wrong. */
export function checkResponse(response: ModelResponse, backend: string): ModelResponse {
  const wrong = wrongField(response);
  if (wrong === undefined) return response;
  const message = `Backend "${backend}" resolved with what is no response: ${wrong}. See ModelResponse.`;
  throw new TroupeError('TROUPE_ERR_BACKEND_PROTOCOL', message);
}

function wrongField(response: Partial<ModelResponse> | null | undefined): string | undefined {
  if (typeof response !== 'object' || response === null) return 'it is no object';
  const { text, toolCalls, finishReason, usage } = response;
  if (typeof text !== 'string') return '`text` is no string';
  if (typeof finishReason?.unified !== 'string') return '`finishReason` is missing';
  if (typeof usage !== 'object' || usage === null) return '`usage` is missing';
  if (!Array.isArray(toolCalls)) return '`toolCalls` is no array';
  if (toolCalls.length === 0) return undefined;
  const whole = toolCalls.every((call) =>
    [call?.id, call?.name, call?.arguments].every((part) => typeof part === 'string'),
  );
  if (!whole) return 'a tool call lacks `id`, `name` or `arguments`';
  return new Set(toolCalls.map(({ id }) => id)).size === toolCalls.length ? undefined : 'two tool calls have one `id`';
}
