/** The log of a simulation: what an inspection tells, and in the end what every agent's conversation is. */
import type { Message } from '../core/types.ts';
import type { InspectMessage } from '../inspect/messages.ts';

/** The whole conversation of an agent, when all is over. */
export interface ConversationEntry {
  readonly at: number;
  readonly seq: number;
  readonly agent: string;
  readonly kind: 'conversation';
  readonly messages: readonly Message[];
}

export type LogEntry = InspectMessage | ConversationEntry;

/** An entry as JSON with its keys in order, so that the same facts are the same bytes. */
export function logLine(entry: LogEntry): string {
  return JSON.stringify(entry, inOrder);
}

/** The entries of a log. Throws when a line is no JSON. */
export function parseLog(log: string): LogEntry[] {
  return log
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** The first line in which two logs differ, as `number: one | other`; undefined when they are the same. */
export function logDifference(one: string, other: string): string | undefined {
  if (one === other) return undefined;
  const lines = one.split('\n');
  const others = other.split('\n');
  const at = lines.findIndex((line, index) => line !== others[index]);
  const number = at === -1 ? lines.length : at;
  return `line ${number + 1}: ${lines[number] ?? 'no more'} | ${others[number] ?? 'no more'}`;
}

/** Sorts the members of objects. */
export function inOrder(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}
