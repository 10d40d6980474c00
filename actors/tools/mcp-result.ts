/** What a model is shown of an MCP tool's result. */
import { reasonOf } from '../../src/core/errors.ts';
import { asFields, asFieldsList, type Fields } from '../wire/fields.ts';

/** Characters of a result that the model is shown: with the note on what was cut, no more than any tool may give. */
const maxLength = 99_000;

/** A result as text: its structured content if there is some, else its parts; what is no text is a short marker. */
export function resultText(result: Fields): string {
  const structured = asFields(result['structuredContent']);
  const text =
    structured === undefined ? asFieldsList(result['content']).map(partText).join('\n') : JSON.stringify(structured);
  return cut(text);
}

/** What a call failed with, as text. */
export function errorText(error: unknown): string {
  return cut(reasonOf(error).replace(/^MCP error -?\d+: /, ''));
}

/** One part of a content as text. */
export function partText(part: Fields): string {
  const { type, text, uri, mimeType } = part;
  if (type === 'text' && typeof text === 'string') return text;
  const resource = asFields(part['resource']);
  if (typeof resource?.['text'] === 'string') return resource['text'];
  const what = [type, mimeType ?? resource?.['mimeType'], uri ?? resource?.['uri']];
  return `[${what.filter((word) => typeof word === 'string').join(' ')}, not shown]`;
}

function cut(text: string): string {
  if (text.length <= maxLength) return text;
  return `${text.slice(0, maxLength)}\n[cut: ${text.length - maxLength} more characters]`;
}
