/** How Claude Code is started: arguments, environment, and the file of its MCP servers. No secret is ever an argument. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Json, ModelParameters, SessionMark, ToolDefinition } from '../../src/core/types.ts';
import { ownServer } from '../wire/claude-tools.ts';

/** What a command is told whatever it is asked. */
export interface CommandSetup {
  /** Arguments before ours. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly apiKey: string | undefined;
  readonly endpoint: string | undefined;
  readonly configDir: string | undefined;
  readonly builtInTools: readonly string[];
  readonly allowedTools: readonly string[];
  readonly permissionMode: string;
  /** File of the external MCP servers; undefined when there are none. */
  readonly mcpFile: string | undefined;
}

/** What one session is opened for. */
export interface SessionWish {
  readonly id: string;
  readonly model: string;
  readonly tools: readonly ToolDefinition[];
  readonly parameters: ModelParameters;
  /** Where to go on; undefined: from nothing. */
  readonly mark: SessionMark | undefined;
}

/** The arguments of one session. Each is one word: a list would swallow what follows it. */
export function commandArguments(setup: CommandSetup, wish: SessionWish): string[] {
  const { parameters, mark, tools } = wish;
  const schema = parameters.responseFormat?.type === 'schema' ? parameters.responseFormat.schema : undefined;
  const allowed = [...setup.allowedTools, ...(tools.length === 0 ? [] : [`mcp__${ownServer}`])];
  return [
    ...setup.args,
    '-p',
    '--verbose',
    '--input-format=stream-json',
    '--output-format=stream-json',
    '--include-partial-messages',
    `--session-id=${wish.id}`,
    `--model=${wish.model}`,
    `--tools=${setup.builtInTools.join(',')}`,
    ...(allowed.length === 0 ? [] : [`--allowedTools=${allowed.join(',')}`]),
    `--permission-mode=${setup.permissionMode}`,
    '--strict-mcp-config',
    ...(setup.mcpFile === undefined ? [] : [`--mcp-config=${setup.mcpFile}`]),
    // A resumed session would keep the system prompt that it began with.
    '--system-prompt-snapshot=off',
    // `--bare` reads no login: only a key can be used with it.
    setup.apiKey === undefined ? '--setting-sources=' : '--bare',
    ...(schema === undefined ? [] : [`--json-schema=${JSON.stringify(schema)}`]),
    ...(mark === undefined ? [] : [`--resume=${mark.id}`, `--resume-session-at=${mark.entry}`, '--fork-session']),
  ];
}

/** The environment of one session, on top of what any child process sees. */
export function commandEnvironment(setup: CommandSetup, { maxTokens }: ModelParameters): Record<string, string> {
  return {
    // Repeats are the supervisor's: theirs would multiply with ours.
    CLAUDE_CODE_MAX_RETRIES: '0',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_TELEMETRY: '1',
    MCP_TIMEOUT: '15000',
    // What is sent is made smaller by us, if at all: a session that it rewrites cannot be gone on with at our marks.
    DISABLE_AUTO_COMPACT: '1',
    ...(setup.apiKey === undefined ? {} : { ANTHROPIC_API_KEY: setup.apiKey }),
    ...(setup.endpoint === undefined ? {} : { ANTHROPIC_BASE_URL: setup.endpoint }),
    ...(setup.configDir === undefined ? {} : { CLAUDE_CONFIG_DIR: setup.configDir }),
    ...(maxTokens === undefined ? {} : { CLAUDE_CODE_MAX_OUTPUT_TOKENS: String(maxTokens) }),
    ...setup.env,
  };
}

/** A file with the external MCP servers that only its owner can read: they may hold secrets, which arguments would show. */
export class McpFile {
  readonly #servers: Readonly<Record<string, Json>>;
  #path: Promise<string> | undefined;

  constructor(servers: Readonly<Record<string, Json>>) {
    this.#servers = servers;
  }

  /** Its path; undefined when there are no servers. Written when first asked for. */
  async path(): Promise<string | undefined> {
    if (Object.keys(this.#servers).length === 0) return undefined;
    this.#path ??= this.#write().catch((thrown: unknown) => {
      this.#path = undefined;
      throw thrown;
    });
    return this.#path;
  }

  async remove(): Promise<void> {
    if (this.#path !== undefined) await rm(dirname(await this.#path), { recursive: true, force: true });
  }

  async #write(): Promise<string> {
    const path = join(await mkdtemp(join(tmpdir(), 'troupe-mcp-')), 'servers.json');
    await writeFile(path, JSON.stringify({ mcpServers: this.#servers }), { mode: 0o600 });
    return path;
  }
}
