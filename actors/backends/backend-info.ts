/**
 * What a built-in backend says of itself, from its row of the catalog:
 * `info: backendInfo('anthropic')`, or `backendInfo('openai', { inference: 'local' })` where it is used elsewhere than usual.
 */
import { type BackendKind, type BackendRow, backendCatalog, type Inference } from '../../src/core/catalog.ts';
import { modelInfo, modelsOf } from '../../src/core/models.ts';
import type { BackendInfo, ModelFacts } from '../backend.ts';
import { isLocalHost } from '../wire/endpoint.ts';

export interface BackendPlace {
  /** Where this one's model runs. Default: where that kind usually does. */
  readonly inference?: Inference;
  /** Default: what the place costs; tokens of a provider are paid for. */
  readonly price?: BackendInfo['price'];
  /** Whether it has a model for embeddings. Default false. */
  readonly embeds?: boolean;
}

/** The info of a kind of backend. What is weighed of its usual place is left out at another. */
export function backendInfo(kind: BackendKind, place: BackendPlace = {}): BackendInfo {
  const row: BackendRow = backendCatalog[kind];
  const { inference = row.inference, embeds = false } = place;
  const isUsual = inference === row.inference;
  const usualPrice = inference === 'cloud' ? 'per-token' : 'free';
  const { gpu, latency, privacy, quality, bestFor } = row;
  return {
    inference,
    price: place.price ?? (isUsual ? row.price : usualPrice),
    capabilities: row.capabilities.filter((can) => can !== 'embeddings' || embeds),
    setup: row.setup,
    ...(row.variables.apiKey === undefined ? {} : { keyVariable: row.variables.apiKey }),
    ...(isUsual ? { tradeOffs: { gpu, latency, privacy, quality, bestFor } } : {}),
    models: modelsOf(kind),
  };
}

/** Where the model of a server runs, by the server's address. */
export function inferenceAt({ hostname }: URL): Inference {
  return isLocalHost(hostname) ? 'local' : 'cloud';
}

/** What is known beforehand of a model at this kind of backend, when its server does not say. */
export function knownFacts(kind: BackendKind, model: string): ModelFacts {
  const known = modelInfo(model);
  if (known === undefined || !known.backends.includes(kind)) return {};
  const { contextTokens, tools } = known;
  return contextTokens === undefined ? { tools } : { contextTokens, tools };
}
