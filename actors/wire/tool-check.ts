/**
 * Refuses a model that is known not to call tools before an agent with tools uses it.
 *
 * T1  Only a request with tools asks the server, once for each model, however many ask at once.
 * T2  A yes, and "it does not say", are kept; a no is asked for again: the model behind a name can be exchanged.
 * T3  A server that cannot be asked refuses nothing.
 */
import type { BackendKind } from '../../src/core/catalog.ts';
import { TroupeError } from '../../src/core/errors.ts';
import { modelsOf } from '../../src/core/models.ts';
import type { ModelFacts, ModelRequest } from '../backend.ts';
import { SharedQuestion } from './shared-question.ts';

type Describe = (model: string, signal: AbortSignal) => Promise<ModelFacts>;

/** No call is held up longer than this by a server that does not answer. */
const askTimeoutMs = 2000;
/** Names of models; when there are so many, all are forgotten. */
const maxKept = 1000;

export class ToolCheck {
  readonly #backend: BackendKind;
  readonly #describe: Describe | undefined;
  readonly #models = new Map<string, SharedQuestion<ModelFacts> | 'passed'>();

  /** Without `describe` the server never says no, and nothing is checked. */
  constructor(backend: BackendKind, describe: Describe | undefined) {
    this.#backend = backend;
    this.#describe = describe;
  }

  /** Rejects with `TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED` when the request has tools and its model takes none. */
  async pass({ model, tools, signal }: ModelRequest): Promise<void> {
    const describe = this.#describe;
    const known = this.#models.get(model);
    if (describe === undefined || tools.length === 0 || known === 'passed') return;
    const question = known ?? new SharedQuestion((until) => describe(model, withDeadline(until)));
    this.#keep(model, question);
    const facts = await question.answer(signal).catch(() => undefined);
    if (facts?.tools === false) throw toolsUnsupported(this.#backend, model);
    if (facts !== undefined) this.#keep(model, 'passed');
  }

  #keep(model: string, state: SharedQuestion<ModelFacts> | 'passed'): void {
    if (this.#models.size >= maxKept) this.#models.clear();
    this.#models.set(model, state);
  }
}

function withDeadline(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)]);
}

function toolsUnsupported(backend: BackendKind, model: string): TroupeError {
  const able = modelsOf(backend).filter(({ tools }) => tools);
  const examples = able.slice(0, 3).map(({ id }) => `"${id}"`);
  const message = `${backend}: the model "${model}" cannot call tools, and the agent has some. Name another \`model\`, such as ${examples.join(', ')}, or leave out \`tools\`.`;
  return new TroupeError('TROUPE_ERR_MODEL_TOOLS_UNSUPPORTED', message, { backend, model });
}
