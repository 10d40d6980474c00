/** `troupe chat`: a conversation at the terminal, with one agent or several. */
import { codeTools } from '../../actors/tools/code-tools.ts';
import { loadMcpConfig } from '../../actors/tools/mcp-config-file.ts';
import { isTroupeError } from '../core/errors.ts';
import type { Troupe } from '../runtime/troupe.ts';
import { Cast } from './chat-cast.ts';
import { Draft, type Entry } from './chat-draft.ts';
import { ChatLines } from './chat-lines.ts';
import { Permission } from './chat-permission.ts';
import { chooseBackend } from './choose-backend.ts';
import { type InspectFlags, inspected } from './inspecting.ts';
import { onTroupe, type Stop } from './interrupt.ts';
import { type AgentFlags, type Extras, engage } from './kept-agent.ts';
import { showAnswer } from './show-answer.ts';
import { note, oneLine } from './terminal.ts';

export interface ChatFlags extends AgentFlags, InspectFlags {
  readonly system?: string;
  readonly fallback?: readonly string[];
  readonly mcpConfig?: string;
  /** A path whose code the agents may read; each call is asked for. */
  readonly code?: string;
}

/** Chats until the input ends; gives the exit code. */
export async function chatCommand(flags: ChatFlags): Promise<number> {
  const extras = await extrasOf(flags);
  const choose = () => chooseBackend(flags);
  const { options, spec, others, bringUp } = await engage(flags, { name: 'chat', extras, choose });
  const work = async (troupe: Troupe, stop: Stop) => {
    const cast = new Cast(troupe, { spec, others, first: await bringUp(troupe) });
    return new Chat(cast, stop.soon).run();
  };
  // Ctrl-C cancels an answer here, and no more than that.
  return onTroupe(options, inspected(flags, work), ['SIGTERM']);
}

async function extrasOf({ system, fallback, mcpConfig, code }: ChatFlags): Promise<Extras> {
  return {
    ...(fallback !== undefined && { fallback }),
    ...(system !== undefined && { system }),
    ...(code !== undefined && { tools: codeTools(code).map((tool) => ({ ...tool, approve: true })) }),
    ...(mcpConfig !== undefined && { mcp: await loadMcpConfig(mcpConfig) }),
  };
}

class Chat {
  readonly #cast: Cast;
  readonly #draft = new Draft();
  readonly #lines = new ChatLines(() => this.#interrupt());
  readonly #permission = new Permission((text) => this.#question(text));
  /** Cancels the answer that is running. */
  #answer: AbortController | undefined;
  #code = 0;

  /** `soon`: aborted when the chat is to end; an answer that is running is waited for. */
  constructor(cast: Cast, soon: AbortSignal) {
    this.#cast = cast;
    if (soon.aborted) this.#leave(143);
    else soon.addEventListener('abort', () => this.#leave(143), { once: true });
  }

  async run(): Promise<number> {
    if (this.#lines.isTerminal) note('/help says what there is, /exit leaves.');
    this.#prompt();
    for (let line = await this.#lines.next(); line !== undefined; line = await this.#lines.next()) {
      const entry = this.#draft.take(line);
      if (entry !== undefined) await this.#enter(entry);
      if (this.#cast.isOver || this.#code !== 0) break;
      this.#prompt();
    }
    this.#lines.close();
    if (!this.#draft.isEmpty) note('The last message was not finished, so it was not sent.');
    else if (this.#lines.isTerminal && !this.#cast.isOver) process.stdout.write('\n');
    return this.#code;
  }

  /** One command or one ask. What fails is told in one line, and the chat goes on. */
  async #enter({ text, isCommand }: Entry): Promise<void> {
    if (text.trim() === '') return;
    this.#lines.hush();
    this.#answer = new AbortController();
    const agent = this.#cast.current;
    try {
      if (isCommand) say(await this.#cast.run(text));
      else {
        const stream = agent.stream(text, { signal: this.#answer.signal });
        await showAnswer(stream, (call) => this.#permission.decide(agent, call));
      }
    } catch (error) {
      note(failureLine(error));
    } finally {
      this.#answer = undefined;
    }
  }

  /** Asks in the middle of an answer; undefined when that is cancelled, or the input ends. */
  async #question(text: string): Promise<string | undefined> {
    if (this.#lines.isTerminal) this.#lines.prompt(text);
    else note(text.trimEnd());
    const line = await this.#lines.next(this.#answer?.signal);
    this.#lines.hush();
    if (line === undefined && this.#lines.isTerminal) process.stdout.write('\n');
    return line;
  }

  #prompt(): void {
    const { name } = this.#cast.current;
    this.#lines.prompt(this.#draft.isEmpty ? `${name}> ` : `${'.'.repeat(name.length)}> `);
  }

  /** Ctrl-C: cancels the answer, else what is being typed, else says how to leave. Without a terminal it leaves. */
  #interrupt(): void {
    if (this.#answer !== undefined) this.#answer.abort();
    else if (this.#lines.isTerminal) {
      if (!this.#lines.eraseLine() && this.#draft.isEmpty) note('To leave: /exit or Ctrl-D.');
      this.#draft.discard();
      this.#prompt();
    } else {
      this.#leave(130);
    }
  }

  #leave(code: number): void {
    this.#code = code;
    this.#lines.close();
  }
}

function say(text: string): void {
  if (text !== '') process.stdout.write(`${text}\n`);
}

function failureLine(error: unknown): string {
  if (isTroupeError(error) && error.code === 'TROUPE_ERR_ASK_CANCELLED') return 'cancelled';
  return `troupe: ${oneLine(error instanceof Error ? error.message : String(error))}`;
}
