/** The most that a model call may cost by its list price: what is set aside for it before it is made. */
import { type Priced, priceFor } from './costs.ts';
import { modelInfo } from './models.ts';

/** The size of a call that was not made yet. */
export interface CallBounds {
  /** The prompt has no more tokens than this. */
  readonly promptTokens: number;
  /** Nor has the answer. */
  readonly maxOutputTokens: number;
}

/**
 * USD that a call costs at most: each token of the prompt at the dearest of what input may cost, cached or not, and as long an
 * answer as it may give. 0 for a price of 0; undefined when no price is known, so that nothing can be said.
 */
export function worstCaseUsd(
  { promptTokens, maxOutputTokens }: CallBounds,
  model: Priced | string,
): number | undefined {
  const { price } = (typeof model === 'string' ? modelInfo(model) : model) ?? {};
  if (price === undefined) return undefined;
  // The prompt may turn out to be shorter: where short prompts are the dearer ones, theirs is the price that counts.
  const prices = [priceFor(price, 0), priceFor(price, promptTokens)];
  const inputUsd = Math.max(...prices.flatMap((each) => [each.inputUsd, each.cacheReadUsd, each.cacheWriteUsd]));
  const outputUsd = Math.max(...prices.map((each) => each.outputUsd));
  return (promptTokens * inputUsd + maxOutputTokens * outputUsd) / 1e6;
}
