/** Finds model servers on this machine by asking the usual ports for their models. It talks to 127.0.0.1 alone. */
import { type BackendKind, backendCatalog } from '../src/core/catalog.ts';
import { HttpClient } from './wire/http.ts';
import { redactor } from './wire/redact.ts';

/** A place where a model server usually listens. */
interface UsualPlace {
  /** The built-in backend for it. */
  readonly backend: BackendKind;
  readonly port: number;
}

/** In order of preference. Two that share a port are told apart by what they answer. */
const usualPlaces: readonly UsualPlace[] = (['ollama', 'llamaCpp', 'lmStudio', 'vllm'] as const).map((backend) => ({
  backend,
  port: Number(new URL(backendCatalog[backend].endpoint).port),
}));

/** What a look at one place showed. */
export interface Probe {
  /** The backend that fits what answered; the place's own when nothing did. */
  readonly backend: BackendKind;
  readonly endpoint: string;
  /** Ids of the models it lists; empty when it lists none or does not answer. */
  readonly models: readonly string[];
  /** Why it cannot be used; absent when it can. */
  readonly problem?: string;
}

/** Options of `probeServers`. */
export interface DiscoverOptions {
  /** Default: `usualPlaces`. */
  readonly places?: readonly UsualPlace[];
  /** How long one server may take to answer, in milliseconds. Default 1,000. */
  readonly timeoutMs?: number;
}

/** Looks at all places at once; the answers stand in the order of the places. */
export async function probeServers(options: DiscoverOptions = {}): Promise<Probe[]> {
  const { places = usualPlaces, timeoutMs = 1000 } = options;
  const client = new HttpClient({ maxReplyBytes: 1_000_000, redact: redactor([]) });
  try {
    return await Promise.all(places.map((place) => probe(client, place, timeoutMs)));
  } finally {
    await client.close();
  }
}

/** A model of a probed server that can chat: its first that is not for embeddings. */
export function chatModel({ models }: Probe): string | undefined {
  return models.find((id) => !/embed/i.test(id));
}

async function probe(client: HttpClient, { backend, port }: UsualPlace, timeoutMs: number): Promise<Probe> {
  const endpoint = `http://127.0.0.1:${port}`;
  const url = new URL('/v1/models', endpoint);
  const signal = AbortSignal.timeout(timeoutMs);
  const reply = await client.send({ method: 'GET', url, headers: {}, signal }).catch(() => undefined);
  if (reply === undefined) {
    return { backend, endpoint, models: [], problem: signal.aborted ? 'it does not answer' : 'nothing listens there' };
  }
  const listed = modelList(reply.text);
  if (reply.status !== 200 || listed === undefined) {
    return { backend, endpoint, models: [], problem: `what listens there is no model server (HTTP ${reply.status})` };
  }
  const models = listed.map(({ id }) => id).filter((id) => typeof id === 'string');
  const found = { backend: backendFor(listed) ?? backend, endpoint, models };
  return models.length === 0 ? { ...found, problem: 'it has no model yet' } : found;
}

interface Listed {
  readonly id?: unknown;
  readonly owned_by?: unknown;
}

function modelList(text: string): readonly Listed[] | undefined {
  try {
    const { data } = JSON.parse(text) as { readonly data?: unknown };
    // Ollama without a model lists `null`.
    if (data === null) return [];
    return Array.isArray(data) ? data.filter((item) => typeof item === 'object' && item !== null) : undefined;
  } catch {
    return undefined;
  }
}

/** Servers that say who they are. */
function backendFor(listed: readonly Listed[]): BackendKind | undefined {
  return listed.map(({ owned_by: owner }) => owners.get(String(owner))).find((backend) => backend !== undefined);
}

const owners: ReadonlyMap<string, BackendKind> = new Map([
  ['llamacpp', 'llamaCpp'],
  ['vllm', 'vllm'],
]);
