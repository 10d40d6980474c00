/** Several asks at once: all of them, or the first that is answered. */
import { TroupeError as Failure, type TroupeError, toTroupeError } from '../core/errors.ts';
import { checkOptions, rules } from '../core/options.ts';
import type { Agent } from './agent.ts';
import type { AskOptions } from './ask.ts';
import type { Reply } from './reply.ts';

/** One ask to one agent. */
export interface AskRequest extends AskOptions {
  readonly agent: Agent;
  readonly prompt: string;
}

/** How one of several asks ended. */
export type AskResult =
  | { readonly agent: string; readonly reply: Reply; readonly error?: undefined }
  | { readonly agent: string; readonly error: TroupeError; readonly reply?: undefined };

export interface AskAllOptions {
  /** Asks in progress at a time. Default: all. */
  readonly limit?: number;
  /** The first failure cancels the others and is thrown. Default false: each ends for itself. */
  readonly failFast?: boolean;
  /** Aborting it cancels all. */
  readonly signal?: AbortSignal;
  /** Called after each end with how many have ended. */
  readonly onProgress?: (result: AskResult, ended: number, total: number) => void;
}

/** Asks all; the results stand in the order of the requests. It rejects only with `failFast`. */
export async function askAll(requests: readonly AskRequest[], options: AskAllOptions = {}): Promise<AskResult[]> {
  checkOptions('askAll', options, askAllRules);
  const { limit = requests.length, failFast = false, signal, onProgress } = options;
  const stop = new AbortController();
  const results: AskResult[] = [];
  const entries = requests.entries();
  let ended = 0;
  const worker = async () => {
    for (const [index, request] of entries) {
      const result = await askOne(request, [stop.signal, signal, request.signal]);
      results[index] = result;
      ended += 1;
      onProgress?.(result, ended, requests.length);
      if (failFast && result.error !== undefined) throw result.error;
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(limit, requests.length) }, worker));
    return results;
  } finally {
    stop.abort();
  }
}

/** The first reply; the other asks are cancelled. When all fail, one error holds every cause. */
export async function race(
  requests: readonly AskRequest[],
  options: Pick<AskAllOptions, 'signal'> = {},
): Promise<Reply> {
  checkOptions(
    'race',
    { requests },
    { requests: (value) => ((value as []).length > 0 ? undefined : 'at least one request') },
  );
  const stop = new AbortController();
  try {
    return await Promise.any(
      requests.map(async (request) => {
        const { reply, error } = await askOne(request, [stop.signal, options.signal, request.signal]);
        if (reply === undefined) throw error;
        return reply;
      }),
    );
  } catch (thrown) {
    const causes: readonly TroupeError[] =
      thrown instanceof AggregateError ? thrown.errors : [toTroupeError(thrown, 'race')];
    const list = causes.map(({ agent, message }) => `${agent}: ${message}`).join(' | ');
    throw new Failure('TROUPE_ERR_ASKS_FAILED', `None of ${requests.length} asks was answered. ${list}`, {
      cause: thrown,
    });
  } finally {
    stop.abort();
  }
}

async function askOne(request: AskRequest, signals: readonly (AbortSignal | undefined)[]): Promise<AskResult> {
  const { agent, prompt, ...options } = request;
  const signal = AbortSignal.any(signals.filter((one) => one !== undefined));
  try {
    return { agent: agent.name, reply: await agent.ask(prompt, { ...options, signal }) };
  } catch (thrown) {
    return { agent: agent.name, error: toTroupeError(thrown, `Agent "${agent.name}"`) };
  }
}

const askAllRules = {
  limit: rules.positiveCount,
  failFast: rules.flag,
  signal: rules.object,
  onProgress: rules.callback,
};
