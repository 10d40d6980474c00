/** The options of a troupe, and their rules. */
import type { Backend } from '../../actors/backend.ts';
import type { Store, StoredAgent } from '../../actors/store/store.ts';
import type { ChoicePolicy } from '../core/choice.ts';
import { type Rule, rules } from '../core/options.ts';
import type { PriceList } from '../core/prices.ts';
import type { Clock, Ids, Random } from '../core/seams.ts';
import type { BackendLimits } from './admission.ts';
import type { AgentSpec } from './agent-spec.ts';
import type { Logger } from './log.ts';

/** Options of `createTroupe`; every one may be left out. */
export interface TroupeOptions {
  /** Backends by the name that agents use. Built-in ones need none of it: see `backendCatalog`. */
  readonly backends?: Readonly<Record<string, Backend>>;
  /** What a spec leaves out. `defaults.backend`: the first of `backends`, else `offline`. */
  readonly defaults?: AgentSpec;
  /** Specs by the name of a role: `spawn('f', { role: 'fetcher' })`. A role's spec wins over `defaults`. */
  readonly roles?: Readonly<Record<string, AgentSpec>>;
  /** How `backend: 'auto'` chooses. Default: by how hard the task is, see `defaultTiers`. */
  readonly choice?: ChoicePolicy;
  /** How much may be asked of a backend, by its name; shared by all agents. Default: no limit, and a breaker. */
  readonly limits?: Readonly<Record<string, BackendLimits>>;
  /** USD that all its agents may spend together. Default: no limit. */
  readonly budgetUsd?: number;
  /** Prices of your own, before those of the catalog: see `loadPrices`. Default: none. */
  readonly prices?: PriceList;
  /** Where conversations, asks and the ledger live. Default: `memoryStore()`. */
  readonly store?: Store;
  /**
   * The spec of an agent that the store has kept: what was stored of it is data, so this is where its tools come from, unless its
   * `role` or `defaults` have them. `false` leaves it in the store. Default: as it was stored.
   */
  readonly resume?: (agent: StoredAgent) => AgentSpec | false;
  /** Is told what was tried and what failed, as `pino` and `console` take it. Default: nobody. */
  readonly logger?: Logger;
  /** Default: the process's clock. */
  readonly clock?: Clock;
  /** Default: a counter for each kind. */
  readonly ids?: Ids;
  /** Default: `Math.random`. */
  readonly random?: Random;
  /** How deep asks may nest: what a tool asks is one deeper than the ask that it runs for. Default 8. */
  readonly maxAskDepth?: number;
}

export const troupeRules: Readonly<Record<keyof TroupeOptions, Rule>> = {
  backends: rules.object,
  defaults: rules.object,
  roles: rules.object,
  choice: rules.object,
  limits: rules.object,
  budgetUsd: rules.amount,
  prices: rules.object,
  store: rules.object,
  resume: rules.callback,
  logger: rules.object,
  clock: rules.object,
  ids: rules.callback,
  random: rules.callback,
  maxAskDepth: rules.positiveCount,
};

/** The rule of an agent's name. */
export const isName: Rule = (value) =>
  typeof value === 'string' && /^[\p{L}\p{N}][\p{L}\p{N} ._:-]{0,99}$/u.test(value)
    ? undefined
    : 'a name of 1 to 100 letters, digits, blanks, ".", "_", ":" or "-" that begins with a letter or digit';
