/**
 * Sessions on disk: one file of JSON lines each, a line for each turn.
 *
 * F1  A turn is one line, appended when the turn is over: an unfinished one is not in it. A last line that was cut is left out.
 * F2  What is read is checked field by field; a file that is not ours is an error, never a conversation.
 * F3  Files are for the owner alone (0600).
 */
import { existsSync } from 'node:fs';
import { appendFile, mkdir, open, readdir, readFile, stat, truncate } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Conversation } from '../core/conversation.ts';
import { reasonOf, TroupeError } from '../core/errors.ts';
import type { Message, ToolCall } from '../core/types.ts';
import type { Entry, SessionLine } from './session-schema.ts';
import type { ModelSpends } from './spend.ts';

/** What a session was when it was last written. */
export interface SavedSession {
  readonly cwd: string;
  readonly system: string | undefined;
  readonly entries: readonly Entry[];
  readonly spends: ModelSpends;
}

/** Bytes of a session that is read. */
const maxFileBytes = 256 * 1024 * 1024;

/** Session files that are looked at for the latest of a folder. */
const maxLooks = 200;

export type Environment = Readonly<Record<string, string | undefined>>;

/** The folder that holds the sessions. */
export function sessionFolder(environment: Environment): string {
  const { TROUPE_STATE_DIR, XDG_STATE_HOME, HOME } = environment;
  const state = TROUPE_STATE_DIR || join(XDG_STATE_HOME || join(HOME || homedir(), '.local', 'state'), 'troupe');
  return join(state, 'sessions');
}

/** Whether an id can be that of a session: it is a file name, too. */
export function isSessionId(id: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id);
}

/** The file of a session. */
export function sessionPath(folder: string, id: string): string {
  return join(folder, `${id.toLowerCase()}.jsonl`);
}

/** Whether there is such a session. */
export function hasSession(folder: string, id: string): boolean {
  return isSessionId(id) && existsSync(sessionPath(folder, id));
}

/** Reads a session. Throws `TROUPE_ERR_OPTION_INVALID` when the file is not what we write. */
export async function readSession(path: string): Promise<SavedSession> {
  const { size } = await stat(path);
  if (size > maxFileBytes) throw damaged(path, `it has ${size} bytes, more than ${maxFileBytes}`);
  const text = await readFile(path, 'utf8');
  const end = text.lastIndexOf('\n') + 1;
  if (end < text.length) await truncate(path, Buffer.byteLength(text.slice(0, end)));
  const { sessionLine } = await import('./session-schema.ts');
  let session: SavedSession | undefined;
  for (const [index, line] of text.slice(0, end).split('\n').entries()) {
    if (line === '') continue;
    const parsed = sessionLine.safeParse(parse(line));
    if (!parsed.success || (session === undefined) !== (parsed.data.type === 'session')) {
      throw damaged(path, `line ${index + 1} is not what is expected there`);
    }
    session = goOn(session, parsed.data);
  }
  if (session === undefined) throw damaged(path, 'it is empty');
  try {
    conversationOf(session.entries);
  } catch (error) {
    throw damaged(path, reasonOf(error));
  }
  return session;
}

function goOn(session: SavedSession | undefined, line: SessionLine): SavedSession {
  if (line.type === 'session' || session === undefined) {
    const { cwd = '', system } = line.type === 'session' ? line : {};
    return { cwd, system, entries: [], spends: new Map() };
  }
  if (line.type === 'rewind') return { ...session, entries: entriesUpTo(session.entries, line.uuid) ?? [] };
  return { ...session, entries: [...session.entries, ...line.entries], spends: new Map(line.spends) };
}

/** The entries up to the one with this uuid and with it; undefined when none has it. A call without a result gets one. */
export function entriesUpTo(entries: readonly Entry[], uuid: string): readonly Entry[] | undefined {
  const at = entries.findIndex(({ uuids }) => uuids.includes(uuid));
  if (at === -1) return undefined;
  const kept = entries.slice(0, at + 1);
  return [...kept, ...openCalls(kept).map(lostResult)];
}

/** Entries as a conversation. Throws when a call lacks its result, or a result its call. */
export function conversationOf(entries: readonly Entry[], system?: string): Conversation {
  const groups: Message[][] = [];
  for (const { message } of entries) {
    const last = groups.at(-1);
    const joins = message.role === 'tool' || (message.role === 'assistant' && last?.at(-1)?.role === 'user');
    if (joins && last !== undefined) last.push(message);
    else groups.push([message]);
  }
  const conversation = new Conversation(system);
  for (const group of groups) conversation.append(group);
  return conversation;
}

function openCalls(entries: readonly Entry[]): ToolCall[] {
  const lastAt = entries.findLastIndex(({ message }) => message.role !== 'tool');
  const last = entries[lastAt]?.message;
  if (last?.role !== 'assistant') return [];
  const done = entries.slice(lastAt + 1).map(({ message }) => (message.role === 'tool' ? message.callId : ''));
  return (last.toolCalls ?? []).filter(({ id }) => !done.includes(id));
}

function lostResult({ id: callId, name }: ToolCall): Entry {
  const content = 'The result of this call is not part of the conversation.';
  return { uuids: [], message: { role: 'tool', callId, name, content, isError: true } };
}

/** Appends lines; a new file is made with its folder. */
export async function appendLines(folder: string, id: string, lines: readonly SessionLine[]): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  await appendFile(sessionPath(folder, id), text, { mode: 0o600 });
}

/** The id of the latest session that was held in this folder. */
export async function latestSession(folder: string, cwd: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => []);
  const files = await Promise.all(
    names
      .filter((name) => name.endsWith('.jsonl') && isSessionId(name.slice(0, -6)))
      .map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })),
  );
  files.sort((a, b) => b.at - a.at);
  const head = headOf(cwd);
  for (const { name } of files.slice(0, maxLooks)) {
    if ((await beginning(join(folder, name), head.length)) === head) return name.slice(0, -6);
  }
  return undefined;
}

/** How the file of a session that was held in this folder begins. */
function headOf(cwd: string): string {
  const head: SessionLine = { type: 'session', version: 1, cwd };
  return JSON.stringify(head).slice(0, -1);
}

async function beginning(path: string, length: number): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4 * length), 0, 4 * length, 0);
    return buffer.subarray(0, bytesRead).toString().slice(0, length);
  } finally {
    await file.close();
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function damaged(path: string, why: string): TroupeError {
  return new TroupeError(
    'TROUPE_ERR_OPTION_INVALID',
    `The session file ${path} cannot be read: ${why.replace(/\.$/, '')}.`,
  );
}
