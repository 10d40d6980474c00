/** troupe/testing: what deterministic tests of agents need. It knows no test runner. */
export { settle, VirtualClock } from './virtual-clock.ts';
