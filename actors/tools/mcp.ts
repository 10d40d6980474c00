/**
 * The tools of one MCP server, as tools of an agent.
 *
 * P1  Whatever the server does, connecting and each call end: by an answer, its deadline, the signal, or the server's end.
 * P2  What it lists is capped and checked: at most 128 tools, each with a name and an object schema; the rest is left out.
 * P3  What it answers is capped before an agent sees it. A late answer is dropped.
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { JsonObject } from '../../src/core/types.ts';
import { asFields, type Fields, isSet } from '../wire/fields.ts';
import { mcpName } from './mcp-names.ts';
import { errorText, resultText } from './mcp-result.ts';
import type { Tool, ToolContext } from './tool.ts';

export interface McpOptions {
  /** Its name, which begins the names of its tools. */
  readonly name: string;
  /** The way to it, not started yet. */
  readonly transport: Transport;
  /** Milliseconds for the handshake, and for each page of the list. Default 30,000. */
  readonly startTimeoutMs?: number | undefined;
  /** Milliseconds for one call. Default 120,000. */
  readonly callTimeoutMs?: number | undefined;
  /** What goes along with a call as its `_meta`. Default: nothing. */
  readonly callMeta?: (context: ToolContext) => Record<string, unknown>;
  /** The connection has ended, whoever ended it. */
  readonly onClose?: () => void;
}

/** A server that is connected. */
export interface McpServer {
  readonly name: string;
  readonly tools: readonly Tool[];
  /** Ends the connection, and what runs behind it. */
  close(): Promise<void>;
}

const maxTools = 128;
const maxPages = 32;
const maxDescriptionLength = 4096;

/** Connects to a server and asks for its tools. Rejects with what went wrong; nothing runs on then. */
export async function connectMcp(options: McpOptions): Promise<McpServer> {
  const { name, transport, startTimeoutMs: timeout = 30_000, onClose } = options;
  const client = new Client({ name: 'troupe', version: '1' }, { capabilities: {} });
  let trouble: Error | undefined;
  client.onerror = (error) => {
    trouble = error;
  };
  try {
    await client.connect(transport, { timeout });
    const tools = await listTools(client, options);
    if (onClose !== undefined) client.onclose = onClose;
    return { name, tools, close: () => client.close() };
  } catch (error) {
    await Promise.allSettled([client.close(), transport.close()]);
    throw new Error([errorText(error), trouble === error ? undefined : trouble?.message].filter(isSet).join(': '));
  }
}

async function listTools(client: Client, options: McpOptions): Promise<Tool[]> {
  if (client.getServerCapabilities()?.tools === undefined) return [];
  const tools = new Map<string, Tool>();
  let cursor: unknown;
  for (let page = 0; page < maxPages && tools.size < maxTools; page += 1) {
    const params = typeof cursor === 'string' ? { cursor } : {};
    const timeout = options.startTimeoutMs ?? 30_000;
    const result: Fields = await client.request({ method: 'tools/list', params }, ResultSchema, { timeout });
    for (const listed of Array.isArray(result['tools']) ? result['tools'] : []) {
      const tool = toolOf(client, options, asFields(listed) ?? {});
      if (tool !== undefined && tools.size < maxTools && !tools.has(tool.definition.name)) {
        tools.set(tool.definition.name, tool);
      }
    }
    if (result['nextCursor'] === undefined || result['nextCursor'] === cursor) break;
    cursor = result['nextCursor'];
  }
  return [...tools.values()];
}

/** A listed tool; undefined when it is none that can be used. */
function toolOf(client: Client, options: McpOptions, listed: Fields): Tool | undefined {
  const { name, description } = listed;
  const schema = asFields(listed['inputSchema']);
  if (typeof name !== 'string' || name === '' || schema?.['type'] !== 'object') return undefined;
  return {
    definition: {
      name: mcpName(options.name, name),
      description: typeof description === 'string' ? description.slice(0, maxDescriptionLength) : '',
      parameters: schema as JsonObject,
    },
    // The server checks its arguments itself, and says better what is wrong with them.
    check: async (args) => (asFields(args) === undefined ? { problem: 'they must be an object' } : { value: args }),
    run: (args, context) => call(client, options, { name, args, context }),
  };
}

interface Call {
  readonly name: string;
  readonly args: unknown;
  readonly context: ToolContext;
}

async function call(client: Client, options: McpOptions, { name, args, context }: Call): Promise<string> {
  const { callTimeoutMs: timeout = 120_000, callMeta } = options;
  const meta = callMeta === undefined ? {} : { _meta: callMeta(context) };
  const request = { method: 'tools/call' as const, params: { name, arguments: args as JsonObject, ...meta } };
  const limits = { signal: context.signal, timeout, maxTotalTimeout: timeout };
  const result: Fields = await client.request(request, ResultSchema, limits).catch((error: unknown) => {
    throw new Error(errorText(error));
  });
  const text = resultText(result);
  if (result['isError'] === true) throw new Error(text);
  return text;
}
