/**
 * The backend for OpenAI and for every server that speaks its chat completions protocol.
 * Its key is in a closure, is bound to one origin, and is shown nowhere (B4).
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { TroupeError, toTroupeError } from '../../src/core/errors.ts';
import { checkOptions, rules } from '../../src/core/options.ts';
import type { ModelParameters } from '../../src/core/types.ts';
import type { Backend, BackendInfo, ModelRequest, ModelResponse } from '../backend.ts';
import { isLocalHost, parseEndpoint } from '../wire/endpoint.ts';
import { HttpClient, type HttpHeaders } from '../wire/http.ts';
import { type CallFacts, replyError } from '../wire/http-errors.ts';
import { chatBody, type MaxTokensField } from '../wire/openai-chat.ts';
import { ChatReply } from '../wire/openai-reply.ts';
import { redactor, secretsOf } from '../wire/redact.ts';
import { sseReader } from '../wire/sse.ts';

export interface OpenAiOptions {
  /** Base URL, with or without `/v1`. Default: the variable `LLM_ENDPOINT`, else https://api.openai.com. */
  readonly endpoint?: string;
  /** Default: the variable `LLM_MODEL`, else `gpt-4o-mini`. */
  readonly model?: string;
  /**
   * Sent as bearer token. Default: the variable `OPENAI_API_KEY`, but only to https://api.openai.com or to the endpoint
   * that `LLM_ENDPOINT` names: a key of the environment goes to no endpoint that is given here.
   */
  readonly apiKey?: string;
  /** Further request headers; they win over ours. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Parameters of every call that the call itself does not set. Default: none. */
  readonly parameters?: ModelParameters;
  /** How the server calls the cap on generated tokens. Default: `max_completion_tokens` at OpenAI, else `max_tokens`. */
  readonly maxTokensField?: MaxTokensField;
  /** Cap on the bytes of one answer. Default 64 MB. */
  readonly maxReplyBytes?: number;
  /** Cap on the bytes of one event of an answer. Default 16 MB. */
  readonly maxEventBytes?: number;
}

/** Makes a backend that calls `/chat/completions` of an OpenAI-compatible server. */
export function openai(options: OpenAiOptions = {}): Backend {
  checkOptions('openai()', options, optionRules);
  const fromEnvironment = options.endpoint === undefined ? environment('LLM_ENDPOINT') : undefined;
  const base = fromEnvironment
    ? parseEndpoint(fromEnvironment, 'The variable LLM_ENDPOINT')
    : parseEndpoint(options.endpoint ?? openAiOrigin);
  const atOpenAi = base.origin === openAiOrigin;
  const trusted = atOpenAi || fromEnvironment !== undefined;
  const apiKey = options.apiKey ?? (trusted ? environment('OPENAI_API_KEY') : undefined);
  if (atOpenAi && apiKey === undefined) throw keyMissing();
  const headers = requestHeaders(options.headers ?? {}, apiKey);
  const { parameters, maxEventBytes, maxTokensField = atOpenAi ? 'max_completion_tokens' : 'max_tokens' } = options;
  const client = new HttpClient({
    redact: redactor([apiKey, ...secretsOf(headers)]),
    maxReplyBytes: options.maxReplyBytes,
  });
  const url = new URL(`${base.href}/chat/completions`);
  return {
    kind: 'openai',
    model: options.model ?? environment('LLM_MODEL') ?? 'gpt-4o-mini',
    info: describe(isLocalHost(base.hostname)),
    call: (request) => {
      const body = chatBody(request, { parameters, maxTokensField });
      return answer({ client, url, headers, body, request, maxEventBytes });
    },
    close: () => client.close(),
  };
}

const openAiOrigin = 'https://api.openai.com';

