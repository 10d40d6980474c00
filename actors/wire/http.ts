/**
 * One HTTP request at a time over undici's `dispatch`, and what can go wrong with it as typed errors.
 *
 * H1  Nothing is followed and nothing decoded: a redirect or a coded reply is an error, and the request goes to no other host.
 * H2  Once `signal` is aborted the promise settles and the socket is destroyed, in whatever phase it is.
 * H3  A request is repeated at most once, on a fresh socket, and only when the connection broke before any reply byte.
 * H4  No timer cuts a request here; whoever wants one aborts the signal.
 * H5  undici is loaded by the first request.
 */
import type { Socket } from 'node:net';
import type { Agent, Dispatcher } from 'undici';
import { isTroupeError, TroupeError } from '../../src/core/errors.ts';
import { excerpt, type Redact } from './redact.ts';

export type HttpHeaders = Readonly<Record<string, string | string[] | undefined>>;

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Several pieces are sent as one body. */
  readonly body?: string | Uint8Array | readonly Uint8Array[];
  readonly signal: AbortSignal;
  /** Uses a socket of its own and closes it: for servers that close theirs without a word. Default: sockets are reused. */
  readonly freshSocket?: boolean;
  /** Takes the body of a 2xx reply as it arrives and says when it needs no more. Default: it is collected as text. */
  readonly onData?: (bytes: Uint8Array) => boolean;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** The collected body: of a failed request at most its first 64 KB, of one with `onData` and success empty. */
  readonly text: string;
}

export interface HttpOptions {
  /** How errors call the server, besides its origin. Default: by that alone. */
  readonly server?: string;
  /** Cap on the bytes of one reply. Default 64 MB. */
  readonly maxReplyBytes?: number | undefined;
  /** Cleans what a server wrote before it gets into an error. */
  readonly redact: Redact;
}

const defaultMaxReplyBytes = 64 * 1024 * 1024;
const maxErrorBytes = 64 * 1024;
/** How long a connection may stay open after the reply was complete, to become free for the next request. */
const drainMs = 250;

/** The connections of one backend. */
export class HttpClient {
  readonly maxReplyBytes: number;
  readonly redact: Redact;
  readonly #server: string | undefined;
  #sockets: Promise<Sockets> | undefined;
  #closed = false;

  constructor(options: HttpOptions) {
    this.maxReplyBytes = options.maxReplyBytes ?? defaultMaxReplyBytes;
    this.redact = options.redact;
    this.#server = options.server;
  }

  /** How errors call the server at this URL. */
  nameOf({ origin }: URL): string {
    return this.#server === undefined ? origin : `${this.#server} at ${origin}`;
  }

  /** Sends one request. Resolves with any reply that is no redirect, whatever its status. */
  async send(request: HttpRequest): Promise<HttpReply> {
    this.#sockets ??= openSockets();
    const sockets = await this.#sockets;
    if (request.signal.aborted) throw cancelled(request.signal);
    if (this.#closed) throw closedError();
    return new Exchange(this, sockets, request).reply;
  }

  /** Destroys every connection; requests in flight reject. */
  async close(): Promise<void> {
    this.#closed = true;
    const sockets = await this.#sockets;
    await Promise.all([sockets?.reusing.destroy(), sockets?.fresh.destroy()]);
  }
}

interface Sockets {
  /** Keeps its sockets for the next request. */
  readonly reusing: Agent;
  /** Gives each request a socket of its own. */
  readonly fresh: Agent;
  /** What the last dispatch began to connect. */
  connecting: Socket | undefined;
}

async function openSockets(): Promise<Sockets> {
  const undici = await import('undici');
  const connect = undici.buildConnector({});
  const agent = (pipelining: 0 | 1): Agent =>
    new undici.Agent({
      pipelining,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        sockets.connecting = connect(options, callback) as unknown as Socket;
      },
    });
  const sockets: Sockets = { reusing: agent(1), fresh: agent(0), connecting: undefined };
  return sockets;
}

