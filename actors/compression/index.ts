/** troupe/compression: strategies, and what a strategy of your own is made of and tested with. */
export { composed } from './composed.ts';
export { type CountTokensOptions, countTokens } from './count-tokens.ts';
export { type DefaultStrategyOptions, defaultStrategy } from './default-strategy.ts';
export { type HierarchicalOptions, hierarchical } from './hierarchical.ts';
export { none } from './none.ts';
export { type Plan, type PlanInput, planCompression } from './plan.ts';
export { type SemanticOptions, semantic } from './semantic.ts';
export { type SlidingWindowOptions, slidingWindow } from './sliding-window.ts';
export type { Compressed, CompressionInput, CompressionStrategy } from './strategy.ts';
export { type SummarizeOptions, summarize, type WritingOptions } from './summarize.ts';
export { type Summary, summaryGroup, summaryOf } from './summary.ts';
