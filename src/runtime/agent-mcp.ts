/** The MCP servers of one agent: their tools join its own before each model call. */
import type { McpSettings } from '../../actors/tools/mcp-config.ts';
import type { ListedTool } from '../../actors/tools/mcp-listing.ts';
import { agentToolName } from '../../actors/tools/mcp-names.ts';
import type { McpLease, McpPool } from '../../actors/tools/mcp-pool.ts';
import { mcpTool } from '../../actors/tools/mcp-tool.ts';
import type { Tool } from '../../actors/tools/tool.ts';
import { untilAborted } from '../../actors/until-aborted.ts';
import { TroupeError } from '../core/errors.ts';
import type { ToolSet } from './agent-spec.ts';

/** What was joined last: joined anew only when a part has changed. */
interface Joined {
  readonly own: ToolSet;
  readonly lists: readonly (readonly ListedTool[])[];
  readonly tools: ToolSet;
}

export class AgentMcp {
  readonly #leases: readonly McpLease[];
  #joined: Joined | undefined;

  constructor(pool: McpPool, servers: readonly McpSettings[]) {
    this.#leases = servers.map((settings) => pool.lease(settings));
  }

  /**
   * The agent's own tools and those of its servers, which are started where they do not run. Rejects with
   * `TROUPE_ERR_MCP_SERVER_FAILED` when one that it needs cannot be had, with `TROUPE_ERR_OPTION_INVALID` when two tools
   * have one name, with the signal's reason once it is aborted.
   */
  async tools(own: ToolSet, signal: AbortSignal): Promise<ToolSet> {
    await Promise.all(this.#leases.map((lease) => untilAborted(ready(lease), signal)));
    const clash = this.#names().find((name) => own.byName.has(name));
    if (clash !== undefined) throw nameClash(clash);
    return this.known(own);
  }

  /** The agent's own tools and those that are known of its servers; of two with one name its own. */
  known(own: ToolSet): ToolSet {
    const lists = this.#leases.map(({ server }) => server.tools);
    const isSame = this.#joined?.own === own && this.#joined.lists.every((list, index) => list === lists[index]);
    if (this.#joined === undefined || !isSame) this.#joined = { own, lists, tools: this.#join(own) };
    return this.#joined.tools;
  }

  /** Gives the servers back: they end when nobody else holds them. */
  release(): void {
    for (const { release } of this.#leases) release();
  }

  #join(own: ToolSet): ToolSet {
    const tools = this.#leases.flatMap(toolsOf).map((tool) => [tool.definition.name, tool] as const);
    const byName = new Map([...new Map(tools), ...own.byName]);
    return { byName, definitions: [...byName.values()].map(({ definition }) => definition) };
  }

  #names(): string[] {
    return this.#leases.flatMap(({ server, settings }) => offered(server.tools, settings).map(([name]) => name));
  }
}

/** Waits for a server as long as its agent needs it: an optional one that failed comes back without anybody waiting. */
async function ready({ server, settings }: McpLease): Promise<void> {
  const connected = server.connect();
  if (settings.required) await connected;
  else if (server.isFailed) connected.catch(() => {});
  else await connected.catch(() => {});
}

function toolsOf({ server, settings }: McpLease): Tool[] {
  const { approve, startTimeoutMs, callTimeoutMs } = settings;
  return offered(server.tools, settings).map(([name, listed]) => {
    const tool = mcpTool(name, listed, (args, { signal }) =>
      server.call(listed.name, args, { signal, timeoutMs: callTimeoutMs }),
    );
    // A call may have to start its server again.
    return { ...tool, approve, timeoutMs: startTimeoutMs + callTimeoutMs };
  });
}

/** The tools that an agent may see, by the names that models see; of two that come to one name the first. */
function offered(listed: readonly ListedTool[], { name, tools }: McpSettings): (readonly [string, ListedTool])[] {
  const allowed = tools === undefined ? listed : listed.filter((tool) => tools.includes(tool.name));
  const byName = new Map<string, ListedTool>();
  for (const tool of allowed) {
    const shown = agentToolName(name, tool.name);
    if (!byName.has(shown)) byName.set(shown, tool);
  }
  return [...byName];
}

function nameClash(name: string): TroupeError {
  const message = `Tool "${name}" is among \`tools\` and comes from an MCP server, too. Give one of them another name.`;
  return new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
