/**
 * The MCP servers of a troupe: one connection for each distinct configuration, shared by all agents that name it.
 *
 * W1  A server runs while an agent holds it, and a little longer, so that a fork or another agent finds it running.
 * W2  Nothing is started before it is needed.
 * W3  After `close` no server runs.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../src/core/seams.ts';
import type { McpSettings } from './mcp-config.ts';
import { McpPins } from './mcp-pins.ts';
import { type McpEvent, PooledServer } from './mcp-pooled-server.ts';

export interface McpPoolOptions {
  readonly clock: Clock;
  readonly onEvent: (event: McpEvent) => void;
}

/** A server as one agent holds it. */
export interface McpLease {
  readonly server: PooledServer;
  readonly settings: McpSettings;
  /** Gives it back; again does nothing. */
  release(): void;
}

interface Slot {
  readonly server: PooledServer;
  holders: number;
  lingering: unknown;
}

const lingerMs = 5_000;

export class McpPool {
  readonly #options: McpPoolOptions;
  readonly #slots = new Map<string, Slot>();
  /** They outlive the servers: one that comes back must say the same of its tools. */
  readonly #pins = new Map<string, McpPins>();
  readonly #closings = new Set<Promise<void>>();
  /** Functions and objects of configurations, each by a number. */
  readonly #numbers = new WeakMap<object, number>();
  #count = 0;

  constructor(options: McpPoolOptions) {
    this.#options = options;
  }

  /** Holds a server for an agent. */
  lease(settings: McpSettings): McpLease {
    const key = this.#keyOf(settings);
    const slot = this.#slots.get(key) ?? this.#add(key, settings);
    slot.holders += 1;
    this.#options.clock.clearTimeout(slot.lingering);
    let isHeld = true;
    const release = () => {
      if (isHeld) this.#giveBack(key, slot);
      isHeld = false;
    };
    return { server: slot.server, settings, release };
  }

  /** The servers of this name. */
  named(name: string): PooledServer[] {
    return [...this.#slots.values()].map(({ server }) => server).filter((server) => server.name === name);
  }

  /** The names of all servers. */
  get names(): string[] {
    return [...new Set([...this.#slots.values()].map(({ server }) => server.name))];
  }

  /** Ends all servers. Resolves when their processes are gone. */
  async close(): Promise<void> {
    for (const [key, slot] of [...this.#slots]) this.#end(key, slot);
    await Promise.all(this.#closings);
  }

  #add(key: string, settings: McpSettings): Slot {
    const pins = this.#pins.get(key) ?? new McpPins();
    this.#pins.set(key, pins);
    const slot: Slot = {
      server: new PooledServer({ ...this.#options, settings, pins }),
      holders: 0,
      lingering: undefined,
    };
    this.#slots.set(key, slot);
    return slot;
  }

  #giveBack(key: string, slot: Slot): void {
    slot.holders -= 1;
    if (slot.holders > 0) return;
    slot.lingering = this.#options.clock.setTimeout(() => this.#end(key, slot), lingerMs);
  }

  #end(key: string, slot: Slot): void {
    if (this.#slots.get(key) !== slot) return;
    this.#slots.delete(key);
    this.#options.clock.clearTimeout(slot.lingering);
    const closing = slot.server.close().catch(() => {});
    this.#closings.add(closing);
    void closing.then(() => this.#closings.delete(closing));
  }

  /** The same for two servers exactly when one connection can serve both. A hash: the configuration may hold secrets. */
  #keyOf({ name, address, startTimeoutMs }: McpSettings): string {
    const fields = Object.entries(address).filter(([, value]) => value !== undefined);
    const canonical = fields.map(([field, value]) => [field, this.#plain(value)] as const).sort(byName);
    return createHash('sha256')
      .update(JSON.stringify([name, startTimeoutMs, canonical]))
      .digest('hex');
  }

  /** A table by its sorted entries; what is no data (a hook) by a number, the same only for itself. */
  #plain(value: unknown): unknown {
    if (typeof value !== 'object' && typeof value !== 'function') return value;
    if (value === null || Array.isArray(value)) return value;
    if (isTable(value)) return Object.entries(value).sort(byName);
    const number = this.#numbers.get(value) ?? this.#count++;
    this.#numbers.set(value, number);
    return { number };
  }
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function isTable(value: object): value is Readonly<Record<string, string>> {
  return typeof value === 'object' && Object.values(value).every((item) => typeof item === 'string');
}
