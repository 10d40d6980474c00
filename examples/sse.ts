/** What 05-fastify.ts and 06-express.ts share: a streamed ask as server-sent events, and clients that leave. */
import type { Server, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { isTroupeError, type ReplyStream } from '../src/index.ts';

/** Aborts when the connection is gone; after the answer that changes nothing. */
export function untilLeft(response: ServerResponse): AbortSignal {
  const left = new AbortController();
  response.on('close', () => left.abort());
  return left.signal;
}

/** A readable stream: no faster than the client reads. */
export function sse(stream: ReplyStream): Readable {
  return Readable.from(events(stream));
}

async function* events(stream: ReplyStream) {
  try {
    for await (const event of stream) {
      if (event.type === 'text-delta') yield `data: ${JSON.stringify(event.text)}\n\n`;
    }
    yield 'event: done\ndata:\n\n';
  } catch (error) {
    yield `event: error\ndata: ${isTroupeError(error) ? error.code : 'failed'}\n\n`;
  }
}

/** A server that closes keeps connections open that had a request in progress: this ends them after their answer. */
export function endIdleConnections(server: Server): void {
  server.on('request', (_request, response) => {
    response.on('close', () => server.listening || server.closeIdleConnections());
  });
}
