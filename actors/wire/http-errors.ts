/**
 * What a server's error means: status, headers and body to one `TroupeError`.
 * Codes and types decide before wording does; wording is only read where servers have nothing better to tell apart.
 */
import type { ErrorCode } from '../../src/core/errors.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { HttpHeaders, HttpReply } from './http.ts';
import { excerpt, type Redact } from './redact.ts';

/** Who made the call: what every error of it says. */
export interface CallFacts {
  readonly backend: string;
  readonly model: string;
  readonly redact: Redact;
}

/** The error that a reply with a status of 400 or more stands for. `nowMs` is for a Retry-After that is a date. */
export function replyError(call: CallFacts, reply: HttpReply, nowMs: number = Date.now()): TroupeError {
  const found = readBody(reply.text);
  const code = classify(found, reply.status);
  return described(call, code, found.text, {
    status: reply.status,
    retryAfterMs: retryAfterMs(reply.headers, nowMs),
  });
}

/** The error that an `error` inside a successful reply or a stream stands for. */
export function frameError(call: CallFacts, frame: unknown, partialText = ''): TroupeError {
  const found = readError(frame);
  const code = classify(found, found.status ?? statusOfType(`${found.type} ${found.code}`));
  return described(call, code, found.text, { partialText });
}

/** The error for a reply that is no answer at all: shows its content type and its first characters. */
export function protocolError(call: CallFacts, problem: string, seen: string, headers: HttpHeaders = {}): TroupeError {
  const type = excerpt(String(headers['content-type'] ?? 'no content type'), call.redact);
  const shown = seen === '' ? 'nothing' : `"${excerpt(seen, call.redact)}"`;
  const message = `${call.backend}: ${problem} (${type}; seen: ${shown}). Check that \`endpoint\` is a model server's.`;
  return new TroupeError('TROUPE_ERR_BACKEND_PROTOCOL', message, { backend: call.backend, model: call.model });
}

/** How long the server asks to wait, in milliseconds; undefined when it does not say or says nothing usable. */
export function retryAfterMs(headers: HttpHeaders, nowMs: number): number | undefined {
  const ms = Number(headers['retry-after-ms'] || Number.NaN);
  const text = String(headers['retry-after'] ?? '').trim();
  const waits = [ms, /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Number.NaN];
  if (/^[A-Z][a-z]{2,8}, .* GMT$/.test(text)) waits.push(Date.parse(text) - nowMs);
  return waits.find((wait) => wait > 0 && Number.isFinite(wait));
}

/** What an error body says, as far as it can be read. */
interface Found {
  readonly text: string;
  readonly type: string;
  readonly code: string;
  readonly status: number | undefined;
}

function readBody(text: string): Found {
  try {
    return readError(JSON.parse(text));
  } catch {
    return { text, type: '', code: '', status: undefined };
  }
}

/** Reads `{error: {…}}`, `{error: "text"}`, `{message}`, `{detail}`, the same in an array, and a bare text. */
function readError(value: unknown): Found {
  const outer = fieldsOf(Array.isArray(value) ? value[0] : value);
  const inner = outer['error'] ?? outer['detail'] ?? value;
  const fields = fieldsOf(Array.isArray(inner) ? inner[0] : inner);
  const says = fields['message'] ?? fields['msg'] ?? inner;
  const code = fields['code'];
  return {
    text: typeof says === 'string' ? says : shortJson(says),
    type: textOf(fields['type']),
    code: textOf(code ?? fields['status']),
    status: typeof code === 'number' && code >= 400 && code < 600 ? code : undefined,
  };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function shortJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch {
    return 'an error that cannot be shown';
  }
}

/** The status that an error in a stream would have had, by its type or code. */
function statusOfType(name: string): number {
  return typeStatuses.find(([pattern]) => pattern.test(name))?.[1] ?? 500;
}

const typeStatuses: readonly (readonly [RegExp, number])[] = [
  [/rate_limit/i, 429],
  [/overloaded/i, 529],
  [/authentication|invalid_api_key/i, 401],
  [/permission/i, 403],
  [/model_not_found|not_found_error/i, 404],
  [/timeout/i, 408],
  [/exceed_context|context_length|invalid_request|bad_?request/i, 400],
];

const overflowCode = /exceed_context_size|context_length_exceeded|context_window_exceeded|request_too_large/i;
const overflowText = new RegExp(
  [
    'maximum context length',
    'context (?:size|window|limit|length)s? (?:has been|was) exceeded',
    "exceeds? (?:the |the model's |this model's )?(?:available |maximum )?context",
    'exceeds? the (?:maximum number of tokens|context window)',
    'context the overflows',
    'context length of only',
    'greater than the context length',
    'longer than the context length',
    'prompt is too long',
    'maximum prompt length',
    'is too large to process',
    'your (?:request has|prompt contains)(?: at least)? \\d+ input tokens',
    "max_(?:completion_)?tokens'? is too large: \\d+.*\\(\\d+ > \\d+ - \\d+\\)",
    'reduce the length of the (?:messages|prompt|input)',
  ].join('|'),
  'is',
);
const quotaCode = /insufficient_quota|billing|insufficient_(?:credit|balance|funds)|credit_balance/i;
const quotaText =
  /exceeded your current quota|plan and billing|credit balance|usage limits?\b|out of (?:budget|credits?)|insufficient (?:funds|balance|credits?)|budget has been exceeded|spending limit/i;
