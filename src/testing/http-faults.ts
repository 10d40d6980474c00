/**
 * Faults of status lines, headers, sockets and bodies, which a server of any protocol may have.
 * They are told in a dialect: the words of one protocol, in the pieces in which a fault may break them.
 */
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import type { Exchange, Fault } from './fault-server.ts';

/** What one protocol says when all is well, in the pieces in which a fault may break it. */
export interface Dialect {
  readonly contentType: string;
  /** The beginning of an answer: at least one piece of its text. */
  readonly begin: readonly string[];
  /** The rest of it: more text, the finish reason, usage, the terminal event. */
  readonly end: readonly string[];
  /** What a server sends to keep a quiet connection open. */
  readonly keepAlive: string;
  /** How an event begins that never ends. */
  readonly openLine: string;
  /** The body of an error. */
  error(message: string, type?: string, code?: string | number | null): object;
}

/** Faults of status lines, headers, sockets and bodies: the same for every protocol. */
export function httpFaults(dialect: Dialect): Record<string, Fault> {
  return { ...statusFaults(dialect), ...socketFaults(dialect), ...brokenFaults(dialect), ...bodyFaults(dialect) };
}

const html = '<!doctype html><html><body><h1>Welcome to nginx!</h1></body></html>';

function wholeOf({ begin, end }: Dialect): string {
  return [...begin, ...end].join('');
}

async function begin(dialect: Dialect, exchange: Exchange, headers: Record<string, string> = {}): Promise<void> {
  exchange.head(200, { 'content-type': dialect.contentType, ...headers });
  for (const piece of dialect.begin) await exchange.write(piece);
}

async function answer(dialect: Dialect, exchange: Exchange): Promise<void> {
  await begin(dialect, exchange);
  for (const piece of dialect.end) await exchange.write(piece);
  exchange.response.end();
}

async function forever({ write }: Exchange, piece: string): Promise<void> {
  while (await write(piece));
}

function statusFaults(dialect: Dialect): Record<string, Fault> {
  const { error } = dialect;
  const limited = (headers: Record<string, string>): Fault => {
    return ({ reply }) => reply(429, error('Rate limit reached', 'rate_limit_error'), headers);
  };
  const redirect =
    (status: number): Fault =>
    ({ reply, elsewhere }) =>
      reply(status, '', { location: `${elsewhere}/v1/chat/completions` });
  return {
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
    '408': ({ reply }) => reply(408, ''),
    '499': ({ reply }) => reply(499, error('request cancelled')),
    '500': ({ reply }) => reply(500, html),
    '501': ({ reply }) => reply(501, error('This server does not support it', 'not_supported_error', 501)),
    '502': ({ reply }) => reply(502, html),
    '503': ({ reply }) => reply(503, error('Loading model', 'unavailable_error', 503), { 'retry-after': '3' }),
    '503-busy': ({ reply }) => reply(503, error('server busy, please try again. maximum pending requests exceeded')),
    '504': ({ reply }) => reply(504, html),
    '529': ({ reply }) => reply(529, error('Overloaded', 'overloaded_error')),
    'huge-error': async (exchange) => {
      exchange.head(500, { 'content-type': 'text/plain' });
      await forever(exchange, 'x'.repeat(10_000));
    },
    'cut-error': async ({ head, write, socket }) => {
      head(500, { 'content-type': 'text/plain', 'content-length': '1000' });
      await write('it broke');
      socket.destroy();
    },
    ...Object.fromEntries([301, 302, 303, 307, 308].map((status) => [`redirect-${status}`, redirect(status)])),
    'redirect-loop': ({ reply, request }) => reply(307, '', { location: request.path }),
  };
}

