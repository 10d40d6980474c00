/** What the caller sets for the turns to come: by the command line, by `initialize`, or by a control request. */
import { asFields } from '../../actors/wire/fields.ts';
import type { JsonObject } from '../core/types.ts';
import type { Arguments } from './arguments.ts';
import { type ControlRequest, textOf } from './lines-in.ts';
import type { Environment } from './session-file.ts';

export class Settings {
  /** The system message; undefined when there is none. */
  system: string | undefined;
  /** The model that was asked for; undefined: the default. */
  model: string | undefined;
  jsonSchema: JsonObject | undefined;
  readonly maxRetries: number;
  readonly maxTokens: number | undefined;
  /** Model calls that one message may take. */
  readonly maxTurns: number;
  readonly #given: Arguments;

  constructor(given: Arguments, environment: Environment) {
    this.#given = given;
    this.model = given.model;
    this.jsonSchema = given.jsonSchema;
    this.system = joined(given.systemPrompt, given.appendSystemPrompt);
    this.maxRetries = count(environment['CLAUDE_CODE_MAX_RETRIES']) ?? 2;
    this.maxTokens = count(environment['CLAUDE_CODE_MAX_OUTPUT_TOKENS']) || undefined;
    this.maxTurns = given.maxTurns ?? defaultMaxTurns;
  }

  /** Takes what `initialize` says: the system message in parts, more of it, the schema of the answers. */
  initialize({ systemPrompt, appendSystemPrompt, jsonSchema }: ControlRequest): void {
    const parts = Array.isArray(systemPrompt) ? systemPrompt : [systemPrompt];
    const { systemPrompt: first, appendSystemPrompt: last } = this.#given;
    this.system = joined(joined(...parts) ?? first, joined(last, appendSystemPrompt));
    this.jsonSchema = (asFields(jsonSchema) as JsonObject | undefined) ?? this.jsonSchema;
  }

  /** Takes another model; none is the default again. */
  setModel(model: unknown): void {
    const name = textOf(model);
    this.model = name === undefined || name === '' || name === 'default' ? this.#given.model : name;
  }
}

/** When the caller sets no limit; `claude` then has none. */
const defaultMaxTurns = 200;

function joined(...parts: readonly unknown[]): string | undefined {
  return parts.filter((part) => typeof part === 'string' && part !== '').join('\n\n') || undefined;
}

/** A number of 0 or more; undefined for any other text. */
export function count(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text.trim()) ? Number(text) : undefined;
}
