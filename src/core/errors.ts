/**
 * Every error that troupe throws: one class, one table of codes.
 * The class of an error is computed once, where the error is made; whoever handles it asks `error.class` and
 * `error.retryable`, never the message. README's error table is held equal to `errorCodes` by a test.
 */
import type { Usage } from './types.ts';
import { addKnown, addUsage, unknownUsage } from './usage.ts';

/** What kind of failure it is, which decides what the supervisor does about it. */
export type ErrorClass =
  | 'transient'
  | 'overloaded'
  | 'quota'
  | 'auth'
  | 'invalid'
  | 'context-overflow'
  | 'refused'
  | 'protocol'
  | 'cancelled'
  | 'timeout'
  | 'crashed';

interface CodeRow {
  readonly class: ErrorClass;
  readonly retryable: boolean;
  readonly meaning: string;
}

/** All codes with their class, whether the same call may succeed when repeated, and their meaning. */
export const errorCodes = {
  TROUPE_ERR_OPTION_INVALID: row('invalid', false, 'An option has a wrong type, value or name'),
  TROUPE_ERR_TROUPE_CLOSED: row('cancelled', false, 'The troupe was closed; it takes no more work'),
  TROUPE_ERR_AGENT_NAME_TAKEN: row('invalid', false, 'A living agent has this name already'),
  TROUPE_ERR_AGENT_DEAD: row('cancelled', false, 'The agent was killed before or during the ask'),
  TROUPE_ERR_AGENT_CRASHED: row('crashed', false, 'Something inside the runtime or a plugged-in part threw'),
  TROUPE_ERR_MAILBOX_FULL: row('overloaded', true, 'The agent has as many asks waiting as its mailbox holds'),
  TROUPE_ERR_ASKS_FAILED: row('transient', false, 'Every ask of a `race` failed; `cause` holds each failure'),
  TROUPE_ERR_WAIT_TIMEOUT: row('timeout', true, 'The time given to `handle.wait` is over; the ask goes on'),
  TROUPE_ERR_ASK_CANCELLED: row('cancelled', false, 'The caller cancelled the ask'),
  TROUPE_ERR_ASK_TIMEOUT: row('timeout', false, 'The ask did not end before its deadline'),
  TROUPE_ERR_ASK_CYCLE: row('invalid', false, 'The asked agent waits for who asks it, itself or through others'),
  TROUPE_ERR_ASK_DEPTH_EXCEEDED: row('invalid', false, 'Asks made by tools nest deeper than `maxAskDepth`'),
  TROUPE_ERR_ASK_STEPS_EXCEEDED: row('invalid', false, 'The model still wanted tools when the step limit was reached'),
  TROUPE_ERR_OUTPUT_INVALID: row('protocol', false, "The answer does not fit the ask's `schema`, after one repair"),
  TROUPE_ERR_BUDGET_EXCEEDED: row('quota', false, 'A budget has no room for what the call may cost'),
  TROUPE_ERR_BACKEND_UNKNOWN: row('invalid', false, 'No backend of this name is configured or built in'),
  TROUPE_ERR_BACKEND_NONE_FITS: row('invalid', false, 'None of the backends to choose from fits the task'),
  TROUPE_ERR_BACKEND_KEY_MISSING: row('auth', false, 'The backend needs an API key and none was given'),
  TROUPE_ERR_BACKEND_UNREACHABLE: row('transient', true, 'No connection, or it broke before any answer'),
  TROUPE_ERR_BACKEND_UNAVAILABLE: row('transient', true, 'The server failed (408, 5xx)'),
  TROUPE_ERR_BACKEND_OVERLOADED: row('overloaded', true, 'The server asks to slow down (429, 529)'),
  TROUPE_ERR_BACKEND_COOLING: row(
    'overloaded',
    true,
    'The backend has failed; until it has cooled down it is not called',
  ),
  TROUPE_ERR_BACKEND_QUOTA: row('quota', false, 'The account has no credit or quota left'),
  TROUPE_ERR_BACKEND_AUTH: row('auth', false, 'The server refused the key (401, 403)'),
  TROUPE_ERR_BACKEND_REQUEST_INVALID: row('invalid', false, 'The server refused the request as wrong (4xx)'),
  TROUPE_ERR_BACKEND_MODEL_UNKNOWN: row('invalid', false, 'The server does not have this model'),
  TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED: row('invalid', false, 'The agent has tools and the model cannot call any'),
  TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW: row(
    'context-overflow',
    false,
    'The conversation is longer than the model takes',
  ),
  TROUPE_ERR_BACKEND_REFUSED: row('refused', false, 'A content filter stopped the request or the answer'),
  TROUPE_ERR_BACKEND_PROTOCOL: row('protocol', false, 'The server answered something that is no valid answer'),
  TROUPE_ERR_BACKEND_REDIRECT: row('protocol', false, 'The server answered with a redirect, which is never followed'),
  TROUPE_ERR_BACKEND_STREAM_CUT: row('transient', true, 'The answer ended before its finish reason'),
  TROUPE_ERR_BACKEND_TOO_LARGE: row('protocol', false, 'The answer passed the size cap'),
  TROUPE_ERR_BACKEND_TIMEOUT: row('timeout', true, 'The server sent nothing for too long'),
  TROUPE_ERR_BACKENDS_EXHAUSTED: row(
    'transient',
    true,
    'Every backend of the fallback chain failed; `cause` holds each failure',
  ),
  TROUPE_ERR_PROCESS_START_FAILED: row('invalid', false, 'A command could not be started, or is not what was expected'),
  TROUPE_ERR_PROCESS_DIED: row('crashed', true, 'A child process ended before it had answered'),
  TROUPE_ERR_MCP_SERVER_FAILED: row('transient', true, 'An MCP server that the agent needs could not be had'),
  TROUPE_ERR_STORE_FAILED: row('crashed', false, 'The store could not make something durable; the work goes on'),
  TROUPE_ERR_STORE_LOCKED: row('transient', true, 'Another process, or this one, has the store open'),
  TROUPE_ERR_STORE_DAMAGED: row('crashed', false, "The store's file is damaged; it was left as it is"),
  TROUPE_ERR_STORE_NEWER: row('invalid', false, 'The store was written by a newer troupe; it was left as it is'),
  TROUPE_ERR_SCRIPT_UNEXPECTED: row(
    'invalid',
    false,
    'A scripted backend was called more often, or otherwise, than its script says',
  ),
  TROUPE_ERR_SCRIPT_UNCONSUMED: row('invalid', false, 'A scripted backend was closed with steps left over'),
  TROUPE_ERR_PATH_REFUSED: row('invalid', false, 'A path does not exist, cannot be read or leads out of the root'),
} as const satisfies Record<string, CodeRow>;

