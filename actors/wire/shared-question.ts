/**
 * One question to a server that many callers may have at once.
 *
 * Q1  Callers who ask while an answer is on its way share it; the request ends when the last of them has gone.
 * Q2  No answer and no failure is kept: who asks when nothing is on its way asks anew.
 */
import { untilAborted } from '../until-aborted.ts';

export class SharedQuestion<Answer> {
  readonly #ask: (signal: AbortSignal) => Promise<Answer>;
  #open: Open<Answer> | undefined;

  constructor(ask: (signal: AbortSignal) => Promise<Answer>) {
    this.#ask = ask;
  }

  /** The answer. Rejects with the reason of `signal` at once when that aborts. */
  async answer(signal: AbortSignal): Promise<Answer> {
    this.#open ??= this.#begin();
    const open = this.#open;
    open.waiting += 1;
    try {
      return await untilAborted(open.answer, signal);
    } finally {
      open.waiting -= 1;
      if (open.waiting === 0) open.abort.abort();
      if (open.waiting === 0 && this.#open === open) this.#open = undefined;
    }
  }

  #begin(): Open<Answer> {
    const abort = new AbortController();
    return { answer: this.#ask(abort.signal), abort, waiting: 0 };
  }
}

interface Open<Answer> {
  readonly answer: Promise<Answer>;
  readonly abort: AbortController;
  waiting: number;
}
