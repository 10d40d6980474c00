/** What the tests of the inspector share: a scripted troupe in virtual time, and a reader of event streams. */
import { get, type IncomingMessage, request } from 'node:http';
import { createParser } from 'eventsource-parser';
import { type Script, scripted } from '../../actors/backends/scripted.ts';
import { tool } from '../../actors/tools/tool.ts';
import type { InspectMessage } from '../../src/inspect/messages.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

export const usage = { inputTokens: 10, outputTokens: 5 };

export const lookUp = tool({
  name: 'look_up',
  description: 'Looks something up.',
  parameters: { type: 'object', properties: { key: { type: 'string' } } },
  execute: async () => 'found the secret plan',
});

/** A troupe whose backend `one` answers by the script; `two` is there to fall back on. */
export function stage(one: Script, two: Script = []) {
  const clock = new VirtualClock();
  const backends = { one: scripted(one, { clock }), two: scripted(two, { clock }) };
  return { clock, troupe: createTroupe({ backends, clock, random: () => 0.5 }) };
}

/** A message without what differs from run to run. */
export function plain({ at: _at, ...message }: InspectMessage) {
  return message;
}

export interface StreamedEvent {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: unknown;
}

/** A browser's end of an event stream. `until` resolves with the first event, past or to come, that fits. */
export class Stream {
  readonly events: StreamedEvent[] = [];
  /** Every byte that came. */
  bytes = '';
  readonly response: IncomingMessage;
  #look = () => {};

  constructor(response: IncomingMessage) {
    this.response = response;
    const parser = createParser({
      onEvent: ({ event = '', id, data }) => {
        this.events.push({ event, id, data: JSON.parse(data) });
      },
    });
    // A server that goes breaks the stream off.
    response.on('error', () => {});
    response.setEncoding('utf8').on('data', (chunk: string) => {
      this.bytes += chunk;
      parser.feed(chunk);
      this.#look();
    });
  }

  until(fits: (event: StreamedEvent) => boolean): Promise<StreamedEvent> {
    return new Promise((resolve) => {
      this.#look = () => {
        const found = this.events.find(fits);
        if (found !== undefined) resolve(found);
      };
      this.#look();
    });
  }

  /** The messages that have come. */
  get messages(): InspectMessage[] {
    return this.events.filter(({ event }) => event === 'messages').flatMap(({ data }) => data as InspectMessage[]);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.response.on('close', resolve).destroy();
    });
  }
}

/** Opens the stream of a server. */
export function openStream({ port, token }: { port: number; token: string }, headers = {}): Promise<Stream> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: `/events?token=${token}`, headers }, (response) =>
      resolve(new Stream(response)),
    ).on('error', reject);
  });
}

export interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends one request and reads the answer. */
export function send(port: number, { method = 'GET', path, headers = {}, body }: Sent) {
  return new Promise<{ status: number | undefined; text: string; headers: IncomingMessage['headers'] }>(
    (resolve, reject) => {
      request({ host: '127.0.0.1', port, method, path, headers, agent: false }, async (response) => {
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        resolve({ status: response.statusCode, text, headers: response.headers });
      })
        .on('error', reject)
        .end(body);
    },
  );
}
