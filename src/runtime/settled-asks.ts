/** The asks of an agent that were settled lately and were named by their caller: an answer is given again, not made again. */
import type { AskOutcome, StoredReply } from '../../actors/store/store.ts';

interface Settled {
  readonly prompt: string;
  readonly outcome: AskOutcome;
}

export interface AnsweredAsk {
  readonly prompt: string;
  readonly reply: StoredReply;
}

export class SettledAsks {
  #byId: Map<string, Settled> | undefined;

  get(askId: string): Settled | undefined {
    return this.#byId?.get(askId);
  }

  /** The same, if it was answered: what failed may be asked again. */
  answered(askId: string): AnsweredAsk | undefined {
    const { prompt, outcome } = this.get(askId) ?? {};
    return prompt !== undefined && outcome?.kind === 'reply' ? { prompt, reply: outcome.reply } : undefined;
  }

  add(askId: string, settled: Settled): void {
    this.#byId ??= new Map();
    this.#byId.set(askId, settled);
    if (this.#byId.size <= kept) return;
    const [oldest] = this.#byId.keys();
    if (oldest !== undefined) this.#byId.delete(oldest);
  }
}

/** As many as `memoryStore` keeps. */
const kept = 100;
