/** A backend with one of its models, as what may be chosen for a task: data, so that a choice can be repeated and tested. */
import type { BackendRow, Capability, Inference } from './catalog.ts';
import { type ModelPrice, modelInfo } from './models.ts';
import { type PriceTable, priceTable } from './prices.ts';

/** What a task may need of the backend and its model. */
export type Need = Capability | 'images';

/** What may be chosen. */
export interface Candidate {
  /** Its name in the troupe. */
  readonly name: string;
  /** The kind of backend: `ollama`, or a word of your own. */
  readonly kind: string;
  readonly model: string;
  readonly inference: Inference;
  /** 0 and 0 when it is free; undefined when it is not known. */
  readonly price: ModelPrice | undefined;
  readonly capabilities: readonly Need[];
  /** The largest context, prompt and answer together; undefined when it is not known. */
  readonly contextTokens: number | undefined;
  /** Whether it is set up and may be called now. */
  readonly available: boolean;
  /** Why it is not available, in a few words. */
  readonly reason?: string;
}

/** What is known of a backend. A `Backend` fits as it is, and so does a row of the catalog as `info`. */
export interface CandidateFacts {
  /** Default: the kind. */
  readonly name?: string;
  readonly backend: {
    readonly kind: string;
    readonly model: string;
    readonly info: Pick<BackendRow, 'inference' | 'price' | 'capabilities'>;
  };
  /** Default: the backend's own. */
  readonly model?: string;
  /** What the server says of the model; it counts before what the catalog knows. */
  readonly facts?: { readonly contextTokens?: number; readonly tools?: boolean; readonly images?: boolean };
  /** Default: the prices of the catalog. */
  readonly prices?: PriceTable;
  /** Why it cannot be called now: not set up, cooling down. Absent: it can. */
  readonly unavailable?: string | undefined;
}

/** Makes a candidate: what the backend can do, less what its model cannot, with the model's window and price. */
export function candidateOf(given: CandidateFacts): Candidate {
  const { backend, name = backend.kind, model = backend.model, facts = {}, prices = priceTable(), unavailable } = given;
  const known = modelInfo(model);
  const { tools = known?.tools ?? true, images = takesImages(known?.id ?? model) } = facts;
  const { inference, capabilities } = backend.info;
  return {
    name,
    kind: backend.kind,
    model,
    inference,
    price: prices.priceOf(model, backend.info),
    capabilities: [...capabilities.filter((can) => can !== 'tools' || tools), ...(images ? (['images'] as const) : [])],
    contextTokens: facts.contextTokens ?? known?.contextTokens,
    available: unavailable === undefined,
    ...(unavailable !== undefined && { reason: unavailable }),
  };
}

/** Whether a model is known to take pictures, by the begin of its id. */
function takesImages(model: string): boolean {
  return ['claude-', 'gpt-4o', 'gpt-4.1', 'gemma3'].some((begin) => model.startsWith(begin));
}
