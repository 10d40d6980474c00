/** Docs rules over the project as a whole: README and package.json, held against each other and the files. */
import type { Finding, SourceFile } from './finding.ts';

/** A project as far as it was looked at. */
export interface Project {
  /** All paths in it, those of folders (ending in `/`) that were left out included. */
  readonly paths: readonly string[];
  /** False when there may be more paths. */
  readonly isComplete: boolean;
  /** Those of its READMEs and package.json files that were read. */
  readonly files: readonly SourceFile[];
}

const mostPerRule = 5;

type Said = Omit<Finding, 'domain' | 'file'>;

/** All findings on README and package.json. */
export function checkProject(project: Project): readonly Finding[] {
  return [
    ...missingReadme(project),
    ...project.files
      .filter(({ path }) => isReadme(path))
      .flatMap((readme) => [
        ...of(readme, deadLinks(readme, project)),
        ...of(readme, unknownScripts(readme, project)),
        ...of(readme, openPoints(readme)),
      ]),
    ...project.files
      .filter(({ path }) => path === 'package.json')
      .flatMap((manifest) => of(manifest, unstated(manifest, project))),
  ];
}

/** The findings of one rule on one file, the first few of them. */
function of(file: SourceFile, said: readonly Said[]): readonly Finding[] {
  const more = said.length - mostPerRule;
  return said.slice(0, mostPerRule).map((one, index) => {
    const rest = more > 0 && index === mostPerRule - 1 ? ` This file has ${more} more of the kind.` : '';
    return { domain: 'docs', file: file.path, ...one, detail: one.detail + rest };
  });
}

function missingReadme({ paths, isComplete }: Project): readonly Finding[] {
  if (!isComplete || !paths.includes('package.json') || paths.some((path) => /^readme(\.|$)/i.test(path))) return [];
  return [
    {
      domain: 'docs',
      rule: 'no-readme',
      severity: 'medium',
      file: 'package.json',
      line: 1,
      title: 'The project has no README',
      detail: 'Beside this package.json there is no file that says what the project is and how to use it.',
      suggestion: 'Write a README.md: what it does, how to install it, one example.',
    },
  ];
}

/** Links to files that are not there. */
function deadLinks(readme: SourceFile, { paths, isComplete }: Project): readonly Said[] {
  if (!isComplete) return [];
  const existing = new Set(paths);
  const left = paths.filter((path) => path.endsWith('/'));
  const folder = readme.path.slice(0, readme.path.lastIndexOf('/') + 1);
  return proseLines(readme.text).flatMap(({ text, line }) =>
    [...text.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+["'][^)]*)?\)/g)].flatMap(([, target = '']) => {
      const path = localPath(folder, target);
      if (path === undefined || existing.has(path) || left.some((one) => path.startsWith(one))) return [];
      return [
        {
          rule: 'dead-link',
          severity: 'medium' as const,
          line,
          title: `The link to \`${target}\` leads nowhere`,
          detail: `There is no file \`${path}\` in this code base.`,
          suggestion: 'Correct the link or add the file.',
        },
      ];
    }),
  );
}

/** The file that a link means; undefined when it is no plain path to a file inside the project. */
function localPath(folder: string, target: string): string | undefined {
  const plain = target.replace(/[#?].*$/, '');
  if (!/\.\w{1,5}$/.test(plain) || /^[a-z][a-z0-9+.-]*:|^\/|[{}$*\\]|%(?![0-9a-f]{2})/i.test(plain)) return undefined;
  const parts: string[] = folder.split('/').filter((part) => part !== '');
  for (const part of decodeURIComponent(plain).split('/')) {
    if (part === '..' && parts.pop() === undefined) return undefined;
    if (part !== '' && part !== '.' && part !== '..') parts.push(part);
  }
  return parts.join('/');
}

/** `npm run x` of a script that package.json does not have. */
function unknownScripts(readme: SourceFile, { files }: Project): readonly Said[] {
  const folder = readme.path.slice(0, readme.path.lastIndexOf('/') + 1);
  const manifest = parse(files.find(({ path }) => path === `${folder}package.json`)?.text);
  const scripts = manifest?.['scripts'];
  if (manifest === undefined || (scripts !== undefined && !isRecord(scripts))) return [];
  if (/\bcd\s+\S|"scripts"\s*:|--prefix|workspace/.test(readme.text)) return [];
  return readme.text.split('\n').flatMap((text, index) =>
    [...text.matchAll(/\bnpm run(?:-script)? ([a-zA-Z][\w:.-]*)(?![\w<{*])/g)].flatMap(([, found = '']) => {
      const name = found.replace(/[.:]+$/, '');
      if (Object.hasOwn(scripts ?? {}, name)) return [];
      return [
        {
          rule: 'unknown-script',
          severity: 'medium' as const,
          line: index + 1,
          title: `\`npm run ${name}\` does not work`,
          detail: `${folder}package.json has no script named \`${name}\`.`,
          suggestion: 'Correct the command or add the script.',
        },
      ];
    }),
  );
}

/** Places that the README itself calls unfinished. */
function openPoints(readme: SourceFile): readonly Said[] {
  return proseLines(readme.text).flatMap(({ text, line }) => {
    const mark = /^\s*(?:[-*>]\s+)?[*_]{0,2}(TODO|FIXME|TBD)\b[*_]{0,2}\s*[:.]/.exec(text)?.[1];
    if (mark === undefined) return [];
    return [
      {
        rule: 'todo-in-docs',
        severity: 'low' as const,
        line,
        title: `The README has an open ${mark}`,
        detail: `It says: "${text.trim().slice(0, 100)}"`,
        suggestion: 'Write what is missing, or remove the line.',
      },
    ];
  });
}

/** What a published package should say of itself and does not. */
function unstated(file: SourceFile, { paths, isComplete }: Project): readonly Said[] {
  const manifest = parse(file.text);
  if (manifest === undefined || manifest['private'] === true || typeof manifest['name'] !== 'string') return [];
  const said: Said[] = [];
  if (manifest['description'] === undefined || manifest['description'] === '') {
    said.push({
      rule: 'no-description',
      severity: 'low',
      line: 1,
      title: 'package.json has no description',
      detail: 'Package searches and listings show this one sentence, and the package can be published without it.',
      suggestion: 'Say in one sentence what the package is for.',
    });
  }
  const states = manifest['license'] !== undefined || manifest['licenses'] !== undefined;
  if (!states && isComplete && !paths.some((path) => /^(licen[sc]e|copying|unlicense)/i.test(path))) {
    said.push({
      rule: 'no-license',
      severity: 'medium',
      line: 1,
      title: 'Nothing says under which licence the package may be used',
      detail: 'package.json has no "license" and there is no licence file beside it.',
      suggestion: 'Add "license" to package.json, or "private": true if it is not meant to be published.',
    });
  }
  return said;
}

/** The lines outside code blocks and comments, inline code left out. */
function proseLines(text: string): readonly { readonly text: string; readonly line: number }[] {
  let fence = '';
  const visible = text.replace(/<!--[\s\S]*?-->/g, (comment) => comment.replace(/[^\n]/g, ' '));
  return visible.split('\n').flatMap((line, index) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1] ?? '';
    if (fence !== '') {
      if (mark.startsWith(fence)) fence = '';
      return [];
    }
    fence = mark;
    return mark === '' && !/^( {4}|\t)/.test(line) ? [{ text: line.replace(/`[^`]*`/g, ''), line: index + 1 }] : [];
  });
}

function isReadme(path: string): boolean {
  return /(^|\/)readme\.(md|markdown)$/i.test(path);
}

function parse(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined; // no JSON, so nothing can be said of it
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
