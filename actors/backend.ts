/**
 * The contract of a backend: a configured place where a model runs.
 *
 * B1  `call` resolves to a whole answer, finish reason seen, or rejects with a `TroupeError` whose class says what to do.
 * B2  Once `signal` is aborted, `call` closes its socket or process at once and rejects; nothing it does later counts.
 * B3  It never appends to the conversation, never keeps a reference into it past the call, and never runs a tool.
 * B4  Its key is in a closure: no property, error, event or log shows it.
 */
import type { Conversation } from '../src/core/conversation.ts';
import type { FinishReason, Message, ModelParameters, ToolCall, ToolDefinition, Usage } from '../src/core/types.ts';

export interface Backend {
  /** The kind of backend, which is also its built-in name: `openai`, `offline`. */
  readonly kind: string;
  /** The model that is used when an agent names none. */
  readonly model: string;
  readonly info: BackendInfo;
  /** Makes one model call. */
  call(request: ModelRequest): Promise<ModelResponse>;
  /** Frees what it holds: sockets, processes. Called once, when the troupe closes. */
  close?(): Promise<void>;
}

/** What a backend says of itself. */
export interface BackendInfo {
  /** Where the model runs: in this process, on this machine, at a provider. */
  readonly inference: 'embedded' | 'local' | 'cloud';
  readonly price: 'free' | 'per-token';
  /** What the backend can do, whatever the model. */
  readonly capabilities: readonly ('tools' | 'streaming' | 'sessions' | 'embeddings' | 'structured-output')[];
  /** How to get it, in one sentence. */
  readonly setup: string;
}

export interface ModelRequest {
  /** Name of the agent that calls: a backend with sessions keeps one for each. */
  readonly agent: string;
  readonly model: string;
  /** What was said so far. Read it only during the call. */
  readonly conversation: Conversation;
  /** What follows the conversation in this request and is not in it yet: the prompt, until its step succeeded. */
  readonly prompt: readonly Message[];
  /** Empty when the agent has no tools. */
  readonly tools: readonly ToolDefinition[];
  readonly parameters: ModelParameters;
  readonly signal: AbortSignal;
  /** Takes what arrives while it arrives. Never throws. */
  readonly onEvent: (event: ModelEvent) => void;
}

/** Content on its way. Keep-alive comments are no event: only content counts as progress. */
export type ModelEvent =
  | { readonly type: 'text-delta'; readonly text: string }
  | { readonly type: 'reasoning-delta'; readonly text: string }
  /** Something of a tool call arrived; the call itself is in the response. */
  | { readonly type: 'tool-call-delta' };

export interface ModelResponse {
  readonly text: string;
  /** Absent when the model sent no visible thinking. */
  readonly reasoning?: string;
  /** Empty unless the finish reason says that the calls are whole. */
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  readonly usage: Usage;
  /** USD as the backend reports it; undefined when it reports none. */
  readonly costUsd: number | undefined;
}

/** Everything that a request sends, in order. O(length): for backends that do not keep their own wire bytes. */
export function requestMessages(request: ModelRequest): Message[] {
  return [...request.conversation.messages(), ...request.prompt];
}
