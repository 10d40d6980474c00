/** Tables of source texts that a rule must find something in, and of those that it must leave alone. */
import { expect, test } from 'vitest';
import { checkSource } from '../../../actors/rules/check.ts';

/** Source texts; `path` is the file that they stand in. */
export interface Table {
  /** The finding is on the line that begins with `→`, which is taken off; without one, on the first. */
  readonly hits: readonly string[];
  readonly nearMisses: readonly string[];
  readonly path?: string;
}

/** One test per text: every hit is found once and at its line, and the rule says nothing of a near miss. */
export function testRules(tables: Readonly<Record<string, Table>>): void {
  for (const [rule, { hits, nearMisses, path = 'src/file.js' }] of Object.entries(tables)) {
    for (const text of hits) {
      test(`${rule} finds ${short(text)}`, async () => {
        const line = text.split('\n').findIndex((one) => one.startsWith('→'));
        expect(await linesOf(rule, path, text.replace('→', ''))).toEqual([Math.max(line, 0) + 1]);
      });
    }
    for (const text of nearMisses) {
      test(`${rule} leaves alone ${short(text)}`, async () => {
        expect(await linesOf(rule, path, text)).toEqual([]);
      });
    }
  }
}

async function linesOf(rule: string, path: string, text: string): Promise<number[]> {
  const { findings, skipped } = await checkSource({ path, text });
  expect(skipped).toBeUndefined();
  return findings.filter((finding) => finding.rule === rule).map(({ line }) => line);
}

function short(text: string): string {
  return JSON.stringify(text).slice(1, 80);
}
