/**
 * The request of Anthropic's Messages protocol: our words to its JSON.
 *
 * M1  The results of one step are one user message, right behind the message with their calls. Users and assistants alternate,
 *     also after a step that was interrupted.
 * M2  No text block is blank: the server refuses such a request.
 * M3  The marks of the cache stand outside the messages, whose bytes are kept.
 */
import type {
  AssistantMessage,
  JsonObject,
  Message,
  ModelParameters,
  SystemMessage,
  ToolDefinition,
  ToolMessage,
  UserMessage,
} from '../../src/core/types.ts';
import type { ModelRequest } from '../backend.ts';
import { withInertResults } from './control-tokens.ts';
import { type MessageFormat, requestBytes } from './conversation-bytes.ts';
import { asFields, parseFields } from './fields.ts';
import { defaultMaxTokens } from './openai-chat.ts';

/** The protocol that signed thinking belongs to. */
export const protocolName = 'anthropic';

/** Which parts of the prompt the server is asked to keep: `marked` = tools and system text, `all` = the conversation, too. */
type Caching = 'none' | 'marked' | 'all';

/** What the backend adds to each request of its own. */
export interface MessagesDefaults {
  /** For what the request's own parameters do not set. */
  readonly parameters?: ModelParameters | undefined;
  /** Tokens to think with, besides those of the answer. */
  readonly thinkingTokens?: number | undefined;
  readonly caching: Caching;
  /** Whether to ask for a stream, or for one whole message. */
  readonly stream: boolean;
  /** Whether tool results go without the control tokens of chat templates. Default false. */
  readonly inertResults?: boolean | undefined;
}

/** How this protocol writes messages. */
export const anthropicMessages = {
  encode: (message) => JSON.stringify(wireMessage(message)),
  encodeResults: (results) => JSON.stringify({ role: 'user', content: results.map(resultBlock) }),
  systemApart: true,
  gap: JSON.stringify({ role: 'assistant', content: [{ type: 'text', text: '(interrupted)' }] }),
} satisfies MessageFormat;
const inertMessages = withInertResults(anthropicMessages);

/** The body of a request, as pieces of JSON. `parameters.extra` wins over all, its `output_config` field by field. */
export function messagesBody(request: ModelRequest, defaults: MessagesDefaults): Uint8Array[] {
  const { tools, conversation } = request;
  const { caching, stream, thinkingTokens } = defaults;
  const parameters = { ...defaults.parameters, ...request.parameters };
  const { output_config: outputConfig, ...extra }: JsonObject = parameters.extra ?? {};
  const fields = {
    model: request.model,
    max_tokens: (parameters.maxTokens ?? defaultMaxTokens) + (thinkingTokens ?? 0),
    stream,
    ...(caching === 'all' ? { cache_control: keep } : {}),
    system: systemText(conversation.system, caching),
    ...(tools.length > 0 ? { tools: wireTools(tools, caching) } : {}),
    ...(thinkingTokens === undefined ? {} : { thinking: { type: 'enabled', budget_tokens: thinkingTokens } }),
    temperature: parameters.temperature,
    top_p: parameters.topP,
    stop_sequences: parameters.stop,
    ...outputFields(parameters, outputConfig),
    ...extra,
  };
  return requestBytes(fields, defaults.inertResults ? inertMessages : anthropicMessages, request);
}

const keep = { type: 'ephemeral' };

function systemText(system: SystemMessage | undefined, caching: Caching): string | object[] | undefined {
  if (system === undefined || isBlank(system.content)) return undefined;
  return caching === 'none' ? system.content : [{ ...textBlock(system.content), cache_control: keep }];
}

function wireTools(tools: readonly ToolDefinition[], caching: Caching): object[] {
  const last = caching === 'none' ? undefined : tools.at(-1);
  return tools.map((tool) => ({
    name: tool.name,
    description: tool.description,
    input_schema: tool.parameters,
    ...(tool === last ? { cache_control: keep } : {}),
  }));
}

/** Any JSON is nothing that this server can be held to. */
function outputFields({ responseFormat: format }: ModelParameters, given: unknown): object {
  if (format?.type !== 'schema') return given === undefined ? {} : { output_config: given };
  const wanted = { format: { type: 'json_schema', schema: format.schema } };
  return { output_config: { ...wanted, ...asFields(given) } };
}

function wireMessage(message: Message): object {
  if (message.role === 'assistant') return { role: 'assistant', content: assistantBlocks(message) };
  if (message.role === 'tool') return { role: 'user', content: [resultBlock(message)] };
  return { role: 'user', content: message.role === 'user' ? userContent(message) : message.content };
}

function userContent({ content, images = [] }: UserMessage): string | object[] {
  if (images.length === 0) return isBlank(content) ? noText : content;
  const pictures = images.map(({ mediaType, data }) => ({
    type: 'image',
    source: { type: 'base64', media_type: mediaType, data },
  }));
  return isBlank(content) ? pictures : [...pictures, textBlock(content)];
}

/** An answer may be empty and may be nothing but thinking; the server refuses to be sent back either. */
function assistantBlocks({ content, toolCalls = [], thinking }: AssistantMessage): object[] {
  const thought = thinking?.protocol === protocolName ? thinking.blocks : [];
  const calls = toolCalls.map(({ id, name, arguments: text }) => ({
    type: 'tool_use',
    id: wireId(id),
    name,
    input: parseFields(text) ?? {},
  }));
  if (!isBlank(content)) return [...thought, textBlock(content), ...calls];
  return calls.length > 0 ? [...thought, ...calls] : [...thought, textBlock(noText)];
}

function resultBlock({ callId, content, isError }: ToolMessage): object {
  const failed = isError === true ? { is_error: true } : {};
  return { type: 'tool_result', tool_use_id: wireId(callId), content, ...failed };
}

/** Stands where there must be a text and is none. */
const noText = '(no text)';

function textBlock(text: string): object {
  return { type: 'text', text };
}

function isBlank(text: string): boolean {
  return text.trim() === '';
}

const escaped = 'troupe_';

/** An id in the letters that the server takes, no two alike: another backend of the conversation may use any. */
function wireId(id: string): string {
  if (/^[\w-]+$/.test(id) && !id.startsWith(escaped)) return id;
  return escaped + id.replace(/[^a-z0-9-]/gi, (letter) => `_${letter.charCodeAt(0).toString(16)}_`);
}
