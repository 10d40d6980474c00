/** troupe/testing: what deterministic tests of agents need. It knows no test runner. */
export {
  type GatedAnswer,
  type GatedBackend,
  type GatedCall,
  type GatedOptions,
  gatedBackend,
} from './gated-backend.ts';
export { assertValidMessages } from './messages.ts';
export { type PathModel, type TransitionPaths, transitionName, transitionPaths } from './transition-paths.ts';
export { settle, VirtualClock } from './virtual-clock.ts';
