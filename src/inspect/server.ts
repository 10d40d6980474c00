/**
 * The inspector's server: the page, the stream of messages, and the actions, for a browser on this machine.
 *
 * V1  It listens on 127.0.0.1 unless told otherwise, and answers nothing but to who has the token, asks it by its own name
 *     and comes from no other site. All others get a 403 before their body is read.
 * V2  Everything is bounded: headers, bodies, time, connections, buffers.
 * V3  The page loads nothing from anywhere, and runs only the script that it was shipped with.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isTroupeError, reasonOf, TroupeError } from '../core/errors.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import type { Troupe } from '../runtime/troupe.ts';
import { act } from './actions.ts';
import type { RedactOption } from './content.ts';
import { EventStreams } from './event-streams.ts';
import { contentRules, type Inspection, inspectTroupe } from './inspect-troupe.ts';
import type { ContentLevel, InspectSnapshot } from './messages.ts';
import { page, pagePolicy } from './page/page.ts';
import type { Recording } from './recording.ts';
import { refusal } from './request-guard.ts';
import type { Feed, Sink } from './sink.ts';

/** Options of `serveInspector`. */
export interface ServeInspectorOptions {
  /** The troupe to look at. Without it the returned server is a sink for an inspection of yours. */
  readonly troupe?: Troupe;
  /** A recording to show instead. */
  readonly recording?: Recording;
  /** Default 0: any free one. */
  readonly port?: number;
  /** Default `127.0.0.1`. Another than this machine's own loopback needs `remote: true` and a `token` of yours. */
  readonly host?: string;
  /** Lets it listen to the network. Traffic is not encrypted. Default false. */
  readonly remote?: boolean;
  /** What a browser must know: at least 16 characters. Default: 32 random ones. */
  readonly token?: string;
  /** Lets the page cancel asks, kill agents and decide on tool calls. Default false. */
  readonly actions?: boolean;
  /** See `inspectTroupe`. Only with `troupe`. */
  readonly content?: ContentLevel;
  readonly redact?: RedactOption;
  /** Messages kept for browsers that come back after a broken connection. Default 10,000. */
  readonly ringLimit?: number;
  /** Bytes that may wait for a slow browser before messages are left out. Default 4 MiB. */
  readonly maxBufferedBytes?: number;
  /** How long the troupe is watched after the last browser has left, in milliseconds. Default 5,000. */
  readonly lingerMs?: number;
}

/** A running server. It is also a sink, which wants messages while a browser looks. */
export interface InspectorServer extends Sink {
  /** Where the page is, token included. */
  readonly url: string;
  readonly port: number;
  readonly token: string;
  /** Stops listening and ends every stream, and the inspection that it began. */
  close(): Promise<void>;
}

const maxBodyBytes = 16 * 1024;
const maxStreams = 16;
/** Completes the path of a request, so that it can be parsed. */
const base = 'http://inspector';
const loopback = ['127.0.0.1', 'localhost', '[::1]'];

/** Starts the server. Rejects with `TROUPE_ERR_OPTION_INVALID`, also when the port cannot be had. */
export async function serveInspector(options: ServeInspectorOptions = {}): Promise<InspectorServer> {
  checkOptions('serveInspector', options, serveRules);
  const { host = '127.0.0.1', port = 0, troupe, content, redact } = options;
  const token = options.token ?? randomBytes(24).toString('base64url');
  if (!isLoopback(host) && !(options.remote === true && options.token !== undefined))
    throw invalid(`\`host\` "${host}" is open to the network: that needs \`remote: true\` and a \`token\``);
  const inspector = new Inspector(options, token);
  const server = createServer({ maxHeaderSize: 16 * 1024, keepAliveTimeout: 5_000 }, (request, response) => {
    inspector.answer(request, response).catch(() => response.destroy());
  });
  Object.assign(server, { headersTimeout: 10_000, requestTimeout: 10_000, maxConnections: 64 });
  // Nobody is asked for a body before it is known who sends it.
  server.on('checkContinue', (_request, response) => response.writeHead(417, { connection: 'close' }).end());
  await listening(server, host, port);
  const actual = (server.address() as AddressInfo).port;
  const name = host.includes(':') ? `[${host}]` : host;
  inspector.reached([...loopback, name], actual);
  let inspection: Inspection | undefined;
  let closed: Promise<void> | undefined;
  const result: InspectorServer = {
    url: `http://${name}:${actual}/?token=${encodeURIComponent(token)}`,
    port: actual,
    token,
    join: (feed) => inspector.join(feed),
    write: (message) => inspector.streams.write(message),
    close: () => {
      closed ??= closing(server, inspector).then(() => inspection?.stop());
      return closed;
    },
  };
  if (troupe !== undefined)
    inspection = inspectTroupe(troupe, {
      sinks: [{ ...result, close: () => {} }],
      ...(content !== undefined && { content }),
      ...(redact !== undefined && { redact }),
    });
  return result;
}

/** A status and what is said with it. */
type Words = readonly [status: number, text: string];

