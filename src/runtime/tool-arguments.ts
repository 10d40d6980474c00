/**
 * The arguments of a tool call, from the text that a model wrote.
 * Small models write almost-JSON, which is repaired, but never text that was cut: what is missing would be made up.
 */

/** A value, and whether its text had to be repaired first; or what is wrong with the text. */
export type ReadArguments = { readonly value: unknown; readonly repaired: boolean } | { readonly problem: string };

/** Reads arguments; no text at all means none. The repair is loaded when it is first needed. */
export async function readArguments(text: string): Promise<ReadArguments> {
  if (text.trim() === '') return { value: {}, repaired: false };
  try {
    return { value: JSON.parse(text), repaired: false };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return isCut(text) ? { problem } : repair(text, problem);
  }
}

/** The arguments as one text that is the same for all ways to write them. */
export function canonicalArguments(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), (_key, value: unknown) => (isRecord(value) ? sorted(value) : value));
  } catch {
    return text.trim();
  }
}

async function repair(text: string, problem: string): Promise<ReadArguments> {
  try {
    const { jsonrepair } = await import('jsonrepair');
    return { value: JSON.parse(jsonrepair(text)), repaired: true };
  } catch {
    return { problem };
  }
}

/** Whether the end seems to be missing: it is no closing bracket, or one is left open. A text with lone brackets counts. */
function isCut(text: string): boolean {
  const count = (character: string) => text.split(character).length;
  return !/[}\]]\s*(?:`{3}\s*)?$/.test(text) || count('{') > count('}') || count('[') > count(']');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function sorted(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
