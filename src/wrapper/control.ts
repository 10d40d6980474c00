/** The caller's control requests: each is answered at once, with an error when it cannot be met. */
import { asFields } from '../../actors/wire/fields.ts';
import type { ControlRequest } from './lines-in.ts';
import { textOf } from './lines-in.ts';
import { mcpPlaces } from './mcp-config.ts';
import type { McpServers } from './mcp-servers.ts';
import type { Permissions } from './permissions.ts';
import type { Settings } from './settings.ts';

/** What the requests work on. */
export interface ControlHost {
  readonly settings: Settings;
  readonly servers: McpServers;
  readonly permissions: Permissions;
  /** Servers of the command line, which stay. */
  readonly ownServers: ReadonlySet<string>;
  /** Ends the turn in hand; the messages that wait go, too, if they shall. The uuids of those that still wait. */
  interrupt(cancelQueued: boolean): string[];
  /** Ends the process once what is written is read. */
  endSession(): void;
}

/** What is answered: the response, or why there is none. */
export type ControlAnswer = { readonly response?: object } | { readonly error: string; readonly code?: string };

/** Does what a request asks for. */
export async function control(host: ControlHost, request: ControlRequest): Promise<ControlAnswer> {
  const { settings, servers, permissions, ownServers } = host;
  switch (request.subtype) {
    case 'initialize':
      return { response: initialize(host, request) };
    case 'interrupt':
      return { response: { still_queued: host.interrupt(request['cancel_queued'] === true) } };
    case 'set_model':
      settings.setModel(request['model']);
      return {};
    case 'set_permission_mode':
      permissions.mode = textOf(request['mode']) ?? permissions.mode;
      return { response: { mode: permissions.mode } };
    case 'set_max_thinking_tokens':
      return {};
    case 'mcp_status':
      return { response: { mcpServers: servers.status() } };
    case 'mcp_set_servers': {
      const { places } = mcpPlaces(asFields(request['servers']) ?? {});
      return { response: await servers.set(places, ownServers) };
    }
    case 'mcp_message': {
      const name = textOf(request['server_name']) ?? '';
      const isTaken = servers.receive(name, asFields(request['message']) ?? {});
      return isTaken ? {} : { error: `There is no MCP server "${name}" in the caller.` };
    }
    case 'end_session':
      host.endSession();
      return {};
    default:
      return { error: `Unsupported control request subtype: ${request.subtype}`, code: 'unsupported_request' };
  }
}

function initialize({ settings, servers }: ControlHost, request: ControlRequest): object {
  settings.initialize(request);
  const names = Array.isArray(request['sdkMcpServers']) ? request['sdkMcpServers'] : [];
  for (const name of names) if (typeof name === 'string') servers.add(name, { type: 'sdk' });
  const { places } = mcpPlaces(asFields(request['mcpServers']) ?? {});
  for (const [name, place] of places) servers.add(name, place);
  return {
    commands: [],
    agents: [],
    output_style: 'default',
    available_output_styles: ['default'],
    models: [],
    account: {},
    ...(names.length + places.size === 0 ? {} : { mcp_servers_applied: true }),
  };
}
