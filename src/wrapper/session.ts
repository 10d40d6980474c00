/**
 * The conversation that the process holds, and its way to and from disk.
 * What a turn added is saved when the turn is over; a disk that fails is told and costs nothing but the copy.
 */
import { randomUUID } from 'node:crypto';
import type { Conversation } from '../core/conversation.ts';
import { isTroupeError, reasonOf } from '../core/errors.ts';
import type { Message } from '../core/types.ts';
import type { Arguments } from './arguments.ts';
import type { Ending } from './follow.ts';
import {
  appendLines,
  conversationOf,
  type Environment,
  entriesUpTo,
  hasSession,
  isSessionId,
  latestSession,
  readSession,
  type SavedSession,
  sessionFolder,
  sessionPath,
} from './session-file.ts';
import type { Entry, SessionLine } from './session-schema.ts';
import type { ModelSpends } from './spend.ts';

/** Why a session cannot be gone on with: told as a result when the caller waits for one, else on standard error alone. */
export class SessionProblem extends Error {
  readonly asResult: boolean;

  constructor(message: string, asResult = true) {
    super(message);
    this.asResult = asResult;
  }
}

export interface SessionSetup {
  readonly given: Arguments;
  readonly environment: Environment;
  readonly cwd: string;
  /** Takes what went wrong on disk. */
  readonly onTrouble: (message: string) => void;
}

/** Opens the session that the command line names. Throws `SessionProblem`. */
export async function openSession(setup: SessionSetup): Promise<Session> {
  const { given, environment, cwd } = setup;
  const folder = sessionFolder(environment);
  const from = given.resume ?? (given.continues ? await latestSession(folder, cwd) : undefined);
  if (given.continues && from === undefined) throw new SessionProblem('No conversation found to continue');
  const isNew = from === undefined || given.fork;
  const id = isNew ? (given.sessionId ?? randomUUID()) : from;
  if (isNew && !isSessionId(id)) throw new SessionProblem(`Invalid session ID: "${id}" is no UUID.`, false);
  if (isNew && hasSession(folder, id)) throw new SessionProblem(`Session ID ${id} is already in use.`, false);
  if (from === undefined) return new Session(setup, { folder, id, isNew, saved: undefined });
  if (!hasSession(folder, from)) throw new SessionProblem(`No conversation found with session ID: ${from}`);
  return new Session(setup, { folder, id, isNew, saved: await resumed(sessionPath(folder, from), given.resumeAt) });
}

async function resumed(path: string, resumeAt: string | undefined): Promise<SavedSession> {
  const saved = await readSession(path).catch((error: unknown) => {
    throw new SessionProblem(isTroupeError(error) ? error.message : reasonOf(error));
  });
  if (resumeAt === undefined) return saved;
  const entries = entriesUpTo(saved.entries, resumeAt);
  if (entries === undefined) throw new SessionProblem(`No message found with message.uuid of: ${resumeAt}`);
  return { ...saved, entries };
}

interface SessionStart {
  readonly folder: string;
  readonly id: string;
  /** There is no file of this id. */
  readonly isNew: boolean;
  /** What it goes on from. */
  readonly saved: SavedSession | undefined;
}

export class Session {
  readonly id: string;
  readonly #setup: SessionSetup;
  readonly #start: SessionStart;
  /** What the session has spent. */
  spends: ModelSpends;
  #conversation: Conversation | undefined;
  /** Groups that are on disk, or need not be. */
  #savedGroups = 0;
  #opened = false;

  constructor(setup: SessionSetup, start: SessionStart) {
    this.id = start.id;
    this.#setup = setup;
    this.#start = start;
    this.spends = start.saved?.spends ?? new Map();
  }

  /** The conversation. Its first use settles the system message: the one given here, else the one of the resumed session. */
  conversation(system?: string): Conversation {
    if (this.#conversation !== undefined) return this.#conversation;
    const { saved } = this.#start;
    const conversation = conversationOf(saved?.entries ?? [], system ?? saved?.system);
    this.#conversation = conversation;
    this.#savedGroups = conversation.groupCount;
    return conversation;
  }

  /** Saves what was added since the last time, under the uuids by which it was shown, and what was spent. */
  async save(promptUuid: string, ending?: Ending): Promise<void> {
    const conversation = this.conversation();
    const messages = conversation.groups(this.#savedGroups).flat();
    this.#savedGroups = conversation.groupCount;
    const { persistent } = this.#setup.given;
    if (!persistent || (messages.length === 0 && !this.#opened)) return;
    const opening = this.#opened ? [] : this.#opening(conversation);
    const turn = this.#turn(entriesOf(messages, promptUuid, ending));
    try {
      await appendLines(this.#start.folder, this.id, [...opening, turn]);
      this.#opened = true;
    } catch (error) {
      this.#setup.onTrouble(`The session could not be saved: ${reasonOf(error)}`);
    }
  }

  /** What comes before the first turn of this process: the head of a new file, or where an old one is gone on from. */
  #opening({ system }: Conversation): SessionLine[] {
    const { isNew, saved } = this.#start;
    const { cwd, given } = this.#setup;
    if (!isNew) return given.resumeAt === undefined ? [] : [{ type: 'rewind', uuid: given.resumeAt }];
    const head: SessionLine = { type: 'session', version: 1, cwd, ...(system && { system: system.content }) };
    return saved === undefined ? [head] : [head, this.#turn(saved.entries, saved.spends)];
  }

  #turn(entries: readonly Entry[], spends = this.spends): SessionLine {
    return { type: 'turn', entries: [...entries], spends: [...spends] } as SessionLine;
  }
}

function entriesOf(messages: readonly Message[], promptUuid: string, ending: Ending | undefined): Entry[] {
  let step = 0;
  return messages.map((message) => {
    if (message.role === 'user') return { uuids: [promptUuid], message };
    if (message.role === 'tool') return { uuids: listOf(ending?.resultUuids.get(message.callId)), message };
    step += 1;
    return { uuids: ending?.stepUuids.get(step) ?? [], message };
  });
}

function listOf(uuid: string | undefined): string[] {
  return uuid === undefined ? [] : [uuid];
}
