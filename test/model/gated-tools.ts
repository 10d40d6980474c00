/** Tools that end when the test says so, also when they were told to stop. */
import type { Tool } from '../../actors/tools/tool.ts';

interface Run {
  readonly done: () => void;
  readonly signal: AbortSignal;
}

export class GatedTools {
  readonly #runs: Run[] = [];

  get running(): Run[] {
    return this.#runs.filter(({ signal }) => !signal.aborted);
  }

  get aborted(): Run[] {
    return this.#runs.filter(({ signal }) => signal.aborted);
  }

  /** A tool; the one that is `guarded` must be allowed. */
  make(name: 'gate' | 'guarded'): Tool {
    const parameters = { type: 'object', properties: {} };
    return {
      definition: { name, description: 'Waits for the test.', parameters },
      approve: name === 'guarded',
      check: async () => ({ value: {} }),
      run: (_args, { signal }) =>
        new Promise((resolve) => {
          const done = () => {
            this.#runs.splice(this.#runs.indexOf(run), 1);
            resolve('done');
          };
          const run = { done, signal };
          this.#runs.push(run);
        }),
    };
  }
}
