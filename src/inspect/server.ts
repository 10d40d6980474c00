/**
 * The inspector's server: the page, the stream of messages, and the actions, for a browser on this machine.
 *
 * S1  Bodies, streams and buffers are bounded.
 * S2  The page loads nothing from anywhere, and runs only the script that it was shipped with.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isTroupeError, TroupeError } from '../core/errors.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import type { Troupe } from '../runtime/troupe.ts';
import { act } from './actions.ts';
import type { RedactOption } from './content.ts';
import { EventStreams } from './event-streams.ts';
import { guardedServer, type PlaceOptions, placeRules, type Words } from './guarded-server.ts';
import { contentRules, type Inspection, inspectTroupe } from './inspect-troupe.ts';
import type { ContentLevel, InspectSnapshot } from './messages.ts';
import { page, pagePolicy } from './page/page.ts';
import type { Recording } from './recording.ts';
import type { Feed, Sink } from './sink.ts';

/** Options of `serveInspector`. */
export interface ServeInspectorOptions extends PlaceOptions {
  /** The troupe to look at. Without it the returned server is a sink for an inspection of yours. */
  readonly troupe?: Troupe;
  /** A recording to show instead. */
  readonly recording?: Recording;
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

/** Starts the server. Rejects with `TROUPE_ERR_OPTION_INVALID`, also when the port cannot be had. */
export async function serveInspector(options: ServeInspectorOptions = {}): Promise<InspectorServer> {
  checkOptions('serveInspector', options, serveRules);
  const { troupe, content, redact } = options;
  const inspector = new Inspector(options);
  const server = await guardedServer('serveInspector', options, (route, request, response) =>
    inspector.answer(route, request, response),
  );
  let inspection: Inspection | undefined;
  let closed: Promise<void> | undefined;
  const result: InspectorServer = {
    url: server.url,
    port: server.port,
    token: server.token,
    join: (feed) => inspector.join(feed),
    write: (message) => inspector.streams.write(message),
    close: () => {
      closed ??= server.close(() => inspector.streams.close()).then(() => inspection?.stop());
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

class Inspector {
  readonly streams: EventStreams;
  readonly #options: ServeInspectorOptions;
  #feed: Feed | undefined;

  constructor(options: ServeInspectorOptions) {
    this.#options = options;
    const { ringLimit = 10_000, maxBufferedBytes = 4 * 1024 * 1024, lingerMs = 5_000 } = options;
    this.streams = new EventStreams(
      { ringLimit, maxBufferedBytes, lingerMs },
      { snapshot: () => this.#snapshot(), want: (wanted) => this.#feed?.want(wanted) },
    );
  }

  join(feed: Feed): void {
    this.#feed = feed;
  }

  /** A status and some words; undefined when the response is under way. */
  answer(route: string, request: IncomingMessage, response: ServerResponse): Words | undefined | Promise<Words> {
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
    this.streams.add(response, lastEventIdOf(request));
    return undefined;
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

/** What a browser had seen before its connection broke. */
function lastEventIdOf(request: IncomingMessage): number | undefined {
  const id = Number(request.headers['last-event-id'] ?? Number.NaN);
  return Number.isSafeInteger(id) ? id : undefined;
}

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

const serveRules: Readonly<Record<keyof ServeInspectorOptions, Rule>> = {
  ...contentRules,
  ...placeRules,
  troupe: rules.object,
  recording: rules.object,
  actions: rules.flag,
  ringLimit: rules.positiveCount,
  maxBufferedBytes: rules.positiveCount,
  lingerMs: rules.count,
};
