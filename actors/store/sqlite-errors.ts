/** What SQLite and the file system say, as errors of troupe. */
import { reasonOf, TroupeError } from '../../src/core/errors.ts';

/** Whether the same write may succeed once something outside has changed: space, permission, a device, a lock. */
export function isCondition(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code !== undefined && conditions.some((condition) => code.startsWith(condition));
}

/** Whether somebody else has the file. */
export function isBusy(thrown: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(codeOf(thrown) ?? '');
}

/** Whether the file is no SQLite file, or a broken one: also one whose tables are not those that its version has. */
export function isDamage(thrown: unknown): boolean {
  const code = codeOf(thrown) ?? '';
  return /^SQLITE_(CORRUPT|NOTADB)/.test(code) || (code === 'SQLITE_ERROR' && /^no such /.test(reasonOf(thrown)));
}

/** What is thrown for a row whose content is not what was written. */
export function unreadable(cause: unknown): Error {
  return Object.assign(new Error(`a row cannot be read: ${reasonOf(cause)}`, { cause }), { code: 'SQLITE_CORRUPT' });
}

/** Anything that went wrong with the file at `path`. */
export function storeError(path: string, thrown: unknown): TroupeError {
  if (thrown instanceof TroupeError) return thrown;
  if (isDamage(thrown)) return damagedError(path, reasonOf(thrown), thrown);
  const code = codeOf(thrown);
  const [, hint = ''] = hints.find(([start]) => code?.startsWith(start)) ?? [];
  const said = code === undefined ? reasonOf(thrown) : `${reasonOf(thrown)} (${code})`;
  return new TroupeError('TROUPE_ERR_STORE_FAILED', `The store ${path} failed: ${said}.${hint}`, { cause: thrown });
}

/** The refusal of a file that cannot be relied on. */
export function damagedError(path: string, what: string, cause?: unknown): TroupeError {
  const mend =
    `It was left as it is. To export what is readable: sqlite3 '${path}' .recover > readable.sql; ` +
    `to begin anew: move it away, with ${path}-wal if there is one.`;
  return new TroupeError('TROUPE_ERR_STORE_DAMAGED', `The store ${path} is damaged: ${what}. ${mend}`, { cause });
}

const conditions = [
  'SQLITE_FULL',
  'SQLITE_IOERR',
  'SQLITE_READONLY',
  'SQLITE_CANTOPEN',
  'SQLITE_PERM',
  'SQLITE_AUTH',
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  'SQLITE_PROTOCOL',
  'SQLITE_NOMEM',
  'SQLITE_NOLFS',
  'SQLITE_CORRUPT',
  'SQLITE_NOTADB',
];

const hints: readonly (readonly [start: string, hint: string])[] = [
  ['SQLITE_FULL', ' Free some space: what could not be written is kept and written then.'],
  ['SQLITE_IOERR', ' What could not be written is kept and tried again.'],
  ['SQLITE_READONLY', ' Allow this process to write the file and its folder.'],
  ['SQLITE_CANTOPEN', ' Allow this process to read and write the file and its folder.'],
  ['EACCES', ' Allow this process to read and write the file and its folder.'],
  ['EROFS', ' Name a file on a disk that can be written.'],
  ['ENOSPC', ' Free some space.'],
];

function codeOf(thrown: unknown): string | undefined {
  const code = thrown instanceof Error ? (thrown as NodeJS.ErrnoException).code : undefined;
  if (typeof code === 'string') return code;
  // A connection that does not come about has no code, but the driver's number of it in its text.
  return /^ConnectionFailed\(.*: 14"\)\s*$/s.test(reasonOf(thrown)) ? 'SQLITE_CANTOPEN' : undefined;
}
