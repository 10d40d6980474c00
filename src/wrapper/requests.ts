/** Requests of ours to the caller, and their answers. Each ends: answered, given up, late, or because the caller has left. */
import { randomUUID } from 'node:crypto';
import type { ControlResult } from './lines-in.ts';
import { controlCancelLine, controlRequestLine, type LineWriter } from './lines-out.ts';

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

type Settle = (result: ControlResult) => void;

export class CallerRequests {
  readonly #lines: LineWriter;
  readonly #waiting = new Map<string, Settle>();
  #left = false;

  constructor(lines: LineWriter) {
    this.#lines = lines;
  }

  /** Sends a request and waits for the answer. Never rejects: what goes wrong is an `error`. */
  ask(request: object, { timeoutMs, signal }: RequestOptions): Promise<ControlResult> {
    if (this.#left) return Promise.resolve(noCaller);
    if (signal?.aborted) return Promise.resolve({ error: 'It was given up.' });
    const id = randomUUID();
    return new Promise((resolve) => {
      const giveUp = (error: string) => {
        settle({ error });
        void this.#lines.putControl(controlCancelLine(id));
      };
      const onAbort = () => giveUp('It was given up.');
      const timer = setTimeout(() => giveUp(`No answer came within ${timeoutMs} ms.`), timeoutMs);
      const settle: Settle = (result) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(id);
        resolve(result);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.set(id, settle);
      void this.#lines.putControl(controlRequestLine(id, request));
    });
  }

  /** Takes an answer; one that nobody waits for is dropped. */
  answer(requestId: string, result: ControlResult): void {
    this.#waiting.get(requestId)?.(result);
  }

  /** The caller sends nothing more. */
  leave(): void {
    this.#left = true;
    for (const settle of [...this.#waiting.values()]) settle(noCaller);
  }
}

const noCaller: ControlResult = { error: 'The caller has closed standard input.' };
