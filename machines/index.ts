/** troupe/machines: the pure statecharts, for drivers of your own, for Stately and for tests. */
export { agentMachine } from './agent.ts';
export type {
  AgentContext,
  AgentEvent,
  AgentInput,
  AgentLimits,
  BackendChoice,
  CallOutcome,
  CompressOutcome,
  Death,
  ToolsOutcome,
  WaitInput,
  WorkInput,
} from './agent-types.ts';
export {
  type BreakerContext,
  type BreakerEvent,
  type BreakerInput,
  type BreakerLimits,
  breakerMachine,
  defaultBreakerLimits,
} from './breaker.ts';
export {
  type DownEvent,
  type FallbackRequest,
  nextBackend,
  type SupervisorContext,
  type SupervisorEvent,
  supervisorMachine,
} from './supervisor.ts';
