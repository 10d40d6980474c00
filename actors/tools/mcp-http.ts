/**
 * The ways to an MCP server over HTTP: streamable HTTP, or the older pair of an event stream and posts.
 *
 * U1  Headers and token go to the origin of the server alone, also when OAuth asks elsewhere.
 * U2  A request whose answer does not come with the response to it, and cannot come later, fails at once.
 * U3  When OAuth needs the user, the request waits for the code that `authProvider.authorizationCode` gives, if it can.
 * U4  A response is capped. A server that cannot be reached, or has forgotten the session, is lost: the connection ends.
 */
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { SSEClientTransport, SseError } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { FetchLike, Transport, TransportSendOptions } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type JSONRPCMessage, JSONRPCMessageSchema, type RequestId } from '@modelcontextprotocol/sdk/types.js';
import { createParser } from 'eventsource-parser';
import { fetch, Headers, type RequestInit, Response } from 'undici';
import { reasonOf } from '../../src/core/errors.ts';
import { asFields, parseFields } from '../wire/fields.ts';
import { redactor } from '../wire/redact.ts';
import type { McpSite } from './mcp-transports.ts';

type Inner = StreamableHTTPClientTransport | SSEClientTransport;

/** Bytes of one response. */
const maxResponseBytes = 16 * 1024 * 1024;
/** How often one request may send the user to the authorization server. */
const maxAuthorizations = 2;
/** How long a server may take to end the session. */
const goodbyeMs = 1_000;

