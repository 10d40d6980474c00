/** The backends of a troupe: configured ones by name, built-in ones by their kind with defaults, made when first used. */
import type { Backend } from '../../actors/backend.ts';
import { anthropic } from '../../actors/backends/anthropic.ts';
import { claudeCli } from '../../actors/backends/claude-cli.ts';
import { offline } from '../../actors/backends/offline.ts';
import { ollama } from '../../actors/backends/ollama.ts';
import { openai } from '../../actors/backends/openai.ts';
import { llamaCpp, lmStudio, localAi, vllm } from '../../actors/backends/presets.ts';
import { subprocess } from '../../actors/backends/subprocess.ts';
import { TroupeError } from '../core/errors.ts';
import type { Rule } from '../core/options.ts';

/** Backends that are usable by name with no configuration; their keys and endpoints come from the environment. */
const builtIn: Readonly<Record<string, () => Backend>> = {
  claude: () => claudeCli(),
  offline: () => offline(),
  openai: () => openai(),
  anthropic: () => anthropic(),
  ollama: () => ollama(),
  llamaCpp: () => llamaCpp(),
  vllm: () => vllm(),
  lmStudio: () => lmStudio(),
  localAi: () => localAi(),
  subprocess: () => subprocess(),
};

/** The default of `defaults.backend` when the troupe has no backend of its own. */
export const embeddedBackend = 'offline';

/** The rule of an option that names a backend, or is one. */
export const isBackend: Rule = (value) =>
  typeof value === 'string' || (typeof value === 'object' && value !== null && 'call' in value)
    ? undefined
    : 'a name or a backend';

export class Backends {
  readonly #byName: Map<string, Backend>;

  constructor(configured: Readonly<Record<string, Backend>>) {
    this.#byName = new Map(Object.entries(configured));
  }

  get names(): string[] {
    return [...new Set([...this.#byName.keys(), ...Object.keys(builtIn)])];
  }

  /** The backend of this name. Throws `TROUPE_ERR_BACKEND_UNKNOWN`, or what its factory throws. */
  get(name: string): Backend {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const make = Object.hasOwn(builtIn, name) ? builtIn[name] : undefined;
    if (make === undefined) {
      const message = `There is no backend "${name}"; there are "${this.names.join('", "')}".`;
      throw new TroupeError('TROUPE_ERR_BACKEND_UNKNOWN', message, { backend: name });
    }
    const backend = make();
    this.#byName.set(name, backend);
    return backend;
  }

  /** The name of a backend object that was passed instead of a name; it joins under its kind, numbered if that is taken. */
  nameOf(backend: Backend): string {
    for (const [name, known] of this.#byName) if (known === backend) return name;
    let name = backend.kind;
    for (let number = 2; this.names.includes(name); number += 1) name = `${backend.kind}-${number}`;
    this.#byName.set(name, backend);
    return name;
  }

  /**
   * Lets these backends end what they keep for an agent. Resolves when they have, whether it went well or not; undefined when
   * none of them keeps anything.
   */
  release(names: readonly string[], agent: string): Promise<unknown> | undefined {
    const keepers = names.map((name) => this.#byName.get(name)).filter((backend) => backend?.release !== undefined);
    if (keepers.length === 0) return undefined;
    return Promise.allSettled(keepers.map(async (backend) => backend?.release?.(agent)));
  }

  /** Closes every backend that was made. Rejects with the first failure when all are closed. */
  async close(): Promise<void> {
    const closed = await Promise.allSettled([...this.#byName.values()].map((backend) => backend.close?.()));
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }
}
