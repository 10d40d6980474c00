/**
 * A server for browsers on this machine.
 *
 * V1  It listens on 127.0.0.1 unless told otherwise, and answers nothing but to who has the token, asks it by its own name
 *     and comes from no other site. All others get a 403 before their body is read.
 * V2  Headers, time and connections are bounded.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { reasonOf, TroupeError } from '../core/errors.ts';
import { type Rule, rules } from '../core/options.ts';
import { type GuardOptions, refusal } from './request-guard.ts';

/** Where a server listens. */
export interface PlaceOptions {
  /** Default 0: any free one. */
  readonly port?: number;
  /** Default `127.0.0.1`. Another than this machine's own loopback needs `remote: true` and a `token` of yours. */
  readonly host?: string;
  /** Lets it listen to the network. Traffic is not encrypted. Default false. */
  readonly remote?: boolean;
  /** What a browser must know: at least 16 characters. Default: 32 random ones. */
  readonly token?: string;
}

/** A status and what is said with it. */
export type Words = readonly [status: number, text: string];

/** Answers `GET /path` with a status and some words, or itself: then with undefined. */
export type Route = (
  route: string,
  request: IncomingMessage,
  response: ServerResponse,
) => Words | undefined | Promise<Words | undefined>;

export interface GuardedServer {
  /** Where the page is, token included. */
  readonly url: string;
  readonly port: number;
  readonly token: string;
  /** Stops listening, calls `end`, and breaks off what is still open then. */
  close(end: () => void): Promise<void>;
}

/** Starts a server. `who` stands in its errors. Rejects with `TROUPE_ERR_OPTION_INVALID`, also when the port cannot be had. */
export async function guardedServer(who: string, options: PlaceOptions, route: Route): Promise<GuardedServer> {
  const { host = '127.0.0.1', port = 0, remote = false } = options;
  const token = options.token ?? randomBytes(24).toString('base64url');
  if (!isLoopback(host) && !(remote && options.token !== undefined))
    throw invalid(who, `\`host\` "${host}" is open to the network: that needs \`remote: true\` and a \`token\``);
  const name = host.includes(':') ? `[${host}]` : host;
  let guard: GuardOptions = { hosts: [...loopback, name], port, token };
  const server = createServer({ maxHeaderSize: 16 * 1024, keepAliveTimeout: 5_000 }, (request, response) => {
    answer(request, response, { guard, route }).catch(() => response.destroy());
  });
  Object.assign(server, { headersTimeout: 10_000, requestTimeout: 10_000, maxConnections: 64 });
  // Nobody is asked for a body before it is known who sends it.
  server.on('checkContinue', (_request, response) => response.writeHead(417, { connection: 'close' }).end());
  await listening(server, { who, host, port });
  const actual = (server.address() as AddressInfo).port;
  guard = { ...guard, port: actual };
  return {
    url: `http://${name}:${actual}/?token=${encodeURIComponent(token)}`,
    port: actual,
    token,
    close: (end) =>
      new Promise((resolve) => {
        server.close(() => resolve());
        end();
        server.closeAllConnections();
      }),
  };
}

/** The rules of where a server listens, for whoever takes the same options. */
export const placeRules: Readonly<Record<keyof PlaceOptions, Rule>> = {
  port: (value) =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535 ? undefined : 'a port, 0 to 65535',
  host: rules.text,
  remote: rules.flag,
  token: (value) => (typeof value === 'string' && value.length >= 16 ? undefined : 'at least 16 characters'),
};

/** Completes the path of a request, so that it can be parsed. */
const base = 'http://inspector';
const loopback = ['127.0.0.1', 'localhost', '[::1]'];

const safeHeaders = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

interface Answering {
  readonly guard: GuardOptions;
  readonly route: Route;
}

/** Answers a request. A body that is not wanted is not read. */
async function answer(request: IncomingMessage, response: ServerResponse, { guard, route }: Answering): Promise<void> {
  for (const [name, value] of Object.entries(safeHeaders)) response.setHeader(name, value);
  const url = URL.canParse(request.url ?? '', base) ? new URL(request.url ?? '', base) : undefined;
  const refused = refusal(request, url, guard);
  const words: Words | undefined =
    refused === undefined ? await route(`${request.method} ${url?.pathname}`, request, response) : [403, refused];
  if (words === undefined) return;
  const [status, text] = words;
  if (status >= 400) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(text);
}

interface Wanted {
  readonly who: string;
  readonly host: string;
  readonly port: number;
}

function listening(server: Server, { who, host, port }: Wanted): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(invalid(who, `\`host\` "${host}", \`port\` ${port}: ${reasonOf(error)}`)));
    server.listen(port, host, resolve);
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function invalid(who: string, message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', `${who}: ${message}.`);
}
