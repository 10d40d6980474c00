/** Function tools: what a user writes, and what the model is told of it. */
import { checkOptions, type Rule, rules } from '../../src/core/options.ts';
import type { ToolCall, ToolDefinition } from '../../src/core/types.ts';
import { type Checked, readSchema, type Schema } from './schema.ts';

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
  readonly parameters?: Schema<Arguments>;
  /** Does the work. The model sees a string as it is, other data as JSON, `undefined` as "done", a throw as an error. */
  readonly execute: (args: Arguments, context: ToolContext) => unknown;
  /**
   * Whether somebody must allow a call before it runs: every call, or those for which the function says so. What it throws,
   * and that it takes too long, means yes. Default false. See `agent.approve`.
   *
   * Tools that a backend runs itself, such as those of Claude Code, do not pass here: its permission mode decides on them.
   */
  readonly approve?: boolean | ((args: Arguments, call: ToolCall) => boolean | Promise<boolean>);
  /** Whether a call that was interrupted may be run again as if it had not been. Default false. */
  readonly idempotent?: boolean;
  /** Milliseconds that one call may take. Default: the agent's `timeouts.toolMs`. */
  readonly timeoutMs?: number;
}

/** A checked tool, ready for any agent. */
export interface Tool {
  readonly definition: ToolDefinition;
  /** As in `ToolOptions`, with arguments that `check` let through. */
  readonly approve?: boolean | ((args: unknown, call: ToolCall) => boolean | Promise<boolean>);
  /** As in `ToolOptions`. */
  readonly idempotent?: boolean;
  /** As in `ToolOptions`. */
  readonly timeoutMs?: number;
  /** Checks the arguments: the value for `run`, or what is wrong with them, in words for the model. */
  readonly check: (args: unknown) => Promise<Checked>;
  /** Runs with arguments that `check` let through. */
  readonly run: (args: unknown, context: ToolContext) => Promise<unknown>;
}

/** Makes a tool. Throws `TROUPE_ERR_OPTION_INVALID` for a wrong option or a schema that gives no JSON Schema. */
export function tool<Arguments = Record<string, unknown>>(options: ToolOptions<Arguments>): Tool {
  checkOptions('tool()', options, toolRules);
  const { name, description, parameters = { type: 'object', properties: {} }, execute } = options;
  const { approve = false, idempotent = false, timeoutMs } = options;
  const { json, check } = readSchema(`\`parameters\` of tool "${name}"`, parameters);
  return {
    definition: { name, description, parameters: json },
    approve: typeof approve === 'boolean' ? approve : (args, call) => approve(args as Arguments, call),
    idempotent,
    ...(timeoutMs !== undefined && { timeoutMs }),
    check,
    run: async (args, context) => execute(args as Arguments, context),
  };
}

const toolName: Rule = (value) =>
  typeof value === 'string' && /^[\w-]{1,64}$/.test(value)
    ? undefined
    : 'a text of 1 to 64 letters, digits, "_" or "-"';

const toolRules: Readonly<Record<keyof ToolOptions<unknown>, Rule>> = {
  name: toolName,
  description: rules.anyText,
  parameters: (value) => (typeof value === 'function' ? undefined : rules.object(value)),
  execute: rules.callback,
  approve: (value) => (['boolean', 'function'].includes(typeof value) ? undefined : 'true, false or a function'),
  idempotent: rules.flag,
  timeoutMs: rules.positiveMs,
};
