/** Prices of models: your own, dated, before those of the catalog. */
import { TroupeError } from './errors.ts';
import { type ModelPrice, modelInfo, namesOf, pick } from './models.ts';
import { isAmount, maxUsd } from './money.ts';
import { checkOptions, type Rule, rules } from './options.ts';

/** Prices that were true at a date, by model id. The file of `loadPrices` has this form. */
export interface PriceList {
  /** As `2026-11-24`. */
  readonly date: string;
  /** Who says so. Default: `your own prices`, or the path of the file. */
  readonly source?: string;
  /** By a model's id or alias: of `qwen2.5` for each of its versions, unless `qwen2.5:72b` has a price of its own. */
  readonly models: Readonly<Record<string, ModelPrice | HourlyPrice>>;
}

/** What a machine costs that you run yourself, and how fast it is with the model. Token prices follow from it. */
export interface HourlyPrice {
  readonly usdPerHour: number;
  /** Of prompts, with as many calls at the same time as it has. */
  readonly inputTokensPerSecond: number;
  /** Of answers, likewise. */
  readonly outputTokensPerSecond: number;
}

/** Prices by model. */
export interface PriceTable {
  /**
   * The price of a model: yours, else none at a backend that is free, else the catalog's. Undefined when none is known.
   * `backend` is the `info` of the backend that runs it; absent: one that wants to be paid.
   */
  priceOf(model: string, backend?: { readonly price: 'free' | 'per-token' }): ModelPrice | undefined;
}

/** The price of what costs nothing. */
export const freePrice: ModelPrice = { inputUsd: 0, outputUsd: 0, source: 'free' };

/**
 * The catalog's prices, with those of `list` before them.
 * Throws `TROUPE_ERR_OPTION_INVALID` that says everything that is wrong with the list.
 */
export function priceTable(list?: PriceList): PriceTable {
  const own = list === undefined ? new Map<string, ModelPrice>() : ownPrices(checkPrices('The price list', list));
  return {
    priceOf(model, backend) {
      const known = modelInfo(model);
      const mine = pick(own, [...namesOf(model), ...(known === undefined ? [] : [known.id, ...known.aliases])]);
      return mine ?? (backend?.price === 'free' ? freePrice : known?.price);
    },
  };
}

/** A list as it was read from somewhere. Throws `TROUPE_ERR_OPTION_INVALID` that says everything that is wrong with it. */
export function checkPrices(what: string, content: unknown): PriceList {
  const list = fieldsOf(content);
  const problems = problemsOf(what, list, { wanted: listRules, needed: ['date', 'models'] });
  for (const [id, entry] of Object.entries(fieldsOf(list['models']))) {
    const name = `${what}, model "${id}"`;
    const fields = fieldsOf(entry);
    const isHourly = Object.keys(fields).some((field) => Object.hasOwn(hourlyRules, field));
    problems.push(...problemsOf(name, fields, isHourly ? hourly : perToken));
    if (isHourly || fields['longPrompt'] === undefined) continue;
    problems.push(...problemsOf(`${name}, \`longPrompt\``, fieldsOf(fields['longPrompt']), longPrompt));
  }
  if (problems.length > 0) throw new TroupeError('TROUPE_ERR_OPTION_INVALID', problems.join(' '));
  return content as PriceList;
}

function ownPrices({ date, source = 'your own prices', models }: PriceList): Map<string, ModelPrice> {
  const priceOf = (entry: ModelPrice | HourlyPrice) => ('usdPerHour' in entry ? tokenPrice(entry) : entry);
  return new Map(Object.entries(models).map(([id, entry]) => [id, { date, source, ...priceOf(entry) }]));
}

/** USD for a million tokens, when the machine does nothing else meanwhile. */
function tokenPrice({ usdPerHour, inputTokensPerSecond, outputTokensPerSecond }: HourlyPrice): ModelPrice {
  const usdFor = (tokensPerSecond: number) => (usdPerHour * 1e6) / (3600 * tokensPerSecond);
  return { inputUsd: usdFor(inputTokensPerSecond), outputUsd: usdFor(outputTokensPerSecond) };
}

const usd: Rule = (value) => (isAmount(value) ? undefined : `a number of USD from 0 to ${maxUsd}`);
const speed: Rule = (value) =>
  typeof value === 'number' && value > 0 && Number.isFinite(value) ? undefined : 'a number of tokens above 0';
const date: Rule = (value) =>
  typeof value === 'string' && /^\d{4}-\d{2}(-\d{2})?$/.test(value) ? undefined : 'a date such as "2026-11-24"';
const object: Rule = (value) => (Array.isArray(value) ? 'an object' : rules.object(value));

const listRules = { date, source: rules.text, models: object } satisfies Record<keyof PriceList, Rule>;
const hourlyRules = {
  usdPerHour: usd,
  inputTokensPerSecond: speed,
  outputTokensPerSecond: speed,
} satisfies Record<keyof HourlyPrice, Rule>;
const tokenRules = {
  inputUsd: usd,
  outputUsd: usd,
  cacheReadUsd: usd,
  cacheWriteUsd: usd,
  longPrompt: object,
  date,
  source: rules.text,
} satisfies Record<keyof ModelPrice, Rule>;
const longRules = { aboveTokens: rules.count, inputUsd: usd, outputUsd: usd };

const hourly: Form = { wanted: hourlyRules, needed: Object.keys(hourlyRules) };
const perToken: Form = { wanted: tokenRules, needed: ['inputUsd', 'outputUsd'] };
const longPrompt: Form = { wanted: longRules, needed: Object.keys(longRules) };

interface Form {
  readonly wanted: Readonly<Record<string, Rule>>;
  readonly needed: readonly string[];
}

/** What `checkOptions` says, and which fields are missing. */
function problemsOf(what: string, given: Fields, { wanted, needed }: Form): string[] {
  const missing = needed.filter((name) => given[name] === undefined);
  const problems = missing.length === 0 ? [] : [`${what}: \`${missing.join('`, `')}\` must be given.`];
  try {
    checkOptions(what, given, wanted);
  } catch (error) {
    problems.push((error as TroupeError).message);
  }
  return problems;
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}
