/** The way to an MCP server that lives in the caller: each message is a control request, each answer its response. */
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type JSONRPCMessage, JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import type { ControlResult } from './lines-in.ts';
import type { CallerRequests } from './requests.ts';

/** The client ends a request long before; this only keeps none for ever. */
const timeoutMs = 24 * 3_600_000;

export class CallerTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #server: string;
  readonly #requests: CallerRequests;
  readonly #closed = new AbortController();

  constructor(server: string, requests: CallerRequests) {
    this.#server = server;
    this.#requests = requests;
  }

  async start(): Promise<void> {}

  async send(message: JSONRPCMessage): Promise<void> {
    const request = { subtype: 'mcp_message', server_name: this.#server, message };
    const answered = this.#requests.ask(request, { timeoutMs, signal: this.#closed.signal });
    if ('id' in message && 'method' in message) void answered.then((result) => this.#take(message.id, result));
  }

  /** Takes what the server sends by itself. */
  receive(message: unknown): void {
    const parsed = JSONRPCMessageSchema.safeParse(message);
    if (parsed.success) this.onmessage?.(parsed.data);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.onclose?.();
  }

  #take(id: string | number, result: ControlResult): void {
    if ('response' in result) this.receive(result.response['mcp_response']);
    else this.onmessage?.({ jsonrpc: '2.0', id, error: { code: -32_000, message: result.error } });
  }
}