function socketFaults(dialect: Dialect): Record<string, Fault> {
  const whole = wholeOf(dialect);
  const answered = new WeakSet<Socket>();
  return {
    'hang-headers': () => {},
    'hang-body': (exchange) => begin(dialect, exchange),
    'drip-forever': async (exchange) => {
      await begin(dialect, exchange);
      await forever(exchange, dialect.keepAlive);
    },
    'hang-after-end': async (exchange) => {
      exchange.head(200, { 'content-type': dialect.contentType });
      await exchange.write(whole);
    },
    'reset-before-headers': ({ socket }) => void socket.resetAndDestroy(),
    'reset-before-headers-once': async (exchange) => {
      if (exchange.times % 2 === 1) exchange.socket.resetAndDestroy();
      else await answer(dialect, exchange);
    },
    'fin-before-headers-once': async (exchange) => {
      if (exchange.times % 2 === 1) exchange.socket.end();
      else await answer(dialect, exchange);
    },
    'idle-race': async (exchange) => {
      if (answered.has(exchange.socket)) return void exchange.socket.resetAndDestroy();
      answered.add(exchange.socket);
      await answer(dialect, exchange);
    },
    'reset-in-headers': async ({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-ty', () => socket.end());
    },
  };
}

/** The connection ends in the middle of an answer, or what comes over it is no HTTP. */
function brokenFaults(dialect: Dialect): Record<string, Fault> {
  const whole = wholeOf(dialect);
  const raw =
    (text: string): Fault =>
    ({ socket }) =>
      void socket.end(text);
  return {
    'reset-mid-stream': async (exchange) => {
      await begin(dialect, exchange);
      exchange.socket.resetAndDestroy();
    },
    'fin-mid-stream': async (exchange) => {
      await begin(dialect, exchange);
      exchange.socket.end();
    },
    'eof-no-chunk': async (exchange) => {
      await begin(dialect, exchange);
      exchange.socket.end('5\r\nab');
    },
    'eof-closing': ({ socket }) => {
      const piece = dialect.begin.join('');
      const head = `HTTP/1.1 200 OK\r\ncontent-type: ${dialect.contentType}\r\nconnection: close\r\n`;
      socket.end(`${head}transfer-encoding: chunked\r\n\r\n${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n`);
    },
    'reset-after-finish': async (exchange) => {
      await begin(dialect, exchange);
      for (const piece of dialect.end) await exchange.write(piece);
      exchange.socket.resetAndDestroy();
    },
    'short-body': async (exchange) => {
      await begin(dialect, exchange, { 'content-length': '100000' });
      exchange.socket.end();
    },
    'head-huge': raw(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`),
    'bad-status-echo': ({ request, socket }) =>
      void socket.end(`HTTP/1.1 200 OK\r\nx: \0${request.headers.authorization}\r\n\r\n`),
    'bad-status': raw('HTTP/1.1 abc OK\r\n\r\n'),
    'status-999': raw('HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nhm'),
    'chunk-bad': raw(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n${whole}`),
    'chunk-huge': raw(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n${whole}`),
    'early-hints': (exchange) => {
      exchange.response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      return answer(dialect, exchange);
    },
  };
}

function bodyFaults(dialect: Dialect): Record<string, Fault> {
  const { contentType, error } = dialect;
  const whole = wholeOf(dialect);
  const json = { 'content-type': 'application/json' };
  const pieces = (split: readonly Uint8Array[]): Fault => {
    return async ({ head, write, response }) => {
      head(200, { 'content-type': contentType });
      for (const piece of split) await write(piece);
      response.end();
    };
  };
  const coded = (body: string | Buffer, coding = 'gzip'): Fault => {
    return ({ response }) => {
      response.writeHead(200, { 'content-type': contentType, 'content-encoding': coding }).end(body);
    };
  };
  return {
    ok: (exchange) => answer(dialect, exchange),
    'html-200': ({ reply }) => reply(200, html),
    'empty-200': ({ reply }) => reply(200, '', json),
    'null-200': ({ reply }) => reply(200, 'null', json),
    'array-200': ({ reply }) => reply(200, '[{"a":1}]', json),
    'object-200': ({ reply }) => reply(200, { ok: true }),
    'deep-200': ({ reply }) => reply(200, '['.repeat(500_000) + ']'.repeat(500_000)),
    '200-error': ({ reply }) => reply(200, error('The server had an error', 'server_error')),
    'no-stop': async (exchange) => {
      await begin(dialect, exchange);
      exchange.response.end();
    },
    'half-event': async (exchange) => {
      await begin(dialect, exchange);
      await exchange.write((dialect.end[0] ?? '').slice(0, 20));
      exchange.response.end();
    },
    'empty-stream': pieces([]),
    crlf: pieces(bytesOf(whole.replaceAll('\n', '\r\n'))),
    'cr-only': pieces(bytesOf(whole.replaceAll('\n', '\r'))),
    'cr-only-one': pieces([Buffer.from(whole.replaceAll('\n', '\r'))]),
    bom: pieces(bytesOf(`\uFEFF${whole}`)),
    'chunk-1': pieces(bytesOf(whole)),
    'split-utf8': pieces(splitInCharacters(whole)),
    endless: async (exchange) => {
      await begin(dialect, exchange);
      await forever(exchange, (dialect.begin.at(-1) ?? ' ').repeat(100));
    },
    'endless-line': async (exchange) => {
      await begin(dialect, exchange);
      await exchange.write(dialect.openLine);
      await forever(exchange, 'x'.repeat(10_000));
    },
    gzip: coded(gzipSync(whole)),
    'gzip-false': coded(whole),
    'gzip-bomb': coded(gzipSync(Buffer.alloc(10_000_000))),
    'gzip-codings': coded('', Array(200).fill('gzip').join(', ')),
  };
}

/** Every byte alone. */
function bytesOf(text: string): Uint8Array[] {
  return Array.from(Buffer.from(text), (byte) => Uint8Array.of(byte));
}

/** Cut inside each character of several bytes. */
function splitInCharacters(text: string): Uint8Array[] {
  const bytes = Buffer.from(text);
  const cuts = [...bytes.keys()].filter((at) => ((bytes[at] ?? 0) & 0xc0) === 0x80);
  return [0, ...cuts].map((start, index) => bytes.subarray(start, cuts[index] ?? bytes.length));
}
