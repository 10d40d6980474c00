/**
 * A process with everybody it started, and how all of them are ended.
 *
 * P1  Members are the leader, whoever carries its mark, whoever is in its group, and the descendants of all of them.
 *     Who was seen once stays one, whoever its parent is by then.
 * P2  Nobody else is signalled: not who has the pid of a member that is gone, nor a group of the same number.
 * P3  As long as the leader lives, SIGTERM goes to its group alone: it can tidy up its tools better than we can.
 */
import { sleep, systemClock } from '../clock.ts';
import {
  isKnownGone,
  type ProcessEntry,
  type ProcessIdentity,
  type ProcessTable,
  readProcessTable,
} from './process-table.ts';

export interface ProcessTreeOptions {
  readonly pid: number;
  /** The leader's start. Undefined for a child of this process: until it is reaped nobody else gets its pid. */
  readonly startedAt?: string;
  readonly marker: string;
  /** Aborted once a child of this process has exited. Undefined for a process that is not ours. */
  readonly leaderGone?: AbortSignal;
}

export interface EndTreeOptions {
  /** How long those who were asked to end may take, in milliseconds. */
  readonly termGraceMs: number;
  /** Once aborted, nobody gets any more time. */
  readonly hurry?: AbortSignal;
}

type EndSignal = 'SIGTERM' | 'SIGKILL';

const killWaitMs = 5_000;
const longestPauseMs = 250;

/** The tree below one leader. */
export class ProcessTree {
  readonly #pid: number;
  readonly #marker: string;
  readonly #leaderGone: AbortSignal | undefined;
  readonly #known = new Map<number, string>();
  readonly #asked = new Set<string>();
  #isGroupAsked = false;
  #lastGroup: Promise<unknown> | undefined;

  constructor({ pid, startedAt, marker, leaderGone }: ProcessTreeOptions) {
    this.#pid = pid;
    this.#marker = marker;
    this.#leaderGone = leaderGone;
    if (startedAt !== undefined) this.#known.set(pid, startedAt);
    // The group's number is not given away while it has members: this is the moment to learn who they are.
    const onGone = () => {
      this.#lastGroup = this.#look(true);
    };
    leaderGone?.addEventListener('abort', onGone, { once: true });
  }

  /** Whether the leader is a child of this process that has not been reaped, so that its pid is its own. */
  get #isHeld(): boolean {
    return this.#leaderGone !== undefined && !this.#leaderGone.aborted;
  }

  /** Sends SIGTERM to those who did not get it yet. Resolves with how many members live. */
  terminate(): Promise<number> {
    return this.#signal('SIGTERM');
  }

  /** Ends all members. Resolves with how many are left: none, unless not even SIGKILL ended them within 5 s. */
  async end({ termGraceMs, hurry }: EndTreeOptions): Promise<number> {
    const left = await this.#press('SIGTERM', termGraceMs, hurry);
    return left === 0 ? 0 : this.#press('SIGKILL', killWaitMs);
  }

  /** Signals whoever lives, again and again, until nobody does or the time is up. */
  async #press(signal: EndSignal, limitMs: number, hurry?: AbortSignal): Promise<number> {
    const deadline = systemClock.now() + limitMs;
    for (let pauseMs = 10; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      const left = await this.#signal(signal);
      const remainingMs = deadline - systemClock.now();
      if (left === 0 || remainingMs <= 0 || hurry?.aborted) return left;
      const waitsForLeader = this.#isHeld && signal === 'SIGTERM';
      const reasons = [hurry, this.#leaderGone?.aborted ? undefined : this.#leaderGone];
      await pause(waitsForLeader ? remainingMs : Math.min(pauseMs, remainingMs), reasons);
    }
  }

  async #signal(signal: EndSignal): Promise<number> {
    await this.#lastGroup;
    const members = await this.#look(this.#isHeld);
    const isHeld = this.#isHeld;
    const leads = isHeld || members.some(({ pid }) => pid === this.#pid);
    const toGroup = leads && (signal === 'SIGKILL' || !this.#isGroupAsked);
    if (toGroup) signalGroup(this.#pid, signal);
    this.#isGroupAsked ||= toGroup;
    for (const member of members) {
      const key = `${member.pid} ${member.startedAt}`;
      const isReached = toGroup && member.groupId === this.#pid;
      const isDue = signal === 'SIGKILL' || !(leads || this.#asked.has(key));
      if (isDue && !isReached) signalProcess(member, signal);
      if (isDue || isReached) this.#asked.add(key);
    }
    return isHeld ? Math.max(members.length, 1) : members.length;
  }

  async #look(isGroupOurs: boolean): Promise<readonly ProcessEntry[]> {
    const table = await readProcessTable();
    const leader = table.get(this.#pid);
    const isLeader = leader !== undefined && leader.startedAt === this.#known.get(this.#pid);
    const members = withDescendants(table, (entry) => {
      if (entry.markers.includes(this.#marker) || this.#known.get(entry.pid) === entry.startedAt) return true;
      return (isGroupOurs || isLeader) && entry.groupId === this.#pid;
    });
    for (const { pid, startedAt } of members) this.#known.set(pid, startedAt);
    return members.filter(({ ended }) => !ended);
  }
}

/** Sends a signal to a process group, unless there is none. */
export function signalGroup(pid: number, signal: EndSignal): void {
  // Windows has no groups: only the process itself ends there.
  send(process.platform === 'win32' ? pid : -pid, signal);
}

function signalProcess(identity: ProcessIdentity, signal: EndSignal): void {
  if (!isKnownGone(identity)) send(identity.pid, signal);
}

function send(pid: number, signal: EndSignal): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already, or belongs to somebody else and is not ours to end.
  }
}

function withDescendants(table: ProcessTable, isMember: (entry: ProcessEntry) => boolean): ProcessEntry[] {
  const children = new Map<number, ProcessEntry[]>();
  for (const entry of table.values()) {
    const siblings = children.get(entry.parentPid);
    if (siblings === undefined) children.set(entry.parentPid, [entry]);
    else siblings.push(entry);
  }
  const members = new Set([...table.values()].filter(isMember));
  // A set that grows while it is walked is walked to its end.
  for (const member of members) for (const child of children.get(member.pid) ?? []) members.add(child);
  return [...members].filter(({ pid }) => pid !== process.pid);
}

async function pause(ms: number, reasons: readonly (AbortSignal | undefined)[]): Promise<void> {
  const signal = AbortSignal.any(reasons.filter((reason) => reason !== undefined));
  await sleep(systemClock, ms, signal).catch(() => {});
}
