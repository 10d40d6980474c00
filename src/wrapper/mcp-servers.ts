/**
 * The MCP servers of the session: those of `--mcp-config`, those that the caller adds, and those that live in the caller.
 * Each connects in the background; a turn waits for all of them, each for no longer than its own time. One that cannot be
 * had is listed as failed, and the turn goes on without its tools.
 */
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { mcpName } from '../../actors/tools/mcp-names.ts';
import { mcpTool } from '../../actors/tools/mcp-tool.ts';
import type { McpAddress } from '../../actors/tools/mcp-transports.ts';
import type { Tool } from '../../actors/tools/tool.ts';
import { reasonOf } from '../core/errors.ts';
import type { CallerTransport } from './mcp-caller.ts';
import type { CallerRequests } from './requests.ts';

/** Where a server is: the caller's own, or at an address. */
export type McpPlace = { readonly type: 'sdk' } | McpAddress;

export interface McpServersOptions {
  readonly requests: CallerRequests;
  /** Milliseconds until a server has shown its tools. */
  readonly startTimeoutMs: number;
  /** Milliseconds for one call. */
  readonly callTimeoutMs: number;
  readonly onTrouble: (message: string) => void;
}

interface Slot {
  readonly name: string;
  readonly place: McpPlace;
  status: 'pending' | 'connected' | 'failed';
  error?: string;
  transport?: Transport;
  tools?: readonly Tool[];
  /** Settles when it is connected or has failed; never rejects. */
  ready: Promise<void>;
  /** When it lives in the caller. */
  caller?: CallerTransport;
}

export class McpServers {
  readonly #options: McpServersOptions;
  readonly #slots = new Map<string, Slot>();

  constructor(options: McpServersOptions) {
    this.#options = options;
  }

  /** Begins to connect to a server, unless there is one of this name. */
  add(name: string, place: McpPlace): void {
    if (this.#slots.has(name)) return;
    const slot: Slot = { name, place, status: 'pending', ready: Promise.resolve() };
    this.#slots.set(name, slot);
    slot.ready = this.#connect(slot).catch((error: unknown) => this.#failed(slot, reasonOf(error)));
  }

  /** Ends a server. */
  async remove(name: string): Promise<void> {
    const slot = this.#slots.get(name);
    this.#slots.delete(name);
    await slot?.transport?.close().catch(() => {});
    await slot?.ready;
  }

  /** Makes the servers those of the table, but for those of the command line. What changed, as the protocol wants it. */
  async set(places: ReadonlyMap<string, McpPlace>, kept: ReadonlySet<string>): Promise<object> {
    const removed = [...this.#slots.keys()].filter((name) => !places.has(name) && !kept.has(name));
    const added = [...places.keys()].filter((name) => !this.#slots.has(name));
    await Promise.all(removed.map((name) => this.remove(name)));
    for (const name of added) this.add(name, places.get(name) ?? { type: 'sdk' });
    await this.ready();
    const failed = added.map((name) => [name, this.#slots.get(name)?.error] as const);
    return { added, removed, errors: Object.fromEntries(failed.filter(([, error]) => error !== undefined)) };
  }

  /** Resolves when none is on its way. */
  async ready(): Promise<void> {
    await Promise.all([...this.#slots.values()].map(({ ready }) => ready));
  }

  /** The tools of all that are connected; of two with one name the first counts. */
  tools(): Tool[] {
    const tools = new Map<string, Tool>();
    for (const slot of this.#slots.values()) {
      for (const tool of slot.tools ?? []) {
        if (!tools.has(tool.definition.name)) tools.set(tool.definition.name, tool);
      }
    }
    return [...tools.values()];
  }

  status(): { name: string; status: string; source: string; error?: string }[] {
    return [...this.#slots.values()].map(({ name, status, error, place }) => {
      const source = place.type === 'sdk' ? 'sdk' : 'dynamic';
      return { name, status, source, ...(error === undefined ? {} : { error }) };
    });
  }

  /** Takes what a server in the caller sends by itself. Whether there is such a server. */
  receive(name: string, message: Readonly<Record<string, unknown>>): boolean {
    const { caller } = this.#slots.get(name) ?? {};
    caller?.receive(message);
    return caller !== undefined;
  }

  /** Ends all. */
  async close(): Promise<void> {
    await Promise.all([...this.#slots.keys()].map((name) => this.remove(name)));
  }

  async #connect(slot: Slot): Promise<void> {
    const { startTimeoutMs, callTimeoutMs } = this.#options;
    const { connectMcp } = await import('../../actors/tools/mcp.ts');
    const transport = await this.#transport(slot);
    slot.transport = transport;
    if (this.#slots.get(slot.name) !== slot) return;
    const server = await connectMcp({
      ...{ transport, startTimeoutMs },
      onClose: () => this.#failed(slot, 'The connection has ended.'),
    });
    slot.tools = server.listing.tools.map((listed) =>
      mcpTool(mcpName(slot.name, listed.name), listed, (args, { callId, signal }) => {
        const meta = { 'claudecode/toolUseId': callId };
        return server.call(listed.name, args, { signal, timeoutMs: callTimeoutMs, meta });
      }),
    );
    slot.status = 'connected';
  }

  async #transport(slot: Slot): Promise<Transport> {
    const { name, place } = slot;
    if (place.type !== 'sdk') return (await import('../../actors/tools/mcp-transports.ts')).mcpTransport(place);
    const { CallerTransport } = await import('./mcp-caller.ts');
    slot.caller = new CallerTransport(name, this.#options.requests);
    return slot.caller;
  }

  #failed(slot: Slot, error: string): void {
    if (this.#slots.get(slot.name) !== slot) return;
    slot.status = 'failed';
    slot.error = error;
    this.#options.onTrouble(`MCP server "${slot.name}": ${error}`);
  }
}
