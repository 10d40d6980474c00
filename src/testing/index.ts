/** troupe/testing: what deterministic tests of agents need. It knows no test runner. */
export {
  type Script,
  type ScriptedBackend,
  type ScriptedOptions,
  type ScriptedStep,
  scripted,
  scripted as scriptedBackend,
} from '../../actors/backends/scripted.ts';
export { type AnsweringCall, answeringBackend } from './answering-backend.ts';
export { type Cassette, type CassetteOptions, cassette } from './cassette.ts';
export { type FakeServer, type FakeStep, fakeServer, faultNames } from './fake-server.ts';
export type { Counts, Received } from './fault-server.ts';
export {
  type GatedAnswer,
  type GatedBackend,
  type GatedCall,
  type GatedOptions,
  gatedBackend,
} from './gated-backend.ts';
export { agentInvariants } from './invariants.ts';
export { idMaker, type KeyedRandom, keyedRandom } from './keyed-random.ts';
export { assertValidMessages } from './messages.ts';
export {
  type Scene,
  type SimulateOptions,
  type Simulation,
  SimulationError,
  simulate,
  type World,
} from './simulate.ts';
export { type ConversationEntry, type LogEntry, logDifference, parseLog } from './simulation-log.ts';
export { type PathModel, type TransitionPaths, transitionName, transitionPaths } from './transition-paths.ts';
export { settle, VirtualClock } from './virtual-clock.ts';
