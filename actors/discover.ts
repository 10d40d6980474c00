/** Finds model servers on this machine by asking the usual ports for their models. It talks to 127.0.0.1 alone. */
import { HttpClient } from './wire/http.ts';
import { redactor } from './wire/redact.ts';

/** A server that answers, and a model that it has. */
export interface ModelServer {
  /** What usually listens there: a guess by the port. */
  readonly kind: string;
  readonly endpoint: string;
  /** The first model that is not for embeddings. */
  readonly model: string;
}

/** A place to look at. */
export interface UsualPlace {
  readonly kind: string;
  readonly port: number;
}

/** In order of preference. */
export const usualPlaces: readonly UsualPlace[] = [
  { kind: 'ollama', port: 11434 },
  { kind: 'llama.cpp', port: 8080 },
  { kind: 'lm-studio', port: 1234 },
  { kind: 'vllm', port: 8000 },
];

/** Options of `findModelServer`. */
export interface DiscoverOptions {
  /** Default: `usualPlaces`. */
  readonly places?: readonly UsualPlace[];
  /** How long one server may take to answer. Default 1,000. */
  readonly timeoutMs?: number;
}

/** The first usual place at which a server lists a model that can chat; undefined when there is none. */
export async function findModelServer(options: DiscoverOptions = {}): Promise<ModelServer | undefined> {
  const { places = usualPlaces, timeoutMs = 1000 } = options;
  const client = new HttpClient({ maxReplyBytes: 1_000_000, redact: redactor([]) });
  try {
    const found = await Promise.all(places.map((place) => look(client, place, timeoutMs).catch(() => undefined)));
    return found.find((server) => server !== undefined);
  } finally {
    await client.close();
  }
}

async function look(
  client: HttpClient,
  { kind, port }: UsualPlace,
  timeoutMs: number,
): Promise<ModelServer | undefined> {
  const endpoint = `http://127.0.0.1:${port}`;
  const url = new URL('/v1/models', endpoint);
  const { status, text } = await client.send({
    method: 'GET',
    url,
    headers: {},
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (status !== 200) return undefined;
  const { data } = JSON.parse(text) as { data?: readonly { id?: unknown }[] };
  const ids = Array.isArray(data) ? data.map(({ id }) => id).filter((id) => typeof id === 'string') : [];
  const model = ids.find((id) => !/embed/i.test(id));
  return model === undefined ? undefined : { kind, endpoint, model };
}
