/** Findings: read leniently from what a model wrote, checked against the files, merged and ordered. */
import { jsonrepair } from 'jsonrepair';
import { type Severity, severities } from '../../actors/rules/finding.ts';

export { type Severity, severities };

/** One thing that an expert found. */
export interface Finding {
  readonly severity: Severity;
  /** Relative to the reviewed path, with `/`. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly title: string;
  readonly detail: string;
  /** Empty when the expert gave none. */
  readonly suggestion: string;
  /** Who found it; several when they agree. */
  readonly experts: readonly string[];
}

/** What was read from an expert's answer. */
export interface ExpertAnswer {
  readonly findings: readonly Finding[];
  readonly summary: string;
  /** Items of the answer that are no finding: no file, no title. */
  readonly unusable: number;
}

/**
 * Reads an expert's answer: JSON, JSON in a code fence or amid prose, almost-JSON.
 * Undefined when there is none in it.
 */
export function parseAnswer(text: string, expert: string): ExpertAnswer | undefined {
  const value = parseLenient(text);
  if (value === undefined) return undefined;
  const items = Array.isArray(value) ? value : (value['findings'] ?? value['issues'] ?? value['results']);
  if (!Array.isArray(items)) return undefined;
  const findings = items.map((item) => toFinding(item, expert)).filter((finding) => finding !== undefined);
  const summary = Array.isArray(value) ? '' : asText(value['summary']);
  return { findings, summary, unusable: items.length - findings.length };
}

/** Findings about places that exist, and how many name one that does not. */
export function checkPlaces(findings: readonly Finding[], lineCount: (file: string) => number | undefined) {
  const real = findings.filter(({ file, line }) => line <= (lineCount(file) ?? 0));
  return { real, imagined: findings.length - real.length };
}

/** One list: the same finding of two experts becomes one, the most severe first, then by place. */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const merged = new Map<string, Finding>();
  for (const finding of findings) {
    const key = `${finding.file}:${finding.line}:${finding.title.toLowerCase()}`;
    const known = merged.get(key);
    merged.set(
      key,
      known === undefined ? finding : { ...known, experts: [...new Set([...known.experts, ...finding.experts])] },
    );
  }
  return [...merged.values()].sort(
    (a, b) =>
      severities.indexOf(a.severity) - severities.indexOf(b.severity) || compare(a.file, b.file) || a.line - b.line,
  );
}

function parseLenient(text: string): Record<string, unknown> | unknown[] | undefined {
  const fenced = /```(?:json)?\s*\n([\s\S]*?)\n?```/.exec(text)?.[1];
  const from = text.search(/[{[]/);
  const to = Math.max(text.lastIndexOf('}'), text.lastIndexOf(']'));
  const bare = from >= 0 ? text.slice(from, to > from ? to + 1 : undefined) : undefined;
  for (const candidate of [text, fenced, bare]) {
    const value = candidate === undefined ? undefined : tryParse(candidate, JSON.parse);
    if (value !== undefined) return value;
  }
  const repairable = fenced ?? bare;
  return repairable === undefined ? undefined : tryParse(repairable, (source) => JSON.parse(jsonrepair(source)));
}

function tryParse(text: string, parse: (text: string) => unknown): Record<string, unknown> | unknown[] | undefined {
  try {
    const value = parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function toFinding(item: unknown, expert: string): Finding | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const fields = item as Record<string, unknown>;
  const place = /^(?:\.\/)?(.*?)(?::(\d+)(?:[-:]\d+)?)?$/.exec(
    asText(fields['file'] ?? fields['path']).replaceAll('\\', '/'),
  );
  const file = place?.[1] ?? '';
  const title = asText(fields['title'] ?? fields['message'] ?? fields['issue']);
  if (file === '' || title === '') return undefined;
  return {
    severity: toSeverity(asText(fields['severity'] ?? fields['level'])),
    file,
    line: Math.max(1, Number.parseInt(asText(fields['line'] ?? fields['lineNumber']) || (place?.[2] ?? '1'), 10) || 1),
    title,
    detail: asText(fields['detail'] ?? fields['details'] ?? fields['description']),
    suggestion: asText(fields['suggestion'] ?? fields['fix'] ?? fields['recommendation']),
    experts: [expert],
  };
}

function toSeverity(word: string): Severity {
  const lower = word.toLowerCase();
  const known = severities.find((severity) => severity === lower);
  return known ?? synonyms[lower] ?? 'medium';
}

const synonyms: Readonly<Record<string, Severity>> = {
  blocker: 'critical',
  severe: 'critical',
  error: 'high',
  major: 'high',
  moderate: 'medium',
  warning: 'medium',
  minor: 'low',
  info: 'low',
  informational: 'low',
  nit: 'low',
  note: 'low',
};

function asText(value: unknown): string {
  return typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : '';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
