/** Ctrl-C as an abort signal: the first cancels what runs, the second ends the process. */

export interface Interrupt {
  readonly signal: AbortSignal;
  /** Gives Ctrl-C back to the process. */
  release(): void;
}

/** Takes over the next Ctrl-C. */
export function onInterrupt(): Interrupt {
  const abort = new AbortController();
  const stop = () => abort.abort();
  process.once('SIGINT', stop);
  return { signal: abort.signal, release: () => void process.off('SIGINT', stop) };
}
