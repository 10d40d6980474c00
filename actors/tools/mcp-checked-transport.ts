/**
 * A transport that lets only fitting answers through.
 *
 * The SDK takes the string "7" for request 7, and leaves a request unanswered until its time is over when the answer is
 * malformed. Here an answer counts once, by its exact id; a malformed one fails its request at once; noise is skipped.
 */
import type { Transport, TransportSendOptions } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type JSONRPCMessage, JSONRPCMessageSchema, type RequestId } from '@modelcontextprotocol/sdk/types.js';
import { asFields } from '../wire/fields.ts';

export class CheckedTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #inner: Transport;
  /** Requests that wait for their answer. */
  readonly #owed = new Set<RequestId>();

  constructor(inner: Transport) {
    this.#inner = inner;
    inner.onclose = () => this.onclose?.();
    inner.onerror = (error) => this.onerror?.(error);
    inner.onmessage = (message) => this.#take(message);
  }

  get sessionId(): string | undefined {
    return this.#inner.sessionId;
  }

  setProtocolVersion(version: string): void {
    this.#inner.setProtocolVersion?.(version);
  }

  start(): Promise<void> {
    return this.#inner.start();
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    const id = 'method' in message && 'id' in message ? message.id : undefined;
    if (id !== undefined) this.#owed.add(id);
    if ('method' in message && message.method === 'notifications/cancelled') {
      this.#owed.delete(message.params?.['requestId'] as RequestId);
    }
    try {
      await this.#inner.send(message, options);
    } catch (error) {
      if (id !== undefined) this.#owed.delete(id);
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** Takes anything that came; a list is taken one by one. */
  #take(received: unknown): void {
    if (Array.isArray(received)) for (const one of received) this.#takeOne(one);
    else this.#takeOne(received);
  }

  #takeOne(received: unknown): void {
    const fields = asFields(received);
    if (fields === undefined) return;
    const message = JSONRPCMessageSchema.safeParse(fields);
    if ('method' in fields) {
      if (message.success) this.onmessage?.(message.data);
      return;
    }
    const id = fields['id'] as RequestId;
    if (!this.#owed.delete(id)) return;
    this.onmessage?.(message.success ? message.data : malformed(id));
  }
}

function malformed(id: RequestId): JSONRPCMessage {
  return { jsonrpc: '2.0', id, error: { code: -32_600, message: 'The server sent a malformed answer.' } };
}
