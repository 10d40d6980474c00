/**
 * The contract of a backend: a configured place where a model runs.
 *
 * B1  `call` resolves to a whole answer, finish reason seen, or rejects with a `TroupeError` whose class says what to do.
 * B2  Once `signal` is aborted, `call` closes its socket or process at once and rejects; nothing it does later counts.
 * B3  It never appends to the conversation, never keeps a reference into it past the call, and never runs a tool.
 * B4  Its key is in a closure: no property, error, event or log shows it.
 * B5  What it keeps for an agent (a session, a process) is an optimisation: the conversation of the request is the truth.
 */
import type { Capability, Inference, TradeOffs } from '../src/core/catalog.ts';
import type { Conversation } from '../src/core/conversation.ts';
import type { ModelInfo } from '../src/core/models.ts';
import type {
  FinishReason,
  Message,
  ModelParameters,
  SessionMark,
  Thinking,
  ToolCall,
  ToolDefinition,
  ToolMessage,
  Usage,
} from '../src/core/types.ts';
import type { Spend } from '../src/core/usage.ts';

export interface Backend {
  /** The kind of backend, which is also its built-in name: `openai`, `offline`. */
  readonly kind: string;
  /** The model that is used when an agent names none. */
  readonly model: string;
  readonly info: BackendInfo;
  /** Makes one model call. */
  call(request: ModelRequest): Promise<ModelResponse>;
  /** What the server says of a model of its; fields that it does not say are absent. Rejects when it cannot be asked. */
  describeModel?(model: string, signal: AbortSignal): Promise<ModelFacts>;
  /** Vectors of texts, in their order. Absent: the backend makes none. */
  embed?(request: EmbedRequest): Promise<EmbedResponse>;
  /** Ends what it keeps for an agent that is dead. Resolves when that is gone. */
  release?(agent: string): Promise<void>;
  /** Frees what it holds: sockets, processes. Called once, when the troupe closes. */
  close?(): Promise<void>;
}

/** What a server says of one of its models. */
export interface ModelFacts {
  /** Size of the context as it is loaded, prompt and answer together, in tokens. */
  readonly contextTokens?: number;
  /** Whether it can call tools. */
  readonly tools?: boolean;
  /** Requests that the server works on at a time. */
  readonly slots?: number;
}

/** Texts whose vectors are wanted. What holds for `signal` in a call holds here. */
export interface EmbedRequest {
  /** Any number of them. Each is sent whole: one that the model does not take is an error. */
  readonly texts: readonly string[];
  /** Default: the backend's `embeddingModel` option. */
  readonly model?: string;
  readonly signal: AbortSignal;
}

export interface EmbedResponse {
  /** One for each text, all of one length. */
  readonly vectors: readonly (readonly number[])[];
  readonly usage: Usage;
  /** The model that was asked: vectors of two models cannot be compared. */
  readonly model: string;
}

/** What a backend says of itself. */
export interface BackendInfo {
  /** Where the model runs: in this process, on this machine, at a provider. */
  readonly inference: Inference;
  readonly price: 'free' | 'per-token';
  /** What the backend can do, whatever the model; `embeddings` when it has `embed`. */
  readonly capabilities: readonly Capability[];
  /** How to get it, in one sentence. */
  readonly setup: string;
  /** The environment variable of its key; absent when it takes none. */
  readonly keyVariable?: string;
  /** What speaks for it and against it; absent when that is not known. */
  readonly tradeOffs?: TradeOffs;
  /** Models that are known to be had there; it may have others. */
  readonly models?: readonly ModelInfo[];
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
  /** Takes what a call that was given up is found to have cost, when that is known only later. Never throws. */
  readonly onLateSpend?: (spend: Spend) => void;
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
  /** Thinking that must be sent back. */
  readonly thinking?: Thinking;
  /** Where the backend has the conversation with this answer. */
  readonly session?: SessionMark;
  /** Present when the backend itself waits for the results of the calls, or runs some of them. */
  readonly toolPhase?: ToolPhase;
}

/**
 * The time between an answer that wants tools and the next call, at a backend that runs a tool loop of its own. Its own
 * tools run there; ours run here and their results are given back. The next call of the agent goes on with it.
 */
export interface ToolPhase {
  /** The result of a call that the backend runs itself, when it has run; undefined for a call of one of our tools. */
  hosted(callId: string): Promise<ToolMessage> | undefined;
  /** Takes the result of one of our tools. */
  give(result: ToolMessage): void;
  /** Nobody goes on with it: ends what runs. Nothing happens when the phase is over. */
  abandon(): void;
}

/** Everything that a request sends, in order. O(length): for backends that do not keep their own wire bytes. */
export function requestMessages(request: ModelRequest): Message[] {
  return [...request.conversation.messages(), ...request.prompt];
}
