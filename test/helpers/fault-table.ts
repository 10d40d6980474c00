/**
 * What every backend must make of every fault of a response, by the fault's short name.
 * A row says it once for all, or differently by mode (`stream`, `whole`), protocol (`openai`, `anthropic`, `ollama`) or both.
 */

/** What a fault must come to. */
export type Expected =
  | { readonly kind: 'gives'; readonly response: object }
  /** The tool calls that are handed out: name and arguments, or the text of arguments that are no JSON. */
  | { readonly kind: 'calls'; readonly calls: readonly (readonly [name: string, args: unknown])[] }
  /** A typed error with at least these properties. */
  | { readonly kind: 'fails'; readonly error: { readonly code: string } }
  /** Nothing ever comes: a timer must end it. */
  | { readonly kind: 'hangs' }
  | { readonly kind: 'cannot'; readonly reason: string };

type Mode = 'stream' | 'whole';
export type Protocol = 'openai' | 'anthropic' | 'ollama';

/** The most particular one that is there counts. */
export interface Row {
  readonly all?: Expected;
  readonly stream?: Expected;
  readonly whole?: Expected;
  readonly openai?: Expected;
  readonly anthropic?: Expected;
  readonly ollama?: Expected;
  readonly openaiStream?: Expected;
  readonly openaiWhole?: Expected;
  readonly anthropicStream?: Expected;
  readonly anthropicWhole?: Expected;
  readonly ollamaStream?: Expected;
  readonly ollamaWhole?: Expected;
}

/** What a fault must come to in one protocol and mode. */
export function expectedOf(row: Row, protocol: Protocol, mode: Mode): Expected {
  const both = `${protocol}${mode === 'stream' ? 'Stream' : 'Whole'}` as const;
  const found = row[both] ?? row[mode] ?? row[protocol] ?? row.all;
  if (found === undefined) throw new Error(`A row says nothing about ${protocol} ${mode}.`);
  return found;
}

const gives = (response: object): Expected => ({ kind: 'gives', response });
const calls = (...list: readonly (readonly [string, unknown])[]): Expected => ({ kind: 'calls', calls: list });
const cannot = (reason: string): Expected => ({ kind: 'cannot', reason });
const fails = (code: string, more: object = {}): Expected => ({
  kind: 'fails',
  error: { code: `TROUPE_ERR_BACKEND_${code}`, ...more },
});
const hangs: Expected = { kind: 'hangs' };

const exact = gives({ text: 'Grüße, wörld 🙂.', finishReason: { unified: 'stop' }, toolCalls: [] });
const empty = gives({ text: '', toolCalls: [] });
const two = calls(['f', { x: 1 }], ['g', { y: 2 }]);
const used = (inputTokens: number | undefined, outputTokens: number | undefined): Expected =>
  gives({ usage: { inputTokens, outputTokens, cacheReadTokens: undefined, cacheWriteTokens: undefined } });
const ended = (unified: string, raw: string | undefined, text: string | object = 'Grüße'): Expected =>
  gives({ text, finishReason: { unified, raw } });

const cutCall = (raw: string): Expected => gives({ toolCalls: [], finishReason: { unified: 'length', raw } });

const protocol = fails('PROTOCOL');
const cut = fails('STREAM_CUT');
/** Cut with text delivered, which a whole answer never has. */
const cutAfterText: Row = { stream: fails('STREAM_CUT', { partialText: 'Grüße' }), whole: cut };
/** The same, ended cleanly: in one piece of JSON it is broken JSON. */
const endedAfterText: Row = { stream: fails('STREAM_CUT', { partialText: 'Grüße' }), whole: protocol };

const noEvents = cannot('a whole answer has no events');
const noSse = cannot('only server-sent events have this');
const onlyStream = (expected: Expected): Row => ({ openaiStream: expected, anthropicStream: expected, all: noSse });
const noTerminal = cannot('its finish reason is its last event');
const noChoices = cannot('only chat completions have choices');
const untypedErrors = cannot('an error of Ollama is a text and nothing else');
const otherServers = cannot('the words of other servers');
const onlyOllama = cannot('Ollama alone has this');
const onlyAnthropic = cannot('only the Messages protocol has this');
const noIndex = cannot('the blocks of a whole answer have no index');

