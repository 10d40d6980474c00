/**
 * A real HTTP server that misbehaves on request: the model name `fault:<name>` in the body, or a path that begins with
 * `/fault:<name>/`, chooses what it does. It counts what a client must not cause: requests elsewhere, sockets left open.
 *
 * A test suite brings its own faults; `httpFaults(dialect)` are those of any protocol, told in the words of one.
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
interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly body: Record<string, unknown> | undefined;
}

/** One request with the means to answer it, well or badly. */
interface Exchange {
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

interface Counts {
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
  const counts: Counts = { requests: 0, pieces: 0, aborted: 0, sockets: 0, openSockets: 0, elsewhere: 0 };
  const requests: Received[] = [];
  const times = new Map<string, number>();
  const waiters = new Set<() => void>();
  const count = (name: keyof Counts, by = 1) => {
    counts[name] += by;
    for (const waiter of [...waiters]) waiter();
  };
  const other = createServer((_request, response) => {
    count('elsewhere');
    response.end('{}');
  });
  const server = createServer({ keepAliveTimeout: 60_000 }, async (incoming, response) => {
    count('requests');
    response.on('close', () => response.writableFinished || count('aborted'));
    const request = await receive(incoming);
    requests.push(request);
    const name = faultName(request);
    times.set(name, (times.get(name) ?? 0) + 1);
    const fault = faults[name] ?? (({ reply }) => reply(418, `no fault is called ${name}`));
    await fault({
      request,
      response,
      socket: incoming.socket,
      times: times.get(name) ?? 0,
      elsewhere: urlOf(other),
      head: (status, headers = {}) => response.writeHead(status, headers).flushHeaders(),
      write: (piece) =>
        new Promise((resolve) => {
          if (response.destroyed || incoming.socket.destroyed) return resolve(false);
          count('pieces');
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
    });
  });
  server.on('connection', (socket) => {
    count('sockets');
    count('openSockets');
    socket.on('error', () => {});
    socket.on('close', () => count('openSockets', -1));
  });
  await Promise.all([listen(server), listen(other)]);
  return {
    url: urlOf(server),
    requests,
    counts,
    when: (isSo) =>
      new Promise((resolve) => {
        const waiter = () => {
          if (!isSo(counts)) return;
          waiters.delete(waiter);
          resolve();
        };
        waiters.add(waiter);
        waiter();
      }),
    close: async () => {
      await Promise.all([shut(server), shut(other)]);
    },
  };
}

/** What one protocol says when all is well, in the pieces in which a fault may break it. */
export interface Dialect {
  readonly contentType: string;
  /** The beginning of a stream: at least one piece of text of the answer. */
  readonly begin: readonly string[];
  /** The rest of it: more text, the finish reason, usage, the terminal event. */
  readonly end: readonly string[];
  /** The body of an error. */
  error(message: string, type?: string, code?: string | number | null): object;
}

/** Faults of status lines, headers, sockets and bodies: the same for every protocol. */
export function httpFaults(dialect: Dialect): Record<string, Fault> {
  const { error } = dialect;
  const whole = [...dialect.begin, ...dialect.end].join('');
  const html = '<!doctype html><html><body><h1>Welcome to nginx!</h1></body></html>';
  const begin = async (exchange: Exchange, headers: Record<string, string> = {}) => {
    exchange.head(200, { 'content-type': dialect.contentType, ...headers });
    for (const piece of dialect.begin) await exchange.write(piece);
  };
  const ok: Fault = async (exchange) => {
    await begin(exchange);
    for (const piece of dialect.end) await exchange.write(piece);
    exchange.response.end();
  };
  const bytes = (split: (text: string) => readonly Uint8Array[], text = whole): Fault => {
    return async ({ head, write, response }) => {
      head(200, { 'content-type': dialect.contentType });
      for (const piece of split(text)) await write(piece);
      response.end();
    };
  };
  const asOne = (text: string) => [Buffer.from(text)];
  const one = (text: string) => Array.from(Buffer.from(text), (byte) => Uint8Array.of(byte));
  const raw =
    (text: string): Fault =>
    ({ socket }) =>
      void socket.end(text);
  const limited = (headers: Record<string, string>, type = 'rate_limit_error'): Fault => {
    return ({ reply }) => reply(429, error('Rate limit reached', type), headers);
  };
  const redirect =
    (status: number): Fault =>
    ({ reply, elsewhere }) =>
      reply(status, '', { location: `${elsewhere}/v1/chat/completions` });
  const forever = async ({ write }: Exchange, piece: string) => {
    while (await write(piece));
  };
  return {
    ok,
    '429-seconds': limited({ 'retry-after': '7' }),
    '429-ms': limited({ 'retry-after-ms': '1500', 'retry-after': '2' }),
    '429-date': limited({ 'retry-after': 'Wed, 21 Oct 2065 07:28:00 GMT' }),
    '429-huge': limited({ 'retry-after': '86400' }),
    '429-none': limited({}),
    '429-garbage': limited({ 'retry-after': 'soon, maybe in 5 minutes' }),
    '429-negative': limited({ 'retry-after': '-5' }),
    '429-quota': ({ reply }) =>
      reply(429, error('You exceeded your current quota', 'insufficient_quota', 'insufficient_quota')),
    '402': ({ reply }) => reply(402, error('Payment required')),
    '400-usage-limits': ({ reply }) => reply(400, error('You have reached your specified API usage limits.')),
    '400': ({ reply }) => reply(400, error("'messages' is required", 'invalid_request_error')),
    '403': ({ reply }) => reply(403, error('Country not supported', 'permission_error')),
    '404-model': ({ reply }) => reply(404, error("model 'x' not found", 'not_found_error')),
    '404-route': ({ reply }) => reply(404, error('File Not Found', 'not_found_error', 404)),
    '413': ({ reply }) => reply(413, html),
    '401-echo': ({ reply, request }) => {
      const sent = `${request.headers.authorization} ${request.headers['x-api-key']}`;
      reply(
        401,
        error(`Incorrect API key provided: ${sent}. Find yours at /keys?key=${sent}`, 'invalid_request_error'),
      );
    },
    '500': ({ reply }) => reply(500, html),
    '502': ({ reply }) => reply(502, html),
    '503': ({ reply }) => reply(503, error('Loading model', 'unavailable_error', 503), { 'retry-after': '3' }),
    '503-busy': ({ reply }) => reply(503, error('server busy, please try again. maximum pending requests exceeded')),
    '504': ({ reply }) => reply(504, html),
    '529': ({ reply }) => reply(529, error('Overloaded', 'overloaded_error')),
    '408': ({ reply }) => reply(408, ''),
    'huge-error': async (exchange) => {
      exchange.head(500, { 'content-type': 'text/plain' });
      await forever(exchange, 'x'.repeat(10_000));
    },
    'cut-error': async ({ head, write, socket }) => {
      head(500, { 'content-type': 'text/plain', 'content-length': '1000' });
      await write('it broke');
      socket.destroy();
    },
    'html-200': ({ reply }) => reply(200, html),
    'empty-200': ({ reply }) => reply(200, '', { 'content-type': 'application/json' }),
    'null-200': ({ reply }) => reply(200, 'null', { 'content-type': 'application/json' }),
    'array-200': ({ reply }) => reply(200, '[{"a":1}]', { 'content-type': 'application/json' }),
    'object-200': ({ reply }) => reply(200, { ok: true }),
    '200-error': ({ reply }) => reply(200, error('The server had an error', 'server_error')),
    'hang-headers': () => {},
    'hang-body': (exchange) => begin(exchange),
    'drip-forever': async (exchange) => {
      await begin(exchange);
      await forever(exchange, ': keepalive\n\n');
    },
    'hang-after-end': async (exchange) => {
      exchange.head(200, { 'content-type': dialect.contentType });
      await exchange.write(whole);
    },
    'reset-before-headers': ({ socket }) => void socket.resetAndDestroy(),
    'reset-before-headers-once': async (exchange) => {
      if (exchange.times === 1) exchange.socket.resetAndDestroy();
      else await ok(exchange);
    },
    'fin-before-headers-once': async (exchange) => {
      if (exchange.times === 1) exchange.socket.end();
      else await ok(exchange);
    },
    'reset-in-headers': async ({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-ty', () => socket.end());
    },
    'reset-mid-stream': async (exchange) => {
      await begin(exchange);
      exchange.socket.resetAndDestroy();
    },
    'fin-mid-stream': async (exchange) => {
      await begin(exchange);
      exchange.socket.end();
    },
    'eof-no-chunk': async (exchange) => {
      await begin(exchange);
      exchange.socket.end('5\r\nab');
    },
    'eof-closing': ({ socket }) => {
      const piece = dialect.begin.join('');
      const head = `HTTP/1.1 200 OK\r\ncontent-type: ${dialect.contentType}\r\nconnection: close\r\n`;
      socket.end(`${head}transfer-encoding: chunked\r\n\r\n${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n`);
    },
    'no-stop': async (exchange) => {
      await begin(exchange);
      exchange.response.end();
    },
    'half-event': async (exchange) => {
      await begin(exchange);
      await exchange.write(dialect.end[0]!.slice(0, 20));
      exchange.response.end();
    },
    'short-body': async (exchange) => {
      await begin(exchange, { 'content-length': '100000' });
      exchange.socket.end();
    },
    crlf: bytes(one, whole.replaceAll('\n', '\r\n')),
    'cr-only': bytes(one, whole.replaceAll('\n', '\r')),
    'cr-only-one': bytes(asOne, whole.replaceAll('\n', '\r')),
    comments: bytes(asOne, `: hello\n\n:\n\n${whole.replaceAll('\n\n', '\n\n: ping\n\n')}`),
    'id-retry': bytes(asOne, `retry: 100\n\nid: 7\n${whole}`),
    bom: bytes(one, `\uFEFF${whole}`),
    nospace: bytes(asOne, whole.replaceAll('data: ', 'data:')),
    'chunk-1': bytes(one),
    endless: async (exchange) => {
      await begin(exchange);
      await forever(exchange, dialect.begin.at(-1)!.repeat(100));
    },
    'endless-line': async (exchange) => {
      await begin(exchange);
      await exchange.write('data: ');
      await forever(exchange, 'x'.repeat(10_000));
    },
    gzip: ({ reply }) => reply(200, whole, { 'content-encoding': 'gzip', 'content-type': dialect.contentType }),
    'gzip-codings': ({ reply }) => reply(200, '', { 'content-encoding': Array(200).fill('gzip').join(', ') }),
    ...Object.fromEntries([301, 302, 303, 307, 308].map((status) => [`redirect-${status}`, redirect(status)])),
    'redirect-loop': ({ reply, request }) => reply(307, '', { location: request.path }),
    'head-huge': raw(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`),
    'bad-status-echo': ({ request, socket }) =>
      void socket.end(`HTTP/1.1 200 OK\r\nx: \0${request.headers.authorization}\r\n\r\n`),
    'bad-status': raw('HTTP/1.1 abc OK\r\n\r\n'),
    'status-999': raw('HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nhm'),
    'chunk-bad': raw(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n${whole}`),
    'early-hints': (exchange) => {
      exchange.response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      return ok(exchange);
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
