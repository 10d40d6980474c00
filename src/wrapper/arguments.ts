/**
 * The command line: flags of `claude` as `--flag value` or `--flag=value`.
 * What is not known is ignored, since a caller may be newer than this; what is known and makes no sense is an error.
 */
import { TroupeError } from '../core/errors.ts';
import type { JsonObject } from '../core/types.ts';

/** How the answer is written: every line, the result line alone, or its text alone. */
export type OutputFormat = 'stream-json' | 'json' | 'text';

export interface Arguments {
  readonly version: boolean;
  /** A prompt among the words, when standard input does not carry messages. */
  readonly prompt: string | undefined;
  /** `stream-json`: lines of messages. `text`: all of it is one prompt. */
  readonly inputFormat: 'stream-json' | 'text';
  readonly outputFormat: OutputFormat;
  readonly model: string | undefined;
  readonly fallbackModels: readonly string[];
  readonly systemPrompt: string | undefined;
  readonly appendSystemPrompt: string | undefined;
  readonly sessionId: string | undefined;
  readonly resume: string | undefined;
  readonly continues: boolean;
  readonly fork: boolean;
  /** The last message to keep of the resumed session. */
  readonly resumeAt: string | undefined;
  readonly persistent: boolean;
  readonly partials: boolean;
  readonly replay: boolean;
  /** Model calls that one message may take; undefined: no limit was asked for. */
  readonly maxTurns: number | undefined;
  readonly mcpConfigs: readonly string[];
  readonly allowedTools: readonly string[];
  readonly disallowedTools: readonly string[];
  readonly permissionMode: string;
  /** Permissions are asked for by control requests. */
  readonly asksPermission: boolean;
  readonly jsonSchema: JsonObject | undefined;
}

/** Reads the command line. Throws `TROUPE_ERR_OPTION_INVALID` for a value that cannot be meant. */
export function parseArguments(argv: readonly string[]): Arguments {
  const { flags, values, words } = sort(argv);
  const last = (name: string) => values.get(name)?.at(-1);
  const all = (name: string) => (values.get(name) ?? []).flatMap(toolNames);
  const takesLines = last('input-format') === 'stream-json' || (!last('input-format') && words.length === 0);
  return {
    version: flags.has('version') || flags.has('v'),
    prompt: takesLines ? undefined : words.join(' ') || undefined,
    inputFormat: takesLines ? 'stream-json' : 'text',
    outputFormat: outputFormat(last('output-format'), takesLines),
    model: last('model'),
    fallbackModels: (last('fallback-model') ?? '').split(',').filter((name) => name !== ''),
    systemPrompt: last('system-prompt'),
    appendSystemPrompt: last('append-system-prompt'),
    sessionId: last('session-id'),
    resume: last('resume') ?? last('r'),
    continues: flags.has('continue') || flags.has('c'),
    fork: flags.has('fork-session'),
    resumeAt: last('resume-session-at'),
    persistent: !flags.has('no-session-persistence'),
    partials: flags.has('include-partial-messages'),
    replay: flags.has('replay-user-messages'),
    maxTurns: turns(last('max-turns')),
    mcpConfigs: values.get('mcp-config') ?? [],
    allowedTools: [...all('allowedTools'), ...all('allowed-tools')],
    disallowedTools: [...all('disallowedTools'), ...all('disallowed-tools')],
    permissionMode: last('permission-mode') ?? 'default',
    asksPermission: last('permission-prompt-tool') === 'stdio',
    jsonSchema: schema(last('json-schema')),
  };
}

const switches = [
  ...['p', 'print', 'verbose', 'version', 'v', 'continue', 'c', 'fork-session', 'no-session-persistence'],
  ...['include-partial-messages', 'replay-user-messages', 'strict-mcp-config'],
];
const single = [
  ...['input-format', 'output-format', 'model', 'fallback-model', 'system-prompt', 'append-system-prompt'],
  ...['session-id', 'resume', 'r', 'resume-session-at', 'max-turns', 'permission-mode', 'permission-prompt-tool'],
  'json-schema',
];
const lists = ['mcp-config', 'allowedTools', 'allowed-tools', 'disallowedTools', 'disallowed-tools'];
/** Flags of `claude` that mean nothing here but have values, which are no prompt. */
const foreign = [
  ...['settings', 'setting-sources', 'add-dir', 'effort', 'max-budget-usd', 'agents', 'betas', 'debug-file'],
  ...['plugin-dir', 'system-prompt-snapshot', 'thinking', 'max-thinking-tokens', 'permission-prompts', 'tools'],
];

interface Sorted {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string[]>;
  readonly words: readonly string[];
}

function sort(argv: readonly string[]): Sorted {
  const flags = new Set<string>();
  const values = new Map<string, string[]>();
  const words: string[] = [];
  const rest = [...argv];
  const take = (name: string, value: string | undefined) => {
    if (value !== undefined) values.set(name, [...(values.get(name) ?? []), value]);
  };
  const takeWords = (name: string) => {
    while (rest[0] !== undefined && !rest[0].startsWith('-')) take(name, rest.shift());
  };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const [, name, value] = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) words.push(word);
    else if (switches.includes(name)) flags.add(name);
    else if (value !== undefined) take(name, value);
    else if (single.includes(name)) take(name, rest.shift());
    else if (lists.includes(name) || foreign.includes(name)) takeWords(name);
  }
  return { flags, values, words };
}

/** `A,B`, `A B` and `Bash(a b)` as names. */
function toolNames(list: string): string[] {
  return list.match(/[^\s,()]+(?:\([^)]*\))?/g) ?? [];
}

function outputFormat(format: string | undefined, takesLines: boolean): OutputFormat {
  if (format === 'json' || format === 'text' || format === 'stream-json') return format;
  if (format === undefined) return takesLines ? 'stream-json' : 'text';
  throw invalid(`--output-format must be "stream-json", "json" or "text", not "${format}".`);
}

function turns(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (text.trim() === '' || !Number.isSafeInteger(count)) throw invalid(`--max-turns must be a number, not "${text}".`);
  return count > 0 ? count : undefined;
}

function schema(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  } catch {}
  throw invalid('--json-schema must be a JSON Schema, as JSON.');
}

function invalid(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
