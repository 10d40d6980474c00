/**
 * What a turn of Claude Code that went wrong means. Its `subtype` cannot be trusted: an error of the API comes as `success`
 * with `is_error`, and a stream that broke as `success` without text (measured with version 2.1.330).
 */
import { type ErrorCode, type ErrorDetails, errorCodes, TroupeError } from '../../src/core/errors.ts';
import { asFieldsList, type Fields } from './fields.ts';
import { type CallFacts, protocolError, replyError } from './http-errors.ts';
import type { ProcessExit } from './process.ts';
import { excerpt } from './redact.ts';

/** The error that a result stands for; undefined when it is an answer. */
export function resultError(call: CallFacts, result: Fields): TroupeError | undefined {
  const reason = textOf(result['terminal_reason']);
  const text = textOf(result['result']) || errorsOf(result).join('; ');
  if (reason.startsWith('aborted')) return about(call, 'TROUPE_ERR_ASK_CANCELLED', 'was interrupted', text);
  if (result['is_error'] !== true) return undefined;
  // Our own wrapper says which of our errors it is.
  const known = result['troupe_error'];
  if (typeof known === 'string' && Object.hasOwn(errorCodes, known))
    return new TroupeError(known as ErrorCode, call.redact(text), of(call));
  const status = statusOf(result, text);
  if (status !== undefined) return replyError(call, { status, headers: {}, text: apiText(text) });
  if (/not logged in|invalid api key|please run \/login/i.test(text))
    return about(call, 'TROUPE_ERR_BACKEND_AUTH', 'has no login and no key: run `claude` once, or give `apiKey`', text);
  if (/prompt is too long/i.test(text))
    return about(call, 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW', 'takes no conversation of this length', text);
  if (result['subtype'] === 'error_max_budget_usd')
    return about(call, 'TROUPE_ERR_BACKEND_QUOTA', 'has spent what it may', text);
  if (reason === 'api_error') return about(call, 'TROUPE_ERR_BACKEND_UNREACHABLE', 'got no answer from its API', text);
  return about(call, 'TROUPE_ERR_BACKEND_PROTOCOL', `ended its turn with "${textOf(result['subtype'])}"`, text);
}

/** Output of a command that was no message. */
export interface Noise {
  lines: number;
  /** The first of them; empty when there is none. */
  first: string;
}

/** The error of a turn whose process ended without a result. */
export function exitError(call: CallFacts, exit: ProcessExit, noise: Noise): TroupeError {
  if (exit.failure !== undefined) return exit.failure.with(of(call));
  const problem = `ended without a result (${howItEnded(exit, noise)})`;
  return about(call, 'TROUPE_ERR_PROCESS_DIED', problem, exit.stderr || noise.first);
}

/** The error of a process that ended before it was ready. */
export function startError(call: CallFacts, command: string, exit: ProcessExit, noise: Noise): TroupeError {
  if (exit.failure !== undefined) return exit.failure.with(of(call));
  const isOld = /unknown option|unrecognized option|unknown argument|invalid option/i.test(exit.stderr);
  const problem = isOld
    ? `cannot use \`${command}\`: it does not know an option that is needed. Update Claude Code to 2.1 or later`
    : `could not start \`${command}\` (${howItEnded(exit, noise)})`;
  const code = isOld ? 'TROUPE_ERR_PROCESS_START_FAILED' : 'TROUPE_ERR_PROCESS_DIED';
  return about(call, code, problem, exit.stderr || noise.first);
}

/** Whether a start failed because the session, or the entry in it, that it should go on from is not there. */
export function isSessionLost(error: unknown): boolean {
  return error instanceof Error && /No (?:conversation|message) found with/i.test(error.message);
}

/** The error of a process that was not ready in time. */
export function notReady(call: CallFacts, command: string, ms: number): TroupeError {
  const message = `${call.backend}: \`${command}\` was not ready within ${ms} ms. Raise \`startTimeoutMs\` on a busy machine, or check that it is Claude Code.`;
  return new TroupeError('TROUPE_ERR_BACKEND_TIMEOUT', message, of(call));
}

/** The error of an answer that has nothing in it: the stream behind it broke. */
export function emptyAnswer(call: CallFacts): TroupeError {
  const message = `${call.backend} ended its turn without a word, as it does when the stream of its API breaks. Ask again.`;
  return new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', message, of(call));
}

/** The error of an answer that is not in the form that was asked for. */
export function unstructured(call: CallFacts, text: string): TroupeError {
  return protocolError(call, 'the answer has not the form that was asked for', text).with({ partialText: text });
}

/** The external MCP servers that could not be started, by what a turn's first line says of them. */
export function failedServers(init: Fields, wanted: readonly string[]): string[] {
  return asFieldsList(init['mcp_servers'])
    .filter(({ name, status }) => wanted.includes(textOf(name)) && status === 'failed')
    .map(({ name }) => textOf(name));
}

function about(call: CallFacts, code: TroupeError['code'], problem: string, seen: string): TroupeError {
  const shown = excerpt(seen, call.redact);
  return new TroupeError(code, `${call.backend} ${problem}${shown === '' ? '' : `: "${shown}"`}.`, of(call));
}

function of({ backend, model }: CallFacts): ErrorDetails {
  return { backend, model };
}

function howItEnded({ code, signal }: ProcessExit, { lines }: Noise): string {
  const how = signal === undefined ? `exit code ${code ?? 'unknown'}` : `signal ${signal}`;
  return lines === 0 ? how : `${how}, lines that are no messages: ${lines}`;
}

/** The status of the API's reply; older versions have it in the text alone. */
function statusOf({ api_error_status: status }: Fields, text: string): number | undefined {
  if (typeof status === 'number') return status;
  const told = /^API Error: ([45]\d\d)\b/.exec(text)?.[1];
  return told === undefined ? undefined : Number(told);
}

/** The API's own words without what the command puts around them. */
function apiText(text: string): string {
  return text.replace(/^API Error: (?:\d{3} )?/, '');
}

function errorsOf(result: Fields): string[] {
  const { errors } = result;
  return Array.isArray(errors) ? errors.filter((error) => typeof error === 'string') : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
