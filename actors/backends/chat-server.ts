/**
 * The one constructor behind every backend that speaks OpenAI's chat completions: what differs is a row of data.
 * Its key is in a closure and is bound to one origin: a key of the environment goes to no endpoint that is given here.
 */
import { TroupeError } from '../../src/core/errors.ts';
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import type { ModelParameters } from '../../src/core/types.ts';
import type { Backend, BackendInfo, ModelRequest } from '../backend.ts';
import { isLocalHost, parseEndpoint } from '../wire/endpoint.ts';
import { HttpClient } from '../wire/http.ts';
import { callServer, type ModelServer } from '../wire/model-call.ts';
import { ModelList } from '../wire/model-list.ts';
import { chatBody, type MaxTokensField } from '../wire/openai-chat.ts';
import { ChatReply } from '../wire/openai-reply.ts';
import { redactor, secretsOf } from '../wire/redact.ts';
import { requestHeaders } from '../wire/request-headers.ts';
import { sseFraming } from '../wire/sse.ts';

/** Options of a backend that speaks chat completions. */
export interface ChatServerOptions {
  /** Base URL, with or without `/v1`. Default: the backend's variable for it, else the port that the server usually has. */
  readonly endpoint?: string;
  /** Default: for `openai` the variable `LLM_MODEL`, else `gpt-4o-mini`; for others the first chat model that the server lists. */
  readonly model?: string;
  /** Sent as bearer token. Default: the backend's variable for it, but never to an `endpoint` of another origin given here. */
  readonly apiKey?: string;
  /** Further request headers; they win over ours. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Parameters of every call that the call itself does not set. Default: none. */
  readonly parameters?: ModelParameters;
  /** False asks for one whole answer: a server may then work on for a caller who has left. Default true. */
  readonly stream?: boolean;
  /** How the server calls the cap on generated tokens. Default: `max_completion_tokens` at OpenAI, else `max_tokens`. */
  readonly maxTokensField?: MaxTokensField;
  /** Cap on the bytes of one answer. Default 64 MB. */
  readonly maxReplyBytes?: number;
  /** Cap on the bytes of one event of a stream. Default 16 MB. */
  readonly maxEventBytes?: number;
}

/** What one kind of server is. */
export interface ChatServerRow {
  readonly kind: string;
  /** Where it usually listens. */
  readonly endpoint: string;
  /** The usual place is a provider's: it needs a key, knows the newer name of the cap on tokens, and has a great many models. */
  readonly isProvider: boolean;
  /** Names of the environment variables that configure it. */
  readonly variables: { readonly endpoint: string; readonly apiKey: string; readonly model?: string };
  /** The model when none is configured; undefined: the server is asked for one. */
  readonly model: string | undefined;
  /** The server closes its connections without a word. */
  readonly freshSocket: boolean;
  /** How to get it, in one sentence. */
  readonly setup: string;
}

/** Makes the backend of a row. */
export function chatServer(row: ChatServerRow, options: ChatServerOptions): Backend {
  checkOptions(`${row.kind}()`, options, optionRules);
  const { base, apiKey, atProvider } = findServer(row, options);
  const { parameters, maxEventBytes, stream = true } = options;
  const headers = requestHeaders({
    accept: stream ? 'text/event-stream, application/json' : 'application/json',
    apiKey,
    headers: options.headers,
  });
  const client = new HttpClient({
    server: row.kind,
    redact: redactor([apiKey, ...secretsOf(headers)]),
    maxReplyBytes: options.maxReplyBytes,
  });
  const { kind, freshSocket } = row;
  const shared = { client, headers, freshSocket };
  const models = new ModelList({ ...shared, url: new URL(`${base.href}/models`), fields: ['data', 'id'] });
  const server: ModelServer = {
    ...{ ...shared, backend: kind, framing: sseFraming, stream, maxEventBytes },
    url: new URL(`${base.href}/chat/completions`),
    models: atProvider ? undefined : models,
    openReply: (facts, onEvent) => new ChatReply(facts, onEvent),
  };
  const { maxTokensField = atProvider ? 'max_completion_tokens' : 'max_tokens' } = options;
  const configured = options.model ?? environment(row.variables.model) ?? row.model;
  return {
    kind,
    model: configured ?? unnamedModel,
    info: describe(row, isLocalHost(base.hostname)),
    call: async (given) => {
      const isOpen = configured === undefined && given.model === unnamedModel;
      const request = isOpen ? await withListedModel(models, given) : given;
      return callServer(server, request, chatBody(request, { parameters, maxTokensField, stream }));
    },
    close: () => client.close(),
  };
}

/** The value of an environment variable; an empty one is none. */
export function environment(name: string | undefined): string | undefined {
  return name === undefined ? undefined : process.env[name] || undefined;
}

/** Stands for the model until the server has named one; servers of a single model take it for theirs. */
const unnamedModel = 'default';

const optionRules: Readonly<Record<keyof ChatServerOptions, Rule>> = {
  endpoint: rules.text,
  model: rules.text,
  apiKey: rules.text,
  headers: rules.object,
  parameters: rules.object,
  stream: rules.flag,
  maxTokensField: (value: unknown) =>
    value === 'max_tokens' || value === 'max_completion_tokens' ? undefined : '`max_tokens` or `max_completion_tokens`',
  maxReplyBytes: rules.positiveCount,
  maxEventBytes: rules.positiveCount,
};

interface FoundServer {
  readonly base: URL;
  readonly apiKey: string | undefined;
  /** Whether it is the provider that the row is about. */
  readonly atProvider: boolean;
}

function findServer(row: ChatServerRow, options: ChatServerOptions): FoundServer {
  const { variables } = row;
  const fromEnvironment = options.endpoint === undefined ? environment(variables.endpoint) : undefined;
  const base = fromEnvironment
    ? parseEndpoint(fromEnvironment, `The variable ${variables.endpoint}`)
    : parseEndpoint(options.endpoint ?? row.endpoint);
  const atHome = base.origin === row.endpoint;
  const trusted = atHome || fromEnvironment !== undefined;
  const apiKey = options.apiKey ?? (trusted ? environment(variables.apiKey) : undefined);
  const atProvider = row.isProvider && atHome;
  if (atProvider && apiKey === undefined) throw keyMissing(row);
  return { base, apiKey, atProvider };
}

async function withListedModel(models: ModelList, request: ModelRequest): Promise<ModelRequest> {
  const model = await models.first(request.signal);
  return model === undefined ? request : { ...request, model };
}

function describe({ setup }: ChatServerRow, isLocal: boolean): BackendInfo {
  return {
    inference: isLocal ? 'local' : 'cloud',
    price: isLocal ? 'free' : 'per-token',
    capabilities: ['tools', 'streaming', 'structured-output'],
    setup,
  };
}

function keyMissing({ kind, endpoint, variables }: ChatServerRow): TroupeError {
  const message = `The backend ${kind} needs a key for ${endpoint} and found none. Set ${variables.apiKey}, give \`apiKey\`, or name another server by \`endpoint\`.`;
  return new TroupeError('TROUPE_ERR_BACKEND_KEY_MISSING', message, { backend: kind });
}
