/**
 * One MCP server of a pool: connected when it is first needed, and again when it is needed after its end.
 *
 * V1  However many wait for it, it is started once.
 * V2  A start ends by its deadline. After three starts more within a minute there is none until a minute has passed.
 * V3  Its list is read again when it says so, at most once a second and with nobody waiting.
 * V4  A call is sent once; when the server ends meanwhile, the call fails.
 * V5  A tool that changed since it was first seen is not called until it is approved.
 */
import { isTroupeError, TroupeError } from '../../src/core/errors.ts';
import type { Clock } from '../../src/core/seams.ts';
import type { JsonObject } from '../../src/core/types.ts';
import type { Fields } from '../wire/fields.ts';
import type { Redact } from '../wire/redact.ts';
import type { McpCallOptions, McpConnection } from './mcp.ts';
import type { McpSettings } from './mcp-config.ts';
import { type ListedTool, type Listing, readPages } from './mcp-listing.ts';
import type { McpPins } from './mcp-pins.ts';

/** What happens at a server beside the calls. */
export type McpEvent =
  | { readonly type: 'mcp-failed'; readonly server: string; readonly error: TroupeError }
  | { readonly type: 'mcp-tool-changed'; readonly server: string; readonly tool: string }
  | { readonly type: 'mcp-warning'; readonly server: string; readonly message: string };

export interface PooledServerOptions {
  readonly settings: Pick<McpSettings, 'name' | 'address' | 'startTimeoutMs'>;
  readonly pins: McpPins;
  readonly clock: Clock;
  readonly onEvent: (event: McpEvent) => void;
}

const maxRestarts = 3;
const restartWindowMs = 60_000;
const betweenListsMs = 1_000;

export class PooledServer {
  readonly name: string;
  readonly #options: PooledServerOptions;
  readonly #closing = new AbortController();
  #tools: readonly ListedTool[] = [];
  #connecting: Promise<McpConnection> | undefined;
  #connection: McpConnection | undefined;
  /** When it was started. */
  #starts: readonly number[] = [];
  #lastFailure: TroupeError | undefined;
  #redact: Redact = (text) => text;
  #listTimer: unknown;
  #listedAt = Number.NEGATIVE_INFINITY;

  constructor(options: PooledServerOptions) {
    this.#options = options;
    this.name = options.settings.name;
  }

  /** Its tools as models are told of them; of a server that is down, those that it had. A new list when they change. */
  get tools(): readonly ListedTool[] {
    return this.#tools;
  }

  /** Whether the last start failed, or the connection was lost since. */
  get isFailed(): boolean {
    return this.#lastFailure !== undefined;
  }

