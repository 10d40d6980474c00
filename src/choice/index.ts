/** troupe/choice: how hard a task is, and which backend it goes to. `backend: 'auto'` uses the same. */
export { type Candidate, type CandidateFacts, candidateOf, type Need } from '../core/candidate.ts';
export {
  type BackendChoice,
  type ChoicePolicy,
  type ChoiceRequest,
  chooseBackend,
  defaultTiers,
  type RejectedBackend,
  type Tier,
} from '../core/choice.ts';
export { analyzeComplexity, type Complexity, type ComplexityReason } from '../core/complexity.ts';
