/** The names of MCP tools as models may see them: letters that every provider takes, and no more than 64 of them. */
import { createHash } from 'node:crypto';

/** `mcp__server__tool`. */
export function mcpName(server: string, tool: string): string {
  return mcpToolName(`mcp__${server}__${tool}`);
}

/** `server__tool`. One that had to be cut ends in a mark of the whole name, so that two of them differ. */
export function agentToolName(server: string, tool: string): string {
  const name = `${server}__${tool}`;
  if (name.length <= 64) return mcpToolName(name);
  return `${mcpToolName(name).slice(0, 57)}_${createHash('sha256').update(name).digest('hex').slice(0, 6)}`;
}

/** A name in allowed characters, cut to the allowed length. */
export function mcpToolName(name: string): string {
  return name.replace(/[^\w-]/g, '_').slice(0, 64);
}
