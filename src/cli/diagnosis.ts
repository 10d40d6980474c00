/** Which backends this machine has, which models, and how to get the rest. It asks no server elsewhere. */
import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Backend, ModelFacts } from '../../actors/backend.ts';
import { ollama } from '../../actors/backends/ollama.ts';
import { llamaCpp, lmStudio, vllm } from '../../actors/backends/presets.ts';
import { type DiscoverOptions, type Probe, probeServers } from '../../actors/discover.ts';
import { type BackendKind, type BackendRow, backendCatalog } from '../core/catalog.ts';
import { count, oneLine } from './terminal.ts';

/** One backend as it was found. */
export interface Diagnosis {
  readonly backend: BackendKind;
  readonly state: 'ready' | 'missing';
  readonly inference: BackendRow['inference'];
  readonly price: BackendRow['price'];
  readonly bestFor: string;
  /** What was found, or what stands against it. */
  readonly found: string;
  /** Its first models, with what the server says of them. */
  readonly models?: readonly FoundModel[];
  /** How to get it; absent when it is ready. */
  readonly todo?: string;
}

interface FoundModel extends ModelFacts {
  readonly id: string;
}

/** Looks at every backend; the rows stand in order of preference. */
export async function diagnose(options: DiscoverOptions = {}): Promise<Diagnosis[]> {
  const embedded = ready('offline', 'embedded rules, no language model: `troupe review` works with it');
  const servers = probeServers(options).then((probes) => Promise.all(probes.map(server)));
  const [found, claude] = await Promise.all([servers, claudeRow()]);
  return [embedded, ...found, byVariable('openai'), byVariable('anthropic'), claude];
}

function ready(backend: BackendKind, found: string): Diagnosis {
  const { inference, price, bestFor } = backendCatalog[backend];
  return { backend, state: 'ready', inference, price, bestFor, found };
}

function missing(backend: BackendKind, found: string): Diagnosis {
  return { ...ready(backend, found), state: 'missing', todo: backendCatalog[backend].setup };
}

const shownModels = 5;

async function server({ backend, endpoint, models, problem }: Probe): Promise<Diagnosis> {
  if (problem !== undefined) return missing(backend, `${endpoint}: ${problem}`);
  const described = await describeModels(backend, endpoint, models.slice(0, shownModels));
  const more = models.length > shownModels ? `, and ${count(models.length - shownModels, 'other')}` : '';
  return { ...ready(backend, `${endpoint}: ${described.map(modelText).join(', ')}${more}`), models: described };
}

/** Backends whose servers stand on this machine. */
const makers: { readonly [kind in BackendKind]?: (options: { readonly endpoint: string }) => Backend } = {
  ollama,
  llamaCpp,
  lmStudio,
  vllm,
};
const describeTimeoutMs = 2000;

async function describeModels(kind: BackendKind, endpoint: string, ids: readonly string[]): Promise<FoundModel[]> {
  const backend = makers[kind]?.({ endpoint });
  try {
    const signal = AbortSignal.timeout(describeTimeoutMs);
    const describe = async (id: string) => ({ id, ...(await backend?.describeModel?.(id, signal).catch(() => ({}))) });
    return await Promise.all(ids.map(describe));
  } finally {
    await backend?.close?.();
  }
}

function modelText({ id, contextTokens, tools }: FoundModel): string {
  const window = contextTokens === undefined ? [] : [`${contextTokens} tokens`];
  const calls = tools === undefined ? [] : [tools ? 'tools' : 'no tools'];
  const said = [...window, ...calls];
  return said.length === 0 ? id : `${id} (${said.join(', ')})`;
}

/** A provider is there when a variable of its is set; whether the key is good only a call that costs would show. */
function byVariable(kind: 'openai' | 'anthropic'): Diagnosis {
  const { apiKey, authToken, endpoint }: BackendRow['variables'] = backendCatalog[kind].variables;
  const set = [apiKey, authToken, endpoint].find((name) => name !== undefined && (process.env[name] ?? '') !== '');
  return set === undefined ? missing(kind, `no ${apiKey}`) : ready(kind, `${set} is set; not asked`);
}

const versionTimeoutMs = 5000;

async function claudeRow(): Promise<Diagnosis> {
  const path = await onPath('claude');
  if (path === undefined) return missing('claude', 'no `claude` on the PATH');
  const { PATH = '', HOME = '' } = process.env;
  const asked = {
    env: { PATH, HOME },
    timeout: versionTimeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 64 * 1024,
  } as const;
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], asked);
    return ready('claude', `${path}, version ${oneLine(stdout).slice(0, 80)}`);
  } catch {
    return missing('claude', `${path} does not say its version`);
  }
}

/** Where a command stands on the PATH. */
async function onPath(command: string): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const names = process.platform === 'win32' ? [`${command}.exe`, `${command}.cmd`] : [command];
  for (const path of folders.flatMap((folder) => names.map((name) => join(folder, name)))) {
    const works = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (works) return path;
  }
  return undefined;
}
