/** One protocol from the server's side: how a request is heard, and how what the model says is put on the wire. */
import type { Failure, Heard, Said } from './model.ts';

export interface Dialect {
  readonly name: 'openai' | 'ollama' | 'anthropic';
  /** Of a streamed answer. */
  readonly contentType: string;
  /** Understands a request body. What only this protocol forbids is added to `problems`. */
  hear(body: Body, problems: string[]): Heard;
  /** Whether the request asks for a stream. */
  wantsStream(body: Body): boolean;
  /** A streamed answer. */
  stream(said: Said, body: Body): Frames;
  /** An answer in one piece of JSON. */
  whole(said: Said, body: Body): object;
  /** Body and status of a refusal. */
  refuse(failure: Failure, model: string): { readonly status: number; readonly body: object };
}

/** A request body; every field must be looked at before it is trusted. */
export type Body = Readonly<Record<string, unknown>>;

/** The frames of a stream: what stands before the text, one for each piece of text, and the rest. */
interface Frames {
  readonly begin: readonly string[];
  readonly pieces: readonly string[];
  readonly end: readonly string[];
}

/** The objects of a list; everything else in it is left out. */
export function objects(value: unknown): Body[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'object' && one !== null) : [];
}

export function object(value: unknown): Body {
  return objects([value])[0] ?? {};
}

/** The text of a content that is a text or a list of parts. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  return objects(content)
    .filter(({ type }) => type === 'text')
    .map(({ text }) => String(text))
    .join('\n');
}

/** The fields that are there, under our names. */
export function renamed(body: Body, names: Readonly<Record<string, string>>): Record<string, unknown> {
  const given = Object.entries(names).filter(([name]) => body[name] !== undefined);
  return Object.fromEntries(given.map(([name, ours]) => [ours, body[name]]));
}

let count = 0;

/** A new id. */
export function newId(prefix: string): string {
  count += 1;
  return `${prefix}${count}`;
}
