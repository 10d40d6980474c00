/**
 * One model call over HTTP, whatever the protocol: the request goes out, the reply is read as a stream or as a whole.
 * What fails carries the text that had arrived; what is no answer is never taken for one.
 */
import { isTroupeError, type TroupeError } from '../../src/core/errors.ts';
import type { ModelRequest, ModelResponse } from '../backend.ts';
import { parseFields } from './fields.ts';
import type { Framing } from './framing.ts';
import type { HttpClient, HttpHeaders } from './http.ts';
import { type CallFacts, protocolError, replyError } from './http-errors.ts';
import type { ModelList } from './model-list.ts';
import type { Reply } from './reply.ts';

/** A place that takes model calls: what all calls of one backend have in common. */
export interface ModelServer {
  /** Name of the backend, in its errors. */
  readonly backend: string;
  readonly client: HttpClient;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly freshSocket: boolean;
  /** How a stream is framed. */
  readonly framing: Framing;
  /** Whether a stream was asked for. */
  readonly stream: boolean;
  readonly maxEventBytes: number | undefined;
  /** Names the models that there are when one is unknown. Absent: they are not named. */
  readonly models?: ModelList | undefined;
  /** Begins to read one reply. */
  openReply(facts: CallFacts, onEvent: ModelRequest['onEvent']): Reply;
}

/** Makes one call with this body. */
export async function callServer(
  server: ModelServer,
  request: ModelRequest,
  body: readonly Uint8Array[],
): Promise<ModelResponse> {
  const { backend, client } = server;
  const { model, signal, onEvent } = request;
  const facts: CallFacts = { backend, model, redact: client.redact };
  const reply = server.openReply(facts, onEvent);
  try {
    return await exchange(server, { facts, reply, body, signal });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const error = isTroupeError(thrown)
      ? thrown
      : protocolError(facts, `the reply cannot be read: ${client.redact(String(thrown))}`, reply.text);
    if (error.code === 'TROUPE_ERR_BACKEND_STREAM_CUT' && reply.finished) return reply.response();
    const told = withFacts(error, facts, reply.text);
    if (error.code !== 'TROUPE_ERR_BACKEND_MODEL_UNKNOWN' || server.models === undefined) throw told;
    throw await server.models.named(told, signal);
  }
}

interface Call {
  readonly facts: CallFacts;
  readonly reply: Reply;
  readonly body: readonly Uint8Array[];
  readonly signal: AbortSignal;
}

async function exchange(server: ModelServer, { facts, reply, body, signal }: Call): Promise<ModelResponse> {
  const { client, url, headers, freshSocket, framing, stream, maxEventBytes } = server;
  let begun = false;
  const unread: Uint8Array[] = [];
  const reader = framing.open({
    maxEventBytes,
    onEvent: (data) => {
      begun = true;
      reply.takeEvent(data);
    },
  });
  const onData = (bytes: Uint8Array): boolean => {
    if (!begun) unread.push(bytes);
    reader.read(bytes);
    return reply.done;
  };
  const send = { method: 'POST', url, headers, body, signal, freshSocket } as const;
  const http = await client.send(stream ? { ...send, onData } : send);
  if (http.status >= 300) throw replyError(facts, http);
  const framed = isOf(http.headers, framing);
  // A server may stream though one answer was asked for.
  if (!stream && framed) onData(Buffer.from(http.text));
  if (begun || framed) reader.end();
  if (begun) return reply.response();
  const text = stream ? new TextDecoder().decode(Buffer.concat(unread)) : http.text;
  // Without a single event it is one whole answer or none, unless a stream was cut before its first.
  if (!begun && (!framed || parseFields(text) !== undefined)) reply.takeBody(text, http.headers);
  return reply.response();
}

function isOf(headers: HttpHeaders, { contentType }: Framing): boolean {
  return String(headers['content-type'] ?? '')
    .toLowerCase()
    .startsWith(contentType);
}

function withFacts(error: TroupeError, { backend, model, redact }: CallFacts, text: string): TroupeError {
  return error.with({ backend, model, ...(text === '' ? {} : { partialText: redact(text) }) });
}
