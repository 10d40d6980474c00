/** troupe/machines: the pure statecharts, for drivers of your own, for Stately and for tests. */
export {
  type AgentContext,
  type AgentEvent,
  type AgentInput,
  type AgentLimits,
  agentMachine,
  type BackendChoice,
  type CallOutcome,
  type CompressOutcome,
  type ToolsOutcome,
  type WaitInput,
  type WorkInput,
} from './agent.ts';
export {
  type BackendHealth,
  type FallbackRequest,
  nextBackend,
  type SupervisorContext,
  type SupervisorEvent,
  supervisorMachine,
} from './supervisor.ts';
