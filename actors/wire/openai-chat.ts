/** The request of the OpenAI chat completions protocol: our words to its JSON. */
import type { JsonObject, Message, ModelParameters, ToolDefinition, UserMessage } from '../../src/core/types.ts';
import type { ModelRequest } from '../backend.ts';
import { withInertResults } from './control-tokens.ts';
import { type MessageFormat, requestBytes } from './conversation-bytes.ts';
import { asFields, isJson } from './fields.ts';

/** The name of the cap on generated tokens: OpenAI's newer models refuse the old one, other servers know no other. */
export type MaxTokensField = 'max_tokens' | 'max_completion_tokens';

/** The cap on generated tokens when nobody sets one: a server without a cap may generate until its context is full. */
export const defaultMaxTokens = 4096;

/** What a backend adds to each request of its own. */
export interface ChatDefaults {
  /** For what the request's own parameters do not set. */
  readonly parameters?: ModelParameters | undefined;
  readonly maxTokensField: MaxTokensField;
  /** Whether to ask for a stream, or for one whole completion. */
  readonly stream: boolean;
  /** Whether tool results go without the control tokens of chat templates. Default false. */
  readonly inertResults?: boolean | undefined;
}

/** How this protocol writes messages. */
export const chatMessages: MessageFormat = { encode: (message) => JSON.stringify(wireMessage(message)) };
const inertMessages = withInertResults(chatMessages);

/** The body of a request, as pieces of JSON. A stream is asked for with its usage; `parameters.extra` wins over all. */
export function chatBody(request: ModelRequest, defaults: ChatDefaults): Uint8Array[] {
  const { tools } = request;
  const parameters = { ...defaults.parameters, ...request.parameters };
  const extra = parameters.extra ?? {};
  const fields = {
    model: request.model,
    ...(tools.length > 0 ? { tools: tools.map(wireTool) } : {}),
    ...(defaults.stream ? { stream: true, stream_options: { include_usage: true } } : { stream: false }),
    ...maxTokens(parameters, defaults.maxTokensField, extra),
    temperature: parameters.temperature,
    top_p: parameters.topP,
    stop: parameters.stop,
    seed: parameters.seed,
    response_format: responseFormat(parameters),
    ...extra,
  };
  return requestBytes(fields, defaults.inertResults ? inertMessages : chatMessages, request);
}

function wireMessage(message: Message): object {
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.callId, content: message.content };
  if (message.role === 'user') return { role: 'user', content: userContent(message) };
  if (message.role !== 'assistant' || message.toolCalls === undefined || message.toolCalls.length === 0)
    return { role: message.role, content: message.content };
  const calls = message.toolCalls.map(({ id, name, arguments: text }) => ({
    id,
    type: 'function',
    // Servers that read a call's arguments fail on a conversation that holds broken ones.
    function: { name, arguments: isJson(text) ? text : '{}' },
  }));
  return { role: 'assistant', content: message.content, tool_calls: calls };
}

function userContent({ content, images = [] }: UserMessage): string | object[] {
  if (images.length === 0) return content;
  const pictures = images.map(({ mediaType, data }) => ({
    type: 'image_url',
    image_url: { url: `data:${mediaType};base64,${data}` },
  }));
  return content === '' ? pictures : [...pictures, { type: 'text', text: content }];
}

/** A tool as this protocol, and Ollama's too, describes it. */
export function wireTool({ name, description, parameters }: ToolDefinition): object {
  return { type: 'function', function: { name, description, parameters } };
}

function maxTokens(parameters: ModelParameters, field: MaxTokensField, extra: JsonObject): object {
  if (Object.hasOwn(extra, 'max_tokens') || Object.hasOwn(extra, 'max_completion_tokens')) return {};
  return { [field]: parameters.maxTokens ?? defaultMaxTokens };
}

function responseFormat({ responseFormat: format }: ModelParameters): object | undefined {
  if (format === undefined) return undefined;
  if (format.type === 'json') return { type: 'json_object' };
  const { name, schema } = format;
  return { type: 'json_schema', json_schema: { name, schema, strict: isStrict(schema) } };
}

/** Whether every object in a schema is closed and requires all it has: OpenAI refuses any other as a strict one. */
function isStrict(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.every(isStrict);
  const fields = asFields(schema);
  if (fields === undefined) return true;
  const properties = asFields(fields['properties']);
  const required: unknown = fields['required'];
  const isOpen = properties !== undefined || fields['type'] === 'object';
  if (isOpen && fields['additionalProperties'] !== false) return false;
  if (Object.keys(properties ?? {}).some((name) => !Array.isArray(required) || !required.includes(name))) return false;
  return Object.values(fields).every(isStrict);
}