const redirects = ['301', '302', '303', '307', '308', 'loop'].map((status) => [
  `redirect-${status}`,
  { all: fails('REDIRECT') },
]);

/** Rows by the number of the fault class. */
export const faultTable: Readonly<Record<string, Readonly<Record<string, Row>>>> = {
  'nothing wrong': {
    ok: { all: exact },
    reasoning: { all: gives({ text: 'Grüße, wörld 🙂.', reasoning: 'Hm.' }) },
    'reasoning-unsigned': {
      anthropic: gives({ text: 'Grüße, wörld 🙂.', reasoning: 'Hm.' }),
      all: cannot('only thinking of the Messages protocol is signed'),
    },
    'whole-json': { all: exact },
    'whole-json-pretty': { all: exact, ollamaStream: protocol },
    'whole-json-as-stream': { all: exact },
    'stream-anyway': { whole: exact, stream: cannot('a stream is what was asked for') },
    'no-newline': { ollamaStream: exact, all: cannot('only lines may lack their last line feed') },
  },
  'F1 a wait that the server names': {
    '429-seconds': { all: fails('OVERLOADED', { retryAfterMs: 7000, status: 429, retryable: true }) },
    '429-ms': { all: fails('OVERLOADED', { retryAfterMs: 1500 }) },
    '429-date': { all: fails('OVERLOADED') },
  },
  'F2 a wait of a day': { '429-huge': { all: fails('OVERLOADED', { retryAfterMs: 86_400_000 }) } },
  'F3 a wait that is none': {
    '429-none': { all: fails('OVERLOADED', { retryAfterMs: undefined }) },
    '429-garbage': { all: fails('OVERLOADED', { retryAfterMs: undefined }) },
    '429-negative': { all: fails('OVERLOADED', { retryAfterMs: undefined }) },
  },
  'F4 quota': {
    '429-quota': { all: fails('QUOTA', { retryable: false }) },
    '402': { all: fails('QUOTA') },
    '400-usage-limits': { all: fails('QUOTA') },
  },
  'F5 the server fails': {
    '408': { all: fails('UNAVAILABLE') },
    '499': { all: fails('UNAVAILABLE') },
    '500': { all: fails('UNAVAILABLE', { status: 500, retryable: true }) },
    '500-malformed': { all: fails('REQUEST_INVALID'), ollama: otherServers },
    '501': { all: fails('REQUEST_INVALID') },
    '502': { all: fails('UNAVAILABLE') },
    '503': { all: fails('UNAVAILABLE', { retryAfterMs: 3000 }) },
    '503-busy': { all: fails('OVERLOADED') },
    '504': { all: fails('UNAVAILABLE') },
    '529': { all: fails('OVERLOADED') },
    'huge-error': { all: fails('UNAVAILABLE') },
    'cut-error': { all: fails('UNAVAILABLE') },
  },
  'F6 the request is refused': {
    '400': { all: fails('REQUEST_INVALID', { retryable: false }) },
    '400-no-tools': {
      ollama: { kind: 'fails', error: { code: 'TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED' } },
      all: onlyOllama,
    },
    '403': { all: fails('AUTH') },
    '404-model': { all: fails('MODEL_UNKNOWN') },
    '404-route': { all: fails('REQUEST_INVALID') },
    '413': { all: fails('CONTEXT_OVERFLOW', { class: 'context-overflow' }) },
    'context-openai': { openai: fails('CONTEXT_OVERFLOW'), all: otherServers },
    'context-anthropic': { anthropic: fails('CONTEXT_OVERFLOW'), all: otherServers },
    'context-llama': { all: fails('CONTEXT_OVERFLOW'), ollama: otherServers },
    'context-lmstudio': { all: fails('CONTEXT_OVERFLOW'), ollama: otherServers },
    'context-vllm-flat': { all: fails('CONTEXT_OVERFLOW'), ollama: otherServers },
    'context-ollama': { ollama: fails('CONTEXT_OVERFLOW'), all: onlyOllama },
    'context-in-band': { stream: fails('CONTEXT_OVERFLOW', { partialText: 'Grüße' }), whole: noEvents },
  },
  'F7 the key is echoed': {
    '401-echo': { all: fails('AUTH', { status: 401 }) },
    'event-error-echo': { stream: fails('AUTH'), ollamaStream: fails('UNAVAILABLE'), whole: noEvents },
    'bad-status-echo': { all: protocol },
  },
  'F8 a success that is none': {
    'html-200': { all: protocol },
    'empty-200': { all: protocol },
    'null-200': { all: protocol },
    'array-200': { all: protocol },
    'object-200': { all: protocol },
    'deep-200': { all: protocol },
    '200-error': { all: fails('UNAVAILABLE') },
    'error-as-stream': { all: fails('UNAVAILABLE') },
    'whole-json-no-finish': { all: cut },
    deep: { all: empty },
    'deep-parts': { openai: empty, all: cannot('only chat completions have a text or a list of parts') },
    'deep-arguments': { all: protocol },
  },
  'F9 silence': { 'hang-headers': { all: hangs }, 'hang-body': { all: hangs } },
  'F10 keep-alive for ever': { 'drip-forever': { all: hangs } },
  'F11 the connection stays open at the end': {
    'hang-after-end': { stream: exact, whole: hangs },
  },
  'F12 the connection breaks before the reply': {
    'reset-before-headers': { all: fails('UNREACHABLE', { retryable: true }) },
    'reset-before-headers-once': { all: exact },
    'fin-before-headers-once': { all: exact },
    'reset-in-headers': { all: fails('UNREACHABLE') },
    'idle-race': { all: exact },
  },
  'F13, F14 the reply is cut': {
    'reset-mid-stream': cutAfterText,
    'fin-mid-stream': cutAfterText,
    'eof-no-chunk': cutAfterText,
    'eof-closing': cutAfterText,
    'no-stop': endedAfterText,
    'half-event': endedAfterText,
    'no-done': { stream: exact, whole: noEvents, ollamaStream: noTerminal },
    'done-only': { stream: cut, whole: noEvents, ollamaStream: noTerminal },
    'reset-after-finish': { stream: exact, whole: cut },
    'empty-stream': { stream: cut, whole: protocol },
    'empty-choices-stream': { openaiStream: cut, all: noChoices },
  },
  'F15, F18 short and big': {
    'trunc-json': { all: protocol },
    'short-body': cutAfterText,
    'big-event': { all: gives({ text: 'x'.repeat(1_000_000) }) },
    'big-5mb': { all: gives({ text: 'x'.repeat(5_000_000) }) },
  },
  'F16, F17 framing': {
    crlf: { all: exact },
    'cr-only': { all: exact, ollamaStream: cut },
    'cr-only-one': { all: exact, ollamaStream: cut },
    comments: onlyStream(exact),
    'id-retry': onlyStream(exact),
    bom: { all: exact },
    nospace: onlyStream(exact),
    multiline: onlyStream(exact),
    'no-event-name': { anthropicStream: exact, all: onlyAnthropic },
    'other-event-name': { anthropicStream: exact, all: onlyAnthropic },
    'chunk-1': { all: exact },
    'split-utf8': { all: exact },
  },
  'F19 without end': { endless: { all: fails('TOO_LARGE') }, 'endless-line': { all: fails('TOO_LARGE') } },
  'F20 codings': {
    gzip: { all: protocol },
    'gzip-false': { all: protocol },
    'gzip-bomb': { all: protocol },
    'gzip-codings': { all: protocol },
  },
  'F21, F22 odd events': {
    'event-error': { stream: fails('UNAVAILABLE', { partialText: 'Grüße' }), whole: noEvents },
    'event-error-text': { stream: fails('UNAVAILABLE'), whole: noEvents, ollamaStream: untypedErrors },
    'event-error-overloaded': { stream: fails('OVERLOADED'), whole: noEvents, ollamaStream: untypedErrors },
    'event-error-429': { stream: fails('OVERLOADED'), whole: noEvents, ollamaStream: untypedErrors },
    'event-error-with-choices': { stream: fails('REFUSED'), whole: noEvents, ollamaStream: untypedErrors },
    'garbage-event': { stream: fails('PROTOCOL', { partialText: 'Grüße' }), whole: noEvents },
    'null-event': { stream: fails('PROTOCOL', { partialText: 'Grüße' }), whole: noEvents },
    'unknown-event': { stream: exact, whole: noEvents },
    'after-done': { stream: exact, whole: protocol },
  },
  'F23 odd content': {
    'empty-choices': { openai: protocol, all: noChoices },
    'no-message': { all: empty },
    'null-content': { all: empty },
    'null-choice': { openai: exact, all: noChoices },
    'second-choice': { openai: exact, all: noChoices },
    'content-parts': { openai: exact, all: cannot('only chat completions have a text or a list of parts') },
    'content-object': { all: empty },
    proto: { all: exact },
  },
  'F24 why it ended': {
    'finish-length': { all: ended('length', 'length'), anthropic: ended('length', 'max_tokens') },
    'finish-window': { anthropic: ended('length', 'model_context_window_exceeded'), all: onlyAnthropic },
    'finish-filter': {
      openai: ended('content-filter', 'content_filter'),
      anthropic: ended('content-filter', 'refusal'),
      ollama: cannot('Ollama has no filter'),
    },
    'finish-sequence': { anthropic: ended('stop', 'stop_sequence'), all: onlyAnthropic },
    'finish-pause': { anthropic: ended('other', 'pause_turn'), all: onlyAnthropic },
    'finish-odd': { all: ended('other', 'eos_token') },
    'finish-tools-none': {
      openai: ended('other', 'tool_calls'),
      anthropic: ended('other', 'tool_use'),
      ollama: cannot('Ollama does not name tool calls as a reason'),
    },
    'finish-load': { ollama: ended('other', 'load', ''), all: onlyOllama },
    'finish-none': { ollama: exact, all: onlyOllama },
    refusal: {
      openai: ended('content-filter', 'stop', "I can't help with that."),
      all: cannot('only chat completions have a field for it'),
    },
  },
  'F25 usage': {
    'no-usage': { all: used(undefined, undefined) },
    'usage-negative': { all: used(undefined, 5) },
    'usage-string': { all: used(undefined, undefined) },
    'usage-null': { all: used(undefined, undefined) },
    'usage-zero': { ollama: used(12, 0), all: onlyOllama },
    'usage-every-chunk': { openaiStream: used(3, 2), anthropicStream: used(3, 2), all: cannot('usage comes once') },
  },
  'F26 redirects': Object.fromEntries(redirects),
  'F27 odd HTTP': {
    'head-huge': { all: protocol },
    'bad-status': { all: protocol },
    'status-999': { all: protocol },
    'chunk-bad': { all: protocol },
    'chunk-huge': { all: protocol },
    'early-hints': { all: exact },
  },
  'F28 tool calls': {
    'tool-two': { all: two },
    'tool-same-index': { all: two, anthropicWhole: noIndex },
    'tool-no-index': { all: two, anthropicWhole: noIndex },
    'tool-interleaved': { openaiStream: two, anthropicStream: two, all: cannot('a call comes in one piece') },
    'tool-duplicate-id': { all: two },
    'tool-no-id': { all: two },
    'tool-object-args': { all: two },
    'tool-empty-args': { all: calls(['f', {}]) },
    'tool-no-args': { all: calls(['f', {}]) },
    'tool-same-name': { all: calls(['f', {}], ['f', {}]) },
    'tool-invalid-json': { all: calls(['f', '{"x":']) },
    'tool-cut': { all: cutCall('length'), anthropic: cutCall('max_tokens') },
    'tool-cut-empty': { anthropic: cutCall('max_tokens'), all: onlyAnthropic },
    'tool-cut-stop': { all: cut, ollama: cannot('a call comes in one piece') },
    'tool-garbage': { all: exact },
  },
};
