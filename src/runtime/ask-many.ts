/** Several asks at once: all of them, or the first that is answered. */
import type { Schema } from '../../actors/tools/schema.ts';
import { TroupeError, toTroupeError } from '../core/errors.ts';
import { checkOptions, rules } from '../core/options.ts';
import type { Agent } from './agent.ts';
import type { AskOptions } from './ask.ts';
import type { AskHandle } from './ask-handle.ts';
import { callSafely } from './guards.ts';
import type { Reply } from './reply.ts';
import type { OutputOf } from './structured-output.ts';

/** One ask to one agent. */
export interface AskRequest<Wanted extends Schema | undefined = undefined> extends AskOptions<Wanted> {
  readonly agent: Agent;
  readonly prompt: string;
}

/** How one of several asks ended. */
export type AskResult<Output = undefined> =
  | { readonly agent: string; readonly reply: Reply<Output>; readonly error?: undefined }
  | { readonly agent: string; readonly error: TroupeError; readonly reply?: undefined };

type AnyRequest = AskRequest<Schema | undefined>;

/** What the answer to a request is in the form of its schema. */
type OutputFor<Request> = Request extends { readonly schema: infer Wanted } ? OutputOf<Wanted> : undefined;

type ResultsOf<Requests extends readonly AnyRequest[]> = {
  -readonly [Key in keyof Requests]: AskResult<OutputFor<Requests[Key]>>;
};

export interface AskAllOptions {
  /** Asks in progress at a time. Default: all. */
  readonly limit?: number;
  /** The first failure cancels the others and is thrown. Default false: each ends for itself. */
  readonly failFast?: boolean;
  /** Aborting it cancels all. */
  readonly signal?: AbortSignal;
  /** Called after each end with how many have ended. */
  readonly onProgress?: (result: AskResult<unknown>, ended: number, total: number) => void;
}

/** Asks all; the results stand in the order of the requests. It rejects only with `failFast`. */
export async function askAll<const Requests extends readonly AnyRequest[]>(
  requests: Requests,
  options: AskAllOptions = {},
): Promise<ResultsOf<Requests>> {
  checkOptions('askAll', options, askAllRules);
  const { limit = requests.length, failFast = false, signal, onProgress } = options;
  const batch = new Batch(signal);
  const results: AskResult<unknown>[] = [];
  const entries = requests.entries();
  let ended = 0;
  const worker = async () => {
    for (const [index, request] of entries) {
      const result = await batch.ask(request);
      results[index] = result;
      ended += 1;
      callSafely(onProgress, result, ended, requests.length);
      if (failFast && result.error !== undefined) throw result.error;
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(limit, requests.length) }, worker));
    return results as ResultsOf<Requests>;
  } finally {
    batch.end();
  }
}

/** The first reply; the other asks are cancelled. When all fail, one error holds every cause. */
export async function race<const Requests extends readonly AnyRequest[]>(
  requests: Requests,
  options: Pick<AskAllOptions, 'signal'> = {},
): Promise<Reply<OutputFor<Requests[number]>>> {
  checkOptions('race', { requests, ...options }, raceRules);
  const batch = new Batch(options.signal);
  try {
    return await Promise.any(
      requests.map(async (request) => {
        const { reply, error } = await batch.ask(request);
        if (reply === undefined) throw error;
        return reply as Reply<OutputFor<Requests[number]>>;
      }),
    );
  } catch (thrown) {
    const causes: readonly TroupeError[] = thrown instanceof AggregateError ? thrown.errors : [];
    const list = causes.map(({ agent, message }) => `${agent}: ${message}`).join(' | ');
    const message = `None of ${requests.length} asks was answered. ${list}`;
    throw new TroupeError('TROUPE_ERR_ASKS_FAILED', message, { cause: thrown });
  } finally {
    batch.end();
  }
}

/** Asks that are cancelled together: by the caller's signal, or when the batch is over. */
class Batch {
  readonly #running = new Set<AskHandle<unknown>>();
  readonly #signal: AbortSignal | undefined;
  #over = false;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    if (signal?.aborted) this.#over = true;
    signal?.addEventListener('abort', this.end, { once: true });
  }

  /** Asks and waits. Once the batch is over, an ask is cancelled as soon as it is made. */
  async ask({ agent, prompt, ...options }: AnyRequest): Promise<AskResult<unknown>> {
    try {
      const handle = agent.askAsync(prompt, options);
      this.#running.add(handle);
      if (this.#over) handle.cancel();
      const reply = await handle.wait().finally(() => this.#running.delete(handle));
      return { agent: agent.name, reply };
    } catch (thrown) {
      return { agent: agent.name, error: toTroupeError(thrown, `Agent "${agent.name}"`) };
    }
  }

  /** Cancels what still runs and lets go of the caller's signal. */
  readonly end = (): void => {
    this.#over = true;
    this.#signal?.removeEventListener('abort', this.end);
    for (const handle of this.#running) handle.cancel();
  };
}

const raceRules = {
  requests: (value: unknown) => (Array.isArray(value) && value.length > 0 ? undefined : 'at least one request'),
  signal: rules.object,
};

const askAllRules = {
  limit: rules.positiveCount,
  failFast: rules.flag,
  signal: rules.object,
  onProgress: rules.callback,
};
