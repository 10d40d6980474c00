/**
 * The files below one root, and nothing else: every path is resolved to the real one and refused when that leads out.
 * Only regular files are opened, only for reading, never a pipe, a socket or a device.
 */
import { constants, type Dirent } from 'node:fs';
import { type FileHandle, lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { TroupeError } from '../../src/core/errors.ts';

/** A file below the root: where it really is, and how it is called from the root, with `/`. */
export interface Located {
  readonly absolute: string;
  readonly path: string;
}

export interface ListedFile {
  readonly path: string;
  readonly bytes: number;
}

export interface SkippedFile {
  readonly path: string;
  readonly reason: string;
}

/** What a walk found, sorted by path. */
export interface Walk {
  readonly files: readonly ListedFile[];
  readonly skipped: readonly SkippedFile[];
}

/** Options of `codeFiles()` and `codeTools()`. */
export interface CodeFilesOptions {
  /** Larger files are neither listed nor read. Default 1 000 000. */
  readonly maxFileBytes?: number;
  /** How many directory entries a listing looks at. Default 50 000. */
  readonly maxEntries?: number;
  /** Names of directories to leave out, in place of the default ones (`node_modules`, `.git`, `dist`, …). */
  readonly ignoredDirectories?: readonly string[];
}

/** Directories that hold no source of the project. */
const defaultIgnoredDirectories = [
  'node_modules bower_components vendor .yarn .pnpm-store',
  'dist build coverage .nyc_output .next .nuxt .svelte-kit .output .turbo .parcel-cache .cache',
  '.git .hg .svn .idea .vscode __pycache__ .venv venv .tox .mypy_cache .pytest_cache .ruff_cache .gradle',
].flatMap((line) => line.split(' '));

const ignoredFiles: readonly (readonly [RegExp, string])[] = [
  [/\.min\.(js|mjs|cjs|css)$/i, 'minified'],
  [/\.map$/i, 'source map'],
  [/^(package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?)$/i, 'lock file'],
  [/^\.ds_store$/i, 'no source'],
];

/** Files that nobody means to show to a model: `.env`, private keys, credentials of package managers. */
const secretFile = /^(\.env(\.(?!example$|sample$|template$|defaults$).*)?|\.npmrc|\.netrc|\.pypirc|id_[a-z0-9]+)$/i;
const secretExtension = /\.(pem|key|p12|pfx|keystore|jks)$/i;

const sniffedBytes = 2_048;
const openFilesAtOnce = 16;

/** Access to the files below `root`, a folder or a single file. Whether it exists is asked at every access. */
export function codeFiles(root: string, options: CodeFilesOptions = {}): CodeFiles {
  if (typeof root !== 'string' || root === '' || root.includes('\0')) {
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', '`root` must be the path of a folder or a file.');
  }
  return new CodeFiles(root, options);
}

/** Access to the files below one root. */
export class CodeFiles {
  readonly #root: string;
  readonly #maxFileBytes: number;
  readonly #maxEntries: number;
  readonly #ignoredDirectories: ReadonlySet<string>;
  /** The last walk, so that the pages of one listing agree with each other. */
  #lastWalk: { readonly path: string; readonly walk: Walk } | undefined;

  constructor(root: string, options: CodeFilesOptions) {
    const { maxFileBytes = 1_000_000, maxEntries = 50_000, ignoredDirectories = defaultIgnoredDirectories } = options;
    this.#root = resolve(root);
    this.#maxFileBytes = maxFileBytes;
    this.#maxEntries = maxEntries;
    this.#ignoredDirectories = new Set(ignoredDirectories.map((name) => name.toLowerCase()));
  }

  /** The name of the root, without the folders above it. */
  get name(): string {
    return basename(this.#root);
  }

  /** The real place of a path; throws when it leads out of the root, does not exist or is never shown. */
  async locate(path: string): Promise<Located> {
    if (path.includes('\0')) throw refused(path, 'it contains a NUL byte');
    const { top, only } = await this.#realRoot();
    const wanted = resolve(top, path === '' ? '.' : path);
    if (leadsOut(top, wanted)) throw refused(path, 'it leads out of the root');
    const absolute = await realpath(wanted).catch((cause: unknown) => {
      throw refused(path, whyNot(cause), cause);
    });
    if (leadsOut(top, absolute)) throw refused(path, 'it is a symbolic link that leads out of the root');
    if (only !== undefined && absolute !== only && absolute !== top) {
      throw refused(path, `the root is the single file ${basename(only)}`);
    }
    const located = { absolute: only ?? absolute, path: posix(relative(top, only ?? absolute)) };
    if (located.path.toLowerCase().split('/').includes('.git')) throw refused(path, '.git is never shown');
    if (isSecret(basename(located.path)) && only === undefined) throw refused(path, 'files like it hold secrets');
    return located;
  }

  /** The text of a file; throws when it is no regular file, too large or binary. */
  async read(path: string): Promise<{ readonly path: string; readonly text: string }> {
    const located = await this.locate(path);
    const bytes = await withRegularFile(located, async (handle, size) => {
      if (size > this.#maxFileBytes) throw refused(path, `it has ${size} bytes, more than ${this.#maxFileBytes}`);
      return handle.readFile();
    });
    if (isBinary(bytes)) throw refused(path, 'it is a binary file');
    return { path: located.path, text: bytes.toString('utf8') };
  }

  /** Every readable file at or below a path. With `again`, the last walk of this path is used. */
  async walk(path: string, again = false): Promise<Walk> {
    if (again && this.#lastWalk?.path === path) return this.#lastWalk.walk;
    const start = await this.locate(path);
    const found = { files: [] as Located[], skipped: [] as SkippedFile[] };
    if ((await stat(start.absolute)).isDirectory()) await this.#collect(start, found);
    else found.files.push(start);
    const files: ListedFile[] = [];
    await inParallel(found.files, async (file) => {
      const result = await this.#inspect(file);
      if ('reason' in result) found.skipped.push(result);
      else files.push(result);
    });
    const walk = { files: files.sort(byPath), skipped: found.skipped.sort(byPath) };
    this.#lastWalk = { path, walk };
    return walk;
  }

  /** The directory that bounds every path, and the only file in it when the root is a file. */
  async #realRoot(): Promise<{ readonly top: string; readonly only?: string }> {
    const root = await realpath(this.#root).catch((cause: unknown) => {
      throw refused(this.#root, whyNot(cause), cause);
    });
    return (await stat(root)).isDirectory() ? { top: root } : { top: dirname(root), only: root };
  }

  async #collect(start: Located, found: { files: Located[]; skipped: SkippedFile[] }): Promise<void> {
    const directories = [start];
    let left = this.#maxEntries;
    for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
      for (const entry of await entriesOf(directory, found.skipped)) {
        const path = posix(join(directory.path, entry.name));
        left -= 1;
        if (left < 0) {
          found.skipped.push({ path, reason: `beyond the first ${this.#maxEntries} entries` });
          return;
        }
        const located = { absolute: join(directory.absolute, entry.name), path };
        const reason = this.#whySkipped(entry);
        if (reason !== undefined) found.skipped.push({ path: entry.isDirectory() ? `${path}/` : path, reason });
        else if (entry.isDirectory()) directories.push(located);
        else found.files.push(located);
      }
    }
  }

  #whySkipped(entry: Dirent): string | undefined {
    if (entry.isDirectory()) {
      return this.#ignoredDirectories.has(entry.name.toLowerCase()) ? 'ignored directory' : undefined;
    }
    if (entry.isSymbolicLink()) return 'symbolic link';
    return entry.isFile() ? undefined : 'no regular file';
  }

  async #inspect({ absolute, path }: Located): Promise<ListedFile | SkippedFile> {
    const name = basename(path);
    const ignored = ignoredFiles.find(([pattern]) => pattern.test(name));
    if (ignored !== undefined) return { path, reason: ignored[1] };
    if (isSecret(name)) return { path, reason: 'may hold secrets' };
    try {
      return await withRegularFile({ absolute, path }, async (handle, bytes) => {
        if (bytes > this.#maxFileBytes) return { path, reason: `larger than ${this.#maxFileBytes} bytes` };
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(sniffedBytes), 0, sniffedBytes, 0);
        return isBinary(buffer.subarray(0, bytesRead)) ? { path, reason: 'binary' } : { path, bytes };
      });
    } catch (error) {
      return { path, reason: error instanceof TroupeError ? 'no regular file' : whyNot(error) };
    }
  }
}

