/**
 * A server on loopback between a backend and its server: it records what they say, or says it again without the server.
 *
 * T1  No key is on the tape: request headers are not kept, and what they carried is taken out of every body and header.
 * T2  In replay a request is answered by the first unused exchange with the same method, path and body. One that is not on the
 *     tape is refused with status 400, which no backend repeats, and the words say what differs.
 * T3  `close()` rejects when a request was missed or an exchange was not used.
 */

import { isUtf8 } from 'node:buffer';
import {
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { type Redact, redactor, secretsOf } from '../../actors/wire/redact.ts';
import { reasonOf, TroupeError } from '../core/errors.ts';
import { checkOptions, oneOf, type Rule, rules } from '../core/options.ts';
import { bodyDifference, canonical, readTape, streamedTexts, type TapedExchange, writeTape } from './tape.ts';

export interface CassetteOptions {
  /** The file of the tape. Recording replaces it when the cassette is closed. */
  readonly path: string;
  /** Default `replay`. */
  readonly mode?: 'record' | 'replay';
  /** URL of the real server, for `record`. */
  readonly target?: string;
  /** Bytes that all bodies of a recording may have together; `close()` rejects when they have more. Default 64 MiB. */
  readonly maxBytes?: number;
}

export interface Cassette {
  /** What a backend takes as its `endpoint`. */
  readonly endpoint: string;
  /** Requests that were not on the tape, each with what differs. */
  readonly misses: readonly string[];
  /** Exchanges of the tape that nobody asked for yet. */
  readonly unused: number;
  /** Ends it; writes the tape when recording. Rejects with what was missed or not used, or when the tape is not whole. */
  close(): Promise<void>;
}

/** Starts one. Rejects when an option is wrong or the tape cannot be read. */
export async function cassette(options: CassetteOptions): Promise<Cassette> {
  checkOptions('cassette', options, cassetteRules);
  const { path, mode = 'replay', target, maxBytes = 64 * 1024 * 1024 } = options;
  if (mode === 'record' && target === undefined)
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', 'cassette: `target` must be the URL of the server to record.');
  const tape: Tape =
    mode === 'record' ? new Recorder(path, new URL(target ?? ''), maxBytes) : new Player(path, readTape(path));
  const server = createServer((incoming, response) => {
    void answer(tape, incoming, response, maxBytes);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get misses() {
      return tape.misses;
    },
    get unused() {
      return tape.unused;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await tape.end();
    },
  };
}

const cassetteRules: Readonly<Record<keyof CassetteOptions, Rule>> = {
  path: rules.text,
  mode: oneOf('record', 'replay'),
  target: (value) => (typeof value === 'string' && URL.canParse(value) ? undefined : 'a URL'),
  maxBytes: rules.positiveCount,
};

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Tape {
  readonly misses: string[];
  readonly unused: number;
  answer(asked: Asked, response: ServerResponse): Promise<void>;
  end(): void | Promise<void>;
}

async function answer(
  tape: Tape,
  incoming: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
): Promise<void> {
  const { method = 'GET', url: path = '/', headers } = incoming;
  try {
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of incoming as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > maxBytes) throw new Error(`a request has more than ${maxBytes} bytes, see \`maxBytes\``);
      pieces.push(piece);
    }
    await tape.answer({ method, path, headers, body: Buffer.concat(pieces) }, response);
  } catch (thrown) {
    if (response.destroyed) return;
    tape.misses.push(`${method} ${path}: ${reasonOf(thrown)}`);
    refuse(response, reasonOf(thrown));
  }
}

