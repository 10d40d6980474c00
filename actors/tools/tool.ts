/** Function tools: what a user writes, and what the model is told of it. */
import { TroupeError } from '../../src/core/errors.ts';
import type { JsonObject, ToolDefinition } from '../../src/core/types.ts';

/** The part of the Standard Schema interface (standardschema.dev) that tools use; zod ≥ 4.2 schemas have it. */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
    readonly jsonSchema?: { readonly input: (options: { readonly target: 'draft-07' }) => Record<string, unknown> };
  };
}

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What `execute` is told besides its arguments. */
export interface ToolContext {
  readonly agent: string;
  readonly askId: string;
  readonly callId: string;
  /** Aborted when the ask is cancelled or expires, or the agent is killed. */
  readonly signal: AbortSignal;
}

/** Options of `tool()`. */
export interface ToolOptions<Arguments> {
  /** 1 to 64 letters, digits, `_`, `-`. */
  readonly name: string;
  /** What it does and when to use it, for the model. */
  readonly description: string;
  /** A Standard Schema (zod) or a JSON Schema, of an object. Default: no arguments. */
  readonly parameters?: StandardSchema<Arguments> | JsonObject;
  /** Does the work. The model sees a string as it is, other data as JSON, `undefined` as "done", a throw as an error. */
  readonly execute: (args: Arguments, context: ToolContext) => unknown;
}

/** A checked tool, ready for any agent. */
export interface Tool {
  readonly definition: ToolDefinition;
  /** Checks the arguments: the value for `run`, or what is wrong with them, in words for the model. */
  readonly check: (args: unknown) => Promise<{ readonly value: unknown } | { readonly problem: string }>;
  /** Runs with arguments that `check` let through. */
  readonly run: (args: unknown, context: ToolContext) => Promise<unknown>;
}

/** Makes a tool. Throws `TROUPE_ERR_OPTION_INVALID` for a bad name or a schema that gives no JSON Schema. */
export function tool<Arguments = Record<string, unknown>>(options: ToolOptions<Arguments>): Tool {
  const { name, description, parameters = { type: 'object', properties: {} }, execute } = options;
  if (!/^[\w-]{1,64}$/.test(name)) {
    throw invalid(`\`name\` of a tool must be 1 to 64 letters, digits, "_" or "-", not ${JSON.stringify(name)}.`);
  }
  const standard = '~standard' in parameters ? (parameters as StandardSchema<Arguments>) : undefined;
  const schema = standard === undefined ? (parameters as JsonObject) : jsonSchemaOf(name, standard);
  const check =
    standard === undefined ? jsonSchemaCheck(name, schema) : (args: unknown) => standardCheck(standard, args);
  return {
    definition: { name, description, parameters: schema },
    check,
    run: async (args, context) => execute(args as Arguments, context),
  };
}

function jsonSchemaOf(name: string, schema: StandardSchema): JsonObject {
  const convert = schema['~standard'].jsonSchema?.input;
  if (convert === undefined) {
    throw invalid(
      `\`parameters\` of tool "${name}" is a ${schema['~standard'].vendor} schema that gives no JSON Schema. ` +
        'Use zod 4.2 or later, or pass a JSON Schema.',
    );
  }
  const { $schema: _dialect, ...json } = convert({ target: 'draft-07' }) as { $schema?: unknown };
  return json as JsonObject;
}

async function standardCheck(schema: StandardSchema, args: unknown) {
  const result = await schema['~standard'].validate(args);
  return result.issues === undefined ? { value: result.value } : { problem: describe(result.issues) };
}

/** A check by JSON Schema; zod is loaded at the first call. */
function jsonSchemaCheck(name: string, schema: JsonObject) {
  let compiled: Promise<StandardSchema> | undefined;
  return async (args: unknown) => {
    compiled ??= import('zod').then(({ z }) => z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]));
    try {
      return await standardCheck(await compiled, args);
    } catch (cause) {
      throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `\`parameters\` of tool "${name}" is no usable JSON Schema.`, {
        cause,
      });
    }
  };
}

function describe(issues: readonly SchemaIssue[]): string {
  return issues
    .map(({ message, path = [] }) => {
      const keys = path.map((part) => (typeof part === 'object' ? part.key : part));
      return keys.length === 0 ? message : `${keys.map(String).join('.')}: ${message}`;
    })
    .join('; ');
}

function invalid(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
