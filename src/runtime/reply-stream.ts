/** A streamed ask: async iteration over its events, and its reply. */
import type { Ask } from './ask.ts';
import type { Reply, StreamEvent } from './reply.ts';

/**
 * Iterate it once; it throws what the ask fails with. Leaving the loop early cancels the ask.
 * Text that nobody has taken yet is kept as one event, so a slow reader costs the reply's length and no more.
 */
export class ReplyStream implements AsyncIterable<StreamEvent> {
  readonly askId: string;
  /** The reply, also for those who do not iterate. */
  readonly reply: Promise<Reply>;
  readonly #waiting: StreamEvent[] = [];
  readonly #cancel: () => void;
  #wake: (() => void) | undefined;

  constructor(ask: Ask, cancel: () => void) {
    this.askId = ask.askId;
    this.reply = ask.reply;
    this.#cancel = cancel;
    ask.listen((event) => this.#push(event));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamEvent, void, void> {
    let ended = false;
    const settled = this.reply.then(
      () => this.#wake?.(),
      () => {
        ended = true;
        this.#wake?.();
      },
    );
    try {
      while (!ended || this.#waiting.length > 0) {
        const event = this.#waiting.shift();
        if (event === undefined) await this.#arrival();
        else {
          ended ||= event.type === 'reply';
          yield event;
        }
      }
      await this.reply;
    } finally {
      if (!ended) this.#cancel();
      await settled;
    }
  }

  #push(event: StreamEvent): void {
    const last = this.#waiting.at(-1);
    if (event.type === 'text-delta' && last?.type === 'text-delta') {
      this.#waiting[this.#waiting.length - 1] = { type: 'text-delta', text: last.text + event.text };
    } else this.#waiting.push(event);
    this.#wake?.();
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
