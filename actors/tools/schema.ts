/** Schemas that users give: what a model is told of them as JSON Schema, and the check of what it wrote. */
import { TroupeError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/types.ts';

/** The part of the Standard Schema interface (standardschema.dev) that is used here; zod ≥ 4.2 schemas have it. */
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

/** A Standard Schema (zod) or a JSON Schema. */
export type Schema<Output = unknown> = StandardSchema<Output> | JsonObject;

/** What a checked value is, or what is wrong with it, in words for the model. */
export type Checked = { readonly value: unknown } | { readonly problem: string };

/** A schema, ready for use. */
export interface SchemaCheck {
  readonly json: JsonObject;
  readonly check: (value: unknown) => Promise<Checked>;
}

/** Reads a schema; `what` names it in errors. Throws `TROUPE_ERR_OPTION_INVALID` for one that gives no JSON Schema. */
export function readSchema(what: string, schema: Schema): SchemaCheck {
  if (!isStandard(schema)) return { json: schema, check: jsonSchemaCheck(what, schema) };
  return { json: jsonSchemaOf(what, schema), check: (value) => standardCheck(schema, value) };
}

/** Whether it is a Standard Schema, not a JSON Schema. */
export function isStandard(schema: Schema): schema is StandardSchema {
  return '~standard' in schema;
}

function jsonSchemaOf(what: string, schema: StandardSchema): JsonObject {
  const convert = schema['~standard'].jsonSchema?.input;
  if (convert === undefined) {
    const message = `${what} is a ${schema['~standard'].vendor} schema that gives no JSON Schema. Use zod 4.2 or later, or pass a JSON Schema.`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
  const { $schema: _dialect, ...json } = convert({ target: 'draft-07' }) as { $schema?: unknown };
  return json as JsonObject;
}

async function standardCheck(schema: StandardSchema, value: unknown): Promise<Checked> {
  const result = await schema['~standard'].validate(value);
  return result.issues === undefined ? { value: result.value } : { problem: describe(result.issues) };
}

/** A check by JSON Schema; zod is loaded at the first call. */
function jsonSchemaCheck(what: string, schema: JsonObject) {
  let compiled: Promise<StandardSchema> | undefined;
  return async (value: unknown) => {
    compiled ??= import('zod').then(({ z }) => z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]));
    try {
      return await standardCheck(await compiled, value);
    } catch (cause) {
      throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `${what} is no usable JSON Schema.`, { cause });
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
