/**
 * Who has a store open, in a small file next to it.
 * The lock itself is SQLite's, which the system gives back when a process ends, however it ends. The file only names
 * the holder to whom is refused, and keeps this process from a second look at a file that it has open: closing any
 * descriptor of it would give up the lock.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { TroupeError } from '../../src/core/errors.ts';
import { asFields } from '../wire/fields.ts';
import { hostToken } from '../wire/process-marker.ts';
import { identityNow, isKnownGone } from '../wire/process-table.ts';

interface Holder {
  readonly pid: number;
  /** In the system's notation; empty where it cannot be had without waiting. */
  readonly startedAt: string;
  readonly host: string;
  readonly token: string;
}

/** Writes down this process. Gives the one that was written down before and did not take itself out. */
export function becomeHolder(storePath: string): { readonly pid: number } | undefined {
  const before = readHolder(storePath);
  const holder: Holder = {
    pid: process.pid,
    startedAt: identityNow(process.pid)?.startedAt ?? '',
    host: hostname(),
    token: hostToken(),
  };
  writeFileSync(holderPath(storePath), JSON.stringify(holder), { mode: 0o600 });
  return before;
}

/** Takes this process out again. */
export function resignHolder(storePath: string): void {
  rmSync(holderPath(storePath), { force: true });
}

/** Refuses when it is known that another, or this process itself, has the store. */
export function refuseIfHeld(storePath: string): void {
  const holder = readHolder(storePath);
  if (holder !== undefined && isHolding(holder)) throw lockedError(storePath);
}

/** The refusal of a store that somebody has open. */
export function lockedError(storePath: string, cause?: unknown): TroupeError {
  const holder = readHolder(storePath);
  const isNamed = holder !== undefined && !(isHere(holder) && isGone(holder));
  const who = isNamed
    ? `process ${holder.pid}${isHere(holder) ? '' : ` of ${holder.host}`}${holder.pid === process.pid ? ', this one' : ''}`
    : 'another process';
  const mend = 'Close it there first, or give this one another `path`.';
  return new TroupeError('TROUPE_ERR_STORE_LOCKED', `The store ${storePath} is open in ${who}. ${mend}`, { cause });
}

function isHolding(holder: Holder): boolean {
  if (holder.token === hostToken()) return true;
  return isHere(holder) && holder.startedAt !== '' && identityNow(holder.pid)?.startedAt === holder.startedAt;
}

function isGone({ pid, startedAt }: Holder): boolean {
  return startedAt !== '' && isKnownGone({ pid, startedAt });
}

function isHere(holder: Holder): boolean {
  return holder.host === hostname();
}

function readHolder(storePath: string): Holder | undefined {
  try {
    const { pid, startedAt, host, token } = asFields(JSON.parse(readFileSync(holderPath(storePath), 'utf8'))) ?? {};
    if (!Number.isSafeInteger(pid) || [startedAt, host, token].some((text) => typeof text !== 'string'))
      return undefined;
    return { pid, startedAt, host, token } as Holder;
  } catch {
    return undefined;
  }
}

function holderPath(storePath: string): string {
  return `${storePath}-holder`;
}
