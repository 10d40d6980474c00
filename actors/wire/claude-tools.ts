/**
 * Our tools as Claude Code sees them: an MCP server inside this process, reached by `mcp_message` requests.
 *
 * O1  A call is answered once: when its result is here and it was asked for, whichever comes first.
 * O2  Whatever else is asked gets an answer at once, an error if need be: the command waits for each.
 */
import type { ToolDefinition, ToolMessage } from '../../src/core/types.ts';
import { asFields, type Fields } from './fields.ts';

/** The name under which it is announced. */
export const ownServer = 'troupe';

/** Sends the answer to one request. */
export type Answer = (response: object) => void;

export class ClaudeTools {
  readonly #definitions: readonly ToolDefinition[];
  /** Calls that wait for a result, by call id. */
  readonly #asked = new Map<string, Answer>();
  /** Results that were not asked for yet, by call id. */
  readonly #results = new Map<string, ToolMessage>();

  constructor(definitions: readonly ToolDefinition[]) {
    this.#definitions = definitions;
  }

  /** Takes one JSON-RPC message. Returns whether it asks for a tool to run. */
  take(message: Fields, answer: Answer): boolean {
    const { id, method } = message;
    const reply = (outcome: object) => answer({ jsonrpc: '2.0', id: id ?? 0, ...outcome });
    const params = asFields(message['params']) ?? {};
    const callId = asFields(params['_meta'])?.['claudecode/toolUseId'];
    if (method === 'tools/call' && typeof callId === 'string') {
      this.#takeCall(callId, (result) => reply({ result }));
      return true;
    }
    const result = this.#resultOf(String(method), params);
    if (id === undefined || id === null || result !== undefined) reply({ result: result ?? {} });
    else reply({ error: { code: -32601, message: `There is no method "${String(method)}" here.` } });
    return false;
  }

  /** Takes the result of a call. */
  give(result: ToolMessage): void {
    const asked = this.#asked.get(result.callId);
    if (asked === undefined) this.#results.set(result.callId, result);
    else {
      this.#asked.delete(result.callId);
      asked(wireResult(result));
    }
  }

  #takeCall(callId: string, answer: Answer): void {
    const result = this.#results.get(callId);
    if (result === undefined) this.#asked.set(callId, answer);
    else {
      this.#results.delete(callId);
      answer(wireResult(result));
    }
  }

  #resultOf(method: string, params: Fields): object | undefined {
    if (method === 'initialize') {
      const protocolVersion = String(params['protocolVersion'] ?? '2025-11-25');
      return { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: ownServer, version: '1' } };
    }
    if (method === 'tools/list') {
      const tools = this.#definitions.map(({ name, description, parameters }) => ({
        name,
        description,
        inputSchema: parameters,
      }));
      return { tools };
    }
    return method === 'ping' ? {} : undefined;
  }
}

function wireResult({ content, isError = false }: ToolMessage): object {
  return { content: [{ type: 'text', text: content }], isError };
}
