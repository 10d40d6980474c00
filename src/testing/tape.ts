/** What a cassette holds: exchanges with a server, as lines of JSON without keys. */
import { readFileSync, writeFileSync } from 'node:fs';
import { reasonOf, TroupeError } from '../core/errors.ts';
import { inOrder } from './simulation-log.ts';

/** One request and what was answered. */
export interface TapedExchange {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** As canonical JSON where it is JSON. */
  readonly body: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The body in the pieces in which it came: a text, or base64 where a piece is none. */
  readonly chunks: readonly (string | { readonly base64: string })[];
  /** How it ended: whole, broken off by the server, or when the client left. */
  readonly end: 'whole' | 'cut' | 'left';
}

/** Reads a tape. Throws `TROUPE_ERR_PATH_REFUSED`. */
export function readTape(path: string): TapedExchange[] {
  try {
    const [first = '', ...lines] = readFileSync(path, 'utf8').split('\n');
    if (JSON.parse(first).troupeCassette !== 1) throw new Error('its first line is not that of a cassette');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
  } catch (thrown) {
    const message = `The cassette "${path}" cannot be read: ${reasonOf(thrown)}. Record it with \`mode: 'record'\`.`;
    throw new TroupeError('TROUPE_ERR_PATH_REFUSED', message, { cause: thrown });
  }
}

/** Writes a tape over the one that is there. Throws `TROUPE_ERR_PATH_REFUSED`. */
export function writeTape(path: string, exchanges: readonly TapedExchange[]): void {
  const lines = [{ troupeCassette: 1 }, ...exchanges].map((line) => `${JSON.stringify(line)}\n`);
  try {
    writeFileSync(path, lines.join(''));
  } catch (thrown) {
    const message = `The cassette "${path}" cannot be written: ${reasonOf(thrown)}`;
    throw new TroupeError('TROUPE_ERR_PATH_REFUSED', message, { cause: thrown });
  }
}

/** JSON with its keys in order; another text as it is. */
export function canonical(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), inOrder);
  } catch {
    return text;
  }
}

/** The texts that a stream of JSON frames gives in pieces, each put together: a key in one is in no single frame. */
export function streamedTexts(body: string): string[] {
  const texts = new Map<string, string>();
  const collect = (path: string, value: unknown): void => {
    if (typeof value === 'string') texts.set(path, (texts.get(path) ?? '') + value);
    else if (typeof value === 'object' && value !== null)
      for (const [name, inner] of Object.entries(value)) collect(`${path}/${name}`, inner);
  };
  const frames = body.split('\n').map((line) => line.replace(/^data:/, ''));
  if (frames.length > 1) for (const frame of frames) collect('', parsed(frame));
  return [...texts].flatMap(([path, text]) => (path === '' ? [] : text));
}

/** The first place in which two bodies differ, with both values. */
export function bodyDifference(taped: string, sent: string): string {
  return differenceAt('', parsed(taped), parsed(sent)) ?? 'nothing';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function differenceAt(path: string, taped: unknown, sent: unknown): string | undefined {
  if (typeof taped !== 'object' || typeof sent !== 'object' || taped === null || sent === null) {
    if (taped === sent) return undefined;
    return `\`${path || 'body'}\` is ${shown(sent)} and on the tape ${shown(taped)}`;
  }
  const [tape, request] = [taped, sent] as Readonly<Record<string, unknown>>[];
  for (const name of new Set([...Object.keys(tape ?? {}), ...Object.keys(request ?? {})])) {
    const inner = Array.isArray(sent) ? `${path}[${name}]` : [path, name].filter(Boolean).join('.');
    const found = differenceAt(inner, tape?.[name], request?.[name]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function shown(value: unknown): string {
  const text = value === undefined ? 'absent' : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
