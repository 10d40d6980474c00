/**
 * Puts the pieces of streamed tool calls together, for servers that number, name or identify them badly.
 * A call starts at a new id or a new name; any other piece belongs to the call of its id, of its index, or to the last one.
 */
import type { ToolCall } from '../../src/core/types.ts';

interface OpenCall {
  id: string;
  name: string;
  readonly index: number | undefined;
  arguments: string;
  /** How many brackets are open at the end of the arguments; undefined before the first. */
  depth: number | undefined;
  inText: boolean;
  escaped: boolean;
}

/** The tool calls of one answer. */
export class ToolCallMerger {
  readonly #calls: OpenCall[] = [];
  readonly #byId = new Map<string, OpenCall>();
  readonly #byIndex = new Map<number, OpenCall>();

  /** Takes `tool_calls` of one chunk, whatever it is. Returns whether there was anything of a call in it. */
  take(pieces: unknown): boolean {
    if (!Array.isArray(pieces)) return false;
    for (const piece of pieces) if (typeof piece === 'object' && piece !== null) this.#takePiece(piece);
    return pieces.length > 0;
  }

  /** All calls so far: each with an id of its own and some arguments. */
  calls(): ToolCall[] {
    const taken = new Set<string>();
    return this.#calls.map(({ id, name, arguments: text }, position) => {
      const ownId = uniqueId(id, position, taken);
      taken.add(ownId);
      return { id: ownId, name, arguments: text.trim() === '' ? '{}' : text };
    });
  }

  #takePiece(piece: object): void {
    const id = textField(piece, 'id');
    const told = objectField(piece, 'function');
    const name = textField(told, 'name');
    const text = argumentsOf(told);
    const index = numberField(piece, 'index');
    const known = this.#find(id, index);
    const call = known === undefined || startsCall(known, id, name, text) ? this.#open(index) : known;
    if (call.id === '') call.id = id;
    if (call.name === '') call.name = name;
    append(call, text);
    if (call.id !== '') this.#byId.set(call.id, call);
  }

  #open(index: number | undefined): OpenCall {
    const call: OpenCall = { id: '', name: '', index, arguments: '', depth: undefined, inText: false, escaped: false };
    this.#calls.push(call);
    if (index !== undefined) this.#byIndex.set(index, call);
    return call;
  }

  #find(id: string, index: number | undefined): OpenCall | undefined {
    const named = this.#byId.get(id);
    if (named !== undefined && (index === undefined || named.index === undefined || named.index === index))
      return named;
    const last = this.#calls.at(-1);
    if (index === undefined) return last;
    return this.#byIndex.get(index) ?? (last?.index === undefined ? last : undefined);
  }
}

function startsCall(known: OpenCall, id: string, name: string, text: string): boolean {
  if (name !== '' && known.name !== '' && name !== known.name) return true;
  const newId = id !== '' && known.id !== '' && id !== known.id;
  if (newId && name !== '') return true;
  return (newId || name !== '') && text !== '' && isWhole(known);
}

/** Whether the arguments so far are a closed object or array. */
function isWhole(call: OpenCall): boolean {
  return call.depth !== undefined && call.depth <= 0;
}

/** Adds to the arguments and follows their brackets, reading each character once. */
function append(call: OpenCall, text: string): void {
  call.arguments += text;
  for (const character of text) {
    if (call.escaped) call.escaped = false;
    else if (character === '"') call.inText = !call.inText;
    else if (call.inText) call.escaped = character === '\\';
    else if (character === '{' || character === '[') call.depth = (call.depth ?? 0) + 1;
    else if (character === '}' || character === ']') call.depth = (call.depth ?? 0) - 1;
  }
}

function uniqueId(id: string, position: number, taken: ReadonlySet<string>): string {
  if (id !== '' && !taken.has(id)) return id;
  let madeUp = `call_${position + 1}`;
  while (taken.has(madeUp)) madeUp += '_';
  return madeUp;
}

/** Arguments that a server sends as an object become the JSON text of it. */
function argumentsOf(told: object): string {
  const given = (told as { arguments?: unknown }).arguments;
  if (typeof given === 'string') return given;
  return typeof given === 'object' && given !== null ? JSON.stringify(given) : '';
}

function textField(value: object, name: string): string {
  const field = (value as Record<string, unknown>)[name];
  return typeof field === 'string' ? field : '';
}

function numberField(value: object, name: string): number | undefined {
  const field = (value as Record<string, unknown>)[name];
  return typeof field === 'number' ? field : undefined;
}

function objectField(value: object, name: string): object {
  const field = (value as Record<string, unknown>)[name];
  return typeof field === 'object' && field !== null ? field : {};
}
