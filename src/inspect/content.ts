/**
 * Text on its way to whoever looks: as much of it as the content level lets through, without keys.
 * A key goes whole: it is looked for before a text is cut, and past where it is cut.
 */
import { redactor } from '../../actors/wire/redact.ts';
import type { ErrorSummary } from '../core/errors.ts';
import type { ContentLevel, ErrorView } from './messages.ts';

/** Cleans and cuts texts. Undefined: the text is not to be shown. */
export interface ContentFilter {
  /** Of what people, models and tools wrote. */
  text(value: string | undefined): string | undefined;
  /** Of names and reasons, which are always shown. */
  name(value: string): string;
  error(error: ErrorSummary | undefined): ErrorView | undefined;
}

/** The caller's own redaction, after ours; false = none at all. */
export type RedactOption = false | ((text: string) => string);

const limits: Readonly<Record<ContentLevel, number>> = { none: 0, preview: 200, full: 64 * 1024 };
const maxNameLength = 200;
/** How far past a cut a key may reach. */
const lookAheadLength = 4096;

/** The filter of a content level. */
export function contentFilter(content: ContentLevel, redact: RedactOption | undefined): ContentFilter {
  const clean = redact === false ? (text: string) => text : cleaner(redact);
  const cut = (text: string, limit: number) => {
    const cleaned = clean(text.slice(0, limit + lookAheadLength));
    return cleaned.length <= limit ? cleaned : `${cleaned.slice(0, limit - 1)}…`;
  };
  const text = (value: string | undefined) =>
    content === 'none' || value === undefined ? undefined : cut(value, limits[content]);
  return {
    text,
    name: (value) => cut(value, maxNameLength),
    error: (error) => {
      if (error === undefined) return undefined;
      const { code, class: errorClass } = error;
      const message = text(error.message);
      return { code, class: errorClass, ...(message === undefined ? {} : { message }) };
    },
  };
}

const shapes = redactor([]);
/** The values of JSON members, headers and settings whose name says that they are secret. */
const named =
  /(["']?[\w-]{0,40}(?:password|passwd|secret|api[-_]?key|access[-_]?key|authorization|credential|cookie|private[-_]?key|auth[-_]?token)[\w-]{0,40}["']?\s{0,4}[:=]\s{0,4})("(?:[^"\\]|\\.)*["\\]?|'[^'\n]*'?|[^\s,;"'}]+)/gi;

function cleaner(more: ((text: string) => string) | undefined): (text: string) => string {
  return (text) => {
    const known = shapes(text).replace(named, '$1"[redacted]"');
    if (more === undefined) return known;
    try {
      return String(more(known));
    } catch {
      // A redactor that fails says nothing of what it was given.
      return '[redacted]';
    }
  };
}
