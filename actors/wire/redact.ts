/**
 * Cleans text that others wrote before it gets into an error: a server may echo the key it was sent.
 * Known secrets go whatever they look like; other keys go by their shape.
 */

/** Replaces every secret in a text by `[redacted]`. */
export type Redact = (text: string) => string;

/** Each begins where no word goes on, so that a long text is read once. */
const keyShapes = new RegExp(
  `(?<![\\w-])(?:${[
    'Bearer\\s+[^\\s"\',;]+',
    '(?:sk|pk|rk|gsk|xai|hf|pplx|ghp|gho|github_pat|glpat|xox[abprs])[-_][\\w*.-]{6,}',
    'AIza[\\w*-]{10,}',
    'eyJ[\\w-]{8,}\\.[\\w.-]+',
  ].join('|')})`,
  'gi',
);
const mask = '[redacted]';
const maxExcerptLength = 200;
const maxScannedLength = 16 * 1024;
/** Shorter "secrets" are words such as `x`, which would blot out half of every message. */
const minSecretLength = 4;

/** Makes a redactor that knows these secrets; `undefined` ones are skipped. */
export function redactor(secrets: readonly (string | undefined)[]): Redact {
  const known = secrets
    .filter((secret) => secret !== undefined && secret.length >= minSecretLength)
    .flatMap((secret) => (secret === undefined ? [] : spellings(secret)))
    .sort((a, b) => b.length - a.length);
  return (text) => known.reduce((clean, secret) => clean.replaceAll(secret, mask), text).replace(keyShapes, mask);
}

/** The secrets among request headers: the values of those whose name says so. */
export function secretsOf(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers)
    .filter(([name]) => /auth|key|token|secret|cookie|password|credential/i.test(name))
    .flatMap(([, value]) => [value, value.slice(value.lastIndexOf(' ') + 1)]);
}

/** At most 200 redacted characters of a text, on one line. */
export function excerpt(text: string, redact: Redact): string {
  const clean = redact(text.slice(0, maxScannedLength))
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  return clean.length <= maxExcerptLength ? clean : `${clean.slice(0, maxExcerptLength - 1)}…`;
}

/** How a secret may be written in JSON, a URL or a page. */
function spellings(secret: string): string[] {
  return [...new Set([secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])];
}
