/**
 * Answers in the form of a schema: how a model is asked for one, how its words are read, and what it is told when they do
 * not fit.
 *
 * O1  The log keeps the user's prompt and the answer that fits. The instruction belongs to the ask: it is in every call that
 *     is made for it, whatever the step, the retry and the backend, and in no call of another ask.
 * O2  Only what the schema lets through is an output, whoever promised to keep to it.
 */
import type { Backend, ModelRequest } from '../../actors/backend.ts';
import {
  type Checked,
  isStandard,
  readSchema,
  type Schema,
  type SchemaCheck,
  type StandardSchema,
} from '../../actors/tools/schema.ts';
import type { Conversation } from '../core/conversation.ts';
import { TroupeError } from '../core/errors.ts';
import { utf8Bytes } from '../core/token-bounds.ts';
import type { Json, JsonObject, Message, ModelParameters, ToolDefinition, UserMessage } from '../core/types.ts';

/** What an answer in the form of a schema is: a Standard Schema's own output, any JSON for a JSON Schema. */
export type OutputOf<Wanted> = [Wanted] extends [undefined]
  ? undefined
  : Wanted extends StandardSchema<infer Output>
    ? Output
    : Wanted extends JsonObject
      ? Json
      : unknown;

/** What is sent for an ask. */
export interface Sent extends Pick<ModelRequest, 'conversation' | 'prompt' | 'parameters'> {
  /** Whether it says what the log will say, so that a session of the backend's own can be gone on with. */
  readonly isLogged: boolean;
}

/** What there is to send. */
export interface Sendable {
  readonly conversation: Conversation;
  readonly prompt: UserMessage;
  /** Whether the prompt is in the conversation. */
  readonly prompted: boolean;
  readonly parameters: ModelParameters;
  readonly tools: readonly ToolDefinition[];
}

/** An answer that did not fit, and why. */
export interface Misfit {
  readonly answer: Message;
  readonly problem: string;
}

/** The form of a schema; made once for each. Throws `TROUPE_ERR_OPTION_INVALID` when it gives no JSON Schema. */
export function outputForm(schema: Schema): OutputForm {
  let form = forms.get(schema);
  if (form === undefined) {
    form = new OutputForm(schema);
    forms.set(schema, form);
  }
  return form;
}

const forms = new WeakMap<Schema, OutputForm>();

/** Characters of what is wrong that a model is told. */
const maxProblemLength = 2000;

export class OutputForm {
  readonly #json: JsonObject;
  readonly #check: SchemaCheck['check'];

  constructor(schema: Schema) {
    const { json, check } = readSchema('`schema`', schema);
    this.#json = isStandard(schema) ? (closed(json) as JsonObject) : json;
    this.#check = check;
  }

