/** The ways to MCP servers: a child process that speaks JSON lines, or HTTP. */
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { TroupeError } from '../../src/core/errors.ts';
import { type ChildProcess, startProcess } from '../wire/process.ts';
import { type Redact, redactor, secretsOf } from '../wire/redact.ts';
import type { McpAuthProvider } from './mcp-config.ts';
import { HttpTransport } from './mcp-http.ts';

/** A server as a program, or at a URL. */
export type McpAddress = McpProgram | McpSite;

export interface McpProgram {
  readonly type: 'stdio';
  readonly command: string;
  readonly args: readonly string[];
  /** Variables on top of PATH, HOME and the like. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface McpSite {
  /** `http-or-sse`: by the old protocol when the server refuses the new one. */
  readonly type: 'http' | 'sse' | 'http-or-sse';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly token?: string | (() => string | Promise<string>) | undefined;
  readonly authProvider?: McpAuthProvider | undefined;
}

/** Makes the way to a server; nothing is started yet. Throws when the URL is none. */
export function mcpTransport(address: McpAddress): Transport {
  return address.type === 'stdio' ? new StdioTransport(address) : new HttpTransport(address);
}

/** Cleans texts of what the configuration of a server keeps secret. */
export function mcpRedactor(address: McpAddress): Redact {
  if (address.type !== 'stdio') {
    const { headers, token } = address;
    return redactor([...secretsOf(headers), typeof token === 'string' ? token : undefined]);
  }
  const long = Object.values(address.env).filter((text) => text.length > 15);
  const named = address.args.flatMap((arg, index) => {
    if (!/key|token|secret|password/i.test(arg)) return [];
    return [arg.includes('=') ? arg.slice(arg.indexOf('=') + 1) : address.args[index + 1]];
  });
  return redactor([...long, ...secretsOf(address.env), ...named]);
}

/** Bytes of one line. A longer one ends the server. */
const maxLineBytes = 16 * 1024 * 1024;

/** How long a server may take to end by itself, and then to end on SIGTERM. */
const endGraces = { inputGraceMs: 500, termGraceMs: 1500 };

/** How long whoever holds the output of a server that has exited may still write for it. */
const outputGraceMs = 200;

/** A server in a child process. Lines that are no JSON are noise, and skipped. */
class StdioTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #address: McpProgram;
  #starting: Promise<ChildProcess> | undefined;

  constructor(address: McpProgram) {
    this.#address = address;
  }

  async start(): Promise<void> {
    const { command, args, env, cwd } = this.#address;
    this.#starting = startProcess({
      ...{ command, args, env, cwd, maxLineBytes, outputGraceMs, redact: mcpRedactor(this.#address) },
      // What it is, is checked behind here.
      onLine: (line) => this.onmessage?.(parseJson(line) as JSONRPCMessage),
    });
    void (await this.#starting).exited.then(({ code, signal, stderr, failure }) => {
      const how = signal === undefined ? `exit code ${code ?? 'unknown'}` : `signal ${signal}`;
      this.onerror?.(failure ?? new Error(`The server ended (${how}). ${stderr}`.trim()));
      this.onclose?.();
    });
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#starting === undefined) throw new TroupeError('TROUPE_ERR_PROCESS_DIED', 'The server does not run.');
    // A server that takes no more is ended; what it still owes fails then, with the reason.
    await (await this.#starting).write(JSON.stringify(message)).catch(() => this.close());
  }

  async close(): Promise<void> {
    await (await this.#starting?.catch(() => undefined))?.end(endGraces);
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
