/**
 * The data that every layer speaks: messages, tool calls, usage, finish reasons.
 * JSON only, readonly only: what is here can be stored, sent to another process and shown in an inspector.
 */

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A JSON object: a JSON Schema, a tool's arguments, extra request fields. */
export type JsonObject = { readonly [key: string]: Json };

export interface SystemMessage {
  readonly role: 'system';
  readonly content: string;
}

export interface UserMessage {
  readonly role: 'user';
  readonly content: string;
  /** Pictures that belong to the text, before it. Absent when there are none. */
  readonly images?: readonly Image[];
}

/** A picture as data: nothing is fetched. */
export interface Image {
  readonly mediaType: 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp';
  /** The file in base64. */
  readonly data: string;
}

export interface AssistantMessage {
  readonly role: 'assistant';
  readonly content: string;
  /** The model's visible thinking; absent when the backend sent none. Not sent back unless the backend asks for it. */
  readonly reasoning?: string;
  /** Absent when the model asked for no tool. */
  readonly toolCalls?: readonly ToolCall[];
  /** Thinking that its own protocol wants back unchanged; other protocols leave it out. */
  readonly thinking?: Thinking;
  /** Where a backend that keeps conversations itself has this one up to here. It goes on from there; others ignore it. */
  readonly session?: SessionMark;
}

/** Blocks of thinking, signed by who made them. */
export interface Thinking {
  /** The protocol that they belong to: `anthropic`. */
  readonly protocol: string;
  readonly blocks: readonly JsonObject[];
}

/** A place in a conversation that a backend keeps. */
export interface SessionMark {
  /** Kind of the backend. */
  readonly backend: string;
  /** The backend's own id of the session. */
  readonly id: string;
  /** The backend's own id of the last entry that belongs to the conversation so far. */
  readonly entry: string;
}

/** The result of one tool call. */
export interface ToolMessage {
  readonly role: 'tool';
  readonly callId: string;
  readonly name: string;
  readonly content: string;
  /** True when the tool failed, was refused or was interrupted; the model sees the content either way. */
  readonly isError?: boolean;
}

export type Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage;

/** One tool that the model wants run. */
export interface ToolCall {
  /** Unique within its message; made up by us when the server sent none. */
  readonly id: string;
  readonly name: string;
  /** JSON text exactly as the model wrote it: it may be no valid JSON. */
  readonly arguments: string;
}

/** What a model is told about a tool. */
export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments, an object schema. */
  readonly parameters: JsonObject;
}

/** Tokens of one model call, or a sum of such. `undefined` means unknown, never zero. */
export interface Usage {
  /** All tokens of the prompt, cached ones included. */
  readonly inputTokens: number | undefined;
  /** All generated tokens, reasoning included. */
  readonly outputTokens: number | undefined;
  /** The part of `inputTokens` that was read from the provider's cache. */
  readonly cacheReadTokens: number | undefined;
  /** The part of `inputTokens` that was written to the provider's cache. */
  readonly cacheWriteTokens: number | undefined;
}

/** Why the model stopped: our word, and the server's own (undefined when it gave none). */
export interface FinishReason {
  readonly unified: 'stop' | 'tool-calls' | 'length' | 'content-filter' | 'other';
  readonly raw: string | undefined;
}

/** Settings of a model call. An absent one is left to the server. */
export interface ModelParameters {
  readonly temperature?: number;
  readonly topP?: number;
  /** Cap on generated tokens. Default 4096: a server without a cap may generate until its context is full. */
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
  readonly seed?: number;
  /** `json` = any JSON object; `schema` = a JSON Schema that the answer must match, where the server can hold it to that. */
  readonly responseFormat?:
    | { readonly type: 'json' }
    | { readonly type: 'schema'; readonly name: string; readonly schema: JsonObject };
  /** Further request fields, sent as they are and winning over ours. */
  readonly extra?: JsonObject;
}
