/** `troupe chat`: a conversation at the terminal, with one agent or several. */
import { isTroupeError } from '../core/errors.ts';
import { createTroupe } from '../runtime/troupe.ts';
import { Cast } from './chat-cast.ts';
import { Draft, type Entry } from './chat-draft.ts';
import { ChatLines } from './chat-lines.ts';
import { type BackendFlags, chooseBackend } from './choose-backend.ts';
import { showAnswer } from './show-answer.ts';
import { note, oneLine } from './terminal.ts';

export interface ChatFlags extends BackendFlags {
  readonly system?: string;
  readonly fallback?: readonly string[];
}

/** Chats until the input ends; gives the exit code. */
export async function chatCommand({ system, fallback = [], ...flags }: ChatFlags): Promise<number> {
  const { backend, model, backends } = await chooseBackend(flags);
  const troupe = createTroupe({ backends });
  try {
    const route = { backend, fallback, ...(model !== undefined && { model }) };
    const spec = { ...route, ...(system !== undefined && { system }) };
    return await new Chat(new Cast(troupe, spec, await troupe.spawn('chat', spec))).run();
  } finally {
    await troupe.close();
  }
}

class Chat {
  readonly #cast: Cast;
  readonly #draft = new Draft();
  readonly #lines = new ChatLines(() => this.#interrupt());
  /** Cancels the answer that is running. */
  #answer: AbortController | undefined;
  #code = 0;

  constructor(cast: Cast) {
    this.#cast = cast;
  }

  async run(): Promise<number> {
    if (this.#lines.isTerminal) note('/help says what there is, /exit leaves.');
    this.#prompt();
    for await (const line of this.#lines) {
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
    try {
      if (isCommand) say(await this.#cast.run(text));
      else await showAnswer(this.#cast.current.stream(text, { signal: this.#answer.signal }));
    } catch (error) {
      note(failureLine(error));
    } finally {
      this.#answer = undefined;
    }
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
      this.#code = 1;
      this.#lines.close();
    }
  }
}

function say(text: string): void {
  if (text !== '') process.stdout.write(`${text}\n`);
}

function failureLine(error: unknown): string {
  if (isTroupeError(error) && error.code === 'TROUPE_ERR_ASK_CANCELLED') return 'cancelled';
  return `troupe: ${oneLine(error instanceof Error ? error.message : String(error))}`;
}
