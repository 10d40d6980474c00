/** A review by the offline backend: list the files, read those that the rules understand, say what the rules find. */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type Check, checkSource } from '../rules/check.ts';
import { type Language, languageOf } from '../rules/files.ts';
import { compareFindings, type Domain, type Finding, type SourceFile, severities } from '../rules/finding.ts';
import { checkProject } from '../rules/project.ts';
import { readNumbered } from '../tools/numbered.ts';
import { parseObject, type Task, type ToolResult } from './offline-task.ts';

/** A review under way. */
export interface Reviewing {
  readonly task: Task;
  readonly maxFiles: number;
  /** Throws when the review shall end. */
  readonly checkpoint: () => void;
}

/** What the review does next: more tool calls, or its answer. */
export type ReviewStep =
  | { readonly calls: readonly { readonly name: string; readonly args: object }[] }
  | { readonly text: string };

const filesPerPage = 5_000;
const mostPages = 10;
const readsPerStep = 50;
const mostBytes = 8_000_000;
const lastLine = 1_000_000;
const mostOfOneRule = 20;
const mostFindings = 200;
const checksKept = 2_000;

const languagesFor: Readonly<Record<Domain, readonly Language[]>> = {
  security: ['script', 'python', 'text', 'manifest'],
  performance: ['script'],
  style: ['script', 'python', 'text', 'manifest'],
  docs: ['script', 'readme', 'manifest'],
};

/** The next step of a review, from what the tools gave so far. */
export async function reviewStep(reviewing: Reviewing): Promise<ReviewStep> {
  const { task, maxFiles } = reviewing;
  const pages = task.results.filter(({ name }) => name === 'list_files');
  const last = pages.at(-1);
  if (last === undefined) return { calls: [{ name: 'list_files', args: { limit: filesPerPage } }] };
  const listing = listingOf(pages);
  if (listing === undefined)
    return { text: inForm(task, [], `${plainly} The files could not be listed: ${last.content}`) };
  if (listing.next !== undefined && pages.length < mostPages) {
    return { calls: [{ name: 'list_files', args: { limit: filesPerPage, offset: listing.next } }] };
  }
  const plan = planFor(listing, task.domains, maxFiles);
  const reads = new Map<string, ToolResult[]>(plan.wanted.map((path) => [path, []]));
  for (const result of task.results)
    if (result.name === 'read_file') reads.get(String(result.args['path']))?.push(result);
  const read = plan.wanted.map((path) => ({ path, ...textOf(reads.get(path) ?? []) }));
  const open = read.flatMap(({ path, next }) => (next === undefined ? [] : [{ path, from: next, to: lastLine }]));
  if (open.length > 0) return { calls: open.slice(0, readsPerStep).map((args) => ({ name: 'read_file', args })) };
  return { text: await report(reviewing, listing, plan, read) };
}

interface Listing {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly total: number;
  /** All paths that are known to exist, folders that were left out included. */
  readonly paths: readonly string[];
  readonly isComplete: boolean;
  readonly next: number | undefined;
}

/** The pages of `list_files` as one listing; undefined when one is no listing. */
function listingOf(pages: readonly ToolResult[]): Listing | undefined {
  const parsed = pages.map(({ content, isError }) => (isError ? undefined : parseObject(content)));
  const first = parsed[0];
  if (first === undefined || parsed.some((page) => !Array.isArray(page?.['files']))) return undefined;
  const files = parsed
    .flatMap((page) => rows(page?.['files']))
    .map(({ path, bytes }) => ({ path, bytes: Number(bytes) }));
  const skipped = rows(first['skipped']);
  const next = parsed.at(-1)?.['next'];
  return {
    files,
    total: typeof first['total'] === 'number' ? first['total'] : files.length,
    paths: [...files, ...skipped].map(({ path }) => path),
    isComplete:
      next === undefined &&
      first['skippedTotal'] === skipped.length &&
      !skipped.some(({ reason }) => String(reason).startsWith('beyond')),
    next: typeof next === 'number' ? next : undefined,
  };
}

function rows(value: unknown): readonly (Readonly<Record<string, unknown>> & { readonly path: string })[] {
  if (!Array.isArray(value)) return [];
  return value.filter((row) => typeof row === 'object' && row !== null && typeof row.path === 'string');
}

interface Plan {
  /** Paths to read, in order. */
  readonly wanted: readonly string[];
  /** How many files of a kind that the rules know are beyond the limits. */
  readonly leftOut: number;
  /** Endings of the files that the rules do not look at. */
  readonly unknown: readonly string[];
}

function planFor({ files }: Listing, subjects: readonly Domain[], maxFiles: number): Plan {
  const languages = new Set(subjects.flatMap((domain) => languagesFor[domain]));
  const known = files.filter(({ path }) => {
    const language = languageOf(path);
    return language !== undefined && languages.has(language);
  });
  const wanted: string[] = [];
  let bytesLeft = mostBytes;
  for (const { path, bytes } of known) {
    if (wanted.length === maxFiles || bytes > bytesLeft) continue;
    wanted.push(path);
    bytesLeft -= bytes;
  }
  const knownPaths = new Set(known.map(({ path }) => path));
  const unknown = files.flatMap(({ path }) => (knownPaths.has(path) ? [] : [endingOf(path)]));
  return { wanted, leftOut: known.length - wanted.length, unknown };
}

