/** MCP servers as a user names them: checked, with their defaults. */
import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import { TroupeError } from '../../src/core/errors.ts';
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import type { McpAddress } from './mcp-transports.ts';

/** One MCP server: a program (`command`) or an address (`url`), in the shape of Claude Code's `.mcp.json`. */
export interface McpServerConfig {
  /** Default: `stdio` with a `command`; with a `url`, `http`, and `sse` when the server refuses that. */
  readonly type?: 'stdio' | 'http' | 'sse' | undefined;
  /** A program, started without a shell. */
  readonly command?: string | undefined;
  readonly args?: readonly string[] | undefined;
  /** Variables on top of `PATH`, `HOME` and the like: it sees no other of this process. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Its folder. Default: that of this process. */
  readonly cwd?: string | undefined;
  readonly url?: string | undefined;
  /** Sent with every request, to the origin of `url` alone. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A bearer token, or what gives one for each request. Sent to the origin of `url` alone. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** OAuth: what registers, keeps and gives tokens. */
  readonly authProvider?: McpAuthProvider | undefined;
  /** Names of the tools that agents may see, as the server calls them. Default: all. */
  readonly tools?: readonly string[] | undefined;
  /** Each call of its tools waits for approval. Default false. */
  readonly approve?: boolean | undefined;
  /** False: when it cannot be had, agents work without it. Default true: the ask fails. */
  readonly required?: boolean | undefined;
  /** Milliseconds until it has shown its tools. Default 30,000. */
  readonly startTimeoutMs?: number | undefined;
  /** Milliseconds for one call. Default 60,000. */
  readonly callTimeoutMs?: number | undefined;
}

/** The MCP SDK's interface for OAuth, and one method more. */
export interface McpAuthProvider extends OAuthClientProvider {
  /**
   * The code with which the user comes back from where `redirectToAuthorization` has sent them. Default: nobody waits for
   * them; the server fails, and is tried again at the next ask.
   */
  authorizationCode?(): Promise<string>;
}

/** MCP servers by name. */
export type McpServers = Readonly<Record<string, McpServerConfig>>;

/** A server with its defaults filled in. */
export interface McpSettings {
  readonly name: string;
  readonly address: McpAddress;
  /** Undefined: all. */
  readonly tools: readonly string[] | undefined;
  readonly approve: boolean;
  readonly required: boolean;
  readonly startTimeoutMs: number;
  readonly callTimeoutMs: number;
}

/** Checks servers and fills in their defaults. Throws `TROUPE_ERR_OPTION_INVALID`. */
export function resolveMcp(what: string, servers: McpServers): McpSettings[] {
  return Object.entries(servers).map(([name, config]) => {
    if (!isServerName(name))
      throw invalid(`${what}: ${JSON.stringify(name)} is no name of an MCP server: ${nameRule}.`);
    const where = `${what}, MCP server "${name}"`;
    checkOptions(what, { [name]: config }, { [name]: rules.object });
    checkOptions(where, config, configRules);
    const { tools, approve = false, required = true, startTimeoutMs = 30_000, callTimeoutMs = 60_000 } = config;
    return { name, address: addressOf(where, config), tools, approve, required, startTimeoutMs, callTimeoutMs };
  });
}

/** Such names give `server__tool` one meaning: two servers never share a tool's name. */
function isServerName(name: string): boolean {
  return /^[\w-]{1,40}$/.test(name) && !name.includes('__') && !/^_|_$/.test(name);
}

const nameRule = '1 to 40 letters, digits, "-" or single "_" that do not begin or end it';

function addressOf(where: string, config: McpServerConfig): McpAddress {
  const { command, args = [], env = {}, cwd, url, headers = {}, token, authProvider } = config;
  const { type = command === undefined ? 'http-or-sse' : 'stdio' } = config;
  if ((command === undefined) === (url === undefined))
    throw invalid(`${where} needs either a \`command\` or a \`url\`.`);
  if ((type === 'stdio') !== (command !== undefined)) {
    throw invalid(`${where}: \`type\` "${type}" goes with ${type === 'stdio' ? 'a `command`' : 'a `url`'}.`);
  }
  if (type === 'stdio') return { type, command: command ?? '', args, env, ...(cwd === undefined ? {} : { cwd }) };
  return { type, url: url ?? '', headers, token, authProvider };
}

const isUrl: Rule = (value) =>
  typeof value === 'string' && /^https?:$/.test(URL.canParse(value) ? new URL(value).protocol : '')
    ? undefined
    : 'an http or https URL';
const isTexts: Rule = (value) =>
  Array.isArray(value) && value.every((item) => typeof item === 'string') ? undefined : 'an array of strings';
const isTextTable: Rule = (value) =>
  typeof value === 'object' && value !== null && Object.values(value).every((item) => typeof item === 'string')
    ? undefined
    : 'an object of strings';

const configRules: Readonly<Record<keyof McpServerConfig, Rule>> = {
  type: (value) => (['stdio', 'http', 'sse'].includes(value as string) ? undefined : '"stdio", "http" or "sse"'),
  command: rules.text,
  args: isTexts,
  env: isTextTable,
  cwd: rules.text,
  url: isUrl,
  headers: isTextTable,
  // A wrong value may be a secret, so it is not shown.
  token: (value) => (['string', 'function'].includes(typeof value) ? undefined : 'a string or a function'),
  authProvider: rules.object,
  tools: isTexts,
  approve: rules.flag,
  required: rules.flag,
  startTimeoutMs: rules.positiveMs,
  callTimeoutMs: rules.positiveMs,
};

function invalid(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
