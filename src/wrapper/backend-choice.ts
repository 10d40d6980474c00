/** The backend that the environment names: LLM_BACKEND, LLM_ENDPOINT, LLM_MODEL, LLM_STREAM and the key of its kind. */
import type { Backend } from '../../actors/backend.ts';
import { anthropic } from '../../actors/backends/anthropic.ts';
import { offline } from '../../actors/backends/offline.ts';
import { ollama } from '../../actors/backends/ollama.ts';
import { openai } from '../../actors/backends/openai.ts';
import { llamaCpp, lmStudio, localAi, vllm } from '../../actors/backends/presets.ts';
import { type BackendKind, type BackendRow, backendCatalog } from '../core/catalog.ts';
import { TroupeError } from '../core/errors.ts';
import type { Environment } from './session-file.ts';

/** Where an `openai` server is looked for when LLM_ENDPOINT does not say, and which model it is asked for. */
const defaults = { endpoint: 'http://localhost:11434', model: 'llama3' };

export interface BackendChoice {
  /** The model when the command line names none; undefined: the backend's own. */
  readonly model: string | undefined;
  /** The variable that gave the key, or `none`. */
  readonly keySource: string;
  /** Makes the backend. Throws what its factory throws. */
  make(): Backend;
}

interface Settings {
  readonly endpoint?: string;
  readonly model?: string;
  readonly apiKey?: string;
  readonly stream?: boolean;
}

const makers: Readonly<Partial<Record<BackendKind, (settings: Settings) => Backend>>> = {
  openai,
  anthropic,
  ollama: ({ apiKey: _none, ...settings }) => ollama(settings),
  llamaCpp,
  vllm,
  lmStudio,
  localAi,
  offline: () => offline(),
};

/** Reads the environment. Throws `TROUPE_ERR_BACKEND_UNKNOWN`. A key goes to no server that LLM_ENDPOINT does not name. */
export function chooseBackend(environment: Environment): BackendChoice {
  const { LLM_BACKEND, LLM_ENDPOINT, LLM_MODEL, LLM_STREAM } = environment;
  const name = LLM_BACKEND || 'openai';
  const make = Object.hasOwn(makers, name) ? makers[name as BackendKind] : undefined;
  if (make === undefined) {
    const message = `LLM_BACKEND names no backend: "${name}". There are "${Object.keys(makers).join('", "')}".`;
    throw new TroupeError('TROUPE_ERR_BACKEND_UNKNOWN', message);
  }
  const isOpenAi = name === 'openai';
  const endpoint = LLM_ENDPOINT || (isOpenAi ? defaults.endpoint : undefined);
  const model = LLM_MODEL || (isOpenAi ? defaults.model : undefined);
  // Without LLM_ENDPOINT a backend finds its own key for its own place; the place that `openai` has here is none of its.
  const { apiKey: variable }: BackendRow['variables'] = backendCatalog[name as BackendKind].variables;
  const key = variable === undefined ? undefined : environment[variable] || undefined;
  const apiKey = LLM_ENDPOINT ? key : undefined;
  const settings: Settings = {
    ...(endpoint !== undefined && { endpoint }),
    ...(model !== undefined && { model }),
    ...(apiKey !== undefined && { apiKey }),
    ...(LLM_STREAM === 'false' && { stream: false }),
  };
  const sendsKey = key !== undefined && (LLM_ENDPOINT || !isOpenAi);
  return { model, keySource: (sendsKey && variable) || 'none', make: () => make(settings) };
}
