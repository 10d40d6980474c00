/** A streamed ask: async iteration over its events, and its reply. */
import type { TroupeError } from '../core/errors.ts';
import type { Ask } from './ask.ts';
import type { Reply, StreamEvent } from './reply.ts';

/**
 * Iterate it once; it throws what the ask fails with. Leaving the loop early cancels the ask, also while it is silent.
 * Text that nobody has taken yet is kept as one event, so a slow reader costs the reply's length and no more.
 */
export class ReplyStream<Output = undefined> implements AsyncIterable<StreamEvent<Output>> {
  readonly askId: string;
  /** The reply, also for those who do not iterate. */
  readonly reply: Promise<Reply<Output>>;
  readonly #waiting: StreamEvent<Output>[] = [];
  /** Pieces of text that came after what waits. */
  #text: string[] = [];
  readonly #cancel: () => void;
  #ended = false;
  /** What the ask failed with, until it is thrown. */
  #failure: TroupeError | undefined;
  #arrival: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;

  constructor(ask: Ask, cancel: () => void) {
    this.askId = ask.askId;
    this.reply = ask.reply as Promise<Reply<Output>>;
    this.#cancel = cancel;
    ask.listen((event) => this.#push(event as StreamEvent<Output>));
    ask.reply.then(
      () => this.#end(),
      (error: TroupeError) => this.#end(error),
    );
  }

  [Symbol.asyncIterator](): AsyncIterator<StreamEvent<Output>, void, void> {
    return { next: () => this.#next(), return: () => this.#leave() };
  }

  async #next(): Promise<IteratorResult<StreamEvent<Output>, void>> {
    for (;;) {
      if (this.#waiting.length === 0) this.#gatherText();
      const value = this.#waiting.shift();
      if (value !== undefined) return { done: false, value };
      const failure = this.#failure;
      this.#failure = undefined;
      if (failure !== undefined) throw failure;
      if (this.#ended) return { done: true, value: undefined };
      this.#arrival ??= arrival();
      await this.#arrival.promise;
    }
  }

  async #leave(): Promise<IteratorResult<StreamEvent<Output>, void>> {
    const left = !this.#ended;
    this.#end();
    this.#waiting.length = 0;
    this.#text = [];
    this.#failure = undefined;
    if (left) this.#cancel();
    return { done: true, value: undefined };
  }

  #push(event: StreamEvent<Output>): void {
    if (this.#ended) return;
    if (event.type === 'text-delta') this.#text.push(event.text);
    else {
      this.#gatherText();
      this.#waiting.push(event);
    }
    this.#wake();
  }

  #gatherText(): void {
    if (this.#text.length === 0) return;
    this.#waiting.push({ type: 'text-delta', text: this.#text.join('') });
    this.#text = [];
  }

  #end(failure?: TroupeError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#wake();
  }

  #wake(): void {
    this.#arrival?.resolve();
    this.#arrival = undefined;
  }
}

/** A promise that somebody else resolves. */
function arrival() {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
