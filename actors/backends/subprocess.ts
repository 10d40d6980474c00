/**
 * Any backend in a process of its own: our wrapper runs it and speaks Claude Code's protocol, so that it has one lifecycle with
 * Claude Code itself. A crash, a leak or a kill of it touches nothing else.
 */
import { fileURLToPath } from 'node:url';
import { type BackendKind, type BackendRow, backendCatalog } from '../../src/core/catalog.ts';
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import type { Clock } from '../../src/core/seams.ts';
import type { Backend } from '../backend.ts';
import { parseBaseUrl } from '../wire/endpoint.ts';
import { backendInfo, inferenceAt } from './backend-info.ts';
import { environment } from './chat-server.ts';
import { type ClaudeProcessOptions, claudeBackend, processRules } from './claude-cli.ts';

/** Options of `subprocess`. */
export interface SubprocessOptions
  extends Pick<
    ClaudeProcessOptions,
    'cwd' | 'maxProcesses' | 'idleMs' | 'startTimeoutMs' | 'endGraceMs' | 'maxReplyBytes'
  > {
  /** The kind of backend that runs in the process. Default `openai`: any server that speaks chat completions. */
  readonly backend?: InnerBackend;
  /** Base URL of its server. Default: the kind's own variable, else its usual place. */
  readonly endpoint?: string;
  /** Default: the kind's own. */
  readonly model?: string;
  /** Default: the kind's own variable, but never to an `endpoint` given here. It is passed by environment, never as an argument. */
  readonly apiKey?: string;
  /** Variables that the process sees besides PATH, HOME and the like. Default: none. */
  readonly env?: Readonly<Record<string, string>>;
  /** The wrapper's program. Default: the one of this package. */
  readonly wrapper?: string;
  /** Default: the process's clock. */
  readonly clock?: Clock;
}

/** The kinds that the wrapper can run. */
export type InnerBackend = Exclude<BackendKind, 'claude' | 'scripted' | 'subprocess'>;

/** Makes a backend whose every agent has a process with a backend of this kind in it. */
export function subprocess(options: SubprocessOptions = {}): Backend {
  checkOptions('subprocess()', options, optionRules);
  const { backend = 'openai', model, wrapper = packagedWrapper, env = {}, clock, ...given } = options;
  const { endpoint: _endpoint, apiKey: _apiKey, ...limits } = given;
  const row: BackendRow = backendCatalog[backend];
  const endpoint = options.endpoint ?? environment(row.variables.endpoint);
  const key = options.apiKey ?? (options.endpoint === undefined ? environment(row.variables.apiKey) : undefined);
  const place = endpoint ?? row.endpoint;
  const inference = endpoint === undefined ? row.inference : inferenceAt(parseBaseUrl(endpoint));
  return claudeBackend('subprocess', {
    ...limits,
    ...(clock === undefined ? {} : { clock }),
    command: process.execPath,
    args: [wrapper],
    model: model ?? environment(row.variables.model) ?? row.model ?? 'default',
    info: backendInfo('subprocess', { inference }),
    env: {
      LLM_BACKEND: backend,
      ...(place === undefined ? {} : { LLM_ENDPOINT: place }),
      ...(key === undefined || row.variables.apiKey === undefined ? {} : { [row.variables.apiKey]: key }),
      ...env,
    },
  });
}

const packagedWrapper = fileURLToPath(new URL('../../src/wrapper/main.js', import.meta.url));

const innerBackends: readonly unknown[] = Object.keys(backendCatalog).filter(
  (kind) => !['claude', 'scripted', 'subprocess'].includes(kind),
);

const optionRules: Readonly<Record<keyof SubprocessOptions, Rule>> = {
  backend: (value) => (innerBackends.includes(value) ? undefined : `one of ${innerBackends.join(', ')}`),
  endpoint: rules.text,
  model: rules.text,
  apiKey: rules.text,
  env: rules.object,
  wrapper: rules.text,
  ...processRules,
};
