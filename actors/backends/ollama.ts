/**
 * The backend for Ollama on its own `/api/chat`: the only one of its routes that takes the size of the context.
 * A prompt that does not fit is an error here; nothing is cut without a word. Its chat completions are there for those
 * who want them: that route cuts a long prompt to a size which only the server knows.
 */
import { backendCatalog } from '../../src/core/catalog.ts';
import { TroupeError } from '../../src/core/errors.ts';
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import type { ModelParameters } from '../../src/core/types.ts';
import type { Backend } from '../backend.ts';
import { embedding, ollamaEmbeddings } from '../wire/embeddings.ts';
import { parseBaseUrl } from '../wire/endpoint.ts';
import { HttpClient } from '../wire/http.ts';
import { callServer, type ModelServer } from '../wire/model-call.ts';
import { askFacts, ollamaChatFacts, ollamaNativeFacts } from '../wire/model-facts.ts';
import { ModelList } from '../wire/model-list.ts';
import { ndjsonFraming } from '../wire/ndjson.ts';
import { ollamaBody } from '../wire/ollama-chat.ts';
import { OllamaReply } from '../wire/ollama-reply.ts';
import { redactor, secretsOf } from '../wire/redact.ts';
import { requestHeaders } from '../wire/request-headers.ts';
import { ToolCheck } from '../wire/tool-check.ts';
import { backendInfo, inferenceAt } from './backend-info.ts';
import { type ChatServerRow, chatServer, environment } from './chat-server.ts';

/** Options of `ollama`. */
export interface OllamaOptions {
  /** Base URL; `/v1` or `/api` at its end is left out. Default: the variable `OLLAMA_HOST`, else http://127.0.0.1:11434. */
  readonly endpoint?: string;
  /** Default: the variable `OLLAMA_MODEL`, else `LLM_MODEL`, else `llama3`. */
  readonly model?: string;
  /**
   * The model for embeddings, such as `nomic-embed-text`; both protocols have a route for them. Default: none, and the backend
   * has no `embed`: a model that nobody pulled is not there, and one that is has to be loaded beside the other.
   */
  readonly embeddingModel?: string;
  /**
   * `native`: `/api/chat`. `openai`: `/v1/chat/completions`, which takes none of `contextTokens`, `keepAlive`, `think`
   * and may cut a prompt that is too long. Default `native`.
   */
  readonly protocol?: 'native' | 'openai';
  /** Size of the context, prompt and answer together, in tokens: memory is taken for all of it. Default 8192. */
  readonly contextTokens?: number;
  /** How long the model stays loaded: seconds, or a text such as `10m`; negative: for ever. Default: the server's, 5 minutes. */
  readonly keepAlive?: number | string;
  /** Whether, or how much, a thinking model thinks. Default: the server's, which is that it does. */
  readonly think?: boolean | 'low' | 'medium' | 'high' | 'max';
  /** Further request headers; they win over ours. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Parameters of every call that the call itself does not set. Default: none. */
  readonly parameters?: ModelParameters;
  /** False asks for one whole answer: the server may then work on for a caller who has left. Default true. */
  readonly stream?: boolean;
  /**
   * Whether tool results go without the control tokens of chat templates, such as `<|im_end|>`, by which a file could speak for
   * the system. Default: at servers of your own, whose templates are not guarded against it.
   */
  readonly inertResults?: boolean;
  /** Cap on the bytes of one answer. Default 64 MB. */
  readonly maxReplyBytes?: number;
  /** Cap on the bytes of one line of a stream. Default 16 MB. */
  readonly maxEventBytes?: number;
}

/** Makes a backend that calls an Ollama server. */
export function ollama(options: OllamaOptions = {}): Backend {
  checkOptions('ollama()', options, optionRules);
  return options.protocol === 'openai' ? overChatCompletions(options) : overNative(options);
}

