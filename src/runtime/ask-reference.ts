/** An ask by its id alone: one of this process, or of the process before. */
import type { AskOutcome } from '../../actors/store/store.ts';
import { TroupeError } from '../core/errors.ts';
import type { Clock } from '../core/seams.ts';
import type { Ask } from './ask.ts';
import { inTime } from './ask-handle.ts';
import { type Reply, replyOf } from './reply.ts';

/** Where an ask was found. */
export type FoundAsk =
  | { readonly agent: string; readonly ask: Ask; readonly cancel: () => void }
  | { readonly agent: string; readonly outcome: AskOutcome };

export class AskReference {
  readonly askId: string;
  readonly #find: () => Promise<FoundAsk | undefined>;
  readonly #clock: Clock;

  /** References are made by `troupe.handle`. */
  constructor(askId: string, find: () => Promise<FoundAsk | undefined>, clock: Clock) {
    this.askId = askId;
    this.#find = find;
    this.#clock = clock;
  }

  /**
   * The reply, or the ask's error; `reply.output` is undefined when the ask was made by another process. After `timeoutMs`
   * milliseconds (default: no limit but the ask's deadline) it rejects with `TROUPE_ERR_WAIT_TIMEOUT` and the ask goes on.
   * Rejects with `TROUPE_ERR_OPTION_INVALID` when no living agent has, or lately had, such an ask.
   */
  async wait(timeoutMs?: number): Promise<Reply<unknown>> {
    const found = await this.#found();
    const { agent } = found;
    const { askId } = this;
    if ('ask' in found) {
      const { reply } = found.ask;
      return timeoutMs === undefined ? reply : inTime(reply, { agent, askId, clock: this.#clock, timeoutMs });
    }
    const { outcome } = found;
    if (outcome.kind === 'reply') return replyOf(agent, askId, outcome.reply);
    throw new TroupeError(outcome.code, outcome.message, { agent, askId });
  }

  /** Cancels the ask. Nothing happens when it is settled. */
  async cancel(): Promise<void> {
    const found = await this.#found();
    if ('ask' in found) found.cancel();
  }

  async #found(): Promise<FoundAsk> {
    const found = await this.#find();
    if (found !== undefined) return found;
    const message = `No living agent has an ask "${this.askId}", or remembers one.`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message, { askId: this.askId });
  }
}
