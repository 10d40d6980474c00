/** Rules over any text, whatever its language: keys and merge conflicts. */
import type { Domain, Hit, Severity } from './finding.ts';

/** A rule over plain lines. */
export interface TextRule {
  readonly name: string;
  readonly domain: Domain;
  readonly severity: Severity;
  readonly everywhere?: boolean;
  readonly check: (text: string) => Iterable<Hit>;
}

/** The rules over any text. */
export const textRules: readonly TextRule[] = [
  { name: 'private-key', domain: 'security', severity: 'critical', check: privateKey },
  { name: 'access-key', domain: 'security', severity: 'critical', check: accessKey },
  { name: 'merge-conflict', domain: 'style', severity: 'high', everywhere: true, check: mergeConflict },
];

/** A private key with its content, not only the words that one begins with. */
function* privateKey(text: string): Generator<Hit> {
  const block = /-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----(?:\s|\\n|\\r|["'`+,])+[A-Za-z0-9+/=]{40,}/g;
  for (const match of text.matchAll(block)) {
    yield {
      line: lineAt(text, match.index),
      title: 'A private key stands in the source',
      detail: 'Everybody who can read this file, or any old version of it, has the key.',
      suggestion: 'Replace the key, and keep the new one outside the code base.',
    };
  }
}

/** Access keys whose shape gives them away: AWS, GitHub, Slack. */
function* accessKey(text: string): Generator<Hit> {
  const shapes: readonly (readonly [RegExp, string])[] = [
    [/(?<![A-Za-z0-9])(AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])/g, 'An AWS access key'],
    [/(?<![A-Za-z0-9_])gh[pousr]_[A-Za-z0-9]{36}(?![A-Za-z0-9])/g, 'A GitHub token'],
    [/(?<![A-Za-z0-9])xox[bp]-\d{10,13}-\d{10,13}-[A-Za-z0-9-]{20,}/g, 'A Slack token'],
  ];
  for (const [shape, what] of shapes) {
    for (const match of text.matchAll(shape)) {
      if (/EXAMPLE|TEST|FAKE|XXXX|0{6}|1234/i.test(match[0]) || new Set(match[0]).size < 10) continue;
      yield {
        line: lineAt(text, match.index),
        title: `${what} stands in the source`,
        detail: 'Everybody who can read this file, or any old version of it, can use it.',
        suggestion: 'Revoke it, and read its successor from the environment or a secret store.',
      };
    }
  }
}

/** All three marks of a conflict, in their order. */
function* mergeConflict(text: string): Generator<Hit> {
  for (const match of text.matchAll(/^<{7} \S.*\r?\n(?:(?!<{7} ).*\r?\n)*?={7}\r?\n(?:(?!<{7} ).*\r?\n)*?>{7} \S/gm)) {
    yield {
      line: lineAt(text, match.index),
      title: 'A merge conflict was left in',
      detail: "Both sides of the conflict stand here with git's marks around them.",
      suggestion: 'Keep the side that is meant and remove the marks.',
    };
  }
}

function lineAt(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < index; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}
