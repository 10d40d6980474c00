/**
 * The worlds of the contract: every backend, each with a server that the scripted model runs in.
 * Another backend is another object in `worlds`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend } from '../../actors/backend.ts';
import { anthropic } from '../../actors/backends/anthropic.ts';
import { claudeCli } from '../../actors/backends/claude-cli.ts';
import { offline } from '../../actors/backends/offline.ts';
import { ollama } from '../../actors/backends/ollama.ts';
import { openai } from '../../actors/backends/openai.ts';
import { llamaCpp, lmStudio, localAi, vllm } from '../../actors/backends/presets.ts';
import { subprocess } from '../../actors/backends/subprocess.ts';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { ModelParameters } from '../../src/core/types.ts';
import { builtWrapper } from '../wrapper/built.ts';
import type { Failure } from './model.ts';
import { type ModelServer, type ModelServerOptions, modelServer } from './server.ts';

/** A backend under test and what it needs around it. */
export interface World {
  readonly name: string;
  make(options: PlaceOptions): Promise<Place>;
  /** What a case may need and this world does not have, with the reason. */
  readonly lacks: Readonly<Partial<Record<Need, string>>>;
  /** Parameters that reach the model. */
  readonly parameters: readonly (keyof ModelParameters)[];
  /** Kinds of tokens that the backend is told of, besides those of prompt and answer. */
  readonly cacheTokens: readonly ('cacheReadTokens' | 'cacheWriteTokens')[];
  /** What an answer without a word is: an answer, or an error of this code. */
  readonly emptyAnswer: 'answer' | ErrorCode;
  /** Who the messages of its errors say has failed. Default: its kind. */
  readonly blames?: string;
  /** Failures after which what runs in its processes asks again of its own accord. Default: none. */
  readonly repeats?: readonly Failure[];
  /** The client says more in the system text than it is told to. */
  readonly addsToSystem: boolean;
  /** How long one case may take before it counts as hung. */
  readonly timeoutMs: number;
}

/**
 * `model`: the scripted model answers. `whole`: answers can be asked for in one piece. `cost`: it tells what an answer cost.
 * `process`: it runs processes. `shell`: they run commands. `cut`: it can be caught in the middle of an answer.
 * `vectors`: it makes vectors of texts.
 */
export type Need = 'model' | 'whole' | 'cost' | 'process' | 'shell' | 'cut' | 'vectors';

export interface PlaceOptions extends ModelServerOptions {
  /** False: the backend asks for whole answers. */
  readonly stream?: boolean;
}

/** A world that is there: to be closed after the troupe that uses it. */
export interface Place {
  readonly backend: Backend;
  readonly server: ModelServer;
  /** Ids of the processes that the backend has started, children of children included, that live. */
  processes(): readonly number[];
  close(): Promise<void>;
}

type HttpOptions = { readonly endpoint: string; readonly stream?: boolean };

const sampling = ['temperature', 'topP', 'maxTokens', 'stop', 'seed'] as const;
const noCost = 'its protocol tells no cost';
const noProcess = 'it starts no process';
const noVectors = 'it makes no vectors';

/** The model for embeddings, where there is one. */
export const vectorModel = 'contract-vectors';
const own = { embeddingModel: vectorModel };

function httpWorld(name: string, make: (options: HttpOptions) => Backend, more: Partial<World> = {}): World {
  return {
    ...{ name, parameters: sampling, cacheTokens: ['cacheReadTokens'], emptyAnswer: 'answer', addsToSystem: false },
    timeoutMs: 10_000,
    lacks: { cost: noCost, process: noProcess, shell: noProcess },
    make: async ({ stream = true, ...options }) => {
      const server = await modelServer(options);
      const backend = make({ endpoint: server.url, stream });
      return { backend, server, processes: () => [], close: () => server.close() };
    },
    ...more,
  };
}

type ProcessOptions = {
  readonly endpoint: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
};

/** A world whose agents have processes: in an environment by which each of them, whoever its parent is, can be found. */
export function processWorld(
  name: string,
  make: (options: ProcessOptions) => Backend,
  more: Partial<World> = {},
): World {
  return {
    ...{ name, parameters: ['maxTokens'], cacheTokens: ['cacheReadTokens', 'cacheWriteTokens'], timeoutMs: 60_000 },
    ...{ emptyAnswer: 'TROUPE_ERR_BACKEND_STREAM_CUT', addsToSystem: true },
    lacks: { whole: 'it always streams', vectors: noVectors },
    make: async ({ stream: _always, ...options }) => {
      const [server, cwd] = await Promise.all([modelServer(options), mkdtemp(join(tmpdir(), 'troupe-contract-'))]);
      const backend = make({ endpoint: server.url, cwd, env: { TROUPE_CONTRACT: cwd } });
      return {
        ...{ backend, server, processes: () => processesWith(`TROUPE_CONTRACT=${cwd}`) },
        close: async () => {
          await server.close();
          await rm(cwd, { recursive: true, force: true });
        },
      };
    },
    ...more,
  };
}

const rulesOnly = 'it answers by rules of its own';
const fakeClaude = new URL('../fixtures/claude/fake-claude.mjs', import.meta.url).pathname;

/** Every backend. */
export const worlds: readonly World[] = [
  httpWorld('openai', (options) => openai({ ...options, ...own, apiKey: 'contract-key' })),
  httpWorld('llamaCpp', (options) => llamaCpp({ ...options, ...own })),
  httpWorld('vllm', (options) => vllm({ ...options, ...own })),
  httpWorld('lmStudio', (options) => lmStudio({ ...options, ...own })),
  httpWorld('localAi', (options) => localAi({ ...options, ...own })),
  httpWorld('ollama', (options) => ollama({ ...options, ...own }), { cacheTokens: [] }),
  httpWorld('ollama by chat completions', (options) => ollama({ ...options, ...own, protocol: 'openai' })),
  httpWorld('anthropic', (options) => anthropic({ ...options, apiKey: 'contract-key', model: 'claude-sonnet-5-5' }), {
    parameters: ['temperature', 'topP', 'maxTokens', 'stop'],
    cacheTokens: ['cacheReadTokens', 'cacheWriteTokens'],
    lacks: { cost: noCost, process: noProcess, shell: noProcess, vectors: noVectors },
  }),
  httpWorld('offline', () => offline(), {
    lacks: {
      ...{ model: rulesOnly, whole: rulesOnly, cost: rulesOnly, process: noProcess, shell: noProcess },
      ...{ vectors: noVectors },
      cut: 'it has answered before anybody can cut it short',
    },
  }),
  processWorld('claude', (options) =>
    claudeCli({
      ...{ command: process.execPath, args: [fakeClaude], apiKey: 'contract-key', configDir: options.cwd },
      ...{ builtInTools: ['Bash'], allowedTools: ['Bash'], ...options },
    }),
  ),
  processWorld(
    'subprocess',
    (options) => subprocess({ ...options, backend: 'openai', wrapper: builtWrapper(), model: 'contract-model' }),
    {
      ...{ addsToSystem: false, blames: 'openai', repeats: ['400-context'] },
      lacks: {
        ...{ whole: 'it always streams', cost: noCost, shell: 'its wrapper runs no commands', vectors: noVectors },
      },
    },
  ),
];

/** Processes in whose environment this is. */
function processesWith(variable: string): readonly number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => environmentOf(pid).includes(variable)).map(Number);
}

/** Empty when the process is gone, though nobody has fetched its exit code yet. */
function environmentOf(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
