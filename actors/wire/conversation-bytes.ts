/**
 * The bytes of a conversation in a wire format, each message encoded once however often it is sent.
 *
 * W1  Bytes are kept per log, so that forks share them until they differ; a fork that differs begins its own buffer.
 * W2  Bytes that were handed out never change: a buffer is only written behind its end, or replaced by a larger one.
 * W3  What opens and closes a request is pieces of their own, never written into a buffer.
 */
import type { Conversation, Group, LogView } from '../../src/core/conversation.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { Message, ToolMessage } from '../../src/core/types.ts';
import type { ModelRequest } from '../backend.ts';

/** How a protocol writes messages. One object for each protocol: it is the key of the buffers. */
export interface MessageFormat {
  /** One message as JSON. */
  readonly encode: (message: Message) => string;
  /** The results of one step as one message. Absent: each result is a message of its own. */
  readonly encodeResults?: (results: readonly ToolMessage[]) => string;
  /** The system message is no message of this protocol: it has a field of the request. */
  readonly systemApart?: true;
  /** Stands between results and a prompt, where a step was interrupted. Absent: they may follow each other. */
  readonly gap?: string;
}

/** The body of a request, as pieces in order: an object of these fields, and the messages as its last. */
export function requestBytes(fields: object, format: MessageFormat, request: ModelRequest): Uint8Array[] {
  if (Object.hasOwn(fields, 'messages')) {
    const message =
      '`parameters.extra` must not hold `messages`: they are the conversation. Give `system` or a prompt.';
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
  const head = `${JSON.stringify(fields).slice(0, -1)},"messages":[`;
  return [Buffer.from(head), ...messageBytes(format, request.conversation, request.prompt), closing];
}

const closing = Buffer.from(']}');

/** All messages of a request, separated by commas: the conversation and what follows it, as pieces in order. */
export function messageBytes(
  format: MessageFormat,
  conversation: Conversation,
  prompt: readonly Message[],
): Uint8Array[] {
  const buffers = buffersOf(format);
  const pieces: Uint8Array[] = [];
  if (conversation.system !== undefined && !format.systemApart) pieces.push(buffers.once(conversation.system));
  const body = buffers.ofLog(conversation.log, conversation.groupCount);
  if (body.length > 0) pieces.push(body);
  pieces.push(...buffers.between(conversation.log.groups[conversation.groupCount - 1], prompt));
  for (const message of prompt) pieces.push(buffers.once(message));
  const last = pieces.pop();
  if (last !== undefined) pieces.push(last.subarray(0, -1));
  return pieces;
}

/** The buffers of one format. */
class FormatBuffers {
  readonly #format: MessageFormat;
  readonly #logs = new WeakMap<LogView, LogBytes>();
  /** Messages that are in no log: system messages, and prompts until their step succeeds. */
  readonly #single = new WeakMap<Message, Uint8Array>();

  constructor(format: MessageFormat) {
    this.#format = format;
  }

  once(message: Message): Uint8Array {
    let bytes = this.#single.get(message);
    if (bytes === undefined) {
      bytes = Buffer.from(`${this.#format.encode(message)},`);
      this.#single.set(message, bytes);
    }
    return bytes;
  }

  ofLog(log: LogView, groupCount: number): Uint8Array {
    if (groupCount === 0) return nothing;
    let bytes = this.#logs.get(log);
    if (bytes === undefined) {
      bytes = new LogBytes();
      this.#logs.set(log, bytes);
    }
    for (let at = bytes.groupCount; at < groupCount; at += 1) {
      const group = log.groups[at] ?? [];
      bytes.append([...this.between(log.groups[at - 1], group), ...this.#ofGroup(group)]);
    }
    return bytes.upTo(groupCount);
  }

  /** What must stand between a group and what follows it. */
  between(group: Group | undefined, next: readonly Message[]): Uint8Array[] {
    const { gap } = this.#format;
    if (gap === undefined || group?.at(-1)?.role !== 'tool' || next[0]?.role !== 'user') return [];
    return [Buffer.from(`${gap},`)];
  }

  #ofGroup(group: Group): Uint8Array[] {
    const { encodeResults } = this.#format;
    if (encodeResults === undefined) return group.map((message) => this.#take(message));
    const pieces: Uint8Array[] = [];
    const results: ToolMessage[] = [];
    const endResults = () => {
      if (results.length > 0) pieces.push(Buffer.from(`${encodeResults(results.splice(0))},`));
    };
    for (const message of group) {
      if (message.role === 'tool') {
        results.push(message);
        continue;
      }
      endResults();
      pieces.push(this.#take(message));
    }
    endResults();
    return pieces;
  }

  #take(message: Message): Uint8Array {
    const bytes = this.once(message);
    this.#single.delete(message);
    return bytes;
  }
}

const nothing = Buffer.alloc(0);
const smallestBuffer = 512;

/** One growing buffer, and where each group ends in it. */
class LogBytes {
  #bytes = nothing;
  readonly #ends: number[] = [];

  get groupCount(): number {
    return this.#ends.length;
  }

  append(messages: readonly Uint8Array[]): void {
    const start = this.#ends.at(-1) ?? 0;
    const end = messages.reduce((sum, { length }) => sum + length, start);
    if (end > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.#bytes.length * 2, smallestBuffer));
      this.#bytes.copy(larger, 0, 0, start);
      this.#bytes = larger;
    }
    messages.reduce((offset, bytes) => {
      this.#bytes.set(bytes, offset);
      return offset + bytes.length;
    }, start);
    this.#ends.push(end);
  }

  upTo(groupCount: number): Uint8Array {
    return this.#bytes.subarray(0, groupCount === 0 ? 0 : this.#ends[groupCount - 1]);
  }
}

const formats = new WeakMap<MessageFormat, FormatBuffers>();

function buffersOf(format: MessageFormat): FormatBuffers {
  let buffers = formats.get(format);
  if (buffers === undefined) {
    buffers = new FormatBuffers(format);
    formats.set(format, buffers);
  }
  return buffers;
}
