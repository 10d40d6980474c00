/** The backend for Anthropic's Messages API and for every server that speaks it. */
import { backendCatalog } from '../../src/core/catalog.ts';
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import type { ModelParameters } from '../../src/core/types.ts';
import type { Backend, ModelFacts } from '../backend.ts';
import { messagesBody } from '../wire/anthropic-chat.ts';
import { MessagesReply } from '../wire/anthropic-reply.ts';
import { parseBaseUrl } from '../wire/endpoint.ts';
import { asCount, type Fields } from '../wire/fields.ts';
import { HttpClient } from '../wire/http.ts';
import { callServer, type ModelServer } from '../wire/model-call.ts';
import { askFacts, type FactsQuestion } from '../wire/model-facts.ts';
import { ModelList } from '../wire/model-list.ts';
import { redactor, secretsOf } from '../wire/redact.ts';
import { requestHeaders } from '../wire/request-headers.ts';
import { sseFraming } from '../wire/sse.ts';
import { backendInfo, inferenceAt, knownFacts } from './backend-info.ts';
import { environment, findServer, type ServerPlace } from './chat-server.ts';

/** Options of `anthropic`. */
export interface AnthropicOptions {
  /** Base URL, with or without `/v1` at its end. Default: the variable `ANTHROPIC_BASE_URL`, else https://api.anthropic.com. */
  readonly endpoint?: string;
  /** Default: the variable `ANTHROPIC_MODEL`, else `claude-sonnet-4-5`. */
  readonly model?: string;
  /**
   * Sent as `x-api-key`. Default, unless `authToken` is given: the variable `ANTHROPIC_API_KEY`, but only to
   * https://api.anthropic.com or to the endpoint that `ANTHROPIC_BASE_URL` names: a key of the environment goes to no
   * endpoint that is given here.
   */
  readonly apiKey?: string;
  /** Sent as bearer token. Default, when there is no key: the variable `ANTHROPIC_AUTH_TOKEN`, to the same endpoints. */
  readonly authToken?: string;
  /** Further request headers; they win over ours. Default: none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Parameters of every call that the call itself does not set. Default: none. */
  readonly parameters?: ModelParameters;
  /** Tokens to think with, at least 1,024; they come on top of `maxTokens`. Default: the server's, which is not to think. */
  readonly thinkingTokens?: number;
  /**
   * Whether to ask the server to keep the prompt for the next call: tools and system text, and at Anthropic itself the
   * conversation, too, since other servers refuse the field for that. Default true.
   */
  readonly promptCaching?: boolean;
  /** False asks for one whole answer: a server may then work on for a caller who has left. Default true. */
  readonly stream?: boolean;
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

/** Makes a backend that calls `/v1/messages`. */
export function anthropic(options: AnthropicOptions = {}): Backend {
  checkOptions('anthropic()', options, optionRules);
  const { parameters, thinkingTokens, promptCaching = true, stream = true, maxReplyBytes, maxEventBytes } = options;
  const { base, apiKey, authToken, atProvider } = findServer(place, options, versionedUrl);
  const headers = requestHeaders({
    ...{ accept: stream ? 'text/event-stream, application/json' : 'application/json' },
    ...{ apiKey, keyHeader: 'x-api-key', authToken },
    headers: { 'anthropic-version': '2023-06-01', ...options.headers },
  });
  const secrets = [apiKey, authToken, ...secretsOf(headers)];
  const client = new HttpClient({ server: kind, redact: redactor(secrets), maxReplyBytes });
  const shared = { client, headers };
  const server: ModelServer = {
    ...{ ...shared, backend: kind, framing: sseFraming, stream, maxEventBytes, freshSocket: false },
    url: new URL(`${base.href}/messages`),
    models: new ModelList({ ...shared, url: new URL(`${base.href}/models?limit=100`), fields: ['data', 'id'] }),
    openReply: (facts, onEvent) => new MessagesReply(facts, onEvent),
  };
  const inference = inferenceAt(base);
  const { inertResults = inference === 'local' } = options;
  const caching = atProvider ? 'all' : 'marked';
  const wanted = promptCaching ? caching : 'none';
  const defaults = { parameters, thinkingTokens, stream, inertResults, caching: wanted } as const;
  return {
    kind,
    model: options.model ?? environment(place.variables.model) ?? row.model,
    info: backendInfo(kind, { inference }),
    call: async (request) => callServer(server, request, messagesBody(request, defaults)),
    describeModel: async (model, signal) => {
      const said = await askFacts(
        { ...shared, backend: kind, base: base.href },
        { questions: [about(model)], model, signal },
      );
      return { ...knownFacts(kind, model), ...said };
    },
    close: () => client.close(),
  };
}

const kind = 'anthropic';

const row = backendCatalog[kind];
const place: ServerPlace = { ...row, kind, isProvider: true };

const optionRules: Readonly<Record<keyof AnthropicOptions, Rule>> = {
  endpoint: rules.text,
  model: rules.text,
  apiKey: rules.text,
  authToken: rules.text,
  headers: rules.object,
  parameters: rules.object,
  thinkingTokens: rules.positiveCount,
  promptCaching: rules.flag,
  stream: rules.flag,
  inertResults: rules.flag,
  maxReplyBytes: rules.positiveCount,
  maxEventBytes: rules.positiveCount,
};

/** Gateways have versions of their own in front of this API's, so that only one at the end of a path is it. */
function versionedUrl(endpoint: string, optionName?: string): URL {
  const url = parseBaseUrl(endpoint, optionName);
  if (!/\/v\d+$/.test(url.pathname)) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1`;
  return url;
}

/** Most servers of this protocol have no such route. */
function about(model: string): FactsQuestion {
  const read = (answer: Fields): ModelFacts => {
    const contextTokens = asCount(answer['max_input_tokens'] ?? answer['context_window']);
    return contextTokens ? { contextTokens } : {};
  };
  return { path: `/v1/models/${encodeURIComponent(model)}`, read };
}
