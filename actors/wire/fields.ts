/** Reading JSON that others wrote: a field may be missing or of any type. */

/** The fields of an object. */
export type Fields = Readonly<Record<string, unknown>>;

/** A JSON object, or undefined for any other text. */
export function parseFields(text: string): Fields | undefined {
  try {
    return asFields(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Whether a text is JSON of any kind. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** An object, or undefined for any other value. */
export function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** The objects of a list; none when it is no list. */
export function asFieldsList(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(asFields).filter((item) => item !== undefined) : [];
}

/** A count as it was reported; undefined for what can be none. */
export function asCount(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

/** Whether a field says something: servers also write "no error" as null, false or an empty text. */
export function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== '';
}