function overNative(options: OllamaOptions): Backend {
  const { parameters, keepAlive, think, contextTokens = 8192, stream = true, maxEventBytes } = options;
  const base = baseUrl(options.endpoint);
  const inference = inferenceAt(new URL(base));
  const { inertResults = inference === 'local' } = options;
  const accept = stream ? `${ndjsonFraming.contentType}, application/json` : 'application/json';
  const headers = requestHeaders({ accept, headers: options.headers });
  const { maxReplyBytes, embeddingModel } = options;
  const client = new HttpClient({ server: kind, redact: redactor(secretsOf(headers)), maxReplyBytes });
  const shared = { client, headers };
  const models = new ModelList({ ...shared, url: new URL(`${base}/api/tags`), fields: ['models', 'name'] });
  const server: ModelServer = {
    ...{ ...shared, backend: kind, framing: ndjsonFraming, stream, maxEventBytes, freshSocket: false },
    url: new URL(`${base}/api/chat`),
    models,
    openReply: (facts, onEvent) => new OllamaReply(facts, onEvent),
  };
  const questions = ollamaNativeFacts(contextTokens);
  const describeModel = (model: string, signal: AbortSignal) =>
    askFacts({ ...shared, backend: kind, base }, { questions, model, signal });
  const tools = new ToolCheck(kind, describeModel);
  const vectors = { ...shared, backend: kind, models, protocol: ollamaEmbeddings(keepAlive) };
  return {
    kind,
    model: modelOf(options),
    info: backendInfo(kind, { inference, embeds: embeddingModel !== undefined }),
    call: async (request) => {
      await tools.pass(request);
      const body = ollamaBody(request, { parameters, contextTokens, keepAlive, think, stream, inertResults });
      return callServer(server, request, body);
    },
    describeModel,
    ...embedding({ ...vectors, url: new URL(`${base}/api/embed`) }, embeddingModel),
    close: () => client.close(),
  };
}

const kind = 'ollama';
const usualPort = 11434;

const chatRow: ChatServerRow = {
  ...backendCatalog.ollama,
  kind,
  isProvider: false,
  freshSocket: false,
  facts: ollamaChatFacts,
};

function overChatCompletions(options: OllamaOptions): Backend {
  const { protocol, contextTokens, keepAlive, think, ...rest } = options;
  for (const [name, value] of Object.entries({ contextTokens, keepAlive, think })) {
    if (value === undefined) continue;
    const message = `ollama(): \`${name}\` works only with \`protocol: 'native'\`: the route for chat completions has no such field.`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
  return chatServer(chatRow, { ...rest, endpoint: baseUrl(options.endpoint), model: modelOf(options) });
}

function modelOf({ model }: OllamaOptions): string {
  return model ?? environment('OLLAMA_MODEL') ?? environment('LLM_MODEL') ?? backendCatalog.ollama.model;
}

const optionRules: Readonly<Record<keyof OllamaOptions, Rule>> = {
  endpoint: rules.text,
  model: rules.text,
  embeddingModel: rules.text,
  protocol: (value) => (value === 'native' || value === 'openai' ? undefined : '`native` or `openai`'),
  contextTokens: rules.positiveCount,
  keepAlive: (value) => (['number', 'string'].includes(typeof value) ? undefined : 'a number of seconds or a text'),
  think: (value) =>
    typeof value === 'boolean' || ['low', 'medium', 'high', 'max'].includes(String(value))
      ? undefined
      : 'true, false, `low`, `medium`, `high` or `max`',
  headers: rules.object,
  parameters: rules.object,
  stream: rules.flag,
  inertResults: rules.flag,
  maxReplyBytes: rules.positiveCount,
  maxEventBytes: rules.positiveCount,
};

/** Without a slash at its end. */
function baseUrl(endpoint: string | undefined): string {
  const host = endpoint === undefined ? environment('OLLAMA_HOST') : undefined;
  const url =
    host === undefined
      ? parseBaseUrl(endpoint ?? `http://127.0.0.1:${usualPort}`)
      : parseBaseUrl(hostUrl(host), 'The variable OLLAMA_HOST');
  return url.href.replace(/\/+$/, '').replace(/\/(?:v1|api)$/, '');
}

/**
 * `OLLAMA_HOST` as a URL. It is the server's variable, too: a host, a port or both, with or without a protocol, and often
 * the address of all interfaces, which is none to connect to.
 */
function hostUrl(host: string): string {
  const [, protocol, rest = ''] = /^(?:(https?):\/\/)?(.*)$/is.exec(host.trim().replace(/^["']|["']$/g, '')) ?? [];
  const bare = isBareIpv6(rest) ? `[${rest}]` : rest;
  const address = bare.replace(/^(?=:\d|$)|^0\.0\.0\.0(?=[:/]|$)/, '127.0.0.1').replace(/^\[::\]/, '[::1]');
  if (protocol !== undefined) return `${protocol}://${address}`;
  const hasPort = /^(?:\[[^\]]*\]|[^:/]*):\d+/.test(address);
  return `http://${hasPort ? address : address.replace(/(?=\/|$)/, `:${usualPort}`)}`;
}

function isBareIpv6(text: string): boolean {
  return (text.match(/:/g)?.length ?? 0) > 1 && !text.startsWith('[');
}