export type ErrorCode = keyof typeof errorCodes;

/** What can be at fault. */
export type Component =
  | 'caller'
  | 'troupe'
  | 'agent'
  | 'ask'
  | 'budget'
  | 'backend'
  | 'model'
  | 'process'
  | 'mcp-server'
  | 'store';

/** By the noun of a code, when it is not the component itself. */
const componentOfNoun: Readonly<Record<string, Component>> = {
  OPTION: 'caller',
  PATH: 'caller',
  MAILBOX: 'agent',
  ASKS: 'ask',
  WAIT: 'ask',
  OUTPUT: 'model',
  BACKENDS: 'backend',
  SCRIPT: 'backend',
  MCP: 'mcp-server',
};

function componentOf(code: ErrorCode): Component {
  const [, , noun = ''] = code.split('_');
  return componentOfNoun[noun] ?? (noun.toLowerCase() as Component);
}

/** One call of one backend on behalf of an ask, failed or not. */
export interface Attempt {
  readonly backend: string;
  readonly model: string;
  /** Counted from 1: which step of the ask this call was for. */
  readonly step: number;
  /** Absent when it was made for the answer; `compression`: it wrote a summary or made vectors. */
  readonly purpose?: 'compression';
  readonly durationMs: number;
  readonly usage: Usage;
  /** USD; undefined when the price is unknown. */
  readonly costUsd: number | undefined;
  /** Absent when the call succeeded. */
  readonly error?: ErrorSummary;
}

/** What is kept of an error where the error itself would be too much: in attempts, events and stores. */
export interface ErrorSummary {
  readonly code: ErrorCode;
  readonly class: ErrorClass;
  readonly message: string;
}

