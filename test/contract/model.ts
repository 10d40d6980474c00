/**
 * A model that is a pure function: from what it was sent, whatever the protocol, to what it says.
 * The last line of the last prompt steers it (see `directives`); lines that it does not know are passed over, so that a
 * client may wrap the prompt.
 */
import type { JsonObject } from '../../src/core/types.ts';

/** What one request says, in the words of no protocol. */
export interface Heard {
  readonly model: string;
  /** System texts, joined by line feeds. */
  readonly system: string;
  /** Without system messages. */
  readonly messages: readonly HeardMessage[];
  readonly tools: readonly { readonly name: string; readonly parameters: unknown }[];
  /** By our names; a parameter that was not sent is absent. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** The schema of the answer, `json` for any object; absent when none is asked for. */
  readonly format?: 'json' | JsonObject;
  /** The request marks something to be cached. */
  readonly cached?: boolean;
}

export interface HeardMessage {
  readonly role: 'user' | 'assistant' | 'tool';
  readonly text: string;
  readonly calls?: readonly HeardCall[];
  /** Of a result: the call that it answers. */
  readonly callId?: string;
}

interface HeardCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: unknown;
}

/** What the model says. */
export interface Said {
  readonly pieces: readonly string[];
  readonly calls: readonly { readonly name: string; readonly arguments: unknown }[];
  readonly tokens: Tokens;
  /** It fails instead. */
  readonly fails?: Failure;
  /** `hang`: nothing follows, for ever. `held`: the rest waits until the test lets it go. */
  readonly pace?: 'hang' | 'held';
}

export type Failure = '400' | '400-context' | '401' | '404' | '429' | '500';

export interface Tokens {
  /** Of the whole prompt, cached ones included. */
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
}

/** Answers a request. */
export function answer(heard: Heard): Said {
  const at = heard.messages.findLastIndex(({ role, text }) => role === 'user' && directiveIn(text) !== undefined);
  const directive = directiveIn(heard.messages[at]?.text ?? '') ?? 'say I was told nothing that I know.';
  const said = follow(directive, { heard, since: heard.messages.slice(at + 1) });
  const { pieces = [], calls = [] } = said;
  return { ...said, pieces, calls, tokens: countTokens(heard, pieces.length + calls.length) };
}

/** What the model answers to `count`, read back. */
export interface Seen {
  readonly counts: Readonly<Record<HeardMessage['role'], number>>;
  readonly texts: readonly (readonly [role: HeardMessage['role'], text: string])[];
}

interface Scene {
  readonly heard: Heard;
  /** What came after the prompt with the directive. */
  readonly since: readonly HeardMessage[];
}

type Spoken = Partial<Omit<Said, 'tokens'>>;

/** By its first words, the longest first. */
const directives: Readonly<Record<string, (rest: string, scene: Scene) => Spoken>> = {
  'echo system': (_, { heard }) => text(heard.system),
  'echo parameters': (_, { heard }) => text(JSON.stringify(heard.parameters)),
  'hang after': (rest) => ({ pieces: [rest], pace: 'hang' }),
  say: (rest) => text(rest),
  call: (rest, scene) => callTools(rest, scene),
  empty: () => ({}),
  long: (rest) => ({ pieces: Array(Math.ceil(Number(rest) / 10_000)).fill('x'.repeat(10_000)) }),
  hang: () => ({ pace: 'hang' }),
  hold: (rest) => ({ ...text(rest), pace: 'held' }),
  error: (rest) => ({ fails: rest as Failure }),
  count: (_, { heard }) => text(JSON.stringify(census(heard.messages))),
  json: (_, scene) => structured(scene),
};

function directiveIn(prompt: string): string | undefined {
  const known = Object.keys(directives);
  return prompt
    .split('\n')
    .map((line) => line.trim())
    .findLast((line) => known.some((name) => line === name || line.startsWith(`${name} `)));
}

function follow(directive: string, scene: Scene): Spoken {
  const name = Object.keys(directives).find((known) => directive === known || directive.startsWith(`${known} `)) ?? '';
  return directives[name]?.(directive.slice(name.length + 1), scene) ?? {};
}

/** A text in pieces of three characters. */
function text(whole: string): Spoken {
  return { pieces: whole.match(/.{1,3}/gsu) ?? [] };
}

/** `add {"a":1} and mul {"b":2}` at once, or `10 times add {"a":1}` one after the other; then what they gave. */
function callTools(rest: string, { heard, since }: Scene): Spoken {
  const [, times = '1', list = ''] = /^(?:(\d+) times )?(.*)$/su.exec(rest) ?? [];
  const rounds = since.filter(({ calls = [] }) => calls.length > 0).length;
  if (rounds < Number(times)) {
    const wanted = list.split(/ and (?:call )?(?=[\w-]+ \{)/).map((one) => /^([\w-]+) (.*)$/su.exec(one));
    const calls = wanted.map((found) => ({
      name: offered(heard, found?.[1] ?? ''),
      arguments: JSON.parse(found?.[2] ?? '{}'),
    }));
    return { ...(rounds === 0 ? text('Let me see.') : {}), calls };
  }
  const results = since.filter(({ role }) => role === 'tool').map((result) => result.text);
  return text(results.join('; '));
}

/** The name under which a tool is offered: some clients put theirs before it. */
function offered({ tools }: Heard, name: string): string {
  return tools.find((tool) => tool.name === name || tool.name.endsWith(`__${name}`))?.name ?? name;
}

/** An answer that fits the schema, through the tool for it where the client has one. */
function structured({ heard, since }: Scene): Spoken {
  const through = heard.tools.find(({ name }) => name === 'StructuredOutput');
  const done = since.some(({ calls = [] }) => calls.length > 0);
  if (through !== undefined && !done) {
    const calls = [{ name: through.name, arguments: instance(through.parameters as JsonObject) }];
    return { ...text('Let me see.'), calls };
  }
  if (heard.format === undefined) return text('No format is asked for.');
  return text(JSON.stringify(heard.format === 'json' ? { any: 'object' } : instance(heard.format)));
}

/** The plainest value of a schema. */
function instance(schema: JsonObject): unknown {
  const { type, properties = {}, items = {} } = schema;
  if (Array.isArray(schema['enum'])) return schema['enum'][0];
  if (type === 'object')
    return Object.fromEntries(
      Object.entries(properties as JsonObject).map(([name, part]) => [name, instance(part as JsonObject)]),
    );
  if (type === 'array') return [instance(items as JsonObject)];
  return { string: 'text', integer: 7, number: 7, boolean: true, null: null }[String(type)] ?? null;
}

function census(messages: readonly HeardMessage[]): Seen {
  const counts = { user: 0, assistant: 0, tool: 0 };
  for (const { role } of messages) counts[role] += 1;
  return { counts, texts: messages.map((message) => [message.role, message.text]) };
}

/** Deterministic, and another number for nearly every prompt. A part of it is cached where the client asks for that. */
function countTokens({ system, messages, tools, cached = false }: Heard, output: number): Tokens {
  const words = [system, ...messages.map(({ text: said, calls = [] }) => said + JSON.stringify(calls))];
  const input = words.reduce((sum, word) => sum + 4 + Math.ceil(word.length / 4), 20 * tools.length);
  return {
    input,
    output,
    cacheRead: cached ? Math.floor(input / 4) : 0,
    cacheWrite: cached ? Math.floor(input / 8) : 0,
  };
}
