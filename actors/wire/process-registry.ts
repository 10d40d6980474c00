/**
 * The children on disk, one small file each, and the sweep that ends those whose host died.
 *
 * R1  A file says who the child and its host are, nothing of what the child was told: no arguments, no environment.
 * R2  Files are read and written only in a folder that is ours alone; without one there are none, and no start fails for it.
 * R3  Only what a dead host of this machine, boot and container left is ended, and only the very processes it named or
 *     marked. Files of other places are removed when they are a week old.
 */
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir, hostname, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { asFields } from './fields.ts';
import { inheritedMarkers } from './process-marker.ts';
import { identityNow, identityOf, isRunning, type ProcessIdentity } from './process-table.ts';
import { ProcessTree } from './process-tree.ts';

export interface SweepOptions {
  /** The folder of the files. Default: `TROUPE_STATE_DIR`, else `troupe/processes` in the user's state folder. */
  readonly stateDir?: string | undefined;
}

/** Where the children of this process are written down. */
export interface ProcessRegistry {
  /** Writes down a child, on Linux before it returns. Resolves with what removes it again. Never rejects. */
  add(child: { readonly pid: number; readonly marker: string; readonly command: string }): Promise<() => void>;
}

interface ProcessRecord extends ProcessIdentity {
  readonly marker: string;
  readonly command: string;
  readonly place: string;
  readonly host: ProcessIdentity;
}

const registries = new Map<string | undefined, Promise<ProcessRegistry>>();
const termGraceMs = 2_000;
const weekMs = 7 * 24 * 60 * 60 * 1_000;

/** Opens the registry of a folder. The first time, what dead hosts left there has got its SIGTERM before this resolves. */
export function openRegistry(stateDir?: string): Promise<ProcessRegistry> {
  const folder = findFolder(stateDir);
  const open = registries.get(folder) ?? openFolder(folder);
  registries.set(folder, open);
  return open;
}

/** Ends what dead hosts left behind and removes their files. Resolves with how many children that were, once all are gone. */
export async function sweepProcesses(options: SweepOptions = {}): Promise<number> {
  const folder = findFolder(options.stateDir);
  const { ended } = await beginSweep(folder);
  return ended;
}

async function openFolder(folder: string | undefined): Promise<ProcessRegistry> {
  const host = await identityOf(process.pid);
  await beginSweep(folder);
  return {
    add: async ({ pid, marker, command }) => {
      const child = identityNow(pid) ?? (await identityOf(pid));
      if (folder === undefined || host === undefined || child === undefined) return () => {};
      const record: ProcessRecord = {
        pid,
        startedAt: child.startedAt,
        marker,
        command: basename(command),
        place: place(),
        host: { pid: host.pid, startedAt: host.startedAt },
      };
      // The mark is in the name, since another container that shares the folder may have the same pid.
      const file = join(folder, `${pid}-${marker}.json`);
      attempt(() => writeFileSync(file, JSON.stringify(record), { mode: 0o600, flag: 'wx' }));
      return () => void attempt(() => rmSync(file, { force: true }));
    },
  };
}

/** Resolves once everybody left over has got SIGTERM; `ended` once they are gone. Neither rejects. */
async function beginSweep(folder: string | undefined): Promise<{ readonly ended: Promise<number> }> {
  const files = folder === undefined ? [] : (attempt(() => readdirSync(folder)) ?? []);
  const left = await Promise.all(
    files.filter((name) => name.endsWith('.json')).map((name) => beginRecord(join(folder ?? '', name))),
  );
  const ended = left.flatMap((end) => (end === undefined ? [] : [end()]));
  return { ended: Promise.all(ended).then((counts) => counts.filter((wasThere) => wasThere).length) };
}

/** Asks one left-over tree to end, and gives what sees it through; undefined when the file is none of our business. */
async function beginRecord(file: string): Promise<(() => Promise<boolean>) | undefined> {
  const record = readRecord(file);
  if (record === undefined || record.place !== place()) {
    const age = attempt(() => Date.now() - statSync(file).mtimeMs) ?? 0;
    if (age > weekMs) attempt(() => rmSync(file, { force: true }));
    return undefined;
  }
  // A troupe within a left-over tree leaves that tree to others: it would end itself.
  if (inheritedMarkers().includes(record.marker) || (await isRunning(record.host))) return undefined;
  const tree = new ProcessTree(record);
  const found = await tree.terminate();
  return async () => {
    const left = found === 0 ? 0 : await tree.end({ termGraceMs });
    if (left === 0) attempt(() => rmSync(file, { force: true }));
    return found > 0;
  };
}

function readRecord(file: string): ProcessRecord | undefined {
  const record = attempt(() => asFields(JSON.parse(readFileSync(file, 'utf8'))));
  const isWhole =
    isIdentity(record) &&
    isIdentity(record['host']) &&
    typeof record['marker'] === 'string' &&
    /^[0-9a-f]{32}\.\d+$/.test(record['marker']);
  return isWhole ? (record as unknown as ProcessRecord) : undefined;
}

function isIdentity(value: unknown): value is Record<string, unknown> {
  const { pid, startedAt } = asFields(value) ?? {};
  return Number.isSafeInteger(pid) && (pid as number) > 1 && typeof startedAt === 'string';
}

let knownPlace: string | undefined;

/** Within what pids and starts mean something: a boot of a machine, and a container of it. */
function place(): string {
  knownPlace ??= [
    hostname(),
    attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()),
    attempt(() => readlinkSync('/proc/self/ns/pid')),
  ].join(' ');
  return knownPlace;
}

function findFolder(stateDir: string | undefined): string | undefined {
  const wanted = stateDir ?? process.env['TROUPE_STATE_DIR'];
  const user = process.getuid?.() ?? 'user';
  const stateHome = process.env['XDG_STATE_HOME'] || attempt(() => join(homedir(), '.local', 'state'));
  const home = stateHome === undefined ? undefined : join(stateHome, 'troupe', 'processes');
  return [wanted || home, join(tmpdir(), `troupe-processes-${user}`)].find(
    (folder) => folder !== undefined && isOurFolder(folder),
  );
}

/** Whether the folder is there and nobody else can put a file into it, which would name processes to end. */
function isOurFolder(folder: string): boolean {
  attempt(() => mkdirSync(folder, { recursive: true, mode: 0o700 }));
  const stats = attempt(() => lstatSync(folder));
  if (stats === undefined || !stats.isDirectory()) return false;
  if (process.getuid === undefined) return true;
  return stats.uid === process.getuid() && (stats.mode & 0o022) === 0 && (stats.mode & 0o200) !== 0;
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