export class HttpTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #site: McpSite;
  readonly #url: URL;
  #inner: Inner;
  /** The token that was sent last. */
  #token: string | undefined;
  #isAnswered = false;
  #isClosed = false;

  /** Throws when the URL is none. */
  constructor(site: McpSite) {
    this.#site = site;
    this.#url = new URL(site.url);
    this.#inner = this.#make(site.type === 'sse');
  }

  get sessionId(): string | undefined {
    return this.#inner instanceof StreamableHTTPClientTransport ? this.#inner.sessionId : undefined;
  }

  setProtocolVersion(version: string): void {
    this.#inner.setProtocolVersion(version);
  }

  async start(): Promise<void> {
    try {
      await this.#inner.start();
    } catch (error) {
      if (!(await this.#isAuthorized(error))) throw error;
      this.#inner = this.#make(this.#inner instanceof SSEClientTransport);
      await this.#inner.start();
    }
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    try {
      await this.#sendAuthorized(message, options);
      this.#isAnswered = true;
    } catch (error) {
      if (!this.#isAnswered && this.#site.type === 'http-or-sse' && isRefusal(error)) {
        this.#inner = this.#make(true);
        await this.start();
        this.#isAnswered = true;
        return this.#inner.send(message);
      }
      // First whoever sent this is told why, then everybody else.
      const reason = redactor([this.#token])(reasonWithCause(error));
      if (this.#isLost(error)) setImmediate(() => this.#lose(reason));
      throw new Error(reason, { cause: error });
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const inner = this.#inner;
    if (inner instanceof StreamableHTTPClientTransport && inner.sessionId !== undefined) await goodbye(inner);
    await inner.close();
    this.onclose?.();
  }

  async #sendAuthorized(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    for (let count = 0; ; count += 1) {
      try {
        return await (this.#inner as Transport).send(message, options);
      } catch (error) {
        if (count === maxAuthorizations || !(await this.#isAuthorized(error))) throw error;
      }
    }
  }

  /** Whether the user has given a code since the server refused us, and a token was had for it. */
  async #isAuthorized(error: unknown): Promise<boolean> {
    const { authProvider } = this.#site;
    if (!(error instanceof UnauthorizedError) || authProvider?.authorizationCode === undefined) return false;
    await this.#inner.finishAuth(await authProvider.authorizationCode());
    return true;
  }

  #make(isOld: boolean): Inner {
    const { authProvider } = this.#site;
    const options = {
      fetch: ((url, init) => this.#fetch(url, init as unknown as RequestInit, !isOld)) as FetchLike,
      ...(authProvider === undefined ? {} : { authProvider }),
    };
    const inner = isOld
      ? new SSEClientTransport(this.#url, options)
      : new StreamableHTTPClientTransport(this.#url, options);
    inner.onmessage = (message) => this.onmessage?.(message);
    inner.onerror = (error) => {
      if (inner !== this.#inner) return;
      const isOver =
        /^Maximum reconnection attempts/.test(error.message) || (this.#isAnswered && error instanceof SseError);
      if (isOver) this.#lose(error.message);
      else this.onerror?.(error);
    };
    return inner;
  }

  #isLost(error: unknown): boolean {
    if (error instanceof StreamableHTTPError) return error.code === 404 && this.sessionId !== undefined;
    return error instanceof TypeError;
  }

  #lose(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.onerror?.(new Error(`The connection is lost: ${reason}`));
    void this.#inner.close().then(() => this.onclose?.());
  }

  async #fetch(url: string | URL, init: RequestInit = {}, bringsAnswer = false): Promise<globalThis.Response> {
    const headers = new Headers(init.headers);
    if (new URL(url).origin === this.#url.origin) await this.#authorize(headers);
    const response = await fetch(url, { ...init, headers });
    const id = bringsAnswer ? requestIdOf(init) : undefined;
    const checked = id === undefined || !response.ok ? response : this.#checked(response, id);
    return checked as unknown as globalThis.Response;
  }

  async #authorize(headers: Headers): Promise<void> {
    const { headers: given, token } = this.#site;
    for (const [name, value] of Object.entries(given)) if (!headers.has(name)) headers.set(name, value);
    this.#token = typeof token === 'function' ? await token() : token;
    if (this.#token === undefined || headers.has('authorization')) return;
    headers.set('authorization', `Bearer ${this.#token}`);
  }

  /** The response to a request as it is read on, watched for its answer. */
  #checked(response: Response, id: RequestId): Response {
    const { status, headers, body } = response;
    if (body === null) return response;
    const type = headers.get('content-type') ?? '';
    if (!/event-stream|json/.test(type)) return response;
    const watch = new AnswerWatch(id, /event-stream/.test(type));
    const reader = body.getReader();
    let bytes = 0;
    const fail = (message: string) => this.onmessage?.({ jsonrpc: '2.0', id, error: { code: -32_603, message } });
    const watched = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
        bytes += value?.length ?? 0;
        const isTooLong = bytes > maxResponseBytes;
        const problem = isTooLong ? `The answer passed ${maxResponseBytes} bytes.` : watch.read(value);
        if (problem !== undefined) fail(problem);
        if (isTooLong) await reader.cancel();
        if (isTooLong || done || value === undefined) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    });
    return new Response(watched, { status, headers });
  }
}

/** Looks through the response to one request: says as soon as it is certain that the answer is none, or is not to come. */
class AnswerWatch {
  readonly #id: RequestId;
  readonly #decoder = new TextDecoder();
  readonly #events: ReturnType<typeof createParser> | undefined;
  #text = '';
  #isAnswered = false;
  #isResumable = false;
  #isMalformed = false;

  constructor(id: RequestId, isStream: boolean) {
    this.#id = id;
    if (!isStream) return;
    this.#events = createParser({
      onEvent: ({ data, id: eventId }) => {
        this.#isResumable ||= eventId !== undefined;
        this.#look(data);
      },
    });
  }

  /** Takes the next bytes, or undefined for the end. Says what is wrong, once. */
  read(bytes: Uint8Array | undefined): string | undefined {
    const text = this.#decoder.decode(bytes, { stream: bytes !== undefined });
    if (this.#events !== undefined) this.#events.feed(text);
    else this.#text += text;
    if (bytes === undefined && this.#events === undefined) this.#look(this.#text);
    if (this.#isMalformed) {
      this.#isMalformed = false;
      return 'The server sent a malformed answer.';
    }
    const isOver = bytes === undefined && !this.#isAnswered && !this.#isResumable;
    return isOver ? 'The response of the server ended without an answer.' : undefined;
  }

  #look(json: string): void {
    for (const fields of messagesIn(json)) {
      if (fields?.['id'] !== this.#id || 'method' in fields || this.#isAnswered) continue;
      this.#isAnswered = true;
      // A list among the events of a stream is dropped by the SDK.
      const isDropped = this.#events !== undefined && isList(json);
      this.#isMalformed = isDropped || !JSONRPCMessageSchema.safeParse(fields).success;
    }
  }
}

function messagesIn(json: string) {
  if (!isList(json)) return [parseFields(json)];
  return (parseFields(`{"list":${json}}`)?.['list'] as readonly unknown[] | undefined)?.map(asFields) ?? [];
}

function isList(json: string): boolean {
  return json.trimStart().startsWith('[');
}

/** The id of the request that a post carries. */
function requestIdOf({ method, body }: RequestInit): RequestId | undefined {
  const fields = method === 'POST' && typeof body === 'string' ? parseFields(body) : undefined;
  return fields !== undefined && 'method' in fields ? (fields['id'] as RequestId | undefined) : undefined;
}

/** The server does not know this protocol: it may know the old one. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof StreamableHTTPError)) return false;
  const { code = 0 } = error;
  return code >= 400 && code < 500 && code !== 401 && code !== 403;
}

/** Ends the session, if the server does so in time. */
async function goodbye(inner: StreamableHTTPClientTransport): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, goodbyeMs);
  });
  await Promise.race([inner.terminateSession().catch(() => {}), late]);
  clearTimeout(timer);
}

/** What fetch failed with stands in its cause. */
function reasonWithCause(error: unknown): string {
  if (error instanceof StreamableHTTPError && (error.code ?? 0) > 0) {
    return `HTTP ${error.code}: ${error.message.replace(/^.*?Error POSTing to endpoint: /s, '')}`;
  }
  const cause = error instanceof TypeError ? error.cause : undefined;
  return cause === undefined ? reasonOf(error) : `${reasonOf(error)}: ${reasonOf(cause)}`;
}
