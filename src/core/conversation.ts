/**
 * The append-only message log of one agent.
 *
 * C1  A group is appended whole: in it every tool call has exactly one result and every result its call (I5).
 * C2  The system message, if any, is first and never moves (I4).
 * C3  A fork shares its parent's groups and costs O(1); neither ever sees what the other appends later (I6).
 */
import { TroupeError } from './errors.ts';
import type { Message, SystemMessage } from './types.ts';

/** Messages that belong together: a prompt with its answer, or tool calls with their results. */
export type Group = readonly Message[];

/** A shared log: every fork reads a prefix of it, and only the one whose prefix is the whole may push to it. */
interface Log {
  readonly groups: Group[];
  /** `ends[i]` = how many messages the first i + 1 groups hold, the system message not counted. */
  readonly ends: number[];
}

/** What a cache of encoded messages needs to know of a log. Its groups only ever grow at the end. */
export interface LogView {
  readonly groups: readonly Group[];
}

export class Conversation {
  readonly system: SystemMessage | undefined;
  #log: Log;
  #groupCount: number;

  constructor(system?: string) {
    this.system = system === undefined ? undefined : { role: 'system', content: system };
    this.#log = { groups: [], ends: [] };
    this.#groupCount = 0;
  }

  /** Number of messages, the system message included. */
  get length(): number {
    return this.#bodyLength + (this.system === undefined ? 0 : 1);
  }

  /** Number of groups. */
  get groupCount(): number {
    return this.#groupCount;
  }

  /** Appends one group. Throws when a tool call in it lacks its result, or a result its call: a bug, not bad input. */
  append(group: Group): void {
    if (group.length === 0) return;
    checkPairs(group);
    if (this.#log.groups.length !== this.#groupCount) this.#log = this.#ownCopy();
    this.#log.ends.push(this.#bodyLength + group.length);
    this.#log.groups.push(group);
    this.#groupCount += 1;
  }

  /** All messages, oldest first. A fresh array: O(length). */
  messages(): Message[] {
    const body = this.groups().flat();
    return this.system === undefined ? body : [this.system, ...body];
  }

  /** The groups, oldest first, from number `from` on. */
  groups(from = 0): readonly Group[] {
    return this.#log.groups.slice(from, this.#groupCount);
  }

  /** The log that this conversation reads the first groups of. Forks have the same one until they differ. */
  get log(): LogView {
    return this.#log;
  }

  /** How many groups the first `at` messages fill; `at` counts messages as `length` does. */
  groupsWithin(at: number): number {
    const bodyAt = at - (this.system === undefined ? 0 : 1);
    let groupCount = this.#groupCount;
    while (groupCount > 0 && (this.#log.ends[groupCount - 1] ?? 0) > bodyAt) groupCount -= 1;
    return groupCount;
  }

  /** A conversation that shares this one's first groups, under the same system message or another. */
  fork(groupCount: number = this.#groupCount, system = this.system?.content): Conversation {
    const twin = new Conversation(system);
    twin.#log = this.#log;
    twin.#groupCount = Math.min(groupCount, this.#groupCount);
    return twin;
  }

  get #bodyLength(): number {
    return this.#log.ends[this.#groupCount - 1] ?? 0;
  }

  #ownCopy(): Log {
    return {
      groups: this.#log.groups.slice(0, this.#groupCount),
      ends: this.#log.ends.slice(0, this.#groupCount),
    };
  }
}

function checkPairs(group: Group): void {
  const open = new Set<string>();
  for (const message of group) {
    if (message.role === 'assistant') for (const call of message.toolCalls ?? []) claim(open, call.id);
    else if (message.role === 'tool' && !open.delete(message.callId))
      throw broken(`the result of "${message.callId}" has no call`);
    else if (message.role === 'system') throw broken('a system message stands inside the log');
  }
  if (open.size > 0) throw broken(`no result for "${[...open].join('", "')}"`);
}

function claim(open: Set<string>, callId: string): void {
  if (open.has(callId)) throw broken(`two calls have the id "${callId}"`);
  open.add(callId);
}

function broken(what: string): TroupeError {
  return new TroupeError('TROUPE_ERR_AGENT_CRASHED', `A group cannot be appended: ${what}.`);
}