class Inspector {
  readonly streams: EventStreams;
  readonly #options: ServeInspectorOptions;
  readonly #token: string;
  #hosts: readonly string[] = [];
  #port = 0;
  #feed: Feed | undefined;
  #lingering: NodeJS.Timeout | undefined;

  constructor(options: ServeInspectorOptions, token: string) {
    this.#options = options;
    this.#token = token;
    const { ringLimit = 10_000, maxBufferedBytes = 4 * 1024 * 1024 } = options;
    this.streams = new EventStreams({ ringLimit, maxBufferedBytes }, () => this.#snapshot());
  }

  reached(hosts: readonly string[], port: number): void {
    this.#hosts = hosts;
    this.#port = port;
  }

  join(feed: Feed): void {
    this.#feed = feed;
  }

  close(): void {
    clearTimeout(this.#lingering);
    this.#feed?.want(false);
    this.streams.close();
  }

  /** Answers a request. A body that is not wanted is not read. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(safeHeaders)) response.setHeader(name, value);
    const words = await this.#route(request, response);
    if (words === undefined) return;
    const [status, text] = words;
    if (status >= 400) response.setHeader('connection', 'close');
    response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(text);
  }

  /** A status and some words; undefined when the response is under way. */
  async #route(request: IncomingMessage, response: ServerResponse): Promise<Words | undefined> {
    const url = URL.canParse(request.url ?? '', base) ? new URL(request.url ?? '', base) : undefined;
    const guard = { hosts: this.#hosts, port: this.#port, token: this.#token };
    const refused = refusal(request, url, guard);
    if (refused !== undefined) return [403, refused];
    const route = `${request.method} ${url?.pathname}`;
    if (route === 'GET /') return this.#sendPage(response);
    if (route === 'GET /events') return this.#stream(request, response);
    if (route === 'GET /recording') return this.#sendRecording(response);
    if (route === 'POST /actions') return this.#act(request);
    return [404, 'There is nothing here.'];
  }

  #sendPage(response: ServerResponse): undefined {
    const mode = this.#options.recording === undefined ? 'live' : 'recording';
    const actions = this.#options.actions === true && mode === 'live';
    response.setHeader('content-security-policy', pagePolicy());
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(page({ mode, actions }));
  }

  #stream(request: IncomingMessage, response: ServerResponse): Words | undefined {
    if (this.#feed === undefined) return [404, 'No troupe is inspected.'];
    if (this.streams.count >= maxStreams) return [503, `There are ${maxStreams} streams already.`];
    clearTimeout(this.#lingering);
    this.#feed.want(true);
    const lastId = Number(request.headers['last-event-id'] ?? Number.NaN);
    this.streams.add(response, Number.isSafeInteger(lastId) ? lastId : undefined);
    response.on('close', () => this.#leave());
    return undefined;
  }

  #leave(): void {
    if (this.streams.count > 0) return;
    clearTimeout(this.#lingering);
    this.#lingering = setTimeout(() => {
      this.#feed?.want(false);
      this.streams.forget();
    }, this.#options.lingerMs ?? 5_000).unref();
  }

  #sendRecording(response: ServerResponse): Words | undefined {
    const { recording } = this.#options;
    if (recording === undefined) return [404, 'No recording is shown.'];
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(recording));
    return undefined;
  }

  async #act(request: IncomingMessage): Promise<Words> {
    const troupe = this.#feed?.troupe;
    if (this.#options.actions !== true || troupe === undefined)
      return [403, 'Actions are off: see `serveInspector({ actions: true })`.'];
    if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) return [415, 'The body must be JSON.'];
    try {
      const body = await bodyOf(request);
      if (body === undefined) return [413, `The body has more than ${maxBodyBytes} bytes.`];
      act(troupe, JSON.parse(body));
      return [204, ''];
    } catch (thrown) {
      return [400, isTroupeError(thrown) ? thrown.message : 'The body is no JSON, or the request broke off.'];
    }
  }

  #snapshot(): InspectSnapshot {
    if (this.#feed === undefined) throw new TroupeError('TROUPE_ERR_OPTION_INVALID', 'The sink has no inspection.');
    return this.#feed.snapshot();
  }
}

const safeHeaders = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

/** The body of a request; undefined when it is too large. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(invalid(`\`host\` "${host}", \`port\` ${port}: ${reasonOf(error)}`)));
    server.listen(port, host, resolve);
  });
}

function closing(server: Server, inspector: Inspector): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    inspector.close();
    server.closeAllConnections();
  });
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function invalid(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', `serveInspector: ${message}.`);
}

const isPort: Rule = (value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535 ? undefined : 'a port, 0 to 65535';

const serveRules: Readonly<Record<keyof ServeInspectorOptions, Rule>> = {
  ...contentRules,
  troupe: rules.object,
  recording: rules.object,
  port: isPort,
  host: rules.text,
  remote: rules.flag,
  token: (value) => (typeof value === 'string' && value.length >= 16 ? undefined : 'at least 16 characters'),
  actions: rules.flag,
  ringLimit: rules.positiveCount,
  maxBufferedBytes: rules.positiveCount,
  lingerMs: rules.count,
};
