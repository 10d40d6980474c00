/** troupe/review: the code review as a function. */
export { type Expert, experts } from './experts.ts';
export { type Finding, parseAnswer, type Severity, severities } from './findings.ts';
export { type AgentReport, type ReviewOptions, type ReviewReport, review } from './review.ts';
