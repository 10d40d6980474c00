/**
 * Standard input: bytes to lines, lines to what they say.
 * A line that is wrong is told and skipped: unlike `claude`, one bad line ends nothing.
 */
import { asFields, type Fields } from '../../actors/wire/fields.ts';
import { eventTooLarge } from '../../actors/wire/framing.ts';
import { lineReader } from '../../actors/wire/lines.ts';
import { reasonOf } from '../core/errors.ts';
import type { Image } from '../core/types.ts';

/** Bytes of one line. */
const maxLineBytes = 64 * 1024 * 1024;

/** What a line says. */
export type InputLine =
  | { readonly kind: 'user'; readonly message: UserInput }
  | { readonly kind: 'request'; readonly requestId: string | undefined; readonly request: ControlRequest }
  | { readonly kind: 'response'; readonly requestId: string; readonly result: ControlResult }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'wrong'; readonly problem: string };

/** A message of the user. */
export interface UserInput {
  /** The caller's own id of it. */
  readonly uuid: string | undefined;
  readonly text: string;
  readonly images: readonly Image[];
  /** As it came, to be shown again. */
  readonly content: unknown;
  /** False: it is only added to the conversation. */
  readonly wantsAnswer: boolean;
}

export interface ControlRequest extends Fields {
  readonly subtype: string;
}

/** The caller's answer to a request of ours. */
export type ControlResult = { readonly response: Fields } | { readonly error: string };

/**
 * Reads lines until the input ends; `onLine` may have the reading wait. Resolves with what broke the input off, if
 * something did.
 */
export async function readLines(
  input: AsyncIterable<Uint8Array>,
  onLine: (line: InputLine) => Promise<void> | undefined,
): Promise<string | undefined> {
  let lines: string[] = [];
  const reader = lineReader({
    ...{ maxLineBytes, tooLong: () => eventTooLarge(maxLineBytes) },
    onLine: (line) => void lines.push(line),
  });
  const deliver = async () => {
    const ready = lines;
    lines = [];
    for (const line of ready) if (line.trim() !== '') await onLine(parseLine(line));
  };
  try {
    for await (const bytes of input) {
      reader.read(bytes);
      await deliver();
    }
    lines.push(reader.rest());
    await deliver();
  } catch (error) {
    return `Standard input broke off: ${reasonOf(error)}`;
  }
  return undefined;
}

/** What one line says. */
function parseLine(text: string): InputLine {
  let line: Fields | undefined;
  try {
    line = asFields(JSON.parse(text));
  } catch {
    return wrong('it is no JSON');
  }
  switch (line?.['type']) {
    case 'user':
      return userLine(line);
    case 'control_request':
      return requestLine(line);
    case 'control_response':
      return responseLine(line);
    default:
      return { kind: 'ignored' };
  }
}

/** A prompt as a message of the user. */
export function userInput(text: string): UserInput {
  return { uuid: undefined, text, images: [], content: text, wantsAnswer: true };
}

/** A value that is a text. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function userLine({ message: given, uuid, shouldQuery }: Fields): InputLine {
  const message = asFields(given);
  if (message === undefined) return wrong('a user line has no `message`');
  if (message['role'] !== 'user') return wrong('the role of its `message` is not `user`');
  const { content } = message;
  const said = readContent(content);
  if (typeof said === 'string') return wrong(said);
  const wantsAnswer = shouldQuery !== false;
  return { kind: 'user', message: { uuid: textOf(uuid), ...said, content, wantsAnswer } };
}

function readContent(content: unknown): Pick<UserInput, 'text' | 'images'> | string {
  if (typeof content === 'string') return { text: content, images: [] };
  if (!Array.isArray(content)) return 'the `content` of its message is neither a text nor a list of blocks';
  const texts: string[] = [];
  const images: Image[] = [];
  for (const value of content) {
    const block = asFields(value) ?? {};
    const image = block['type'] === 'image' ? imageOf(asFields(block['source']) ?? {}) : undefined;
    if (image !== undefined) images.push(image);
    else texts.push(textOf(block['text']) ?? `[${textOf(block['type']) ?? 'something'}, not shown]`);
  }
  return { text: texts.join('\n'), images };
}

const mediaTypes: readonly unknown[] = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

function imageOf({ type, media_type: mediaType, data }: Fields): Image | undefined {
  if (type !== 'base64' || !mediaTypes.includes(mediaType) || typeof data !== 'string') return undefined;
  return { mediaType: mediaType as Image['mediaType'], data };
}

function requestLine({ request: given, request_id: requestId }: Fields): InputLine {
  const request = asFields(given);
  const subtype = textOf(request?.['subtype']);
  if (subtype === undefined) return wrong('a control request has no `request` with a `subtype`');
  return { kind: 'request', requestId: textOf(requestId), request: { ...request, subtype } };
}

function responseLine({ response: given }: Fields): InputLine {
  const { request_id: requestId, subtype, error, response } = asFields(given) ?? {};
  if (typeof requestId !== 'string') return { kind: 'ignored' };
  const failed = subtype === 'error';
  const result = failed ? { error: textOf(error) ?? 'no reason was given' } : { response: asFields(response) ?? {} };
  return { kind: 'response', requestId, result };
}

function wrong(problem: string): InputLine {
  return { kind: 'wrong', problem };
}
