/**
 * Tool calls that a model printed as text, as small ones do, instead of making them.
 *
 * P1  Only whole forms count: the text itself, a last block of code, or what stands on lines of its own behind the mark
 *     that a model was trained on. What a sentence quotes is no call.
 * P2  All or nothing: every part is a call of a known tool with its arguments, or there are none.
 */
import type { JsonObject, ToolCall } from './types.ts';

/** What was found in a text. */
export interface PrintedCalls {
  readonly calls: readonly ToolCall[];
  /** What stands around them; empty when they were all. */
  readonly text: string;
}

/** The calls of known tools that a text consists of; undefined when it is an ordinary text. Their ids are made up. */
export function printedCalls(text: string, isKnown: (name: string) => boolean): PrintedCalls | undefined {
  if (!text.includes('{')) return undefined;
  for (const form of forms) {
    const found = form(text.trim());
    const calls = found === undefined ? [] : callsIn(found.bodies, isKnown);
    if (found !== undefined && calls.length > 0) return { calls, text: found.around.trim() };
  }
  return undefined;
}

/** Texts that must be calls, and what stands around them. */
interface Found {
  readonly bodies: readonly string[];
  readonly around: string;
}

const forms: readonly ((text: string) => Found | undefined)[] = [
  (text) => (/^[[{]/.test(text) ? { bodies: [text], around: '' } : undefined),
  tagged,
  behindMark,
  fenced,
];

/** `<tool_call>{…}</tool_call>`, as often as there are calls (Qwen, Hermes). The last end may be missing; in a block of code they are shown. */
function tagged(whole: string): Found | undefined {
  const [before = '', ...parts] = whole.split('<tool_call>');
  if (parts.length === 0) return undefined;
  const bodies: string[] = [];
  const around = [before];
  for (const [index, part] of parts.entries()) {
    const end = part.indexOf('</tool_call>');
    const isCut = end < 0;
    const rest = isCut ? '' : part.slice(end + '</tool_call>'.length);
    const standsAlone = endsLine(around.at(-1) ?? '') && /^[ \t]*(?:[\r\n]|$)/.test(rest);
    if (!standsAlone || (isCut && index < parts.length - 1)) return undefined;
    bodies.push(isCut ? part : part.slice(0, end));
    around.push(rest);
  }
  const text = around.join('');
  return text.includes('```') ? undefined : { bodies, around: text };
}

/** `[TOOL_CALLS] […]` (Mistral) or `<|python_tag|>{…}` (Llama) up to the end of the text. */
function behindMark(text: string): Found | undefined {
  for (const mark of ['[TOOL_CALLS]', '<|python_tag|>']) {
    const at = text.indexOf(mark);
    if (at < 0 || !endsLine(text.slice(0, at))) continue;
    const body = text.slice(at + mark.length).replace(/(?:<\|(?:eom_id|eot_id)\|>|<\/s>)$/, '');
    return { bodies: [body], around: text.slice(0, at) };
  }
  return undefined;
}

/** The only block of code of the text, if the text ends with it: what is shown in passing is talked about afterwards. */
function fenced(text: string): Found | undefined {
  const parts = text.split('```');
  const [before = '', block = '', after] = parts;
  if (parts.length !== 3 || after !== '' || !endsLine(before)) return undefined;
  const body = /^(?:json|tool_call|tool_code)?[ \t]*\r?\n(.*)$/s.exec(block)?.[1];
  return body === undefined ? undefined : { bodies: [body], around: before };
}

function endsLine(text: string): boolean {
  return /(?:^|\n)[ \t]*$/.test(text.slice(-200));
}

function callsIn(bodies: readonly string[], isKnown: (name: string) => boolean): ToolCall[] {
  const values = bodies.flatMap((body) => valuesIn(body.trim()) ?? [undefined]);
  const calls = values.map((value, index) => toCall(value, `call_${index + 1}`));
  return calls.every((call) => call !== undefined && isKnown(call.name)) ? (calls as ToolCall[]) : [];
}

/** The values of a JSON text: of a list its items, else itself, or several objects on lines of their own or behind `;`. */
function valuesIn(body: string): readonly unknown[] | undefined {
  const whole = parse(body);
  if (whole !== undefined) return Array.isArray(whole) && whole.length > 0 ? whole : [whole];
  const values = body.split(/[;\n](?=[ \t\r\n]*\{)/).map(parse);
  return values.length < 2 || values.includes(undefined) ? undefined : values;
}

const callKeys: readonly string[] = ['name', 'arguments', 'parameters', 'id', 'type'];

/** A call in the words of one model or another. Anything besides name and arguments makes it something else. */
function toCall(value: unknown, id: string): ToolCall | undefined {
  if (!isObject(value)) return undefined;
  if (isObject(value['function'])) {
    const { function: told, id: _id, type: _type, ...more } = value;
    return Object.keys(more).length === 0 ? toCall(told, id) : undefined;
  }
  const { name, arguments: given = value['parameters'] } = value;
  if (typeof name !== 'string' || !Object.keys(value).every((key) => callKeys.includes(key))) return undefined;
  const args = typeof given === 'string' ? parse(given) : given;
  return isObject(args) ? { id, name, arguments: JSON.stringify(args) } : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
