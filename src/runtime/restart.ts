/**
 * Who comes back after a crash, how often, and after how long.
 * A crash is an ask that ends with an error of class `crashed`: a process of its backend died for good, or something that was
 * plugged in threw what it must not throw.
 */
import { checkOptions, oneOf, type Rule, rules } from '../core/options.ts';

/**
 * `transient` comes back after a crash. `permanent` also when it ended itself: a tool of its own killed it. `temporary` never
 * comes back. Whoever is killed by anybody else stays dead.
 */
export type RestartPolicy = 'permanent' | 'transient' | 'temporary';

/** How often something may come back. */
export interface RestartLimits {
  /** Restarts within `withinMs`; one crash more ends it for good. Default 5. */
  readonly maxRestarts?: number;
  /** Milliseconds. Default 60,000. */
  readonly withinMs?: number;
  /** Milliseconds before the first model call after the second restart within `withinMs`, doubled with each further one. Default 100. */
  readonly backOffMs?: number;
}

export interface RestartOptions extends RestartLimits {
  /** Default `transient`. */
  readonly policy?: RestartPolicy;
}

/**
 * What a crash in a group does: `one-for-one` restarts who crashed, `one-for-all` everybody who is not `temporary`. The asks
 * that they have in hand fail then; those that wait stay.
 */
export type GroupStrategy = 'one-for-one' | 'one-for-all';

/** Options of a group. Its limits hold for a group that is `one-for-all`; otherwise each agent has its own. */
export interface GroupOptions extends RestartLimits {
  /** Default `one-for-one`. */
  readonly strategy?: GroupStrategy;
  /** USD that those of its agents may spend together that are spawned from now on. Default: no limit but the troupe's. */
  readonly budgetUsd?: number;
}

export type ResolvedGroup = Required<Omit<GroupOptions, 'budgetUsd'>> & Pick<GroupOptions, 'budgetUsd'>;

export type ResolvedRestart = Required<RestartOptions>;

/** Checks a spec's `restart` and fills in its defaults. Throws `TROUPE_ERR_OPTION_INVALID`. */
export function resolveRestart(what: string, given: RestartPolicy | RestartOptions | undefined): ResolvedRestart {
  if (given === undefined) return defaults;
  const options: RestartOptions = typeof given === 'string' ? { policy: given } : given;
  checkOptions(`${what}, \`restart\``, options, restartRules);
  return { ...defaults, ...options };
}

/** The same for a group. */
export function resolveGroup(name: string, options: GroupOptions): ResolvedGroup {
  checkOptions(`group("${name}")`, options, groupRules);
  const { policy: _none, ...limits } = defaults;
  return { strategy: 'one-for-one', ...limits, ...options };
}

/**
 * Milliseconds to wait after the restart that is made now, which is noted in `recent`; undefined when it would be one too many.
 * `recent` never holds more than `maxRestarts`.
 */
export function nextRestart(recent: number[], limits: Required<RestartLimits>, nowMs: number): number | undefined {
  const { maxRestarts, withinMs, backOffMs } = limits;
  while (recent.length > 0 && (recent[0] ?? 0) <= nowMs - withinMs) recent.shift();
  if (recent.length >= maxRestarts) return undefined;
  recent.push(nowMs);
  const before = recent.length - 1;
  return before === 0 ? 0 : Math.min(longestBackOffMs, backOffMs * 2 ** (before - 1));
}

const longestBackOffMs = 10_000;
const defaults = { policy: 'transient', maxRestarts: 5, withinMs: 60_000, backOffMs: 100 } as const;

const limitRules: Readonly<Record<keyof RestartLimits, Rule>> = {
  maxRestarts: rules.count,
  withinMs: rules.positiveMs,
  backOffMs: rules.positiveMs,
};

const restartRules: Readonly<Record<keyof RestartOptions, Rule>> = {
  ...limitRules,
  policy: oneOf('permanent', 'transient', 'temporary'),
};

const groupRules: Readonly<Record<keyof GroupOptions, Rule>> = {
  ...limitRules,
  strategy: oneOf('one-for-one', 'one-for-all'),
  budgetUsd: rules.amount,
};
