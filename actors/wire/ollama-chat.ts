/** The request of Ollama's `/api/chat`: our words to its JSON. */
import type { JsonObject, Message, ModelParameters } from '../../src/core/types.ts';
import type { ModelRequest } from '../backend.ts';
import { withInertResults } from './control-tokens.ts';
import { type MessageFormat, requestBytes } from './conversation-bytes.ts';
import { asFields, parseFields } from './fields.ts';
import { defaultMaxTokens, wireTool } from './openai-chat.ts';

/** What the backend adds to each request of its own. */
export interface OllamaDefaults {
  /** For what the request's own parameters do not set. */
  readonly parameters?: ModelParameters | undefined;
  readonly contextTokens: number;
  readonly keepAlive?: string | number | undefined;
  readonly think?: boolean | string | undefined;
  /** Whether to ask for a stream, or for one whole answer. */
  readonly stream: boolean;
  /** Whether tool results go without the control tokens of chat templates. Default false. */
  readonly inertResults?: boolean | undefined;
}

/** How this protocol writes messages. */
export const ollamaMessages: MessageFormat = { encode: (message) => JSON.stringify(wireMessage(message)) };
const inertMessages = withInertResults(ollamaMessages);

/**
 * The body of a request, as pieces of JSON. `parameters.extra` wins over all, its `options` one by one.
 * Without `truncate` and `shift` Ollama drops the oldest messages of a prompt that is too long, and says nothing.
 */
export function ollamaBody(request: ModelRequest, defaults: OllamaDefaults): Uint8Array[] {
  const { tools } = request;
  const parameters = { ...defaults.parameters, ...request.parameters };
  const { options, ...extra }: JsonObject = parameters.extra ?? {};
  const fields = {
    model: request.model,
    ...(tools.length > 0 ? { tools: tools.map(wireTool) } : {}),
    stream: defaults.stream,
    truncate: false,
    shift: false,
    format: format(parameters),
    think: defaults.think,
    keep_alive: defaults.keepAlive,
    options: {
      num_ctx: defaults.contextTokens,
      num_predict: parameters.maxTokens ?? defaultMaxTokens,
      temperature: parameters.temperature,
      top_p: parameters.topP,
      seed: parameters.seed,
      stop: parameters.stop,
      ...asFields(options),
    },
    ...extra,
  };
  return requestBytes(fields, defaults.inertResults ? inertMessages : ollamaMessages, request);
}

/** Calls and results have no ids here: a result belongs to the call of its name, in order. */
function wireMessage(message: Message): object {
  const { role, content } = message;
  if (role === 'tool') return { role, tool_name: message.name, content };
  if (role === 'user' && message.images !== undefined && message.images.length > 0)
    return { role, content, images: message.images.map(({ data }) => data) };
  if (role !== 'assistant' || message.toolCalls === undefined || message.toolCalls.length === 0)
    return { role, content };
  const calls = message.toolCalls.map(({ name, arguments: text }) => ({
    function: { name, arguments: parseFields(text) ?? {} },
  }));
  return { role, content, tool_calls: calls };
}

function format({ responseFormat }: ModelParameters): 'json' | JsonObject | undefined {
  return responseFormat?.type === 'schema' ? responseFormat.schema : responseFormat?.type;
}
