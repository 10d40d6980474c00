/**
 * A real HTTP server that misbehaves on request: the model name `fault:<name>` in the body, or a path that begins with
 * `/fault:<name>/`, chooses what it does. It counts what a client must not cause: requests elsewhere, sockets left open.
 *
 * A test suite brings its own faults.
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What one client sent. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly body: Record<string, unknown> | undefined;
}

/** One request with the means to answer it, well or badly. */
export interface Exchange {
  readonly request: Received;
  readonly response: ServerResponse;
  readonly socket: Socket;
  /** How often this fault was asked for, this time included. */
  readonly times: number;
  /** A second server, to which nothing may ever be sent. */
  readonly elsewhere: string;
  /** Begins a reply. */
  head(status: number, headers?: Record<string, string>): void;
  /** Writes a piece of the body and counts it. Resolves once it is on its way, false when the client has left. */
  write(piece: string | Uint8Array): Promise<boolean>;
  /** Answers with a whole body. */
  reply(status: number, body: string | object, headers?: Record<string, string>): void;
}

/** Answers one request. */
export type Fault = (exchange: Exchange) => void | Promise<void>;

export interface Counts {
  requests: number;
  /** Pieces written by `Exchange.write`. */
  pieces: number;
  /** Replies that the client did not wait for. */
  aborted: number;
  /** Sockets ever opened. */
  sockets: number;
  openSockets: number;
  /** Requests that reached the other server. */
  elsewhere: number;
}

export interface FaultServer {
  readonly url: string;
  readonly requests: readonly Received[];
  readonly counts: Readonly<Counts>;
  /** Resolves as soon as the counts are so. */
  when(isSo: (counts: Readonly<Counts>) => boolean): Promise<void>;
  close(): Promise<void>;
}

/** Starts a server that knows these faults; `ok` answers what asks for none. */
export async function faultServer(faults: Readonly<Record<string, Fault>>): Promise<FaultServer> {
  const tally = new Tally();
  const requests: Received[] = [];
  const times = new Map<string, number>();
  const other = createServer((_request, response) => {
    tally.count('elsewhere');
    response.end('{}');
  });
  const server = createServer({ keepAliveTimeout: 60_000 }, async (incoming, response) => {
    tally.count('requests');
    response.on('close', () => response.writableFinished || tally.count('aborted'));
    const request = await receive(incoming);
    requests.push(request);
    const name = faultName(request);
    times.set(name, (times.get(name) ?? 0) + 1);
    const fault = faults[name] ?? (({ reply }) => reply(418, `no fault is called ${name}`));
    await fault({
      ...{ request, response, socket: incoming.socket, times: times.get(name) ?? 0, elsewhere: urlOf(other) },
      ...meansOf(response, incoming.socket, tally),
    });
  });
  server.on('connection', (socket) => {
    tally.count('sockets');
    tally.count('openSockets');
    socket.on('error', () => {});
    socket.on('close', () => tally.count('openSockets', -1));
  });
  await Promise.all([listen(server), listen(other)]);
  return {
    url: urlOf(server),
    requests,
    counts: tally.counts,
    when: (isSo) => tally.when(isSo),
    close: async () => {
      await Promise.all([shut(server), shut(other)]);
    },
  };
}

/** Counts, and who waits for them. */
class Tally {
  readonly counts: Counts = { requests: 0, pieces: 0, aborted: 0, sockets: 0, openSockets: 0, elsewhere: 0 };
  readonly #waiters = new Set<() => void>();

  count(name: keyof Counts, by = 1): void {
    this.counts[name] += by;
    for (const waiter of [...this.#waiters]) waiter();
  }

  when(isSo: (counts: Readonly<Counts>) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const waiter = () => {
        if (!isSo(this.counts)) return;
        this.#waiters.delete(waiter);
        resolve();
      };
      this.#waiters.add(waiter);
      waiter();
    });
  }
}

function meansOf(response: ServerResponse, socket: Socket, tally: Tally): Pick<Exchange, 'head' | 'write' | 'reply'> {
  return {
    head: (status, headers = {}) => response.writeHead(status, headers).flushHeaders(),
    write: (piece) =>
      new Promise((resolve) => {
        if (response.destroyed || socket.destroyed) return resolve(false);
        tally.count('pieces');
        const left = () => resolve(false);
        response.once('close', left);
        response.write(piece, (error) => {
          response.off('close', left);
          setImmediate(() => resolve(!error));
        });
      }),
    reply: (status, body, headers = {}) => {
      const type = typeof body === 'string' ? 'text/html' : 'application/json';
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      response.writeHead(status, { 'content-type': type, ...headers }).end(text);
    },
  };
}

async function receive(incoming: IncomingMessage): Promise<Received> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(piece as Buffer);
  const text = Buffer.concat(pieces).toString();
  const { method = '', url: path = '', headers } = incoming;
  return { method, path, headers, text, body: json(text) };
}

function json(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function faultName({ path, body }: Received): string {
  const named = /^\/fault:([^/]+)/.exec(path)?.[1] ?? /^fault:(.+)/.exec(String(body?.['model']))?.[1];
  return named ?? 'ok';
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => void server.listen(0, '127.0.0.1', resolve));
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function shut(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
