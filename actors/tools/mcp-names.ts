/** The names of MCP tools as models may see them: letters that every provider takes, and no more than 64 of them. */

/** `mcp__server__tool`. */
export function mcpName(server: string, tool: string): string {
  return mcpToolName(`mcp__${server}__${tool}`);
}

/** A name in allowed characters, cut to the allowed length. */
export function mcpToolName(name: string): string {
  return name.replace(/[^\w-]/g, '_').slice(0, 64);
}
