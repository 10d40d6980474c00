/**
 * Who may run a tool: rules of the command line first, then the caller, when it wants to be asked.
 * Without a rule and without anybody to ask, a call is denied, as `claude -p` does.
 */

import { mcpToolName } from '../../actors/tools/mcp-names.ts';
import type { Tool, ToolContext } from '../../actors/tools/tool.ts';
import { asFields } from '../../actors/wire/fields.ts';
import { textOf } from './lines-in.ts';
import type { CallerRequests } from './requests.ts';
import type { ShownCalls } from './shown-calls.ts';

/** A call that was not let run, as the result line lists it. */
export interface Denial {
  readonly tool_name: string;
  readonly tool_use_id: string;
  readonly tool_input: unknown;
}

export interface PermissionOptions {
  /** Names of tools, or of servers: `mcp__files`. */
  readonly allowed: readonly string[];
  readonly disallowed: readonly string[];
  /** Whether the caller answers `can_use_tool`. */
  readonly asks: boolean;
  readonly mode: string;
  readonly requests: CallerRequests;
  readonly shown: ShownCalls;
  /** The caller wants the turn to end. */
  readonly interrupt: () => void;
}

/** How long the caller may think about one call. */
export const askTimeoutMs = 10 * 60_000;

type Decision = { readonly input: unknown } | { readonly refusal: string };

export class Permissions {
  mode: string;
  /** The calls of the turn that were not let run. */
  denials: Denial[] = [];
  readonly #options: PermissionOptions;
  readonly #allowed: readonly string[];
  readonly #disallowed: readonly string[];

  constructor(options: PermissionOptions) {
    this.#options = options;
    this.mode = options.mode;
    this.#allowed = options.allowed.map(plainName);
    this.#disallowed = options.disallowed.map(plainName);
  }

  /** The tools that a model is told of, each behind a gate. */
  guard(tools: readonly Tool[]): Tool[] {
    return tools.filter(({ definition }) => !covers(this.#disallowed, definition.name)).map((tool) => this.#gate(tool));
  }

  #gate(tool: Tool): Tool {
    const { name } = tool.definition;
    return {
      ...tool,
      run: async (args, context) => {
        const decision = await this.#decide(name, args, context);
        if ('refusal' in decision) {
          this.denials.push({ tool_name: name, tool_use_id: context.callId, tool_input: args });
          throw new Error(decision.refusal);
        }
        const checked = decision.input === args ? { value: args } : await tool.check(decision.input);
        if ('problem' in checked) throw new Error(`The arguments do not fit: ${checked.problem}`);
        return tool.run(checked.value, context);
      },
    };
  }

  async #decide(name: string, input: unknown, { callId, signal }: ToolContext): Promise<Decision> {
    const { asks, requests, shown, interrupt } = this.#options;
    if (this.mode === 'bypassPermissions' || covers(this.#allowed, name)) return { input };
    if (!asks || this.mode === 'dontAsk') {
      return { refusal: `Permission to use ${name} has not been granted. Allow it by --allowedTools.` };
    }
    await shown.has(callId);
    const request = {
      subtype: 'can_use_tool',
      tool_name: name,
      input,
      tool_use_id: callId,
      permission_suggestions: [],
    };
    const result = await requests.ask(request, { timeoutMs: askTimeoutMs, signal });
    if ('error' in result) return { refusal: `Permission to use ${name} could not be asked for: ${result.error}` };
    const { behavior, updatedInput, message, interrupt: ends } = result.response;
    if (behavior === 'allow') return { input: asFields(updatedInput) ?? input };
    if (ends === true) interrupt();
    return { refusal: textOf(message) ?? `Permission to use ${name} was denied.` };
  }
}

/** `Name(rule)` as `Name`, in the letters that tool names have here. */
function plainName(rule: string): string {
  return mcpToolName(rule.replace(/\(.*$/s, '').replace(/__\*$/, ''));
}

function covers(rules: readonly string[], name: string): boolean {
  return rules.some((rule) => name === rule || (/^mcp__(?:(?!__).)+$/.test(rule) && name.startsWith(`${rule}__`)));
}
