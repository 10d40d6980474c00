/** The `result` line, which ends a turn: how an ending is told in the words of the protocol. */
import { randomUUID } from 'node:crypto';
import type { Attempt, TroupeError } from '../core/errors.ts';
import { apiErrorType, apiErrorWord } from './api-error.ts';
import type { Ending } from './follow.ts';
import { apiMessage, assistantLine, type Line } from './lines-out.ts';
import { addSpends, type ModelSpends, modelUsage, spendOf, sumOf, tokenUsage, totalCostUsd } from './spend.ts';

/** What a result says besides how the ask ended. */
export interface ResultFacts {
  readonly durationMs: number;
  /** What the session had spent before this turn, resumed sessions included. */
  readonly before: ModelSpends;
  readonly denials: readonly object[];
  /** The caller's id of the message; undefined when it gave none. */
  readonly uuid: string | undefined;
  /** Messages that wait. */
  readonly queued: number;
  readonly wantsJson: boolean;
  readonly maxTurns: number;
}

/** The lines that end a turn, the result last, and what the session has spent now. */
export interface TurnResult {
  readonly lines: readonly Line[];
  readonly isError: boolean;
  readonly spends: ModelSpends;
}

/** The end of a turn that asked the model. */
export function turnResult(ending: Ending, facts: ResultFacts): TurnResult {
  const { outcome } = ending;
  const attempts = 'reply' in outcome ? outcome.reply.attempts : outcome.error.attempts;
  const delta = spendOf(attempts);
  const spends = addSpends(facts.before, delta);
  const shared = { ...commonFields(facts, spends), ...spendFields(attempts, delta), num_turns: ending.steps };
  if ('reply' in outcome) {
    const { text } = outcome.reply;
    const fields = { ...shared, ...success, stop_reason: ending.stopReason, result: text, ...structured(text, facts) };
    return { lines: [resultLine(fields)], isError: false, spends };
  }
  const failed = failure(outcome.error, ending, facts);
  return { lines: [...failed.before, resultLine({ ...shared, ...failed.fields })], isError: true, spends };
}

/** The end of a turn that failed before any model was asked, or that never wanted one. */
export function emptyResult(facts: ResultFacts, errors?: readonly string[]): TurnResult {
  const shared = {
    ...commonFields(facts, facts.before),
    ...spendFields([], new Map()),
    num_turns: 0,
    stop_reason: null,
  };
  const fields =
    errors === undefined
      ? { subtype: 'success', is_error: false, result: '' }
      : { subtype: 'error_during_execution', is_error: true, errors };
  return { lines: [resultLine({ ...shared, ...fields })], isError: errors !== undefined, spends: facts.before };
}

const success = { subtype: 'success', is_error: false, terminal_reason: 'completed', api_error_status: null };

function resultLine(fields: Readonly<Record<string, unknown>>): Line {
  return { type: 'result', ...fields };
}

function commonFields({ durationMs, denials, uuid, queued }: ResultFacts, spends: ModelSpends) {
  return {
    duration_ms: Math.round(durationMs),
    total_cost_usd: totalCostUsd(spends),
    modelUsage: modelUsage(spends),
    permission_denials: denials,
    queued_turn_count: queued,
    ...(uuid === undefined ? {} : { user_message_uuid: uuid, user_message_uuids: [uuid] }),
  };
}

function spendFields(attempts: readonly Attempt[], delta: ModelSpends) {
  return {
    duration_api_ms: Math.round(attempts.reduce((sum, { durationMs }) => sum + durationMs, 0)),
    usage: tokenUsage(sumOf(delta)),
    model_usage_since_last_result: modelUsage(delta),
  };
}

/** The answer as JSON, when JSON was asked for and it is that. */
function structured(text: string, { wantsJson }: ResultFacts): object {
  if (!wantsJson) return {};
  const [, fenced] = /^\s*```(?:json)?\s*\n(.*?)\n?```\s*$/s.exec(text) ?? [];
  try {
    return { structured_output: JSON.parse(fenced ?? text) };
  } catch {
    return {};
  }
}

interface Failure {
  readonly fields: Readonly<Record<string, unknown>>;
  /** Lines that stand before the result. */
  readonly before: readonly Line[];
}

function failure(error: TroupeError, { inTools, stopReason }: Ending, { maxTurns }: ResultFacts): Failure {
  const during = { subtype: 'error_during_execution', is_error: true, stop_reason: stopReason };
  switch (error.code) {
    case 'TROUPE_ERR_ASK_CANCELLED': {
      const terminal = inTools ? 'aborted_tools' : 'aborted_streaming';
      return { fields: { ...during, terminal_reason: terminal, errors: ['The turn was interrupted.'] }, before: [] };
    }
    case 'TROUPE_ERR_ASK_STEPS_EXCEEDED': {
      const errors = [`Reached maximum number of turns (${maxTurns})`];
      return { fields: { ...during, subtype: 'error_max_turns', terminal_reason: 'max_turns', errors }, before: [] };
    }
    default:
      return apiFailure(error);
  }
}

/** The protocol calls it a success that is an error, and shows it as words of the model's. */
function apiFailure(error: TroupeError): Failure {
  const { message, status } = error;
  const isTooLong = error.class === 'context-overflow';
  const text = isTooLong
    ? `Prompt is too long: ${message}`
    : `API Error: ${status === undefined ? '' : `${status} `}${message}`;
  const api = { api_error_status: status ?? null, api_error_type: apiErrorType(error.class, status) };
  const shown = apiMessage(randomUUID(), '<synthetic>', [{ type: 'text', text }], tokenUsage(sumOf(new Map())));
  const extra = { ...api, error: apiErrorWord(error.class, status), is_api_error_message: true };
  const ended = { is_error: true, stop_reason: 'stop_sequence', terminal_reason: 'api_error' };
  return {
    fields: { subtype: 'success', ...ended, result: text, ...api, troupe_error: error.code },
    before: [assistantLine({ ...shown, stop_reason: 'stop_sequence' }, extra)],
  };
}