async function entriesOf({ absolute, path }: Located, skipped: SkippedFile[]): Promise<readonly Dirent[]> {
  return readdir(absolute, { withFileTypes: true }).catch((cause: unknown) => {
    skipped.push({ path: `${path}/`, reason: whyNot(cause) });
    return [];
  });
}

/** Opens a regular file for reading, never waiting on a pipe and never following a link, and closes it. */
async function withRegularFile<Result>(
  { absolute, path }: Located,
  use: (handle: FileHandle, bytes: number) => Promise<Result>,
): Promise<Result> {
  const before = await lstat(absolute).catch((cause: unknown) => {
    throw refused(path, whyNot(cause), cause);
  });
  if (before.isDirectory()) throw refused(path, 'it is a directory');
  if (!before.isFile()) throw refused(path, 'it is no regular file');
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  const handle = await open(absolute, flags).catch((cause: unknown) => {
    throw refused(path, whyNot(cause), cause);
  });
  try {
    const facts = await handle.stat();
    if (!facts.isFile()) throw refused(path, 'it is no regular file');
    return await use(handle, facts.size);
  } finally {
    await handle.close();
  }
}

/** Runs `work` over all items, a few at a time. */
async function inParallel<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: openFilesAtOnce }, worker));
}

function leadsOut(top: string, absolute: string): boolean {
  const path = relative(top, absolute);
  return path === '..' || path.startsWith(`..${sep}`) || isAbsolute(path);
}

function isSecret(name: string): boolean {
  return secretFile.test(name) || secretExtension.test(name);
}

function isBinary(bytes: Buffer): boolean {
  return bytes.includes(0);
}

function posix(path: string): string {
  return sep === '/' ? path : path.split(sep).join('/');
}

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  if (a.path === b.path) return 0;
  return a.path < b.path ? -1 : 1;
}

function whyNot(cause: unknown): string {
  const code = (cause as { code?: unknown } | null)?.code;
  if (code === 'ENOENT') return 'it does not exist';
  if (code === 'ENOTDIR') return 'a part of it is no directory';
  if (code === 'ELOOP') return 'its symbolic links go in a circle';
  if (code === 'EACCES' || code === 'EPERM') return 'it may not be read';
  return `it cannot be read (${String(code ?? cause)})`;
}

function refused(path: string, why: string, cause?: unknown): TroupeError {
  return new TroupeError('TROUPE_ERR_PATH_REFUSED', `${JSON.stringify(path)} is refused: ${why}.`, { cause });
}
