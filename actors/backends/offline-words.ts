/** What the offline backend says without code tools: it sums up findings or a listing that it is given, or says what it is. */
import { severities } from '../rules/finding.ts';
import { parseObject, type Task } from './offline-task.ts';

const plainly = "This is troupe's embedded backend: rules, no language model.";

/** The answer to a prompt without code tools. */
export function wordsFor(task: Task): string {
  const given = [...task.prompt.matchAll(/```(?:json)?[^\S\n]*\n([\s\S]*?)```/g)].flatMap((match) => {
    const value = parseObject(match[1] ?? '');
    return value === undefined ? [] : [value];
  });
  const lists = given.flatMap(({ findings }) => (Array.isArray(findings) ? [findings] : []));
  const listing = given.find(({ files }) => Array.isArray(files));
  const text =
    lists.length > 0
      ? summaryOf(lists.flat(), task.prompt)
      : listing === undefined
        ? aboutItself
        : descriptionOf(listing);
  if (task.mustBeJson) return JSON.stringify({ findings: lists.flat(), summary: text }, undefined, 2);
  return task.wantsJson && /findings/.test(task.prompt) && lists.length === 0
    ? JSON.stringify({
        findings: [],
        summary: `${plainly} It has no tools to read code with, so nothing was examined.`,
      })
    : text;
}

const aboutItself = [
  plainly,
  'It cannot hold a conversation. Given the tools list_files and read_file it examines JavaScript, TypeScript and Python',
  'by fixed rules (security, performance, style, docs); given findings as JSON it sums them up.',
  'For a real model, start Ollama or a llama.cpp server and name it with --backend, or configure an endpoint.',
].join('\n');

interface Named {
  readonly severity: string;
  readonly file: string;
  readonly line: number | undefined;
  readonly title: string;
}

/** Findings in a few sentences: how many, where most of them are, which to look at first. */
function summaryOf(items: readonly unknown[], prompt: string): string {
  const found = items.flatMap(toNamed);
  const missing = /part is missing: ([\w, -]+)\./.exec(prompt)?.[1];
  const gap = missing === undefined ? '' : ` The part of ${missing} is missing.`;
  if (found.length === 0) {
    return `${plainly} It was given no findings to sum up. That does not mean that the code has no faults.${gap}`;
  }
  const counts = severities.flatMap((severity) => {
    const count = found.filter((one) => one.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}`];
  });
  const places = mostFrequent(found.map(({ file }) => file));
  const worst = severities.find((severity) => found.some((one) => one.severity === severity));
  const first = found.filter(({ severity }) => severity === worst).slice(0, 3);
  const named = first.map(({ title, file, line }) => `${title} (${file}${line === undefined ? '' : `:${line}`})`);
  return [
    plainly,
    `It counted ${found.length} ${found.length === 1 ? 'finding' : 'findings'}: ${counts.join(', ')}.`,
    `Files with the most: ${places}.`,
    `To look at first, as most severe: ${named.join('; ')}.${gap}`,
  ].join(' ');
}

function toNamed(item: unknown): readonly Named[] {
  const { severity, file, line, title } = (item ?? {}) as Record<string, unknown>;
  if (typeof file !== 'string' || typeof title !== 'string') return [];
  if (!severities.some((known) => known === severity)) return [];
  return [{ severity: String(severity), file, line: typeof line === 'number' ? line : undefined, title }];
}

/** A file listing in a few sentences: how many, of which kinds, in which folders. */
function descriptionOf({ root, files, total }: Readonly<Record<string, unknown>>): string {
  const paths = (files as readonly unknown[]).flatMap((file) => {
    const path = typeof file === 'string' ? file : (file as { path?: unknown } | null)?.path;
    return typeof path === 'string' ? [path] : [];
  });
  const count = typeof total === 'number' ? total : paths.length;
  const name = typeof root === 'string' ? `\`${root}\`` : 'The code base';
  if (paths.length === 0) return `${plainly} ${name}: no files are listed.`;
  const kinds = mostFrequent(paths.map((path) => /\.\w+$/.exec(path)?.[0] ?? 'without an ending'));
  const folders = mostFrequent(paths.map((path) => (path.includes('/') ? `${path.split('/')[0]}/` : 'the top folder')));
  const part = paths.length < count ? ` Of the ${paths.length} that are listed here:` : '';
  const packaged = paths.includes('package.json') ? ' It has a package.json.' : '';
  return `${plainly} ${name} has ${count} files.${part} Kinds: ${kinds}. Folders: ${folders}.${packaged}`;
}

/** The most frequent texts with their counts: `a (3), b (1)`. */
function mostFrequent(texts: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  const sorted = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, 3);
  return sorted.map(([text, count]) => `${text} (${count})`).join(', ');
}
