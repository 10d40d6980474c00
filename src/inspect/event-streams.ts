/**
 * The browsers that look, each at the end of a stream of server-sent events.
 *
 * E1  Messages go out in batches, each with the `seq` of its last message as id: who comes back gets what it missed.
 * E2  A browser that reads too slowly costs a bounded buffer. What does not fit is left out; when it reads again it is told
 *     `gap`, and gets a snapshot of what is then.
 * E3  What is kept for those who come back is bounded, and is forgotten when nobody watches: then messages are missing.
 */
import type { ServerResponse } from 'node:http';

export interface StreamLimits {
  /** Messages kept for browsers that come back. */
  readonly ringLimit: number;
  /** Bytes that may wait for a slow browser. */
  readonly maxBufferedBytes: number;
  /** How long messages are wanted after the last browser has left, in milliseconds. */
  readonly lingerMs: number;
}

/** Something with a place in the order of messages. */
interface Numbered {
  readonly seq: number;
}

/** Where the messages come from. */
export interface StreamSource {
  /** What a browser begins with. */
  snapshot(): Numbered;
  /** Says whether messages are wanted from now on. */
  want(wanted: boolean): void;
}

interface Kept {
  readonly seq: number;
  readonly json: string;
}

interface Client {
  readonly response: ServerResponse;
  /** Messages left out since it became slow; undefined while it keeps up. */
  missed: number | undefined;
}

const batchMs = 50;
/** Characters of one batch, and of all that is kept. */
const maxBatchLength = 1024 * 1024;
const maxRingLength = 64 * 1024 * 1024;
const heartbeatMs = 15_000;

export class EventStreams {
  readonly #limits: StreamLimits;
  readonly #clients = new Set<Client>();
  readonly #source: StreamSource;
  /** What was sent after `#ringBegins`, oldest first. */
  #ring: Kept[] = [];
  #ringBegins: number | undefined;
  #ringLength = 0;
  #batch: Kept[] = [];
  #batchLength = 0;
  #timer: NodeJS.Timeout | undefined;
  #lingering: NodeJS.Timeout | undefined;
  readonly #heartbeat: NodeJS.Timeout;

  constructor(limits: StreamLimits, source: StreamSource) {
    this.#limits = limits;
    this.#source = source;
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs).unref();
  }

  get count(): number {
    return this.#clients.size;
  }

  /** Takes a browser in. `lastId`: what it had seen before its connection broke. */
  add(response: ServerResponse, lastId: number | undefined): void {
    clearTimeout(this.#lingering);
    this.#source.want(true);
    this.#flush();
    const client: Client = { response, missed: undefined };
    this.#clients.add(client);
    this.#ringBegins ??= this.#source.snapshot().seq;
    response.on('close', () => this.#leave(client));
    response.on('drain', () => this.#catchUp(client));
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 1000\n\n');
    const missed = lastId === undefined ? undefined : this.#since(lastId);
    if (missed === undefined) {
      if (lastId !== undefined) sendEvent(response, 'gap', '{}');
      this.#sendSnapshot(client);
    } else if (missed.length > 0) {
      this.#send(client, missed);
    }
  }

  write<Message extends Numbered>(message: Message): void {
    const json = JSON.stringify(message);
    this.#batch.push({ seq: message.seq, json });
    this.#batchLength += json.length;
    this.#timer ??= setTimeout(() => this.#flush(), batchMs).unref();
    if (this.#batch.length >= this.#limits.ringLimit || this.#batchLength >= maxBatchLength) this.#flush();
  }

  #leave(client: Client): void {
    this.#clients.delete(client);
    if (this.#clients.size > 0) return;
    clearTimeout(this.#lingering);
    this.#lingering = setTimeout(() => this.#forget(), this.#limits.lingerMs).unref();
  }

  /** Nobody watches from now on, so that what is kept is no use any more. */
  #forget(): void {
    this.#source.want(false);
    this.#flush();
    this.#ring = [];
    this.#ringLength = 0;
    this.#ringBegins = undefined;
  }

  close(): void {
    this.#source.want(false);
    this.#flush();
    clearTimeout(this.#lingering);
    clearInterval(this.#heartbeat);
    for (const { response } of this.#clients) {
      response.end();
      response.destroy();
    }
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#ringLength += this.#batchLength;
    this.#batch = [];
    this.#batchLength = 0;
    for (const client of this.#clients) this.#send(client, batch);
    this.#ring.push(...batch);
    this.#trim();
  }

  /** Drops what is oldest, in large pieces, so that a message costs no copy of the ring. */
  #trim(): void {
    const { ringLimit } = this.#limits;
    if (this.#ring.length <= 2 * ringLimit && this.#ringLength <= maxRingLength) return;
    let dropped = 0;
    for (const { seq, json } of this.#ring) {
      if (this.#ring.length - dropped <= ringLimit && this.#ringLength <= maxRingLength / 2) break;
      this.#ringBegins = seq;
      this.#ringLength -= json.length;
      dropped += 1;
    }
    this.#ring = this.#ring.slice(dropped);
  }

  /** What came after `lastId`; undefined when some of that is not kept any more. */
  #since(lastId: number): Kept[] | undefined {
    const last = this.#ring.at(-1)?.seq ?? this.#ringBegins;
    if (this.#ringBegins === undefined || last === undefined) return undefined;
    return lastId < this.#ringBegins || lastId > last ? undefined : this.#ring.filter(({ seq }) => seq > lastId);
  }

  #send(client: Client, batch: readonly Kept[]): void {
    const { response } = client;
    if (client.missed === undefined && response.writableLength > this.#limits.maxBufferedBytes) client.missed = 0;
    if (client.missed !== undefined) {
      client.missed += batch.length;
      return;
    }
    const last = batch.at(-1)?.seq ?? 0;
    sendEvent(response, 'messages', `[${batch.map(({ json }) => json).join(',')}]`, last);
  }

  #sendSnapshot({ response }: Client): void {
    const snapshot = this.#source.snapshot();
    sendEvent(response, 'snapshot', JSON.stringify(snapshot), snapshot.seq);
  }

  #catchUp(client: Client): void {
    const { missed } = client;
    if (missed === undefined) return;
    client.missed = undefined;
    this.#flush();
    sendEvent(client.response, 'gap', JSON.stringify({ missed }));
    this.#sendSnapshot(client);
  }

  #beat(): void {
    for (const { response, missed } of this.#clients) if (missed === undefined) response.write(': here\n\n');
  }
}

/** JSON has no line breaks of its own, so one `data` line is enough. */
function sendEvent(response: ServerResponse, event: string, json: string, id?: number): void {
  response.write(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${json}\n\n`);
}