/** One request and its reply: undici's handler, settling one promise exactly once. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly reply: Promise<HttpReply>;
  readonly #client: HttpClient;
  readonly #sockets: Sockets;
  readonly #request: HttpRequest;
  readonly #body: string | Uint8Array | undefined;
  #resolve!: (reply: HttpReply) => void;
  #reject!: (error: TroupeError) => void;
  #settled = false;
  #retried = false;
  #connecting: Socket | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #started = false;
  #ended = false;
  #status = 0;
  #headers: HttpHeaders = {};
  #byteCount = 0;
  #pending: Uint8Array[] = [];
  #pieces: Uint8Array[] = [];
  #drainTimer: NodeJS.Timeout | undefined;

  constructor(client: HttpClient, sockets: Sockets, request: HttpRequest) {
    this.#client = client;
    this.#sockets = sockets;
    this.#request = request;
    this.#body = joined(request.body);
    this.reply = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    request.signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#dispatch();
  }

  #dispatch(): void {
    const { url, method, headers } = this.#request;
    const options: Agent.DispatchOptions = {
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: withCoding(headers),
      body: this.#body ?? null,
    };
    const sockets = this.#sockets;
    sockets.connecting = undefined;
    (this.#retried || this.#request.freshSocket === true ? sockets.fresh : sockets.reusing).dispatch(options, this);
    this.#connecting = sockets.connecting;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#settled) controller.abort(new Error('aborted'));
  }

  onResponseStarted(): void {
    this.#started = true;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: HttpHeaders): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    const coding = headers['content-encoding'];
    if (status >= 300 && status < 400) this.#fail(this.#redirectError());
    else if (coding !== undefined && coding !== 'identity') this.#fail(this.#codingError(String(coding)));
  }

  onResponseData(_controller: Dispatcher.DispatchController, bytes: Uint8Array): void {
    if (this.#settled) return;
    this.#byteCount += bytes.length;
    const { onData } = this.#request;
    if (this.#status >= 300) {
      this.#pieces.push(bytes);
      if (this.#byteCount >= maxErrorBytes) this.#end();
    } else if (this.#byteCount > this.#client.maxReplyBytes) this.#fail(this.#tooLarge());
    else if (onData === undefined) this.#pieces.push(bytes);
    else {
      this.#pending.push(bytes);
      if (this.#pending.length === 1) queueMicrotask(this.#flush);
    }
  }

  onResponseEnd(): void {
    this.#ended = true;
    this.#flush();
    if (this.#drainTimer !== undefined) clearTimeout(this.#drainTimer);
    this.#end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#ended = true;
    this.#flush();
    if (this.#drainTimer !== undefined) clearTimeout(this.#drainTimer);
    if (this.#settled) return;
    if (this.#status >= 300) this.#end();
    else if (!this.#started && !this.#retried && brokeBeforeReply.has(codeOf(error))) {
      this.#retried = true;
      this.#controller = undefined;
      this.#dispatch();
    } else this.#fail(this.#connectionError(error));
  }

  /** Hands over what came in one tick as one piece: a decoder's call costs more than its bytes. */
  readonly #flush = (): void => {
    const pieces = this.#pending;
    const { onData } = this.#request;
    if (pieces.length === 0 || onData === undefined) return;
    this.#pending = [];
    if (!this.#settled) this.#offer(onData, pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces));
  };

  #offer(onData: (bytes: Uint8Array) => boolean, bytes: Uint8Array): void {
    try {
      if (onData(bytes)) this.#end();
    } catch (error) {
      this.#fail(
        isTroupeError(error)
          ? error
          : protocol(`The reply of ${this.#serverName} could not be read: ${String(error)}.`),
      );
    }
  }

  /** The reply is complete. Its connection may end its body in peace and be used again, or is destroyed soon. */
  #end(): void {
    if (!this.#settle()) return;
    const text =
      this.#pieces.length === 0
        ? ''
        : new TextDecoder().decode(Buffer.concat(this.#pieces).subarray(0, this.#textLimit()));
    this.#resolve({ status: this.#status, headers: this.#headers, text });
    if (!this.#ended) queueMicrotask(this.#drain);
  }

  /** Most replies end in the tick of their last event: only what does not needs a timer. */
  readonly #drain = (): void => {
    if (!this.#ended) this.#drainTimer = setTimeout(() => this.#destroy(new Error('drained')), drainMs).unref();
  };

  #textLimit(): number {
    return this.#status >= 300 ? maxErrorBytes : this.#client.maxReplyBytes;
  }

  readonly #onAbort = (): void => this.#fail(cancelled(this.#request.signal));

  #fail(error: TroupeError): void {
    if (!this.#settle()) return;
    this.#reject(error);
    this.#destroy(error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    return true;
  }

  #destroy(reason: Error): void {
    if (this.#controller === undefined) this.#connecting?.destroy(reason);
    else this.#controller.abort(reason);
  }

  get #serverName(): string {
    return this.#client.nameOf(this.#request.url);
  }

  #redirectError(): TroupeError {
    const location = excerpt(String(this.#headers['location'] ?? 'nowhere'), this.#client.redact);
    const message = `${this.#serverName} answered with a redirect (HTTP ${this.#status}) to ${location}. Redirects are never followed: correct \`endpoint\`.`;
    return new TroupeError('TROUPE_ERR_BACKEND_REDIRECT', message, { status: this.#status });
  }

  #codingError(coding: string): TroupeError {
    const seen = excerpt(coding, this.#client.redact);
    return protocol(
      `The reply of ${this.#serverName} is coded as "${seen}" though no coding was asked for. Turn compression off there.`,
    );
  }

  #tooLarge(): TroupeError {
    const message = `The answer of ${this.#serverName} passed ${this.#client.maxReplyBytes} bytes. Raise \`maxReplyBytes\` if such answers are wanted.`;
    return new TroupeError('TROUPE_ERR_BACKEND_TOO_LARGE', message);
  }

  #connectionError(error: Error): TroupeError {
    const code = codeOf(error);
    if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return closedError();
    if (code === 'UND_ERR_INVALID_ARG')
      return new TroupeError('TROUPE_ERR_OPTION_INVALID', `The request cannot be sent: ${error.message}.`);
    const seen = [code, error.message].filter(Boolean).join(': ');
    const malformed = error.name === 'HTTPParserError' && !/EOF/.test(error.message);
    // The cause of a malformed reply is left out: undici puts raw bytes of the reply on it.
    if (malformed || code === 'UND_ERR_HEADERS_OVERFLOW')
      return protocol(`${this.#serverName} answered with no valid HTTP (${seen}).`);
    if (this.#status > 0) {
      const message = `The connection to ${this.#serverName} broke in mid-answer (${seen}).`;
      return new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', message);
    }
    const message = `No answer from ${this.#serverName} (${seen}). Start the server, or correct \`endpoint\`.`;
    return new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', message, { cause: error });
  }
}

const coded = new WeakMap<object, Record<string, string>>();

/** The headers of a request with ours; made once for each set of headers. */
function withCoding(headers: Readonly<Record<string, string>>): Record<string, string> {
  let all = coded.get(headers);
  if (all === undefined) {
    all = { ...headers, 'accept-encoding': 'identity' };
    coded.set(headers, all);
  }
  return all;
}

/** undici's and Node's words for "the other side closed the socket". */
const brokeBeforeReply = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function joined(body: HttpRequest['body']): string | Uint8Array | undefined {
  return Array.isArray(body) ? Buffer.concat(body) : (body as string | Uint8Array | undefined);
}

function cancelled(signal: AbortSignal): TroupeError {
  if (isTroupeError(signal.reason)) return signal.reason;
  return new TroupeError('TROUPE_ERR_ASK_CANCELLED', 'The model call was cancelled.', { cause: signal.reason });
}

function closedError(): TroupeError {
  return new TroupeError('TROUPE_ERR_TROUPE_CLOSED', 'The backend was closed; it makes no more calls.');
}

function protocol(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_BACKEND_PROTOCOL', message);
}
