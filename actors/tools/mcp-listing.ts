/**
 * What an MCP server lists, read page by page with caps: who lists more is cut, what is no tool is left out, and each
 * time a warning says so. Nothing that a server lists makes this throw or go on for ever.
 */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../../src/core/types.ts';
import { asFields, asFieldsList, type Fields } from '../wire/fields.ts';

/** A tool as its server lists it. */
export interface ListedTool {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonObject;
  /** The same for two listings exactly when name, description and schema are. */
  readonly print: string;
}

export interface Listing {
  readonly tools: readonly ListedTool[];
  /** What was left out, and why. */
  readonly warnings: readonly string[];
}

/** Asks for the page behind a cursor. */
export type RequestPage = (params: { readonly cursor?: string }) => Promise<Fields>;

const maxPages = 32;
const maxTools = 128;
const maxItems = 10_000;
const maxNameLength = 128;
const maxDescriptionLength = 4096;
/** Characters of all descriptions and schemas of a server: they are sent with every request to a model. */
const maxCharacters = 200_000;
const maxWarnings = 20;

/** Lists the tools of a server. Rejects only with what `requestPage` rejects with. */
export async function listTools(requestPage: RequestPage): Promise<Listing> {
  const { items, warnings } = await readPages(requestPage, 'tools', maxTools * 4);
  const tools = new Map<string, ListedTool>();
  let characters = 0;
  for (const item of items) {
    const tool = readTool(item);
    const size = typeof tool === 'string' ? 0 : tool.description.length + JSON.stringify(tool.parameters).length;
    if (typeof tool === 'string') warnings.push(tool);
    else if (tools.has(tool.name)) warnings.push(`A second tool "${tool.name}" is left out.`);
    else if (tools.size === maxTools)
      warnings.push(`Tool "${tool.name}" is left out: there are ${maxTools} before it.`);
    else if (characters + size > maxCharacters) {
      warnings.push(
        `Tool "${tool.name}" is left out: all descriptions and schemas would pass ${maxCharacters} characters.`,
      );
    } else {
      characters += size;
      tools.set(tool.name, tool);
    }
  }
  const more = warnings.length - maxWarnings;
  const told = more > 0 ? [...warnings.slice(0, maxWarnings), `${more} more of these.`] : warnings;
  return { tools: [...tools.values()], warnings: told };
}

/** Reads a list of a server to its end, or to the caps. */
export async function readPages(
  requestPage: RequestPage,
  key: string,
  limit = maxItems,
): Promise<{ readonly items: readonly Fields[]; readonly warnings: string[] }> {
  const items: Fields[] = [];
  let cursor: unknown;
  for (let page = 0; page < maxPages; page += 1) {
    const result = await requestPage(typeof cursor === 'string' ? { cursor } : {});
    items.push(...asFieldsList(result[key]).slice(0, limit - items.length));
    const next = result['nextCursor'];
    if (typeof next !== 'string' || next === '' || next === cursor) return { items, warnings: [] };
    if (items.length >= limit) return { items, warnings: [`Only the first ${limit} ${key} are read.`] };
    cursor = next;
  }
  return { items, warnings: [`Only the first ${maxPages} pages of ${key} are read.`] };
}

/** A tool that can be used, or why this is none. */
function readTool({ name, description, inputSchema }: Fields): ListedTool | string {
  if (typeof name !== 'string' || name.trim() === '' || name.length > maxNameLength) {
    return `A tool is left out: its name must be 1 to ${maxNameLength} characters.`;
  }
  const schema = asFields(inputSchema);
  if (schema === undefined || !isObjectSchema(schema)) {
    return `Tool ${JSON.stringify(name)} is left out: its \`inputSchema\` is no JSON Schema of an object.`;
  }
  const shown = typeof description === 'string' ? description.slice(0, maxDescriptionLength) : '';
  const print = createHash('sha256')
    .update(JSON.stringify([name, description ?? '', sorted(schema)]))
    .digest('hex');
  return { name, description: shown, parameters: schema as JsonObject, print };
}

/** A schema that no provider refuses for its frame: one bad tool must not spoil every request of its agent. */
function isObjectSchema({ type, properties = {}, required = [] }: Fields): boolean {
  const isNames = Array.isArray(required) && required.every((name) => typeof name === 'string');
  const isProperties = asFields(properties) !== undefined && Object.values(properties as Fields).every(isSchema);
  return type === 'object' && isProperties && isNames;
}

function isSchema(value: unknown): boolean {
  return typeof value === 'boolean' || asFields(value) !== undefined;
}

/** The order of keys says nothing: a server may list them otherwise after a restart. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  const fields = asFields(value);
  if (fields === undefined) return value;
  return Object.fromEntries(
    Object.keys(fields)
      .sort()
      .map((key) => [key, sorted(fields[key])]),
  );
}
