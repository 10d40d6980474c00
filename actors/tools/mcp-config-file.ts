/** MCP servers from a file in the shape of Claude Code's `.mcp.json`. No file is read that nobody named. */
import { readFile } from 'node:fs/promises';
import { reasonOf, TroupeError } from '../../src/core/errors.ts';
import { asFields, type Fields } from '../wire/fields.ts';
import { type McpServerConfig, type McpServers, resolveMcp } from './mcp-config.ts';

export interface McpConfigFileOptions {
  /** Where `${NAME}` and `${NAME:-default}` in the file are looked up. Default: this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What an entry may say; other fields belong to other programs and are passed over. */
const fieldNames: readonly (keyof McpServerConfig)[] = [
  ...(['type', 'command', 'args', 'env', 'cwd', 'url', 'headers', 'tools', 'approve', 'required'] as const),
  ...(['startTimeoutMs', 'callTimeoutMs'] as const),
];

/**
 * Reads `{"mcpServers": {"files": {"command": "…"}}}`: what the file names is started with the rights of this process, so
 * read only files that you trust. Rejects with `TROUPE_ERR_OPTION_INVALID` for a file that is none, a wrong entry or a
 * variable that is not set.
 */
export async function loadMcpConfig(path: string, options: McpConfigFileOptions = {}): Promise<McpServers> {
  const { env = process.env } = options;
  const servers: Record<string, McpServerConfig> = {};
  for (const [name, entry] of Object.entries(await readServers(path))) {
    const given = asFields(entry) ?? {};
    const known = fieldNames.filter((field) => given[field] !== undefined);
    const where = `${path}, MCP server "${name}"`;
    servers[name] = Object.fromEntries(known.map((field) => [field, expand(given[field], { env, where })]));
  }
  resolveMcp(path, servers);
  return servers;
}

async function readServers(path: string): Promise<Fields> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    // The parser's own message quotes the file, which may hold keys.
    throw invalid(
      error instanceof SyntaxError ? `${path} is no valid JSON.` : `Cannot read ${path}: ${reasonOf(error)}.`,
    );
  }
  const servers = asFields(asFields(content)?.['mcpServers']);
  if (servers === undefined) throw invalid(`${path} must be of the form {"mcpServers":{"name":{"command":"…"}}}.`);
  return servers;
}

interface Expansion {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly where: string;
}

/** A value with the variables of all its texts put in. */
function expand(value: unknown, expansion: Expansion): unknown {
  if (typeof value === 'string') return expandText(value, expansion);
  if (Array.isArray(value)) return value.map((item) => expand(item, expansion));
  const fields = asFields(value);
  if (fields === undefined) return value;
  return Object.fromEntries(Object.entries(fields).map(([name, item]) => [name, expand(item, expansion)]));
}

function expandText(text: string, { env, where }: Expansion): string {
  return text.replace(/\$\{(\w+)(?::-([^}]*))?\}/g, (_, name: string, byDefault: string | undefined) => {
    const value = env[name] ?? byDefault;
    if (value === undefined) throw invalid(`${where} wants the variable ${name}, which is not set.`);
    return value;
  });
}

function invalid(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
