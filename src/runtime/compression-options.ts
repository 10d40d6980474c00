/** How an agent's conversation is made to fit: the `compression` of a spec, checked and with its defaults. */
import type { Backend } from '../../actors/backend.ts';
import type { CompressionStrategy } from '../../actors/compression/strategy.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import { isBackend } from './backends.ts';

export interface CompressionOptions {
  /** Chooses what is sent. Default: by length, a window or a summary; see `defaultStrategy`. */
  readonly strategy?: CompressionStrategy;
  /**
   * Tokens of the conversation from which it is compressed. Default: `atShare` of what the model's window leaves beside the
   * answer; where the window is not known, when the server says that it is too long.
   */
  readonly maxTokens?: number;
  /** From 0 to 1. Default 0.75. */
  readonly atShare?: number;
  /** Who writes summaries, and at which model. Default: the backend and model that the agent uses. */
  readonly writer?: string | Backend;
  readonly writerModel?: string;
  /** USD that all its summaries together may cost. Default: no limit of their own. */
  readonly writerBudgetUsd?: number;
  /** Who makes vectors for `semantic`. Default: the backend that the agent uses, where it makes any. */
  readonly embedder?: string | Backend;
  /** Groups at the beginning of the conversation that are always sent: a prompt with its answer is one. Default 0. */
  readonly keepFirst?: number;
  /** Groups at its end that are always sent. Default 1. */
  readonly keepLast?: number;
}

/** The names of the backends are resolved; `none` is never compressed, but when a server says that it is too long. */
export interface ResolvedCompression {
  /** Undefined: the default, which is loaded when it is needed. */
  readonly strategy: CompressionStrategy | undefined;
  readonly maxTokens: number | undefined;
  readonly atShare: number;
  readonly writer: string | undefined;
  readonly writerModel: string | undefined;
  readonly writerBudgetUsd: number | undefined;
  readonly embedder: string | undefined;
  readonly keepFirst: number;
  readonly keepLast: number;
}

/** A strategy is short for options that name it. */
export type CompressionSetting = CompressionStrategy | CompressionOptions;

/** Checks a spec's `compression`. Throws `TROUPE_ERR_OPTION_INVALID`, or what the look-up of a backend throws. */
export function resolveCompression(
  what: string,
  given: CompressionSetting | undefined,
  nameOf: (backend: string | Backend) => string,
): ResolvedCompression {
  if (given === undefined) return defaults;
  const options: CompressionOptions = 'compress' in given ? { strategy: given } : given;
  checkOptions(`${what}, \`compression\``, options, optionRules);
  const { writer, embedder, ...rest } = options;
  return {
    ...defaults,
    ...rest,
    writer: writer === undefined ? undefined : nameOf(writer),
    embedder: embedder === undefined ? undefined : nameOf(embedder),
  };
}

const defaults: ResolvedCompression = {
  strategy: undefined,
  maxTokens: undefined,
  atShare: 0.75,
  writer: undefined,
  writerModel: undefined,
  writerBudgetUsd: undefined,
  embedder: undefined,
  keepFirst: 0,
  keepLast: 1,
};

const isStrategy: Rule = (value) =>
  typeof (value as CompressionStrategy | null)?.compress === 'function' ? undefined : 'a compression strategy';
const isShare: Rule = (value) =>
  typeof value === 'number' && value > 0 && value <= 1 ? undefined : 'a number above 0, up to 1';

const optionRules: Readonly<Record<keyof CompressionOptions, Rule>> = {
  strategy: isStrategy,
  maxTokens: rules.positiveCount,
  atShare: isShare,
  writer: isBackend,
  writerModel: rules.text,
  writerBudgetUsd: rules.amount,
  embedder: isBackend,
  keepFirst: rules.count,
  keepLast: rules.positiveCount,
};