/** What the reads of one file gave: its text, or the line to read on from, or why there is no text. */
interface Reading {
  readonly text?: string;
  readonly next?: number;
  readonly problem?: string;
}

function textOf(reads: readonly ToolResult[]): Reading {
  let text = '';
  let next: number | undefined = 1;
  for (const { content, isError } of reads) {
    const part = isError ? undefined : readNumbered(content);
    if (part === undefined || (part.from !== next && part.text !== '')) return { problem: 'could not be read' };
    if (part.next !== undefined && part.next <= (next ?? 0)) return { problem: 'could not be read' };
    if (!part.exact) return { problem: 'with very long lines' };
    text += part.text;
    next = part.next;
  }
  return next === undefined ? { text } : { next };
}

const plainly = "Rule-based check by troupe's embedded backend; no language model was used.";

/** The answer: runs the rules over all files and puts what they find into the form that was asked for. */
async function report(
  { task, checkpoint }: Reviewing,
  listing: Listing,
  plan: Plan,
  read: readonly (Reading & { readonly path: string })[],
): Promise<string> {
  const isAsked = ({ domain }: Finding) => task.domains.includes(domain);
  const found: Finding[] = [];
  const about: SourceFile[] = [];
  const alone = new Map<string, number>();
  let examined = 0;
  for (const { path, text, problem } of read) {
    await setImmediate();
    checkpoint();
    const check = text === undefined ? { findings: [], skipped: problem } : await checked({ path, text });
    if (check.skipped === undefined) examined += 1;
    else alone.set(check.skipped, (alone.get(check.skipped) ?? 0) + 1);
    found.push(...check.findings.filter(isAsked));
    if (text !== undefined && /^(readme|manifest)$/.test(languageOf(path) ?? '')) about.push({ path, text });
  }
  const { paths, isComplete } = listing;
  found.push(...checkProject({ paths, isComplete, files: about }).filter(isAsked));
  const shown = mostImportant(found);
  const notes = [
    ...(plan.unknown.length > 0
      ? [`${plan.unknown.length} of kinds that these rules do not look at: ${list(plan.unknown)}`]
      : []),
    ...[...alone].map(([reason, count]) => `${count} ${reason}`),
    ...(plan.leftOut > 0 ? [`${plan.leftOut} beyond the limits of one review`] : []),
  ];
  const sentences = [
    plainly,
    `${examined} of ${listing.total} files examined${notes.length > 0 ? ` (${notes.join('; ')})` : ''}.`,
    `Looked for: ${task.domains.join(', ')}.`,
    shown.length === 0 ? 'No finding, which does not mean that there is no fault.' : `${counted(found)}.`,
    ...(found.length > shown.length ? [`${found.length - shown.length} of them are not listed.`] : []),
  ];
  return inForm(task, shown, sentences.join(' '));
}

const checks = new Map<string, Promise<Check>>();

/** The check of a file, made once for all experts that read it. */
function checked(file: SourceFile): Promise<Check> {
  const key = createHash('sha256').update(`${file.path}\0${file.text}`).digest('base64');
  const known = checks.get(key);
  if (known !== undefined) return known;
  const made = checkSource(file);
  checks.set(key, made);
  for (const oldest of checks.keys()) {
    if (checks.size <= checksKept) break;
    checks.delete(oldest);
  }
  return made;
}

/** The worst findings, no rule more often than is useful. */
function mostImportant(found: readonly Finding[]): readonly Finding[] {
  const counts = new Map<string, number>();
  const kept = found.toSorted(compareFindings).filter(({ rule }) => {
    counts.set(rule, (counts.get(rule) ?? 0) + 1);
    return (counts.get(rule) ?? 0) <= mostOfOneRule;
  });
  return kept.slice(0, mostFindings);
}

function inForm(task: Task, found: readonly Finding[], summary: string): string {
  if (task.wantsJson) {
    const findings = found.map(({ severity, file, line, title, detail, suggestion }) => {
      return { severity, file, line, title, detail, suggestion };
    });
    return JSON.stringify({ findings, summary }, undefined, 2);
  }
  const lines = found.map(
    ({ severity, file, line, title, detail, suggestion }) =>
      `${severity.padEnd(8)}  ${file}:${line}  ${title}\n          ${detail}\n          ${suggestion}`,
  );
  return [summary, ...lines].join('\n\n');
}

/** `3 findings: 1 high, 2 low` */
function counted(found: readonly Finding[]): string {
  const parts = severities.flatMap((severity) => {
    const count = found.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}`];
  });
  return `${found.length} ${found.length === 1 ? 'finding' : 'findings'}: ${parts.join(', ')}`;
}

function list(endings: readonly string[]): string {
  const different = [...new Set(endings)];
  return different.length > 6 ? `${different.slice(0, 6).join(', ')}, …` : different.join(', ');
}

function endingOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return name.lastIndexOf('.') > 0 ? name.slice(name.indexOf('.', 1)) : name;
}
