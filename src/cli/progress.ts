/** What agents are doing, while they do it: a board of one line each on a terminal, plain lines elsewhere. */
import { clearScreenDown, moveCursor } from 'node:readline';
import type { WriteStream } from 'node:tty';
import type { StreamEvent } from '../runtime/reply.ts';
import { count, oneLine } from './terminal.ts';

export interface Progress {
  tell(agent: string, event: StreamEvent): void;
  /** Leaves the last state of the board on the screen. */
  end(): void;
}

/** Progress on a stream, as a board when it is a terminal. */
export function progressOn(stream: WriteStream | NodeJS.WritableStream): Progress {
  return 'isTTY' in stream && stream.isTTY ? new Board(stream) : new Lines(stream);
}

/** What one agent did in its current step. */
class Doing {
  step = 0;
  text = 'waiting';
  readonly calls = new Map<string, number>();

  /** Takes an event; true when the agent has come to a new point. */
  take(event: StreamEvent): boolean {
    switch (event.type) {
      case 'step-start':
        this.step = event.step;
        this.calls.clear();
        this.text = `asks ${oneLine(event.backend)}`;
        return true;
      case 'tool-call':
        this.calls.set(event.call.name, (this.calls.get(event.call.name) ?? 0) + 1);
        this.text = [...this.calls].map(([name, times]) => `${oneLine(name)} ×${times}`).join(', ');
        return false;
      case 'retry':
        this.text = `tries again: ${oneLine(event.error.message)}`;
        return true;
      case 'fallback':
        this.text = `goes on with ${oneLine(event.backend)}: ${oneLine(event.error.message)}`;
        return true;
      case 'reply':
        this.text = `done, ${count(event.reply.steps, 'step')}`;
        return true;
      default:
        return false;
    }
  }
}

/** One line for every point that an agent has come to. */
class Lines implements Progress {
  readonly #stream: NodeJS.WritableStream;
  readonly #agents = new Map<string, Doing>();

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream;
  }

  tell(agent: string, event: StreamEvent): void {
    const doing = this.#agents.get(agent) ?? new Doing();
    this.#agents.set(agent, doing);
    const before = doing.text;
    const hadCalls = doing.calls.size > 0;
    if (!doing.take(event)) return;
    if (hadCalls && event.type !== 'retry') this.#stream.write(`${agent}: ${before}\n`);
    if (event.type !== 'step-start') this.#stream.write(`${agent}: ${doing.text}\n`);
  }

  end(): void {}
}

/** One line for every agent, drawn again at most ten times a second. */
class Board implements Progress {
  readonly #stream: WriteStream;
  readonly #agents = new Map<string, Doing>();
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: WriteStream) {
    this.#stream = stream;
  }

  tell(agent: string, event: StreamEvent): void {
    const doing = this.#agents.get(agent) ?? new Doing();
    this.#agents.set(agent, doing);
    doing.take(event);
    this.#timer ??= setTimeout(() => this.#draw(), 100).unref();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#draw();
  }

  #draw(): void {
    this.#timer = undefined;
    const width = Math.max(...[...this.#agents.keys()].map((name) => name.length));
    const lines = [...this.#agents].map(([name, { text, step }]) =>
      `${name.padEnd(width)}  ${String(step).padStart(3)}  ${text}`.slice(0, (this.#stream.columns ?? 80) - 1),
    );
    if (this.#drawn > 0) moveCursor(this.#stream, 0, -this.#drawn);
    clearScreenDown(this.#stream);
    if (lines.length > 0) this.#stream.write(`${lines.join('\n')}\n`);
    this.#drawn = lines.length;
  }
}