const ratePerTime = /per (?:second|minute|hour|day)|rate limit/i;
const filterCode = /content_filter|content_policy|ResponsibleAI|moderation/i;
const filterText = /content management policy|content[_ ]filter|content[_ ]policy|safety system|flagged by moderation/i;
const keyText = /(?:invalid|incorrect) api key|api key not valid|invalid[_ ]x-api-key/i;
const modelText = /\bmodels?\b.*(?:not found|does not exist|not exist|unknown|not available|not supported)|^model: /is;
const toolsText = /does not support tools|support tool use|tool choice requires|tools param requires/i;
const malformedText = /json\.exception\.parse_error/;

/** What there is to judge by: `name` is type and code together. */
interface Said {
  readonly status: number;
  readonly name: string;
  readonly text: string;
}

/** The first that is true decides. */
const kinds: readonly (readonly [ErrorCode, (said: Said) => boolean])[] = [
  ['TROUPE_ERR_BACKEND_AUTH', ({ status }) => status === 401],
  ['TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW', ({ status }) => status === 413],
  ['TROUPE_ERR_BACKEND_QUOTA', ({ status, name }) => status === 402 || quotaCode.test(name)],
  ['TROUPE_ERR_BACKEND_QUOTA', ({ status, text }) => status <= 429 && quotaText.test(text) && !ratePerTime.test(text)],
  ['TROUPE_ERR_BACKEND_OVERLOADED', ({ status }) => status === 429 || status === 529],
  ['TROUPE_ERR_BACKEND_OVERLOADED', ({ name }) => /overloaded|rate_limit/i.test(name)],
  ['TROUPE_ERR_BACKEND_OVERLOADED', ({ status, text }) => status === 503 && /server busy|maximum pending/i.test(text)],
  ['TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW', ({ name, text }) => overflowCode.test(name) || overflowText.test(text)],
  ['TROUPE_ERR_BACKEND_REFUSED', ({ name }) => filterCode.test(name)],
  ['TROUPE_ERR_BACKEND_REFUSED', ({ status, text }) => status < 500 && filterText.test(text)],
  ['TROUPE_ERR_BACKEND_AUTH', ({ status, text }) => status === 403 || (status === 400 && keyText.test(text))],
  ['TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED', ({ status, text }) => status <= 501 && toolsText.test(text)],
  ['TROUPE_ERR_BACKEND_MODEL_UNKNOWN', ({ name }) => /model_not_found/i.test(name)],
  ['TROUPE_ERR_BACKEND_MODEL_UNKNOWN', ({ status, text }) => [400, 404].includes(status) && modelText.test(text)],
  ['TROUPE_ERR_BACKEND_REQUEST_INVALID', ({ status, text }) => status === 501 || malformedText.test(text)],
  ['TROUPE_ERR_BACKEND_UNAVAILABLE', ({ status }) => [408, 499].includes(status) || (status >= 500 && status < 600)],
  ['TROUPE_ERR_BACKEND_REQUEST_INVALID', ({ status }) => status < 500],
];

/** Enough of a text to know it by; keeps the patterns cheap whatever a server sends. */
const maxReadLength = 2000;

function classify({ text, type, code }: Found, status: number): ErrorCode {
  const said = { status, name: `${type} ${code}`.slice(0, maxReadLength), text: text.slice(0, maxReadLength) };
  return kinds.find(([, matches]) => matches(said))?.[0] ?? 'TROUPE_ERR_BACKEND_PROTOCOL';
}

interface FoundDetails {
  readonly status?: number;
  readonly retryAfterMs?: number | undefined;
  readonly partialText?: string;
}

function described(call: CallFacts, code: ErrorCode, seen: string, details: FoundDetails): TroupeError {
  const { status, retryAfterMs: waitMs, partialText = '' } = details;
  const where = status === undefined ? 'in its answer' : `HTTP ${status}`;
  const [problem, remedy] = wording[code] ?? ['failed', 'Try again later.'];
  const shown = excerpt(seen, call.redact);
  const message = `${call.backend} ${problem} (${where}${shown === '' ? '' : `: "${shown}"`}). ${remedy}`;
  return new TroupeError(code, message, {
    backend: call.backend,
    model: call.model,
    ...(status === undefined ? {} : { status }),
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    ...(partialText === '' ? {} : { partialText: call.redact(partialText) }),
  });
}

/** What each code says of the server, and what to do about it. */
const wording: { readonly [code in ErrorCode]?: readonly [string, string] } = {
  TROUPE_ERR_BACKEND_AUTH: ['refused the key', 'Check `apiKey` and what it is allowed to do.'],
  TROUPE_ERR_BACKEND_QUOTA: ['has no credit or quota left', 'Check plan and billing, or use another backend.'],
  TROUPE_ERR_BACKEND_OVERLOADED: ['asks to slow down', 'Wait, or use another backend.'],
  TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW: ['takes no conversation of this length', 'Shorten it, or lower `maxTokens`.'],
  TROUPE_ERR_BACKEND_REFUSED: ['stopped the request by a content filter', 'Change the prompt.'],
  TROUPE_ERR_BACKEND_MODEL_UNKNOWN: ['does not have the model', 'Check `model`, or load it at the server.'],
  TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED: [
    'has a model there that cannot call tools',
    'Name another `model`, or no `tools`.',
  ],
  TROUPE_ERR_BACKEND_REQUEST_INVALID: ['refused the request as wrong', 'Check `endpoint` and the parameters.'],
  TROUPE_ERR_BACKEND_UNAVAILABLE: ['failed', 'Try again later, or use another backend.'],
  TROUPE_ERR_BACKEND_PROTOCOL: ['answered with an unknown status', 'Check that `endpoint` is a model server.'],
};
