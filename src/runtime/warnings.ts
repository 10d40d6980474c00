/** Warnings: what a person should know of an agent and what stops nothing. Each is given once for an agent. */
import { knownFacts } from '../../actors/backends/backend-info.ts';
import type { BackendKind } from '../core/catalog.ts';
import type { AgentRecord } from './agent-record.ts';
import { modelAt, type ResolvedSpec } from './agent-spec.ts';
import type { Backends } from './backends.ts';

/**
 * `model-without-tools`: an agent with tools was spawned on a model that is not known to call any; its server may know
 * better and is asked before the first call. `printed-tool-calls`: a model printed calls as text: see `printedToolCalls`.
 * `prompt-truncated`: a server has cut a prompt without a word.
 */
export type WarningCode = 'model-without-tools' | 'printed-tool-calls' | 'prompt-truncated';

export interface AgentWarning {
  readonly agent: string;
  readonly code: WarningCode;
  readonly message: string;
}

export class Warnings {
  readonly #given = new WeakMap<AgentRecord, Set<WarningCode>>();
  readonly #emit: (warning: AgentWarning) => void;

  constructor(emit: (warning: AgentWarning) => void) {
    this.#emit = emit;
  }

  give(record: AgentRecord, code: WarningCode, message: string): void {
    const given = this.#given.get(record) ?? new Set();
    if (given.has(code)) return;
    this.#given.set(record, given.add(code));
    this.#emit({ agent: record.name, code, message });
  }
}

/** What is to be said of an agent with tools whose model takes none, as far as the catalog knows; nothing is asked. */
export function toolsWarning(spec: ResolvedSpec, backends: Pick<Backends, 'get'>): string | undefined {
  if (spec.tools.definitions.length === 0) return undefined;
  const unable = spec.chain.flatMap((name) => {
    const model = modelAt(spec, name, backends);
    const { tools } = knownFacts(backends.get(name).kind as BackendKind, model);
    return tools === false ? [`"${model}" of backend "${name}"`] : [];
  });
  if (unable.length === 0) return undefined;
  return `The agent has tools, but as far as is known no tool can be called by ${unable.join(', ')}. Name another \`model\`.`;
}
