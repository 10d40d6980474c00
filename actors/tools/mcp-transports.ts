/** The ways to MCP servers: a child process that speaks JSON lines, or HTTP. */
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { FetchLike, Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type JSONRPCMessage, JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import { fetch } from 'undici';
import { TroupeError } from '../../src/core/errors.ts';
import { parseFields } from '../wire/fields.ts';
import { type ChildProcess, startProcess } from '../wire/process.ts';
import { redactor } from '../wire/redact.ts';

/** A server as a program, or at a URL. */
export type McpAddress =
  | {
      readonly type: 'stdio';
      readonly command: string;
      readonly args: readonly string[];
      /** Variables on top of PATH, HOME and the like. */
      readonly env: Readonly<Record<string, string>>;
      readonly cwd?: string;
    }
  | {
      readonly type: 'http' | 'sse';
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
    };

/** Makes the way to a server; nothing is started yet. Throws when the URL is none. */
export function mcpTransport(address: McpAddress): Transport {
  if (address.type === 'stdio') return new StdioTransport(address);
  const options = { requestInit: { headers: { ...address.headers } }, fetch: fetch as unknown as FetchLike };
  const url = new URL(address.url);
  return address.type === 'http'
    ? (new StreamableHTTPClientTransport(url, options) as Transport)
    : new SSEClientTransport(url, options);
}

/** Bytes of one line. A longer one ends the server. */
const maxLineBytes = 16 * 1024 * 1024;

/** How long a server may take to end by itself, and then to end on SIGTERM. */
const endGraces = { inputGraceMs: 500, termGraceMs: 1500 };

/** A server in a child process. Lines that are no message are noise, and skipped. */
class StdioTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #address: Extract<McpAddress, { type: 'stdio' }>;
  #process: ChildProcess | undefined;

  constructor(address: Extract<McpAddress, { type: 'stdio' }>) {
    this.#address = address;
  }

  async start(): Promise<void> {
    const { command, args, env, cwd } = this.#address;
    this.#process = await startProcess({
      ...{ command, args, env, cwd, maxLineBytes },
      redact: redactor(Object.values(env).filter((text) => text.length > 15)),
      onLine: (line) => {
        const message = JSONRPCMessageSchema.safeParse(parseFields(line));
        if (message.success) this.onmessage?.(message.data);
      },
    });
    void this.#process.exited.then(({ code, signal, stderr, failure }) => {
      const how = signal === undefined ? `exit code ${code ?? 'unknown'}` : `signal ${signal}`;
      this.onerror?.(failure ?? new Error(`The server ended (${how}). ${stderr}`.trim()));
      this.onclose?.();
    });
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#process === undefined) throw new TroupeError('TROUPE_ERR_PROCESS_DIED', 'The server does not run.');
    // A server that takes no more is ended; what it still owes fails then, with the reason.
    await this.#process.write(JSON.stringify(message)).catch(() => this.close());
  }

  async close(): Promise<void> {
    await this.#process?.end(endGraces);
  }
}
