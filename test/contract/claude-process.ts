/** A command that speaks Claude Code's protocol, driven by hand: lines in, lines out. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Body } from './dialect.ts';

export class ClaudeProcess {
  /** What it has said so far, line by line; what is no object is in `garbage`. */
  readonly lines: Body[] = [];
  readonly garbage: string[] = [];
  stderr = '';
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  readonly child: ChildProcessWithoutNullStreams;
  readonly #watchers = new Set<() => void>();
  #seen = 0;

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, args, { env, cwd: env['HOME'], stdio: 'pipe' });
    this.child.stdin.on('error', () => {});
    this.child.stderr.on('data', (bytes) => {
      this.stderr += bytes;
    });
    createInterface({ input: this.child.stdout }).on('line', (line) => this.#take(line));
    this.exited = new Promise((resolve) => this.child.on('close', (code, signal) => resolve({ code, signal })));
  }

  send(message: object): void {
    this.write(`${JSON.stringify(message)}\n`);
  }

  write(text: string): void {
    this.child.stdin.write(text);
  }

  endInput(): void {
    this.child.stdin.end();
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.child.kill(signal);
  }

  /** The next line of this kind, after the one that was returned last. */
  next(isSo: (line: Body) => boolean): Promise<Body> {
    return new Promise((resolve) => {
      const watcher = () => {
        const at = this.lines.findIndex((line, index) => index >= this.#seen && isSo(line));
        const found = this.lines[at];
        if (found === undefined) return;
        this.#seen = at + 1;
        this.#watchers.delete(watcher);
        resolve(found);
      };
      this.#watchers.add(watcher);
      watcher();
    });
  }

  #take(text: string): void {
    const line = parse(text);
    if (line === undefined) this.garbage.push(text);
    else {
      this.lines.push(line);
      this.#serveTools(line);
    }
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Answers like an MCP server with one tool, `ask`. */
  #serveTools({ type, request_id, request }: Body): void {
    const { subtype, message } = (request ?? {}) as Body;
    if (type !== 'control_request' || subtype !== 'mcp_message') return;
    const { id = 0, method } = message as Body;
    const result = mcpResults[String(method)] ?? {};
    const response = { mcp_response: { jsonrpc: '2.0', id, result } };
    this.send({ type: 'control_response', response: { subtype: 'success', request_id, response } });
  }
}

const mcpResults: Readonly<Record<string, object>> = {
  initialize: {
    protocolVersion: '2025-11-25',
    capabilities: { tools: {} },
    serverInfo: { name: 'troupe', version: '1' },
  },
  'tools/list': { tools: [{ name: 'ask', description: 'Asks.', inputSchema: { type: 'object' } }] },
  'tools/call': { content: [{ type: 'text', text: 'reply from bob' }] },
};

function parse(text: string): Body | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Body) : undefined;
  } catch {
    return undefined;
  }
}
