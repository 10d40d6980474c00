/** What a troupe's MCP servers have besides tools, and the say over tools that changed: `troupe.mcp`. */
import type { McpPool } from '../../actors/tools/mcp-pool.ts';
import type { PooledServer } from '../../actors/tools/mcp-pooled-server.ts';
import { partText } from '../../actors/tools/mcp-result.ts';
import { asFields, asFieldsList, type Fields } from '../../actors/wire/fields.ts';
import { TroupeError } from '../core/errors.ts';

/** A resource that a server lists. */
export interface McpResource {
  readonly uri: string;
  readonly name: string;
  readonly description?: string;
  readonly mimeType?: string;
}

/** One part of a resource: text, or bytes in base64. */
export interface McpResourceContent {
  readonly uri: string;
  readonly mimeType?: string;
  readonly text?: string;
  readonly base64?: string;
}

/** A prompt that a server lists. */
export interface McpPrompt {
  readonly name: string;
  readonly description?: string;
  readonly arguments: readonly { readonly name: string; readonly description?: string; readonly required: boolean }[];
}

/** A message of a prompt; what is no text is a short marker. */
export interface McpPromptMessage {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

export interface McpRequestOptions {
  /** Milliseconds for each request. Default 60,000. */
  readonly timeoutMs?: number;
  /** Gives the request up. */
  readonly signal?: AbortSignal;
}

/**
 * The servers are those of living agents, by their name, and are started where they do not run. Every verb rejects with
 * `TROUPE_ERR_OPTION_INVALID` when no agent has such a server or two have different ones of that name, with
 * `TROUPE_ERR_MCP_SERVER_FAILED` when it cannot be had, and with a plain error when it refuses.
 */
export class TroupeMcp {
  readonly #pool: McpPool;

  constructor(pool: McpPool) {
    this.#pool = pool;
  }

  /** The resources that a server lists. */
  async resources(server: string, options: McpRequestOptions = {}): Promise<McpResource[]> {
    const listed = await this.#server(server).list('resources/list', 'resources', limits(options));
    return listed.map((item) => ({
      uri: textIn(item, 'uri') ?? '',
      name: textIn(item, 'name') ?? '',
      ...details(item),
    }));
  }

  /** What stands in a resource. */
  async readResource(server: string, uri: string, options: McpRequestOptions = {}): Promise<McpResourceContent[]> {
    const result = await this.#server(server).request('resources/read', { uri }, limits(options));
    return asFieldsList(result['contents']).map((part) => {
      const { mimeType } = details(part);
      const text = textIn(part, 'text');
      const base64 = textIn(part, 'blob');
      return {
        uri: textIn(part, 'uri') ?? uri,
        ...(mimeType !== undefined && { mimeType }),
        ...(text !== undefined && { text }),
        ...(base64 !== undefined && { base64 }),
      };
    });
  }

  /** The prompts that a server lists. */
  async prompts(server: string, options: McpRequestOptions = {}): Promise<McpPrompt[]> {
    const listed = await this.#server(server).list('prompts/list', 'prompts', limits(options));
    return listed.map((item) => {
      const { description } = details(item);
      return {
        name: textIn(item, 'name') ?? '',
        ...(description !== undefined && { description }),
        arguments: asFieldsList(item['arguments']).map((argument) => {
          const about = details(argument).description;
          const known = { name: textIn(argument, 'name') ?? '', required: argument['required'] === true };
          return about === undefined ? known : { ...known, description: about };
        }),
      };
    });
  }

  /** The messages of a prompt with its arguments filled in. */
  async prompt(
    server: string,
    name: string,
    args: Readonly<Record<string, string>> = {},
    options: McpRequestOptions = {},
  ): Promise<McpPromptMessage[]> {
    const result = await this.#server(server).request('prompts/get', { name, arguments: args }, limits(options));
    return asFieldsList(result['messages']).map(({ role, content }) => ({
      role: role === 'assistant' ? 'assistant' : 'user',
      content: partText(asFields(content) ?? {}),
    }));
  }

  /**
   * Lets a tool, by the server's own name for it, be called again after its description or schema changed (event
   * `mcp-tool-changed`): models are told the new one from then on. Throws `TROUPE_ERR_OPTION_INVALID` when no such tool
   * has changed.
   */
  approve(server: string, tool: string): void {
    const approved = this.#pool.named(server).map((one) => one.approve(tool));
    if (approved.includes(true)) return;
    throw invalid(`No tool "${tool}" of an MCP server "${server}" has changed.`);
  }

  #server(name: string): PooledServer {
    const [server, ...others] = this.#pool.named(name);
    if (others.length > 0) throw invalid(`Agents have different MCP servers "${name}"; give them names of their own.`);
    if (server !== undefined) return server;
    const known = this.#pool.names.map((one) => `"${one}"`).join(', ') || 'none';
    throw invalid(`No living agent has an MCP server "${name}"; there are: ${known}.`);
  }
}

function limits({ timeoutMs = 60_000, signal }: McpRequestOptions) {
  return { timeoutMs, signal };
}

function details(fields: Fields): { readonly description?: string; readonly mimeType?: string } {
  const description = textIn(fields, 'description');
  const mimeType = textIn(fields, 'mimeType');
  return { ...(description !== undefined && { description }), ...(mimeType !== undefined && { mimeType }) };
}

function textIn(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' ? value : undefined;
}

function invalid(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
