/** troupe: an actor-model runtime for LLM agents. Everything public is named here. */
export type {
  Backend,
  BackendInfo,
  EmbedRequest,
  EmbedResponse,
  ModelEvent,
  ModelFacts,
  ModelRequest,
  ModelResponse,
  ToolPhase,
} from '../actors/backend.ts';
export { requestMessages } from '../actors/backend.ts';
export { type AnthropicOptions, anthropic } from '../actors/backends/anthropic.ts';
export type { ChatServerOptions } from '../actors/backends/chat-server.ts';
export { type ClaudeCliOptions, claudeCli } from '../actors/backends/claude-cli.ts';
export { type OfflineOptions, offline } from '../actors/backends/offline.ts';
export { type OllamaOptions, ollama } from '../actors/backends/ollama.ts';
export { type OpenAiOptions, openai } from '../actors/backends/openai.ts';
export { llamaCpp, lmStudio, localAi, vllm } from '../actors/backends/presets.ts';
export {
  type Script,
  type ScriptedBackend,
  type ScriptedOptions,
  type ScriptedStep,
  scripted,
} from '../actors/backends/scripted.ts';
export { type InnerBackend, type SubprocessOptions, subprocess } from '../actors/backends/subprocess.ts';
export { type MemoryStoreOptions, memoryStore } from '../actors/store/memory.ts';
export type {
  AskOutcome,
  LedgerEntry,
  LedgerSum,
  Store,
  StoredAgent,
  StoredAsk,
  StoredAskState,
  StoredCall,
  StoredReply,
  StoredView,
} from '../actors/store/store.ts';
export type { CodeFilesOptions } from '../actors/tools/code-files.ts';
export { codeTools } from '../actors/tools/code-tools.ts';
export type { McpAuthProvider, McpServerConfig, McpServers } from '../actors/tools/mcp-config.ts';
export { loadMcpConfig, type McpConfigFileOptions } from '../actors/tools/mcp-config-file.ts';
export type { Schema, StandardSchema } from '../actors/tools/schema.ts';
export { type Tool, type ToolContext, type ToolOptions, tool } from '../actors/tools/tool.ts';
export type { BudgetWarning } from './core/budget.ts';
export type { BackendChoice, ChoicePolicy, Tier } from './core/choice.ts';
export { type BillLine, billOf, costOf } from './core/costs.ts';
export {
  type Attempt,
  type Component,
  type ErrorClass,
  type ErrorCode,
  type ErrorSummary,
  errorCodes,
  isTroupeError,
  TroupeError,
} from './core/errors.ts';
export { type ModelInfo, type ModelPrice, modelInfo } from './core/models.ts';
export type { HourlyPrice, PriceList } from './core/prices.ts';
export type { Clock, Ids, Random } from './core/seams.ts';
export type {
  AssistantMessage,
  FinishReason,
  Image,
  Json,
  JsonObject,
  Message,
  ModelParameters,
  SessionMark,
  SystemMessage,
  Thinking,
  ToolCall,
  ToolDefinition,
  ToolMessage,
  Usage,
  UserMessage,
} from './core/types.ts';
export type { Spend } from './core/usage.ts';
export type { BackendLimits, BackendStatus, BreakerChange } from './runtime/admission.ts';
export type { Agent, AgentState, ForkOptions } from './runtime/agent.ts';
export type {
  AgentSpec,
  ApprovalPolicy,
  FallbackTarget,
  MailboxPolicy,
  PrintedToolCalls,
  Replay,
  Timeouts,
} from './runtime/agent-spec.ts';
export { type AgentToolArguments, type AgentToolOptions, agentTool } from './runtime/agent-tool.ts';
export type { ApprovalDecision, PendingApproval } from './runtime/approval.ts';
export type { AskOptions } from './runtime/ask.ts';
export type { AskHandle, AskStatus } from './runtime/ask-handle.ts';
export { type AskAllOptions, type AskRequest, type AskResult, askAll, race } from './runtime/ask-many.ts';
export type { AskReference } from './runtime/ask-reference.ts';
export type { Compression } from './runtime/compress.ts';
export type { CompressionOptions, CompressionSetting } from './runtime/compression-options.ts';
export type { Logger } from './runtime/log.ts';
export type { Reply, StreamEvent } from './runtime/reply.ts';
export type { ReplyStream } from './runtime/reply-stream.ts';
export type { GroupOptions, GroupStrategy, RestartLimits, RestartOptions, RestartPolicy } from './runtime/restart.ts';
export type { OutputOf } from './runtime/structured-output.ts';
export type { KnownModel } from './runtime/token-book.ts';
export { createTroupe, type Troupe } from './runtime/troupe.ts';
export type { AgentDown, CallFailure, DeadLetter, Fallback, TroupeEvents } from './runtime/troupe-events.ts';
export type { AgentInfo, Health } from './runtime/troupe-info.ts';
export type {
  McpPrompt,
  McpPromptMessage,
  McpRequestOptions,
  McpResource,
  McpResourceContent,
  TroupeMcp,
} from './runtime/troupe-mcp.ts';
export type { TroupeOptions } from './runtime/troupe-options.ts';
export type { AgentWarning, WarningCode } from './runtime/warnings.ts';