/** Facts that an error may carry besides its code and message. */
export interface ErrorDetails {
  readonly cause?: unknown;
  readonly agent?: string | undefined;
  readonly askId?: string | undefined;
  readonly backend?: string | undefined;
  readonly model?: string | undefined;
  /** HTTP status, when a response line was read. */
  readonly status?: number | undefined;
  /** How long the server asked us to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  /** When the same call may succeed, in milliseconds since the epoch; undefined when the server did not say. */
  readonly retryAt?: number | undefined;
  /** Text that arrived before the failure; it is not a complete answer. */
  readonly partialText?: string | undefined;
  /** Every call made for the ask so far, in order. */
  readonly attempts?: readonly Attempt[];
  /** Asks that waited, and how many may: of a full mailbox. */
  readonly waiting?: number | undefined;
  readonly limit?: number | undefined;
  /** Overrides the table's `retryable` for this one error. */
  readonly retryable?: boolean;
}

const marker = Symbol.for('troupe.error');

/** The one error class of troupe. Recognise it with `isTroupeError`, tell the kinds apart by `code` or `class`. */
export class TroupeError extends Error {
  override readonly name = 'TroupeError';
  readonly code: ErrorCode;
  readonly class: ErrorClass;
  /** Whether the same call may succeed when it is repeated later. */
  readonly retryable: boolean;
  readonly agent: string | undefined;
  readonly askId: string | undefined;
  readonly backend: string | undefined;
  readonly model: string | undefined;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly retryAt: number | undefined;
  readonly partialText: string | undefined;
  readonly waiting: number | undefined;
  readonly limit: number | undefined;
  readonly attempts: readonly Attempt[];
  readonly [marker] = true;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.class = errorCodes[code].class;
    this.retryable = details.retryable ?? errorCodes[code].retryable;
    this.agent = details.agent;
    this.askId = details.askId;
    this.backend = details.backend;
    this.model = details.model;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
    this.retryAt = details.retryAt;
    this.partialText = details.partialText;
    this.waiting = details.waiting;
    this.limit = details.limit;
    this.attempts = details.attempts ?? [];
  }

  /** What is at fault: the part of troupe, or what it was given, that the code names. */
  get component(): Component {
    return componentOf(this.code);
  }

  /** Tokens of all calls made for the ask so far; a field is undefined when no call reported it. */
  get usage(): Usage {
    return this.attempts.reduce((sum, { usage }) => addUsage(sum, usage), unknownUsage);
  }

  /** USD of all calls made for the ask so far; undefined when no price is known. */
  get costUsd(): number | undefined {
    return this.attempts.reduce<number | undefined>((sum, { costUsd }) => addKnown(sum, costUsd), undefined);
  }

  /** Its code, class and message as plain data. */
  get summary(): ErrorSummary {
    return { code: this.code, class: this.class, message: this.message };
  }

  /** The same error with more facts, which win over those it has. */
  with(details: ErrorDetails): TroupeError {
    const given = Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined));
    const merged = new TroupeError(this.code, this.message, { cause: this.cause, ...(this as ErrorDetails), ...given });
    if (this.stack !== undefined) merged.stack = this.stack;
    return merged;
  }
}

/** Whether a value is an error of troupe, also when two copies of the package are loaded. */
export function isTroupeError(value: unknown): value is TroupeError {
  return typeof value === 'object' && value !== null && marker in value;
}

/** Any thrown value as a `TroupeError`; what is not one becomes `TROUPE_ERR_AGENT_CRASHED` with it as cause. */
export function toTroupeError(thrown: unknown, where: string): TroupeError {
  if (isTroupeError(thrown)) return thrown;
  return new TroupeError('TROUPE_ERR_AGENT_CRASHED', `${where} threw: ${reasonOf(thrown)}`, { cause: thrown });
}

/** The text of anything that was thrown; of what has none, that it has none. */
export function reasonOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? String(thrown.message) : String(thrown);
  } catch {
    return 'something without a text';
  }
}

function row(errorClass: ErrorClass, retryable: boolean, meaning: string): CodeRow {
  return { class: errorClass, retryable, meaning };
}
