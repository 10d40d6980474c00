/** An MCP tool as a tool of an agent. */
import { asFields } from '../wire/fields.ts';
import type { ListedTool } from './mcp-listing.ts';
import type { Tool } from './tool.ts';

/** Makes it, under the name that models see. */
export function mcpTool(name: string, { description, parameters }: ListedTool, run: Tool['run']): Tool {
  return {
    definition: { name, description, parameters },
    // The server checks its arguments itself, and says better what is wrong with them.
    check: async (args) => (asFields(args) === undefined ? { problem: 'they must be an object' } : { value: args }),
    run,
  };
}
