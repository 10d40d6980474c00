/** What a rule says about a code base. */

/** The four subjects that a review looks at. */
export const domains = ['security', 'performance', 'style', 'docs'] as const;
export type Domain = (typeof domains)[number];

/** From worst to mildest. */
export const severities = ['critical', 'high', 'medium', 'low'] as const;
export type Severity = (typeof severities)[number];

/** One thing to look at, true of the line that it names. */
export interface Finding {
  readonly domain: Domain;
  readonly rule: string;
  readonly severity: Severity;
  /** Path from the root of the review, with `/`. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  readonly title: string;
  readonly detail: string;
  readonly suggestion: string;
}

/** A file as the rules see it. */
export interface SourceFile {
  /** Path from the root of the review, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** What one rule found at one place; the rest of the finding is the rule's. */
export interface Hit {
  readonly line: number;
  readonly title: string;
  readonly detail: string;
  readonly suggestion: string;
  /** Overrides the rule's own. */
  readonly severity?: Severity;
}

/** Worst first, then by file and line. */
export function compareFindings(a: Finding, b: Finding): number {
  return (
    severities.indexOf(a.severity) - severities.indexOf(b.severity) ||
    compareText(a.file, b.file) ||
    a.line - b.line ||
    compareText(a.rule, b.rule)
  );
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
