/**
 * Which processes there are on this machine.
 *
 * T1  A pid names nobody, since it is given again to others: a process is its pid and when it started.
 * T2  Looking never fails: what cannot be read is not there.
 * T3  Those who look at the same time share one look, which began after they asked.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { markersIn } from './process-marker.ts';

/** One process and no later one of the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In the system's own notation; only good to be compared. */
  readonly startedAt: string;
}

export interface ProcessEntry extends ProcessIdentity {
  readonly parentPid: number;
  readonly groupId: number;
  /** It has exited and waits for its parent to notice. */
  readonly ended: boolean;
  /** The marks in its environment. Empty where the system does not show it: everywhere but on Linux. */
  readonly markers: readonly string[];
}

/** By pid. Empty on Windows. */
export type ProcessTable = ReadonlyMap<number, ProcessEntry>;

let look: Promise<ProcessTable> = Promise.resolve(new Map());
let nextLook: Promise<ProcessTable> | undefined;

/** Looks at all processes. */
export function readProcessTable(): Promise<ProcessTable> {
  nextLook ??= look.then(() => {
    nextLook = undefined;
    return (onLinux ? tableFromProc() : tableFromPs()).catch(() => new Map());
  });
  look = nextLook;
  return nextLook;
}

/** Who has this pid now. */
export async function identityOf(pid: number): Promise<ProcessIdentity | undefined> {
  return identityNow(pid) ?? (onLinux ? undefined : (await readProcessTable()).get(pid));
}

/** The same without waiting; undefined where only a look at all processes tells. */
export function identityNow(pid: number): ProcessIdentity | undefined {
  return onLinux ? entryFromProc(pid) : undefined;
}

/** Whether it is known without waiting that this very process is no more. */
export function isKnownGone({ pid, startedAt }: ProcessIdentity): boolean {
  return onLinux && entryFromProc(pid)?.startedAt !== startedAt;
}

/** Whether this very process runs. */
export async function isRunning({ pid, startedAt }: ProcessIdentity): Promise<boolean> {
  const entry = onLinux ? entryFromProc(pid) : (await readProcessTable()).get(pid);
  return entry?.startedAt === startedAt && !entry.ended;
}

const onLinux = process.platform === 'linux';
/** So many processes are read at once before others get their turn: about 2 ms. */
const procBatch = 64;

async function tableFromProc(): Promise<ProcessTable> {
  const table = new Map<number, ProcessEntry>();
  const pids = attempt(() => readdirSync('/proc'))?.filter((name) => /^\d+$/.test(name)) ?? [];
  for (const [index, name] of pids.entries()) {
    if (index % procBatch === procBatch - 1) await nextTurn();
    const entry = entryFromProc(Number(name));
    if (entry === undefined) continue;
    const environment = attempt(() => readFileSync(`/proc/${name}/environ`));
    table.set(entry.pid, { ...entry, markers: environment === undefined ? [] : markersIn(environment) });
  }
  return table;
}

/** What `/proc/<pid>/stat` says. The name in it is whatever the program wants, so what counts is behind its last bracket. */
function entryFromProc(pid: number): ProcessEntry | undefined {
  const line = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  const [state, parentPid, groupId, ...rest] = line?.slice(line.lastIndexOf(')') + 2).split(' ') ?? [];
  const startedAt = rest[startTimeField];
  if (state === undefined || startedAt === undefined) return undefined;
  return {
    pid,
    startedAt,
    parentPid: Number(parentPid),
    groupId: Number(groupId),
    ended: isEnded(state),
    markers: [],
  };
}

/** Field 22 of proc(5), counted behind the first five. */
const startTimeField = 16;

/** What `ps` says. Without a time zone of its own the same moment would have several names. */
export async function tableFromPs(): Promise<ProcessTable> {
  const table = new Map<number, ProcessEntry>();
  if (process.platform === 'win32') return table;
  const { execa } = await import('execa');
  const { stdout } = await execa('ps', ['-A', '-o', 'pid=,ppid=,pgid=,state=,lstart='], {
    env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
    extendEnv: false,
    reject: false,
    stdin: 'ignore',
    stderr: 'ignore',
    timeout: psTimeoutMs,
  });
  for (const line of (stdout ?? '').split('\n')) {
    const [, pid, parentPid, groupId, state = '', startedAt = ''] = psLine.exec(line) ?? [];
    if (pid === undefined) continue;
    table.set(Number(pid), {
      pid: Number(pid),
      startedAt: startedAt.trim(),
      parentPid: Number(parentPid),
      groupId: Number(groupId),
      ended: isEnded(state),
      markers: [],
    });
  }
  return table;
}

const psLine = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S.*)$/;
const psTimeoutMs = 2_000;

function isEnded(state: string): boolean {
  return state.startsWith('Z') || state.startsWith('X');
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
