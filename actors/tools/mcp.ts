/**
 * One connection to an MCP server.
 *
 * P1  Whatever the server does, connecting and each request end: by an answer, a deadline, the signal, or the server's
 *     end; that at once. A request that was given up is cancelled at the server.
 * P2  What it lists is capped and checked: see `mcp-listing.ts`.
 * P3  What it answers is capped before an agent sees it. A late answer is dropped.
 * P4  What it asks of us (sampling, elicitation, roots) is refused with a JSON-RPC error: we say we can do none of it.
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ErrorCode, McpError, ResultSchema } from '@modelcontextprotocol/sdk/types.js';
import type { JsonObject } from '../../src/core/types.ts';
import type { Fields } from '../wire/fields.ts';
import { isSet } from '../wire/fields.ts';
import { CheckedTransport } from './mcp-checked-transport.ts';
import { type Listing, listTools } from './mcp-listing.ts';
import { errorText, resultText } from './mcp-result.ts';

export interface McpOptions {
  /** The way to it, not started yet. */
  readonly transport: Transport;
  /** Milliseconds until it has shown its tools; and for each later list of them. Default 30,000. */
  readonly startTimeoutMs?: number | undefined;
  /** Gives the start up. */
  readonly signal?: AbortSignal;
  /** Its tools have changed, it says. */
  readonly onListChanged?: () => void;
  /** The connection has ended, whoever ended it, with the reason if there is one. */
  readonly onClose?: (reason: string | undefined) => void;
}

/** A server that is connected. */
export interface McpConnection {
  /** The tools that it listed when it was connected. */
  readonly listing: Listing;
  /** Asks for its tools again. */
  list(): Promise<Listing>;
  /** Calls a tool: its result as text. Rejects with what the model is to be told. */
  call(tool: string, args: unknown, options: McpCallOptions): Promise<string>;
  /** Makes any other request. */
  request(method: string, params: JsonObject, options: McpCallOptions): Promise<Fields>;
  /** Ends the connection, and what runs behind it. */
  close(): Promise<void>;
}

export interface McpCallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** What goes along as `_meta`. */
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** Connects to a server and asks for its tools. Rejects with what went wrong; nothing runs on then. */
export async function connectMcp(options: McpOptions): Promise<McpConnection> {
  const { startTimeoutMs = 30_000, onListChanged, onClose } = options;
  const transport = new CheckedTransport(options.transport);
  const client = new Client({ name: 'troupe', version: '1' }, { capabilities: {} });
  let trouble: Error | undefined;
  client.onerror = (error) => {
    trouble = error;
  };
  client.fallbackNotificationHandler = async ({ method }) => {
    if (method === 'notifications/tools/list_changed') onListChanged?.();
  };
  const connection = new Connection(client, transport, () => trouble);
  try {
    const listing = await inTime(startTimeoutMs, options.signal, async () => {
      await client.connect(transport, { timeout: longestMs });
      return connection.list(startTimeoutMs);
    });
    client.onclose = () => onClose?.(trouble && errorText(trouble));
    return Object.assign(connection, { listing });
  } catch (error) {
    await connection.close();
    const reasons = [errorText(error), trouble === undefined ? undefined : errorText(trouble)];
    throw new Error([...new Set(reasons.filter(isSet))].join(': '), { cause: error });
  }
}

class Connection {
  readonly #client: Client;
  readonly #transport: Transport;
  /** What went wrong last beside all requests. */
  readonly #trouble: () => Error | undefined;

  constructor(client: Client, transport: Transport, trouble: () => Error | undefined) {
    this.#client = client;
    this.#transport = transport;
    this.#trouble = trouble;
  }

  async list(timeoutMs = 30_000): Promise<Listing> {
    if (this.#client.getServerCapabilities()?.tools === undefined) return { tools: [], warnings: [] };
    return listTools((params) => this.request('tools/list', params, { timeoutMs }));
  }

  async call(tool: string, args: unknown, options: McpCallOptions): Promise<string> {
    const result = await this.request('tools/call', { name: tool, arguments: args as JsonObject }, options);
    const text = resultText(result);
    if (result['isError'] === true) throw new Error(text);
    return text;
  }

  async request(method: string, params: JsonObject, options: McpCallOptions): Promise<Fields> {
    const { timeoutMs, signal, meta } = options;
    signal?.throwIfAborted();
    // Of its own: the SDK would also cancel at the server what it has answered, when `signal` is aborted later.
    const abort = new AbortController();
    const onAbort = () => abort.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const late = new Error(`The server did not answer ${method} within ${timeoutMs} ms.`);
    const timer = setTimeout(() => abort.abort(late), timeoutMs);
    const request = { method, params: { ...params, ...(meta === undefined ? {} : { _meta: meta }) } };
    try {
      return await this.#client.request(request, ResultSchema, { signal: abort.signal, timeout: longestMs });
    } catch (error) {
      abort.signal.throwIfAborted();
      throw this.#explained(error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#client.close(), this.#transport.close()]);
  }

  /** A connection that ended tells why, where it is known. */
  #explained(error: unknown): Error {
    const isClosed = error instanceof McpError && error.code === ErrorCode.ConnectionClosed;
    const reasons = [errorText(error), isClosed ? this.#trouble()?.message : undefined];
    return new Error(reasons.filter(isSet).join(': '), { cause: error });
  }
}

/** For the SDK's own timer, which is not to fire: an error of the server may look the same as its. */
const longestMs = 2 ** 31 - 1;

/** The work's result, unless its time is over or it is given up first. */
async function inTime<T>(ms: number, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  let giveUp: ((error: unknown) => void) | undefined;
  const givenUp = new Promise<never>((_, reject) => {
    giveUp = reject;
  });
  const timer = setTimeout(() => giveUp?.(new Error(`It was not ready within ${ms} ms`)), ms);
  const onAbort = () => giveUp?.(signal?.reason);
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work(), givenUp]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
