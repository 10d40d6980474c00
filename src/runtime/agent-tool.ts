/**
 * An agent as a tool of another.
 * What the asked agent spends is counted as its own; how asks through tools end together is in ask-path.ts.
 */
import { type Tool, type ToolOptions, tool } from '../../actors/tools/tool.ts';
import type { Agent } from './agent.ts';

/** What the model says to an agent that is its tool. */
export interface AgentToolArguments {
  readonly prompt: string;
}

/** Options of `agentTool`; those that are not here are as of any tool. */
export interface AgentToolOptions extends Omit<ToolOptions<AgentToolArguments>, 'name' | 'parameters' | 'execute'> {
  /** Default: `ask_` and the agent's name, with `_` for each character that a tool's name cannot have. */
  readonly name?: string;
  /** What the agent is asked, made from what the model said. Default: just that. */
  readonly prompt?: (prompt: string) => string;
}

/**
 * Makes a tool that asks `agent` and gives the text of its reply. A failed ask, of a dead agent for instance, is a failed
 * call, which the model sees. Throws `TROUPE_ERR_OPTION_INVALID` like `tool`.
 */
export function agentTool(agent: Agent, options: AgentToolOptions): Tool {
  const { name = toolName(agent.name), prompt: promptOf = String, ...others } = options;
  return tool<AgentToolArguments>({
    ...others,
    name,
    parameters,
    execute: async ({ prompt }, { signal }) => (await agent.ask(promptOf(prompt), { signal })).text,
  });
}

const parameters = {
  type: 'object',
  properties: { prompt: { type: 'string', description: 'The task or question, with everything needed to answer it.' } },
  required: ['prompt'],
  additionalProperties: false,
};

function toolName(agentName: string): string {
  return `ask_${agentName}`.replace(/[^\w-]/gu, '_').slice(0, 64);
}
