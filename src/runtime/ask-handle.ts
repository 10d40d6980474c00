/** An ask that goes on by itself: look at it, wait for it, cancel it. */
import { TroupeError, toTroupeError } from '../core/errors.ts';
import type { Clock } from '../core/seams.ts';
import type { Ask } from './ask.ts';
import type { Reply } from './reply.ts';

/** `waiting` in the mailbox, `running`, or settled one way or the other. */
export type AskStatus = 'waiting' | 'running' | 'replied' | 'failed';

/** What a handle needs of its agent. */
export interface AskHandleHost {
  readonly agent: string;
  readonly clock: Clock;
  /** Whether the agent has this ask in hand. */
  isRunning(askId: string): boolean;
  cancel(): void;
}

export class AskHandle<Output = undefined> {
  readonly askId: string;
  /** Name of the agent. */
  readonly agent: string;
  /** Resolves when the ask is durable; rejects when it was refused. Nothing happens when nobody looks at it. */
  readonly accepted: Promise<void>;
  readonly #ask: Ask;
  readonly #host: AskHandleHost;

  /** Handles are made by `agent.askAsync`. */
  constructor(ask: Ask, accepted: Promise<void>, host: AskHandleHost) {
    this.askId = ask.askId;
    this.agent = host.agent;
    this.accepted = accepted;
    accepted.catch(() => {});
    this.#ask = ask;
    this.#host = host;
  }

  get status(): AskStatus {
    return this.#ask.outcome ?? (this.#host.isRunning(this.askId) ? 'running' : 'waiting');
  }

  /**
   * The reply, or the ask's error. After `timeoutMs` milliseconds (default: no limit but the ask's own deadline) it rejects
   * with `TROUPE_ERR_WAIT_TIMEOUT` and the ask goes on.
   */
  wait(timeoutMs?: number): Promise<Reply<Output>> {
    const reply = this.#ask.reply as Promise<Reply<Output>>;
    if (timeoutMs === undefined) return reply;
    return inTime(reply, { agent: this.agent, askId: this.askId, clock: this.#host.clock, timeoutMs });
  }

  /** Cancels the ask; it then fails with `TROUPE_ERR_ASK_CANCELLED`. Nothing happens when it is settled. */
  cancel(): void {
    this.#host.cancel();
  }
}

interface Wait {
  readonly agent: string;
  readonly askId: string;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** The reply, if it comes in time. Otherwise it rejects with `TROUPE_ERR_WAIT_TIMEOUT`, and the ask goes on. */
export async function inTime<Answer>(
  reply: Promise<Answer>,
  { agent, askId, clock, timeoutMs }: Wait,
): Promise<Answer> {
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const message = `The ask to "${agent}" is not answered after ${timeoutMs} ms; it goes on.`;
      const late = () => reject(new TroupeError('TROUPE_ERR_WAIT_TIMEOUT', message, { agent, askId }));
      const timer = clock.setTimeout(late, timeoutMs);
      reply.then(resolve, reject).finally(() => clock.clearTimeout(timer));
    });
  } catch (thrown) {
    throw toTroupeError(thrown, 'The clock');
  }
}
