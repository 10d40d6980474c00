/** Limits of one backend, which all agents of a troupe share. */
import { checkOptions, type Rule, rules } from '../core/options.ts';

/** What a backend is asked of at most, and how much failure it is forgiven. Every field may be left out. */
export interface BackendLimits {
  /**
   * Calls at the same time. `slots`: as many as the server says that it works on (llama.cpp, LM Studio), one until it has
   * said so, and any number when it does not. Default: no limit.
   */
  readonly maxConcurrent?: number | 'slots';
  /** Calls that begin within any 60 s. Default: no limit. */
  readonly requestsPerMinute?: number;
  /**
   * Tokens, input and output, of the calls that ended within 60 s. They are known when a call ends, so calls that are in
   * flight then may pass it. A call whose tokens the backend does not say counts none. Default: no limit.
   */
  readonly tokensPerMinute?: number;
  /** Failures of a class in a row after which the backend is still called; 0 = the first one stops it. Default 5. */
  readonly allowedFailures?: number;
  /** Milliseconds for which it is then not called, doubled each time that it fails again, up to 10 min. Default 30,000. */
  readonly coolDownMs?: number;
}

/** Throws `TROUPE_ERR_OPTION_INVALID` with everything that is wrong with the limits of a backend. */
export function checkLimits(backend: string, limits: BackendLimits): void {
  checkOptions(`limits of backend "${backend}"`, limits, limitRules);
}

const limitRules: Readonly<Record<keyof BackendLimits, Rule>> = {
  maxConcurrent: (value) =>
    value === 'slots' || rules.positiveCount(value) === undefined ? undefined : 'a whole number above 0, or "slots"',
  requestsPerMinute: rules.positiveCount,
  tokensPerMinute: rules.positiveCount,
  allowedFailures: rules.count,
  coolDownMs: rules.positiveMs,
};
