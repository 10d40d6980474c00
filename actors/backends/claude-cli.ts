/** The backend for Claude Code: what it is made from. What it does is loaded by the first ask: see `claude-backend.ts`. */
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import type { Clock } from '../../src/core/seams.ts';
import type { Json } from '../../src/core/types.ts';
import type { Backend, BackendInfo } from '../backend.ts';
import { parseBaseUrl } from '../wire/endpoint.ts';
import { backendInfo } from './backend-info.ts';
import { environment } from './chat-server.ts';
import type { ClaudeBackend } from './claude-backend.ts';

/** Options of `claudeCli`. */
export interface ClaudeCliOptions {
  /** The command. Default `claude`, found on the PATH. */
  readonly command?: string;
  /** Arguments before ours. Default: none. */
  readonly args?: readonly string[];
  /** Variables that the command sees besides PATH, HOME and the like. Default: none; nothing else is inherited. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: the variable `ANTHROPIC_MODEL`, else `sonnet`. */
  readonly model?: string;
  /** Default: the variable `ANTHROPIC_API_KEY`, but never for an `endpoint` given here; without one, the login of the user. */
  readonly apiKey?: string;
  /** Base URL of the API, without `/v1`. Default: the variable `ANTHROPIC_BASE_URL`, else Anthropic's. */
  readonly endpoint?: string;
  /** Where the command works: its own tools see files there. Default: the folder of this process. */
  readonly cwd?: string;
  /** Where it keeps sessions and settings. Default: its own, `~/.claude`. */
  readonly configDir?: string;
  /** Its own tools that it may use, such as `Read` or `Bash`. Default: none. */
  readonly builtInTools?: readonly string[];
  /** Rules of what it may do unasked, such as `Bash(git log *)` or `mcp__server`. What is not allowed is denied. Default: none. */
  readonly allowedTools?: readonly string[];
  /** Its permission mode. Default `dontAsk`: whatever would ask a person is denied. */
  readonly permissionMode?: 'dontAsk' | 'acceptEdits' | 'plan' | 'bypassPermissions';
  /** External MCP servers by name, as in its `.mcp.json`; all their tools are allowed. Default: none. */
  readonly mcpServers?: Readonly<Record<string, Json>>;
  /** Processes at a time, each about 200 MB; further agents wait. Default 8. */
  readonly maxProcesses?: number;
  /** Milliseconds after which the process of an idle agent is ended; its next ask starts another. Default 600,000. */
  readonly idleMs?: number;
  /** Milliseconds that a process may take to be ready. Default 30,000. */
  readonly startTimeoutMs?: number;
  /** Milliseconds that a process has at each step of its end: to end by itself, then by SIGTERM. Default 5,000. */
  readonly endGraceMs?: number;
  /** Cap on the characters of one answer. Default 64 Mi. */
  readonly maxReplyBytes?: number;
  /** Default: the process's clock. */
  readonly clock?: Clock;
}

/** Makes a backend that runs Claude Code. The command is looked for at the first ask. */
export function claudeCli(options: ClaudeCliOptions = {}): Backend {
  checkOptions('claudeCli()', options, optionRules);
  const endpoint = options.endpoint ?? environment('ANTHROPIC_BASE_URL');
  // A server of one's own wants no key, but the command does not start without one.
  const ownKey = options.endpoint === undefined ? environment('ANTHROPIC_API_KEY') : 'none';
  const apiKey = options.apiKey ?? ownKey;
  return claudeBackend('claude', {
    ...options,
    ...(endpoint === undefined ? {} : { endpoint: parseBaseUrl(endpoint).href.replace(/\/(?:v1\/?)?$/, '') }),
    ...(apiKey === undefined ? {} : { apiKey }),
    model: options.model ?? environment('ANTHROPIC_MODEL') ?? 'sonnet',
    info: backendInfo('claude'),
  });
}

/** What a backend needs that speaks to a command as to Claude Code. */
export interface ClaudeProcessOptions extends ClaudeCliOptions {
  readonly model: string;
  readonly info: BackendInfo;
}

/** A backend of this kind that speaks to `options.command` as to Claude Code. */
export function claudeBackend(kind: string, options: ClaudeProcessOptions): Backend {
  let loaded: Promise<ClaudeBackend> | undefined;
  const load = () => {
    loaded ??= import('./claude-backend.ts').then((module) => new module.ClaudeBackend(kind, options));
    return loaded;
  };
  return {
    kind,
    model: options.model,
    info: options.info,
    call: async (request) => (await load()).call(request),
    release: async (agent) => (await loaded)?.release(agent),
    close: async () => (await loaded)?.close(),
  };
}

/** What every backend with processes of its own can be told about them. */
export const processRules = {
  cwd: rules.text,
  maxProcesses: rules.positiveCount,
  idleMs: rules.positiveMs,
  startTimeoutMs: rules.positiveMs,
  endGraceMs: rules.positiveMs,
  maxReplyBytes: rules.positiveCount,
  clock: rules.object,
} as const satisfies Partial<Record<keyof ClaudeCliOptions, Rule>>;

const optionRules: Readonly<Record<keyof ClaudeCliOptions, Rule>> = {
  command: rules.text,
  args: rules.list,
  env: rules.object,
  model: rules.text,
  apiKey: rules.text,
  endpoint: rules.text,
  configDir: rules.text,
  builtInTools: rules.list,
  allowedTools: rules.list,
  permissionMode: rules.text,
  mcpServers: rules.object,
  ...processRules,
};
