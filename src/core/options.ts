/** Checks of what a caller passes: every problem at once, with the option's name, what was seen and what is wanted. */
import { TroupeError } from './errors.ts';

/** Says what a value must be, or undefined when it is that. */
export type Rule = (value: unknown) => string | undefined;

/** Throws `TROUPE_ERR_OPTION_INVALID` naming every unknown option and every wrong value of `given`. */
export function checkOptions(what: string, given: object, rules: Readonly<Record<string, Rule>>): void {
  const problems = Object.entries(given).flatMap(([name, value]) => {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) return [`\`${name}\` is no option; there are \`${Object.keys(rules).join('`, `')}\``];
    const wanted = value === undefined ? undefined : rule(value);
    return wanted === undefined ? [] : [`\`${name}\` must be ${wanted}, not ${show(value)}`];
  });
  if (problems.length === 0) return;
  throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `${what}: ${problems.join('; ')}.`);
}

/** The rules that options are made of. */
export const rules = {
  text: (value) => (typeof value === 'string' && value.length > 0 ? undefined : 'a non-empty string'),
  anyText: (value) => (typeof value === 'string' ? undefined : 'a string'),
  object: (value) => (typeof value === 'object' && value !== null ? undefined : 'an object'),
  list: (value) => (Array.isArray(value) ? undefined : 'an array'),
  callback: (value) => (typeof value === 'function' ? undefined : 'a function'),
  flag: (value) => (typeof value === 'boolean' ? undefined : 'true or false'),
  /** A whole number, 0 included: "none". */
  count: (value) => (Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : 'a whole number, 0 or more'),
  positiveCount: (value) =>
    Number.isSafeInteger(value) && (value as number) > 0 ? undefined : 'a whole number above 0',
  amount: (value) =>
    typeof value === 'number' && value >= 0 && Number.isFinite(value) ? undefined : 'a number of USD, 0 or more',
  positiveMs: (value) =>
    typeof value === 'number' && value > 0 && Number.isFinite(value) ? undefined : 'a number of milliseconds above 0',
} as const satisfies Record<string, Rule>;

/** The rule of an option that is one of these words. */
export function oneOf(...words: readonly string[]): Rule {
  const quoted = words.map((word) => `"${word}"`);
  const wanted = `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
  return (value) => (words.includes(value as string) ? undefined : wanted);
}

function show(value: unknown): string {
  if (typeof value === 'string') return `"${value.slice(0, 80)}"`;
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value);
  return Array.isArray(value) ? 'an array' : `a value of type ${typeof value}`;
}