  /** The most tokens that the form itself can be in a request, a repair included; the answer that is repaired is no part of it. */
  get boundTokens(): number {
    return 2 * utf8Bytes(JSON.stringify(this.#json)) + 4 * maxProblemLength;
  }

  /** What is sent to a backend so that it answers in this form; after a misfit, with that. */
  sent(sendable: Sendable, backend: Backend, misfit: Misfit | undefined): Sent {
    const { tools, parameters } = sendable;
    const { inference } = backend.info;
    // A local server keeps to a schema by a grammar, which lets no tool call through. An answer that did not fit needs none.
    const holds = this.#isHeldBy(backend) && (inference !== 'local' || tools.length === 0 || misfit !== undefined);
    // It does not tell the model of the schema either.
    const isTold = inference === 'local' || !holds;
    const told = isTold ? this.#instructed(sendable) : plain(sendable);
    const { responseFormat: _spec, ...rest } = parameters;
    return {
      isLogged: !isTold && misfit === undefined,
      conversation: told.conversation,
      prompt: misfit === undefined ? told.prompt : [...told.prompt, misfit.answer, this.#correction(misfit)],
      parameters: holds ? { ...rest, responseFormat: { type: 'schema', name: 'output', schema: this.#json } } : rest,
    };
  }

  /** What a text is in this form, or why it is nothing. A fence, words around it and small slips of the pen are no reason. */
  async read(text: string): Promise<{ readonly output: unknown } | { readonly problem: string }> {
    const candidates = jsonIn(text);
    const exact = candidates.map((candidate) => tryParse(candidate, JSON.parse));
    const found = await this.#firstThatFits(exact);
    if (found !== undefined && 'value' in found) return { output: found.value };
    const parse = await repairing();
    const rest = candidates.filter((_, index) => exact[index] === undefined);
    const repaired = await this.#firstThatFits(rest.map((candidate) => tryParse(candidate, parse)));
    if (repaired !== undefined && 'value' in repaired) return { output: repaired.value };
    const { problem } = found ?? repaired ?? { problem: 'there is no JSON in it' };
    return { problem: problem.slice(0, maxProblemLength) };
  }

  /** The first value that the schema lets through, else what is wrong with the first one. */
  async #firstThatFits(values: readonly (Parsed | undefined)[]): Promise<Checked | undefined> {
    let first: Checked | undefined;
    for (const parsed of values) {
      if (parsed === undefined) continue;
      const checked = await this.#check(parsed.value);
      if ('value' in checked) return checked;
      first ??= checked;
    }
    return first;
  }

  /** Servers that keep to a schema take one of an object. */
  #isHeldBy({ info }: Backend): boolean {
    return info.capabilities.includes('structured-output') && this.#json['type'] === 'object';
  }

  /** The same with the instruction in the prompt, wherever that stands. */
  #instructed(sendable: Sendable): Pick<Sent, 'conversation' | 'prompt'> {
    const { conversation, prompt, prompted } = sendable;
    const content = [prompt.content, this.#instruction].filter((part) => part !== '').join('\n\n');
    const told: UserMessage = { ...prompt, content };
    if (!prompted) return { conversation, prompt: [told] };
    const at = conversation.groups().findLastIndex(([first]) => first === prompt);
    // It was compressed away: the instruction still holds.
    if (at < 0) return { conversation, prompt: [{ role: 'user', content: this.#instruction }] };
    // Costs the length of the conversation, which is nothing beside a model's call.
    const twin = conversation.fork(at);
    for (const group of conversation.groups(at))
      twin.append(group.map((message) => (message === prompt ? told : message)));
    return { conversation: twin, prompt: [] };
  }

  get #instruction(): string {
    return `Give your answer as JSON only, with no other text. It must fit this JSON Schema:\n${JSON.stringify(this.#json)}`;
  }

  #correction({ problem }: Misfit): UserMessage {
    return { role: 'user', content: `That does not fit: ${problem}.\n\n${this.#instruction}` };
  }
}

/** The error of an answer that is not in the form that was asked for. */
export function outputInvalid(problem: string, text: string): TroupeError {
  const message = `The answer does not fit the \`schema\`: ${problem}.`;
  return new TroupeError('TROUPE_ERR_OUTPUT_INVALID', message, { partialText: text });
}

function plain({ conversation, prompt, prompted }: Sendable): Pick<Sent, 'conversation' | 'prompt'> {
  return { conversation, prompt: prompted ? [] : [prompt] };
}

/** Objects that say no word about further properties allow none: servers that keep to a schema ask for that. */
function closed(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const isOpen = 'properties' in schema && schema['type'] === 'object' && !('additionalProperties' in schema);
  const parts = Object.entries(schema).map(([key, part]) => [key, closedPart(key, part)]);
  return { ...Object.fromEntries(parts), ...(isOpen ? { additionalProperties: false } : {}) };
}

function closedPart(key: string, part: Json): Json {
  if (dataKeys.includes(key)) return part;
  if (key !== 'properties' || typeof part !== 'object' || part === null) return closed(part);
  return Object.fromEntries(Object.entries(part).map(([name, schema]) => [name, closed(schema)]));
}

/** Where a schema holds values and not schemas. */
const dataKeys: readonly string[] = ['const', 'enum', 'default', 'examples'];

/** Texts that may be the JSON of an answer, the likeliest first: all of it, a block of code, what the outermost brackets hold. */
function jsonIn(text: string): string[] {
  const blocks = [...text.matchAll(/```[\w-]*[ \t]*\r?\n(.*?)```/gs)].map(([, block = '']) => block);
  const braces = between(text, '{', '}');
  const brackets = between(text, '[', ']');
  const isList = text.indexOf('[') < text.indexOf('{');
  const outermost = isList ? [brackets, braces] : [braces, brackets];
  const texts = [text, ...blocks, ...outermost].map((candidate) => candidate?.trim() ?? '');
  return [...new Set(texts)].filter((candidate) => candidate !== '');
}

function between(text: string, open: string, close: string): string | undefined {
  const from = text.indexOf(open);
  const to = text.lastIndexOf(close);
  return from < 0 ? undefined : text.slice(from, to > from ? to + 1 : undefined);
}

/** Reads almost JSON: objects and lists, since any words would pass for a string. */
async function repairing(): Promise<(text: string) => unknown> {
  const { jsonrepair } = await import('jsonrepair');
  return (text) => (/^[[{]/.test(text) ? JSON.parse(jsonrepair(text)) : undefined);
}

interface Parsed {
  readonly value: unknown;
}

function tryParse(text: string, parse: (text: string) => unknown): Parsed | undefined {
  try {
    const value = parse(text);
    return value === undefined ? undefined : { value };
  } catch {
    return undefined;
  }
}