function refuse(response: ServerResponse, message: string): void {
  if (response.headersSent) return void response.destroy();
  const body = { error: { type: 'cassette_miss', code: 'cassette_miss', message: `cassette: ${message}` } };
  response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** Headers of an answer that a backend reads. */
const keptHeaders = ['content-type', 'retry-after', 'retry-after-ms'];
/** Headers of one connection, which are not handed on. */
const ownHeaders = [
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'accept-encoding',
  'keep-alive',
  'expect',
];

class Recorder implements Tape {
  readonly misses: string[] = [];
  readonly unused = 0;
  readonly #path: string;
  readonly #target: URL;
  readonly #maxBytes: number;
  /** In the order of the requests. */
  readonly #exchanges: (TapedExchange | undefined)[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #bytes = 0;

  constructor(path: string, target: URL, maxBytes: number) {
    this.#path = path;
    this.#target = target;
    this.#maxBytes = maxBytes;
  }

  async answer(asked: Asked, response: ServerResponse): Promise<void> {
    const at = this.#exchanges.push(undefined) - 1;
    const running = this.#forward(asked, response, at);
    this.#running.add(running);
    await running.finally(() => this.#running.delete(running));
  }

  async end(): Promise<void> {
    await Promise.allSettled(this.#running);
    writeTape(
      this.#path,
      this.#exchanges.filter((exchange) => exchange !== undefined),
    );
    if (this.misses.length > 0) throw broken('TROUPE_ERR_SCRIPT_UNEXPECTED', 'was not recorded whole', this.misses);
  }

  async #forward(asked: Asked, response: ServerResponse, at: number): Promise<void> {
    const clean = cleanerOf(asked.headers);
    const reply = await send(this.#target, asked);
    const headers = kept(reply.headers, clean);
    response.writeHead(reply.statusCode ?? 502, headers).flushHeaders();
    const chunks: Buffer[] = [];
    let end: TapedExchange['end'] = 'whole';
    response.on('close', () => {
      if (!response.writableFinished && end === 'whole') end = 'left';
      if (end === 'left') reply.destroy();
    });
    try {
      for await (const chunk of reply as AsyncIterable<Buffer>) {
        this.#bytes += chunk.length;
        if (this.#bytes > this.#maxBytes) throw new Error(`more than ${this.#maxBytes} bytes, see \`maxBytes\``);
        chunks.push(chunk);
        response.write(chunk);
      }
    } catch (thrown) {
      if (this.#bytes > this.#maxBytes) throw thrown;
      if (!response.destroyed) end = 'cut';
    }
    if (response.destroyed && end === 'whole') end = 'left';
    const { method, path, body } = asked;
    const request = { method, path: clean(path), body: clean(canonical(body.toString())) };
    const hidden = streamedTexts(Buffer.concat(chunks).toString()).some((text) => clean(text) !== text);
    if (hidden) this.misses.push(`${method} ${path}: the answer has a key in it, in pieces; it is not on the tape`);
    else
      this.#exchanges[at] = { ...request, status: reply.statusCode ?? 502, headers, chunks: taped(chunks, clean), end };
    if (end === 'cut') response.destroy();
    else response.end();
  }
}

function send(target: URL, { method, path, headers, body }: Asked): Promise<IncomingMessage> {
  const base = target.pathname.replace(/\/$/, '');
  const given = Object.entries(headers).filter(([name]) => !ownHeaders.includes(name));
  const request = target.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const options = { method, headers: { ...Object.fromEntries(given), 'accept-encoding': 'identity' }, agent: false };
    request(new URL(base + path, target), options, resolve)
      .on('error', reject)
      .end(body);
  });
}

function cleanerOf(headers: IncomingHttpHeaders): Redact {
  return redactor(secretsOf(Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))));
}

function kept(headers: IncomingHttpHeaders, clean: Redact): Record<string, string> {
  const found = keptHeaders.filter((name) => headers[name] !== undefined);
  return Object.fromEntries(found.map((name) => [name, clean(String(headers[name]))]));
}

/** A body with a key in it loses its pieces with it: the key may lie across them. */
function taped(chunks: readonly Buffer[], clean: Redact): TapedExchange['chunks'] {
  const whole = Buffer.concat(chunks).toString();
  const cleaned = clean(whole);
  if (cleaned !== whole) return [cleaned];
  return chunks.map((chunk) => (isUtf8(chunk) ? chunk.toString() : { base64: chunk.toString('base64') }));
}

class Player implements Tape {
  readonly misses: string[] = [];
  readonly #path: string;
  readonly #left: TapedExchange[];

  constructor(path: string, exchanges: TapedExchange[]) {
    this.#path = path;
    this.#left = exchanges;
  }

  get unused(): number {
    return this.#left.length;
  }

  async answer({ method, path, headers, body }: Asked, response: ServerResponse): Promise<void> {
    const clean = cleanerOf(headers);
    const sent = { method, path: clean(path), body: clean(canonical(body.toString())) };
    const at = this.#left.findIndex((one) => one.method === method && one.path === sent.path && one.body === sent.body);
    if (at === -1) throw new Error(this.#missed(sent));
    const [exchange] = this.#left.splice(at, 1);
    if (exchange !== undefined) await play(exchange, response);
  }

  end(): void {
    const left = this.#left.map(({ method, path, body }) => `${method} ${path} ${body.slice(0, 200)}`);
    if (this.misses.length > 0) throw broken('TROUPE_ERR_SCRIPT_UNEXPECTED', 'was asked what it has not', this.misses);
    if (left.length > 0) throw broken('TROUPE_ERR_SCRIPT_UNCONSUMED', 'has exchanges that nobody asked for', left);
  }

  #missed({ method, path, body }: Pick<TapedExchange, 'method' | 'path' | 'body'>): string {
    const next = this.#left.find((one) => one.method === method && one.path === path);
    const where = next === undefined ? `no further ${method} ${path} is there` : bodyDifference(next.body, body);
    return `the request is not on the tape "${this.#path}": ${where}. Record it again if that is meant`;
  }
}

/** Every piece goes out alone. */
async function play({ status, headers, chunks, end }: TapedExchange, response: ServerResponse): Promise<void> {
  response.writeHead(status, { ...headers }).flushHeaders();
  for (const chunk of chunks) {
    if (response.destroyed) return;
    response.write(typeof chunk === 'string' ? chunk : Buffer.from(chunk.base64, 'base64'));
    await setImmediate();
  }
  if (end === 'whole') response.end();
  else if (end === 'cut') response.destroy();
}

function broken(code: 'TROUPE_ERR_SCRIPT_UNEXPECTED' | 'TROUPE_ERR_SCRIPT_UNCONSUMED', what: string, list: string[]) {
  return new TroupeError(code, `The cassette ${what}: ${list.slice(0, 5).join('; ')}.`);
}
