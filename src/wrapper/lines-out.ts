/**
 * Standard output: the shape of every line, and the writer.
 *
 * L1  Every line is written whole, in the order of the calls; every line but the control lines has a uuid and the session's id.
 * L2  `put` resolves when the reader keeps up, so who awaits it buffers nothing.
 * L3  A reader that has left is told once, by `onGone`; nothing is written afterwards.
 */
import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';
import type { JsonObject, ToolMessage } from '../core/types.ts';
import type { OutputFormat } from './arguments.ts';

/** A line without what the writer adds. */
export type Line = Readonly<Record<string, unknown>> & { readonly type: string };

export interface LineWriterOptions {
  readonly output: Writable;
  readonly sessionId: string;
  readonly format: OutputFormat;
  /** The reader has left. */
  readonly onGone: () => void;
}

export class LineWriter {
  readonly #options: LineWriterOptions;
  #gone = false;
  #drained: Promise<void> | undefined;

  constructor(options: LineWriterOptions) {
    this.#options = options;
    const leave = () => {
      if (this.#gone) return;
      this.#gone = true;
      options.onGone();
    };
    options.output.on('error', leave);
    options.output.on('close', leave);
  }

  /** Writes one line; a line without a `uuid` gets one. */
  put(line: Line): Promise<void> {
    const { format, sessionId } = this.#options;
    if (format === 'stream-json') {
      return this.#write({ ...line, uuid: line['uuid'] ?? randomUUID(), session_id: sessionId });
    }
    if (line.type !== 'result') return Promise.resolve();
    if (format === 'json') return this.#write({ ...line, uuid: randomUUID(), session_id: sessionId });
    const errors = Array.isArray(line['errors']) ? line['errors'].join('\n') : '';
    return this.#send(`${line['result'] ?? errors}\n`);
  }

  /** Writes a control line, which is of the process and not of the session. */
  putControl(line: Line): Promise<void> {
    return this.#options.format === 'stream-json' ? this.#write(line) : Promise.resolve();
  }

  #write(line: Line): Promise<void> {
    return this.#send(`${JSON.stringify(line)}\n`);
  }

  #send(text: string): Promise<void> {
    const { output } = this.#options;
    if (this.#gone) return Promise.resolve();
    if (!output.write(text)) this.#drained ??= this.#drain();
    return this.#drained ?? Promise.resolve();
  }

  #drain(): Promise<void> {
    const { output } = this.#options;
    return new Promise((resolve) => {
      const done = () => {
        for (const event of ['drain', 'close', 'error']) output.off(event, done);
        this.#drained = undefined;
        resolve();
      };
      for (const event of ['drain', 'close', 'error']) output.on(event, done);
    });
  }
}

/** What `system/init` says of a session at the start of a turn. */
export interface InitFacts {
  readonly cwd: string;
  readonly model: string;
  readonly tools: readonly string[];
  readonly mcpServers: readonly { readonly name: string; readonly status: string; readonly source: string }[];
  readonly permissionMode: string;
  readonly apiKeySource: string;
  readonly version: string;
}

/** The line that opens a turn. */
export function initLine(facts: InitFacts): Line {
  return {
    type: 'system',
    subtype: 'init',
    cwd: facts.cwd,
    tools: facts.tools,
    mcp_servers: facts.mcpServers,
    model: facts.model,
    permissionMode: facts.permissionMode,
    slash_commands: [],
    apiKeySource: facts.apiKeySource,
    claude_code_version: facts.version,
    output_style: 'default',
    agents: [],
    skills: [],
    plugins: [],
    capabilities: ['interrupt_receipt_v1', 'msg_lifecycle_v1'],
  };
}

/** A notice of the system. */
export function systemLine(subtype: string, fields: Readonly<Record<string, unknown>> = {}): Line {
  return { type: 'system', subtype, ...fields };
}

/** Where a message of the caller's is on its way. */
export function lifecycleLine(uuid: string, state: 'queued' | 'started' | 'completed' | 'cancelled'): Line {
  return { type: 'command_lifecycle', command_uuid: uuid, state };
}

/** A message of the caller's, shown again. */
export function replayLine(content: unknown, uuid: string): Line {
  return { ...userLine(content), uuid, isReplay: true };
}

/** A block of an assistant's message. */
export type Block =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'thinking'; readonly thinking: string; readonly signature: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: JsonObject };

/** A message as the API shapes it: with no content at its start, with one finished block in an `assistant` line. */
export function apiMessage(id: string, model: string, content: readonly Block[], usage: object): object {
  return { id, type: 'message', role: 'assistant', model, content, stop_reason: null, stop_sequence: null, usage };
}

/** One finished block of an answer. */
export function assistantLine(message: object, extra: Readonly<Record<string, unknown>> = {}): Line {
  return { type: 'assistant', message, parent_tool_use_id: null, ...extra };
}

/** An event of the API's own stream. */
export function streamEventLine(event: object, messageId: string): Line {
  return { type: 'stream_event', event, parent_tool_use_id: null, api_message_id: messageId };
}

/** The result of a tool. */
export function toolResultLine({ callId, content, isError = false }: ToolMessage): Line {
  const block = { type: 'tool_result', tool_use_id: callId, content, is_error: isError };
  return { ...userLine([block]), tool_use_result: content };
}

/** A note that stands among the messages. */
export function noteLine(text: string): Line {
  return userLine([{ type: 'text', text }]);
}

function userLine(content: unknown): Line {
  return {
    type: 'user',
    message: { role: 'user', content },
    parent_tool_use_id: null,
    timestamp: new Date().toISOString(),
  };
}

/** A request of ours. */
export function controlRequestLine(requestId: string, request: object): Line {
  return { type: 'control_request', request_id: requestId, request };
}

/** The request is given up. */
export function controlCancelLine(requestId: string): Line {
  return { type: 'control_cancel_request', request_id: requestId };
}

/** What was asked for is done. */
export function controlSuccessLine(requestId: string | undefined, response?: object): Line {
  const answer = { subtype: 'success', request_id: requestId, ...(response === undefined ? {} : { response }) };
  return { type: 'control_response', response: answer };
}

/** What was asked for cannot be done. */
export function controlErrorLine(requestId: string | undefined, error: string, code?: string): Line {
  const answer = {
    subtype: 'error',
    request_id: requestId,
    error,
    ...(code === undefined ? {} : { error_code: code }),
  };
  return { type: 'control_response', response: answer };
}
