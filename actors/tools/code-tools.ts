/**
 * Read-only tools for a code base: list its files, read one, search them. All three stay below one root.
 * A regular expression runs for at most `maxSearchMs` in all, on lines of at most `maxLineLength` characters.
 */
import { createContext, Script } from 'node:vm';
import { TroupeError } from '../../src/core/errors.ts';
import { type CodeFiles, type CodeFilesOptions, codeFiles } from './code-files.ts';
import { numberLines } from './numbered.ts';
import { type Tool, tool } from './tool.ts';

const defaultListLimit = 500;
const maxListLimit = 5_000;
const maxSkippedShown = 200;
const defaultLines = 2_000;
/** Line numbers come on top; all of it must stay below what the runtime lets a tool result be. */
const maxReadLength = 64_000;
const maxLineLength = 2_000;
const defaultMatches = 100;
const maxMatches = 1_000;
const maxMatchLength = 300;
const maxPatternLength = 200;
const maxSearchMs = 1_000;

/** The tools `list_files`, `read_file` and `search_code` over the files below `root`, which may be a single file. */
export function codeTools(root: string, options?: CodeFilesOptions): readonly Tool[] {
  const files = codeFiles(root, options);
  return [listFiles(files), readFile(files), searchCode(files)];
}

function listFiles(files: CodeFiles): Tool {
  return tool<{ path?: string; limit?: number; offset?: number }>({
    name: 'list_files',
    description:
      'Lists the source files of the code base, all folders included, sorted by path. Gives JSON: files with their ' +
      'size, total, what was skipped and why, and `next`, the offset of the next page, when there is one.',
    parameters: {
      type: 'object',
      properties: {
        path: { type: 'string', description: 'Folder to list, from the root. Default: the root.' },
        limit: { type: 'integer', minimum: 1, description: `Files per page. Default ${defaultListLimit}.` },
        offset: { type: 'integer', minimum: 0, description: 'Number of files to leave out. Default 0.' },
      },
    },
    execute: async ({ path = '', limit = defaultListLimit, offset = 0 }) => {
      const walk = await files.walk(path, offset > 0);
      const end = offset + Math.min(limit, maxListLimit);
      return {
        root: files.name,
        files: walk.files.slice(offset, end),
        total: walk.files.length,
        skipped: offset === 0 ? walk.skipped.slice(0, maxSkippedShown) : [],
        skippedTotal: walk.skipped.length,
        ...(end < walk.files.length && { next: end }),
      };
    },
  });
}

function readFile(files: CodeFiles): Tool {
  return tool<{ path: string; from?: number; to?: number }>({
    name: 'read_file',
    description:
      'Reads a text file. Every line stands as `12| text`; a last line in brackets says whether the file ended or ' +
      `with which \`from\` to go on. Without \`to\`, at most ${defaultLines} lines.`,
    parameters: {
      type: 'object',
      properties: {
        path: { type: 'string', description: 'The file, from the root.' },
        from: { type: 'integer', minimum: 1, description: 'First line. Default 1.' },
        to: { type: 'integer', minimum: 1, description: 'Last line.' },
      },
      required: ['path'],
    },
    execute: async ({ path, from = 1, to = from + defaultLines - 1 }) => {
      const { text } = await files.read(path);
      return numberLines(text, { from, to, lineLength: maxLineLength, length: maxReadLength }).text;
    },
  });
}

function searchCode(files: CodeFiles): Tool {
  return tool<{ pattern: string; regex?: boolean; path?: string; limit?: number }>({
    name: 'search_code',
    description:
      'Finds the lines that contain a text, or match a JavaScript regular expression when `regex` is true. ' +
      'Gives `path:line: text` for every match.',
    parameters: {
      type: 'object',
      properties: {
        pattern: { type: 'string', minLength: 1, maxLength: maxPatternLength },
        regex: { type: 'boolean', description: 'Take the pattern as a regular expression. Default false.' },
        path: { type: 'string', description: 'Folder or file to search in. Default: all.' },
        limit: { type: 'integer', minimum: 1, description: `Matches to give. Default ${defaultMatches}.` },
      },
      required: ['pattern'],
    },
    execute: async ({ pattern, regex = false, path = '', limit = defaultMatches }, { signal }) => {
      const matching = regex ? regexMatcher(pattern) : literalMatcher(pattern);
      const most = Math.min(limit, maxMatches);
      const { files: listed } = await files.walk(path);
      const matches: string[] = [];
      let searched = 0;
      for (const file of listed) {
        signal.throwIfAborted();
        const lines = await files.read(file.path).then(
          ({ text }) => text.split('\n'),
          () => [],
        );
        searched += 1;
        for (const index of matching(lines)) {
          if (matches.length === most)
            return [...matches, `[the first ${most} matches; narrow the pattern]`].join('\n');
          matches.push(`${file.path}:${index + 1}: ${lines[index]?.trim().slice(0, maxMatchLength)}`);
        }
      }
      return [...matches, `[${matches.length} matches in ${searched} files]`].join('\n');
    },
  });
}

/** Finds the indexes of the lines that match. */
type Matcher = (lines: readonly string[]) => readonly number[];

function literalMatcher(pattern: string): Matcher {
  return (lines) => lines.flatMap((line, index) => (line.includes(pattern) ? [index] : []));
}

/** A regular expression can take longer than any text is worth: it runs in a context that can be stopped. */
function regexMatcher(pattern: string): Matcher {
  try {
    new RegExp(pattern);
  } catch (cause) {
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `The pattern is no regular expression: ${String(cause)}`);
  }
  const context = createContext({ pattern, lines: [] });
  let leftMs = maxSearchMs;
  return (lines) => {
    const start = performance.now();
    context['lines'] = lines.map((line) => line.slice(0, maxLineLength));
    try {
      return matchScript.runInContext(context, { timeout: Math.max(1, Math.ceil(leftMs)) }) as number[];
    } catch (cause) {
      const problem = `The search took longer than ${maxSearchMs} ms: use a simpler pattern or a narrower path.`;
      throw new TroupeError('TROUPE_ERR_OPTION_INVALID', problem, { cause });
    } finally {
      leftMs -= performance.now() - start;
    }
  };
}

const matchScript = new Script(`(() => {
  const expression = new RegExp(pattern);
  const found = [];
  for (let index = 0; index < lines.length; index += 1) if (expression.test(lines[index])) found.push(index);
  return found;
})()`);
