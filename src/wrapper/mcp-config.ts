/** MCP servers as `--mcp-config` and `mcp_set_servers` name them: data from outside, checked. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { asFields, type Fields, parseFields } from '../../actors/wire/fields.ts';
import { TroupeError } from '../core/errors.ts';
import { textOf } from './lines-in.ts';
import type { McpPlace } from './mcp-servers.ts';

export interface McpPlaces {
  readonly places: ReadonlyMap<string, McpPlace>;
  /** What was wrong with the rest. */
  readonly problems: readonly string[];
}

/** Reads configurations, each a file or JSON. Throws `TROUPE_ERR_OPTION_INVALID` for what is neither. */
export async function readMcpConfigs(configs: readonly string[], cwd: string): Promise<McpPlaces> {
  const tables = await Promise.all(configs.map((config) => readConfig(config, cwd)));
  return mcpPlaces(Object.fromEntries(tables.flatMap((table) => Object.entries(table))));
}

/** Reads a table of servers by name. */
export function mcpPlaces(table: Fields): McpPlaces {
  const places = new Map<string, McpPlace>();
  const problems: string[] = [];
  for (const [name, value] of Object.entries(table)) {
    const place = placeOf(asFields(value) ?? {});
    if (place !== undefined) places.set(name, place);
    else problems.push(`MCP server "${name}" needs a \`command\`, or a \`type\` of "http" or "sse" with a \`url\`.`);
  }
  return { places, problems };
}

async function readConfig(config: string, cwd: string): Promise<Fields> {
  const text = config.trimStart().startsWith('{')
    ? config
    : await readFile(resolve(cwd, config), 'utf8').catch(() => '');
  const servers = asFields(parseFields(text)?.['mcpServers']);
  if (servers !== undefined) return servers;
  const message = '--mcp-config must be a file, or JSON, of the form {"mcpServers":{"name":{"command":"…"}}}.';
  throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}

function placeOf(server: Fields): McpPlace | undefined {
  const { type = 'stdio', command, args, env, url, headers, cwd } = server;
  if (type === 'sdk') return { type };
  if (type === 'stdio' && typeof command === 'string') {
    const list = Array.isArray(args) ? args.filter((arg) => typeof arg === 'string') : [];
    const folder = textOf(cwd);
    return { type, command, args: list, env: texts(env), ...(folder !== undefined && { cwd: folder }) };
  }
  if ((type === 'http' || type === 'sse') && typeof url === 'string' && URL.canParse(url)) {
    return { type, url, headers: texts(headers) };
  }
  return undefined;
}

function texts(value: unknown): Record<string, string> {
  const entries = Object.entries(asFields(value) ?? {});
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}