  /** The connection; it is made if there is none. Rejects with `TROUPE_ERR_MCP_SERVER_FAILED`. */
  connect(): Promise<McpConnection> {
    this.#connecting ??= this.#start().catch((thrown: unknown) => {
      this.#connecting = undefined;
      throw thrown;
    });
    return this.#connecting;
  }

  /** Calls a tool: its result as text. Rejects with what the model is to be told. */
  async call(tool: string, args: unknown, options: McpCallOptions): Promise<string> {
    const connection = await this.connect();
    options.signal?.throwIfAborted();
    if (this.#options.pins.isBlocked(tool)) throw new Error(`Tool "${tool}" has changed since it was approved.`);
    return this.#clean(connection.call(tool, args, options));
  }

  /** Makes any other request. */
  async request(method: string, params: JsonObject, options: McpCallOptions): Promise<Fields> {
    const connection = await this.connect();
    return this.#clean(connection.request(method, params, options));
  }

  /** Everything that it lists by this method. */
  async list(method: string, key: string, options: McpCallOptions): Promise<readonly Fields[]> {
    const { items, warnings } = await readPages((params) => this.request(method, params, options), key);
    this.#warn(warnings);
    return items;
  }

  /** Lets a tool be called that has changed. Whether it had changed. */
  approve(tool: string): boolean {
    const { pins } = this.#options;
    if (!pins.approve(tool)) return false;
    this.#tools = this.#tools.map((known) => pins.approved(known.name) ?? known);
    return true;
  }

  /** Ends it. Resolves when its processes are gone. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('It is closed'));
    this.#options.clock.clearTimeout(this.#listTimer);
    await (await this.#connecting?.catch(() => undefined))?.close();
  }

  async #start(): Promise<McpConnection> {
    const { settings, clock } = this.#options;
    const { address, startTimeoutMs } = settings;
    const now = clock.now();
    this.#starts = this.#starts.filter((at) => now - at < restartWindowMs);
    if (this.#starts.length > maxRestarts) throw this.#tooOften(now);
    this.#starts = [...this.#starts, now];
    try {
      const [{ connectMcp }, { mcpTransport, mcpRedactor }] = await Promise.all([
        import('./mcp.ts'),
        import('./mcp-transports.ts'),
      ]);
      this.#redact = mcpRedactor(address);
      this.#closing.signal.throwIfAborted();
      const connection = await connectMcp({
        ...{ transport: mcpTransport(address), startTimeoutMs, signal: this.#closing.signal },
        onListChanged: () => this.#listLater(),
        onClose: (reason) => this.#lost(reason),
      });
      this.#connection = connection;
      this.#lastFailure = undefined;
      this.#listedAt = clock.now();
      this.#take(connection.listing);
      return connection;
    } catch (thrown) {
      throw this.#failed(thrown);
    }
  }

  #lost(reason = 'The connection has ended.'): void {
    this.#connecting = undefined;
    this.#connection = undefined;
    if (!this.#closing.signal.aborted) this.#failed(new Error(reason));
  }

  #failed(thrown: unknown): TroupeError {
    const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
    const retryable = !(isTroupeError(cause) && !cause.retryable) && !/not ready within/.test(String(thrown));
    const message = `MCP server "${this.name}" failed: ${this.#redact(textOf(thrown))}`;
    const error = new TroupeError('TROUPE_ERR_MCP_SERVER_FAILED', message, { retryable });
    this.#lastFailure = error;
    if (!this.#closing.signal.aborted) this.#options.onEvent({ type: 'mcp-failed', server: this.name, error });
    return error;
  }

  #tooOften(now: number): TroupeError {
    const leftMs = Math.ceil((this.#starts[0] ?? now) + restartWindowMs - now);
    const last = this.#lastFailure?.message ?? 'it ended';
    const message = `${last} It was started ${maxRestarts + 1} times within a minute; the next start may be in ${leftMs} ms.`;
    return new TroupeError('TROUPE_ERR_MCP_SERVER_FAILED', message, { retryable: false });
  }

  /** Reads the list soon: of many wishes within a second one counts. */
  #listLater(): void {
    const { clock } = this.#options;
    if (this.#listTimer !== undefined) return;
    const waitMs = Math.max(0, this.#listedAt + betweenListsMs - clock.now());
    this.#listTimer = clock.setTimeout(() => void this.#listAgain(), waitMs);
  }

  async #listAgain(): Promise<void> {
    this.#listTimer = undefined;
    this.#listedAt = this.#options.clock.now();
    const connection = this.#connection;
    const listing = await connection?.list().catch((thrown: unknown) => {
      this.#warn([`Its tools could not be listed again: ${textOf(thrown)}`]);
      return undefined;
    });
    if (listing !== undefined && connection === this.#connection) this.#take(listing);
  }

  #take({ tools, warnings }: Listing): void {
    const taken = this.#options.pins.take(tools);
    this.#tools = taken.tools;
    for (const tool of taken.changed) this.#options.onEvent({ type: 'mcp-tool-changed', server: this.name, tool });
    this.#warn(warnings);
  }

  #warn(warnings: readonly string[]): void {
    for (const message of warnings) {
      this.#options.onEvent({ type: 'mcp-warning', server: this.name, message: this.#redact(message) });
    }
  }

  async #clean<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (thrown) {
      throw new Error(this.#redact(textOf(thrown)));
    }
  }
}

function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
