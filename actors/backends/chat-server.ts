/**
 * The one constructor behind every backend that speaks OpenAI's chat completions: what differs is a row of data.
 * Its key is in a closure and is bound to one origin: a key of the environment goes to no endpoint that is given here.
 */
import type { BackendKind } from '../../src/core/catalog.ts';
import { TroupeError } from '../../src/core/errors.ts';
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import type { ModelParameters } from '../../src/core/types.ts';
import type { Backend } from '../backend.ts';
import { embedding, openAiEmbeddings } from '../wire/embeddings.ts';
import { parseEndpoint } from '../wire/endpoint.ts';
import { HttpClient } from '../wire/http.ts';
import { callServer, type ModelServer } from '../wire/model-call.ts';
import { askFacts, type FactsQuestion } from '../wire/model-facts.ts';
import { ModelList } from '../wire/model-list.ts';
import { chatBody, type MaxTokensField } from '../wire/openai-chat.ts';
import { ChatReply } from '../wire/openai-reply.ts';
import { redactor, secretsOf } from '../wire/redact.ts';
import { requestHeaders } from '../wire/request-headers.ts';
import { sseFraming } from '../wire/sse.ts';
import { ToolCheck } from '../wire/tool-check.ts';
import { backendInfo, inferenceAt } from './backend-info.ts';

/** Options of a backend that speaks chat completions. */
export interface ChatServerOptions {
  /** Base URL, with or without `/v1`. Default: the backend's variable for it, else the port that the server usually has. */
  readonly endpoint?: string;
  /** Default: for `openai` the variable `LLM_MODEL`, else `gpt-4o-mini`; for others the first chat model that the server lists. */
  readonly model?: string;
  /**
   * The model for embeddings. Default: `text-embedding-3-small` at https://api.openai.com; elsewhere none, and the backend has
   * no `embed`, for a local server has a model of its own for that, or has it not.
   */
  readonly embeddingModel?: string;
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
  /**
   * Whether tool results go without the control tokens of chat templates, such as `<|im_end|>`, by which a file could speak for
   * the system. Default: at servers of your own, whose templates are not guarded against it.
   */
  readonly inertResults?: boolean;
  /** Cap on the bytes of one answer. Default 64 MB. */
  readonly maxReplyBytes?: number;
  /** Cap on the bytes of one event of a stream. Default 16 MB. */
  readonly maxEventBytes?: number;
}

/** Where servers of one kind are, and what configures them. */
export interface ServerPlace {
  readonly kind: string;
  /** Where it usually listens. */
  readonly endpoint: string;
  /** The usual place is a provider's: it needs a key. */
  readonly isProvider: boolean;
  /** Names of the environment variables that configure it. */
  readonly variables: {
    readonly endpoint: string;
    readonly apiKey?: string;
    readonly authToken?: string;
    readonly model?: string;
  };
}

/** What one kind of server is. A provider knows the newer name of the cap on tokens, and has a great many models. */
export interface ChatServerRow extends ServerPlace {
  readonly kind: BackendKind;
  /** The model when none is configured; undefined: the server is asked for one. */
  readonly model: string | undefined;
  /** The model for embeddings at the provider when none is configured; absent: none. */
  readonly embeddingModel?: string;
  /** The server closes its connections without a word. */
  readonly freshSocket: boolean;
  /** What it can be asked about a model; absent: nothing. */
  readonly facts?: readonly FactsQuestion[];
}

/** Makes the backend of a row. */
export function chatServer(row: ChatServerRow, options: ChatServerOptions): Backend {
  checkOptions(`${row.kind}()`, options, optionRules);
  const { base, apiKey, atProvider } = findServer(row, options);
  const { parameters, maxEventBytes, stream = true } = options;
  const inference = inferenceAt(base);
  const { inertResults = inference === 'local' } = options;
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
  const named = async (model: string, signal: AbortSignal): Promise<string> =>
    configured === undefined && model === unnamedModel ? ((await models.first(signal)) ?? model) : model;
  const ask = (questions: readonly FactsQuestion[]) => async (model: string, signal: AbortSignal) =>
    askFacts({ ...shared, backend: kind, base: base.href }, { questions, model: await named(model, signal), signal });
  const { facts = [] } = row;
  const { embeddingModel = atProvider ? row.embeddingModel : undefined } = options;
  const vectors = { ...shared, backend: kind, models: server.models, protocol: openAiEmbeddings };
  const tools = new ToolCheck(kind, facts.some(saysTools) ? ask(facts.filter(saysTools)) : undefined);
  return {
    kind,
    model: configured ?? unnamedModel,
    info: backendInfo(kind, { inference, embeds: embeddingModel !== undefined }),
    call: async (given) => {
      const request = { ...given, model: await named(given.model, given.signal) };
      await tools.pass(request);
      return callServer(server, request, chatBody(request, { parameters, maxTokensField, stream, inertResults }));
    },
    ...(facts.length === 0 ? {} : { describeModel: ask(facts) }),
    ...embedding({ ...vectors, url: new URL(`${base.href}/embeddings`) }, embeddingModel),
    close: () => client.close(),
  };
}

/** A server that was found. */
interface FoundServer {
  readonly base: URL;
  readonly apiKey: string | undefined;
  readonly authToken: string | undefined;
  /** Whether it is the provider that the place is about. */
  readonly atProvider: boolean;
}

/** What its caller says of a server. */
interface ServerOptions {
  readonly endpoint?: string;
  readonly apiKey?: string;
  readonly authToken?: string;
}

/**
 * Finds a server and the key for it; `parse` reads a base URL. The environment gives at most one key, and only when
 * none is given here. Throws `TROUPE_ERR_BACKEND_KEY_MISSING` when a provider would get none.
 */
export function findServer(place: ServerPlace, options: ServerOptions, parse = parseEndpoint): FoundServer {
  const { variables } = place;
  const fromEnvironment = options.endpoint === undefined ? environment(variables.endpoint) : undefined;
  const base = fromEnvironment
    ? parse(fromEnvironment, `The variable ${variables.endpoint}`)
    : parse(options.endpoint ?? place.endpoint);
  const atHome = base.origin === place.endpoint;
  const isTrusted = atHome || fromEnvironment !== undefined;
  const isGiven = options.apiKey !== undefined || options.authToken !== undefined;
  const kept = (name: string | undefined) => (isTrusted && !isGiven ? environment(name) : undefined);
  const apiKey = options.apiKey ?? kept(variables.apiKey);
  const authToken = options.authToken ?? (apiKey === undefined ? kept(variables.authToken) : undefined);
  const atProvider = place.isProvider && atHome;
  if (atProvider && apiKey === undefined && authToken === undefined) throw keyMissing(place);
  return { base, apiKey, authToken, atProvider };
}

function saysTools(question: FactsQuestion): boolean {
  return question.saysTools === true;
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
  embeddingModel: rules.text,
  apiKey: rules.text,
  headers: rules.object,
  parameters: rules.object,
  stream: rules.flag,
  maxTokensField: (value: unknown) =>
    value === 'max_tokens' || value === 'max_completion_tokens' ? undefined : '`max_tokens` or `max_completion_tokens`',
  inertResults: rules.flag,
  maxReplyBytes: rules.positiveCount,
  maxEventBytes: rules.positiveCount,
};

function keyMissing({ kind, endpoint, variables }: ServerPlace): TroupeError {
  const message = `The backend ${kind} needs a key for ${endpoint} and found none. Set ${variables.apiKey}, give \`apiKey\`, or name another server by \`endpoint\`.`;
  return new TroupeError('TROUPE_ERR_BACKEND_KEY_MISSING', message, { backend: kind });
}
