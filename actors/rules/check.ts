/** Runs the rules over one file. */
import { docsRules } from './docs.ts';
import { isTest, languageOf, whyGenerated } from './files.ts';
import type { Domain, Finding, Hit, SourceFile } from './finding.ts';
import { performanceRules } from './performance.ts';
import { pythonRules } from './python.ts';
import type { Rule } from './rule.ts';
import { secretRules } from './secrets.ts';
import { codeSecurityRules } from './security.ts';
import { shapeRules } from './shape.ts';
import { Source } from './source.ts';
import { statementRules } from './style.ts';
import { parseScript } from './syntax.ts';
import { type TextRule, textRules } from './text-rules.ts';

/** What came of one file. */
export interface Check {
  readonly findings: readonly Finding[];
  /** Why its code was left alone: generated, a syntax error. Absent when all rules were run. */
  readonly skipped?: string;
}

const scriptRules: readonly Rule[] = [
  ...codeSecurityRules,
  ...secretRules,
  ...performanceRules,
  ...statementRules,
  ...shapeRules,
  ...docsRules,
];

const mostPerRule = 5;
const acknowledged =
  /eslint-disable|pylint:\s*disable|noinspection|biome-ignore|oxlint-disable|nosec|noqa|nosemgrep|NOSONAR|tslint:disable/;

/** All that the rules say of one file, or what those of one domain say. Nothing for a file they do not understand. */
export async function checkSource(file: SourceFile, domain?: Domain): Promise<Check> {
  const { findings, ...rest } = await checkAll(file);
  return { ...rest, findings: findings.filter((finding) => domain === undefined || finding.domain === domain) };
}

async function checkAll(file: SourceFile): Promise<Check> {
  const language = languageOf(file.path);
  if (language === undefined) return { findings: [], skipped: 'not understood' };
  const why = whyGenerated(file.text);
  if (why !== undefined) return { findings: [], skipped: why };
  const overText = language === 'readme' ? [] : runText(file, textRules);
  if (language === 'python') return { findings: [...overText, ...runText(file, pythonRules)] };
  if (language !== 'script') return { findings: overText };
  const overCode = await runScript(file);
  return { ...overCode, findings: [...overText, ...overCode.findings] };
}

async function runScript(file: SourceFile): Promise<Check> {
  try {
    const source = new Source(file.path, file.text, await parseScript(file.path, file.text));
    const rules = scriptRules.filter(({ everywhere }) => everywhere || !isTest(file.path));
    return { findings: rules.flatMap((rule) => found(file, rule, [...rule.check(source)])) };
  } catch (error) {
    if (error instanceof SyntaxError) return { findings: [], skipped: 'with a syntax error' };
    if (error instanceof RangeError) return { findings: [], skipped: 'nested too deeply' };
    throw error;
  }
}

function runText(file: SourceFile, rules: readonly TextRule[]): readonly Finding[] {
  return rules
    .filter(({ everywhere }) => everywhere || !isTest(file.path))
    .flatMap((rule) => found(file, rule, [...rule.check(file.text)]));
}

/** The findings of one rule in one file: those that the authors know of left out, the others up to a number. */
function found(file: SourceFile, rule: Rule | TextRule, hits: readonly Hit[]): readonly Finding[] {
  const lines = hits.length === 0 ? [] : file.text.split('\n');
  const open = hits.filter(
    ({ line }) => ![lines[line - 1], lines[line - 2]].some((text) => acknowledged.test(text ?? '')),
  );
  const more = open.length - mostPerRule;
  return open.slice(0, mostPerRule).map((hit, index) => {
    const isLast = more > 0 && index === mostPerRule - 1;
    return {
      domain: rule.domain,
      rule: rule.name,
      severity: hit.severity ?? rule.severity,
      file: file.path,
      line: hit.line,
      title: hit.title,
      detail: isLast ? `${hit.detail} This file has ${more} more of the kind.` : hit.detail,
      suggestion: hit.suggestion,
    };
  });
}
