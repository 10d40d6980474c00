/** What servers say of their models: whom to ask, as a row for each kind of server, and how it is read. */
import type { ModelFacts } from '../backend.ts';
import { asCount, asFields, asFieldsList, type Fields, parseFields } from './fields.ts';
import type { HttpClient } from './http.ts';
import { replyError } from './http-errors.ts';

/** One question to a server about a model. */
export interface FactsQuestion {
  /** From the root of the server, not of its API version. */
  readonly path: string;
  /** What is posted; absent: it is a GET. */
  readonly body?: (model: string) => object;
  readonly read: (answer: Fields, model: string) => ModelFacts;
  /** The answer may be that the model calls no tools: it is then refused before it is used. */
  readonly saysTools?: true;
}

/** A server that can be asked. */
export interface FactsServer {
  readonly backend: string;
  readonly client: HttpClient;
  readonly headers: Readonly<Record<string, string>>;
  readonly freshSocket?: boolean;
  /** Its base URL, with or without an API version at its end. */
  readonly base: string;
}

export interface FactsRequest {
  readonly questions: readonly FactsQuestion[];
  readonly model: string;
  readonly signal: AbortSignal;
}

/** Asks all the questions at once; what a server has no route for, it does not say. Rejects when it cannot be asked. */
export async function askFacts(server: FactsServer, { questions, ...about }: FactsRequest): Promise<ModelFacts> {
  const answers = await Promise.all(questions.map((question) => askOne(server, question, about)));
  return Object.assign({}, ...answers);
}

/** llama.cpp serves one model, whatever it is called; its window is that of one slot. */
export const llamaCppFacts: readonly FactsQuestion[] = [
  {
    path: '/props',
    saysTools: true,
    read: (props) =>
      known({
        contextTokens: sizeIn(props['default_generation_settings'], 'n_ctx'),
        // Without it the template leaves the tools out of the prompt, and nobody is told.
        tools: asFlag(asFields(props['chat_template_caps'])?.['supports_tools']),
        slots: sizeIn(props, 'total_slots'),
      }),
  },
];

export const vllmFacts: readonly FactsQuestion[] = [
  {
    path: '/v1/models',
    read: ({ data }, model) => {
      const listed = asFieldsList(data);
      const entry = listed.find(({ id }) => id === model);
      return known({ contextTokens: sizeIn(entry, 'max_model_len') });
    },
  },
];

/** LM Studio can have one model loaded several times; any model may be given tools, so that it never says no. */
export const lmStudioFacts: readonly FactsQuestion[] = [
  {
    path: '/api/v1/models',
    read: ({ models }, model) => {
      const isIt = ({ id }: Fields) => id === model;
      const entry = asFieldsList(models).find(
        ({ key, loaded_instances: loaded }) => key === model || asFieldsList(loaded).some(isIt),
      );
      const instances = asFieldsList(entry?.['loaded_instances']);
      const config = (instances.find(isIt) ?? instances[0])?.['config'];
      const isTrained = asFields(entry?.['capabilities'])?.['trained_for_tool_use'] === true;
      return known({
        contextTokens: sizeIn(config, 'context_length'),
        tools: isTrained || undefined,
        slots: sizeIn(config, 'parallel'),
      });
    },
  },
];

/** On its native API Ollama loads a model with the window that a request wants, up to what the model was trained for. */
export function ollamaNativeFacts(contextTokens: number): readonly FactsQuestion[] {
  const read = (answer: Fields): ModelFacts => {
    const model = asFields(answer['model_info']);
    const trained = sizeIn(model, `${model?.['general.architecture']}.context_length`);
    return known({ contextTokens: Math.min(contextTokens, trained ?? contextTokens), tools: ollamaTools(answer) });
  };
  return [{ path: '/api/show', saysTools: true, body: (model) => ({ model }), read }];
}

/** On the chat completions API nobody can say how large Ollama's window shall be: it is known once the model is loaded. */
export const ollamaChatFacts: readonly FactsQuestion[] = [
  {
    path: '/api/show',
    saysTools: true,
    body: (model) => ({ model }),
    read: (answer) => known({ tools: ollamaTools(answer) }),
  },
  {
    path: '/api/ps',
    read: ({ models }, model) => {
      const isIt = ({ name }: Fields) => name === model || name === `${model}:latest`;
      return known({ contextTokens: sizeIn(asFieldsList(models).find(isIt), 'context_length') });
    },
  },
];

async function askOne(
  { backend, client, headers, freshSocket = false, base }: FactsServer,
  { path, body, read }: FactsQuestion,
  { model, signal }: Omit<FactsRequest, 'questions'>,
): Promise<ModelFacts> {
  const url = new URL(`${base.replace(/\/(?:v\d+[a-z0-9]*)?$/, '')}${path}`);
  const what = body === undefined ? { method: 'GET' as const } : { method: 'POST' as const, body: jsonOf(body(model)) };
  const reply = await client.send({ ...what, url, headers, signal, freshSocket });
  if (reply.status === 200) return read(parseFields(reply.text) ?? {}, model);
  const error = replyError({ backend, model, redact: client.redact }, reply);
  if ([404, 405, 501].includes(reply.status) && error.code !== 'TROUPE_ERR_BACKEND_MODEL_UNKNOWN') return {};
  throw error;
}

function jsonOf(value: object): string {
  return JSON.stringify(value);
}

function ollamaTools({ capabilities }: Fields): boolean | undefined {
  return Array.isArray(capabilities) ? capabilities.includes('tools') : undefined;
}

/** A count above 0: servers write 0 for what they do not know. */
function sizeIn(fields: unknown, name: string): number | undefined {
  return asCount(asFields(fields)?.[name]) || undefined;
}

function asFlag(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

function known(facts: { readonly [Name in keyof ModelFacts]: ModelFacts[Name] | undefined }): ModelFacts {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}
