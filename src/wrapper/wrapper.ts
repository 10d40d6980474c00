/**
 * The process between its streams: what comes in is answered or queued, and turn by turn the queue is worked off.
 *
 * W1  Every message of the user is answered by one `result`, in the order of arrival; messages never merge.
 * W2  Control requests are answered at once, also while a turn runs.
 * W3  The end of input finishes what waits. The exit code is 0, or 1 when the last result was an error.
 */
import type { Readable } from 'node:stream';
import { type ControlAnswer, type ControlHost, control } from './control.ts';
import { type ControlRequest, type InputLine, readLines, type UserInput } from './lines-in.ts';
import { controlErrorLine, controlSuccessLine, type LineWriter, lifecycleLine } from './lines-out.ts';
import type { CallerRequests } from './requests.ts';
import type { Turns } from './turn.ts';

export interface WrapperOptions {
  readonly lines: LineWriter;
  readonly requests: CallerRequests;
  readonly turns: Turns;
  /** What control requests work on. */
  readonly controlled: Omit<ControlHost, 'interrupt' | 'endSession'>;
  readonly onTrouble: (message: string) => void;
}

/** Messages that may wait; with more, the input waits. */
const maxQueued = 1000;

export class Wrapper {
  readonly #options: WrapperOptions;
  readonly #controlled: ControlHost;
  readonly #queue: UserInput[] = [];
  #turn: AbortController | undefined;
  #inputIsOver = false;
  #isStopped = false;
  #lastFailed = false;
  /** Wakes who waits for messages, and who waits for room for them. */
  #wake = () => {};
  #makeRoom = () => {};

  constructor(options: WrapperOptions) {
    this.#options = options;
    this.#controlled = {
      ...options.controlled,
      interrupt: (cancelQueued) => this.interrupt(cancelQueued),
      endSession: () => this.stop(),
    };
  }

  /** Takes lines until the input is over. */
  async read(input: Readable): Promise<void> {
    const trouble = await readLines(input, (line) => this.#take(line));
    if (trouble !== undefined && !this.#isStopped) this.#options.onTrouble(trouble);
    this.finishInput();
  }

  /** Queues a message. */
  push(message: UserInput): void {
    this.#queue.push(message);
    if (message.uuid !== undefined) void this.#options.lines.put(lifecycleLine(message.uuid, 'queued'));
    this.#wake();
  }

  /** The caller asks and answers nothing more. */
  finishInput(): void {
    this.#inputIsOver = true;
    this.#options.requests.leave();
    this.#wake();
  }

  /** Works through the queue until the input is over, or until it is stopped. Resolves with the exit code. */
  async run(): Promise<number> {
    for (;;) {
      const message = this.#isStopped ? undefined : this.#queue.shift();
      this.#makeRoom();
      if (message !== undefined) await this.#answer(message);
      else if (this.#isStopped) return 0;
      else if (this.#inputIsOver) return this.#lastFailed ? 1 : 0;
      else await this.#sleep();
    }
  }

  /** Ends the turn in hand, whose result says so. The uuids of messages that still wait. */
  interrupt(cancelQueued = false): string[] {
    this.#turn?.abort();
    const waiting = this.#queue.flatMap(({ uuid }) => uuid ?? []);
    if (!cancelQueued) return waiting;
    this.#queue.length = 0;
    for (const uuid of waiting) void this.#options.lines.put(lifecycleLine(uuid, 'cancelled'));
    return [];
  }

  /** Ends the turn in hand, and begins no other. */
  stop(): void {
    this.#isStopped = true;
    this.#turn?.abort();
    this.#wake();
    this.#makeRoom();
  }

  async #answer(message: UserInput): Promise<void> {
    const turn = new AbortController();
    this.#turn = turn;
    const queued = () => this.#queue.length;
    this.#lastFailed = await this.#options.turns.run(message, { signal: turn.signal, queued });
    this.#turn = undefined;
  }

  #take(line: InputLine): Promise<void> | undefined {
    switch (line.kind) {
      case 'user':
        this.push(line.message);
        return this.#queue.length < maxQueued ? undefined : this.#room();
      case 'request':
        void this.#control(line.requestId, line.request);
        return undefined;
      case 'response':
        this.#options.requests.answer(line.requestId, line.result);
        return undefined;
      case 'wrong':
        this.#options.onTrouble(`A line of standard input was left out: ${line.problem}.`);
        return undefined;
      case 'ignored':
        return undefined;
    }
  }

  async #control(requestId: string | undefined, request: ControlRequest): Promise<void> {
    const answer: ControlAnswer = await control(this.#controlled, request);
    const line =
      'error' in answer
        ? controlErrorLine(requestId, answer.error, answer.code)
        : controlSuccessLine(requestId, answer.response);
    await this.#options.lines.putControl(line);
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#makeRoom = () => {
        if (this.#isStopped || this.#queue.length < maxQueued) resolve();
      };
    });
  }
}
