/** A message while it is typed: one line, lines that end in `\`, or a block between `"""` and `"""`. */

/** What a person has entered; a command is one line that begins with `/`. */
export interface Entry {
  readonly text: string;
  readonly isCommand: boolean;
}

const fence = '"""';

export class Draft {
  #lines: string[] = [];
  #inBlock = false;

  get isEmpty(): boolean {
    return this.#lines.length === 0 && !this.#inBlock;
  }

  /** Takes a line; gives the entry when this line ends it. */
  take(line: string): Entry | undefined {
    if (this.#inBlock) return this.#takeInBlock(line);
    const opening = line.trimStart();
    if (this.isEmpty && opening.startsWith(fence)) {
      this.#inBlock = true;
      const rest = opening.slice(fence.length);
      return rest.trim() === '' ? undefined : this.#takeInBlock(rest);
    }
    if (line.endsWith('\\')) {
      this.#lines.push(line.slice(0, -1));
      return undefined;
    }
    const isCommand = this.isEmpty && opening.startsWith('/');
    this.#lines.push(line);
    return this.#finish(isCommand);
  }

  /** Forgets what was typed. */
  discard(): void {
    this.#lines = [];
    this.#inBlock = false;
  }

  #takeInBlock(line: string): Entry | undefined {
    const text = line.trimEnd();
    if (!text.endsWith(fence)) {
      this.#lines.push(line);
      return undefined;
    }
    const last = text.slice(0, -fence.length);
    if (last.trim() !== '') this.#lines.push(last);
    return this.#finish(false);
  }

  #finish(isCommand: boolean): Entry {
    const text = this.#lines.join('\n');
    this.discard();
    return { text: isCommand ? text.trim() : text, isCommand };
  }
}