const optionRules = {
  endpoint: rules.text,
  model: rules.text,
  apiKey: rules.text,
  headers: rules.object,
  parameters: rules.object,
  maxTokensField: (value: unknown) =>
    value === 'max_tokens' || value === 'max_completion_tokens' ? undefined : '`max_tokens` or `max_completion_tokens`',
  maxReplyBytes: rules.positiveCount,
  maxEventBytes: rules.positiveCount,
};

interface Call {
  readonly client: HttpClient;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly request: ModelRequest;
  readonly maxEventBytes: number | undefined;
}

/** Makes one call: what fails carries the text that had arrived. */
async function answer(call: Call): Promise<ModelResponse> {
  const { client, request } = call;
  const facts: CallFacts = { backend: 'openai', model: request.model, redact: client.redact };
  const reply = new ChatReply(facts, request.onEvent);
  try {
    return await exchange(call, facts, reply);
  } catch (thrown) {
    if (request.signal.aborted) throw thrown;
    const error = toTroupeError(thrown, 'The backend openai');
    if (error.code === 'TROUPE_ERR_BACKEND_STREAM_CUT' && reply.finished) return reply.response();
    throw withFacts(error, facts, reply.text);
  }
}

async function exchange(call: Call, facts: CallFacts, reply: ChatReply): Promise<ModelResponse> {
  const { client, url, headers, body, request, maxEventBytes } = call;
  let begun = false;
  const unread: Uint8Array[] = [];
  const read = sseReader({
    maxEventBytes,
    onEvent: (data) => {
      begun = true;
      reply.takeEvent(data);
    },
  });
  const onData = (bytes: Uint8Array): boolean => {
    if (!begun) unread.push(bytes);
    read(bytes);
    return reply.done;
  };
  const http = await client.send({ method: 'POST', url, headers, body, signal: request.signal, onData });
  if (http.status >= 300) throw replyError(facts, http);
  if (!begun) takeWhole(reply, new TextDecoder().decode(Buffer.concat(unread)), http.headers);
  return reply.response();
}

/** A reply without a single event is one whole completion or no answer; an event stream may also have been cut. */
function takeWhole(reply: ChatReply, body: string, headers: HttpHeaders): void {
  const isStream = /event-stream/i.test(String(headers['content-type'] ?? ''));
  if (!isStream || body.trimStart().startsWith('{')) reply.takeBody(body, headers);
}

function withFacts(error: TroupeError, { backend, model, redact }: CallFacts, text: string): TroupeError {
  return error.with({ backend, model, ...(text === '' ? {} : { partialText: redact(text) }) });
}

function requestHeaders(given: Readonly<Record<string, string>>, apiKey: string | undefined): Record<string, string> {
  const own = {
    'content-type': 'application/json',
    accept: 'text/event-stream, application/json',
    'user-agent': 'troupe',
    ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  };
  checkHeader('`apiKey`', 'authorization', own.authorization ?? '');
  const extra = Object.entries(given).map(([name, value]) => {
    checkHeader(`\`headers\`: "${name}"`, name, value);
    return [name.toLowerCase(), value] as const;
  });
  return { ...own, ...Object.fromEntries(extra) };
}

/** Never shows the value. */
function checkHeader(optionName: string, name: string, value: string): void {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  } catch {
    const message = `${optionName} holds what no HTTP header may hold, such as a line break. Take it out.`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
}

function describe(local: boolean): BackendInfo {
  return {
    inference: local ? 'local' : 'cloud',
    price: local ? 'free' : 'per-token',
    capabilities: ['tools', 'streaming', 'structured-output'],
    setup: 'Set OPENAI_API_KEY, or give the `endpoint` of any server that speaks the chat completions protocol.',
  };
}

function keyMissing(): TroupeError {
  const message =
    'The backend openai needs a key for https://api.openai.com and found none. Set OPENAI_API_KEY, give `apiKey`, or name another server by `endpoint`.';
  return new TroupeError('TROUPE_ERR_BACKEND_KEY_MISSING', message, { backend: 'openai' });
}

function environment(name: string): string | undefined {
  return process.env[name] || undefined;
}
