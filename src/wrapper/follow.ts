/** One ask on its way: its events become lines while they happen, and an ending when they are over. */
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type TroupeError, toTroupeError } from '../core/errors.ts';
import type { ToolCall, ToolMessage } from '../core/types.ts';
import type { Reply, StreamEvent } from '../runtime/reply.ts';
import { apiErrorWord } from './api-error.ts';
import { type LineWriter, noteLine, systemLine, toolResultLine } from './lines-out.ts';
import type { ShownCalls } from './shown-calls.ts';
import { StepLines, stopReason } from './step-lines.ts';

/** How an ask ended, and the uuids of what was shown of it. */
export interface Ending {
  readonly outcome: { readonly reply: Reply } | { readonly error: TroupeError };
  /** Model calls that were begun, repeats not counted. */
  readonly steps: number;
  /** Tools were running when it ended. */
  readonly inTools: boolean;
  readonly stopReason: string | null;
  /** The uuids of the `assistant` lines of each step, from 1. */
  readonly stepUuids: ReadonlyMap<number, readonly string[]>;
  /** The uuid of the line of each tool result, by the id of the call. */
  readonly resultUuids: ReadonlyMap<string, string>;
}

export interface FollowOptions {
  readonly lines: LineWriter;
  /** Whether what arrives is shown before it is whole. */
  readonly partials: boolean;
  readonly maxRetries: number;
  readonly shown: ShownCalls;
}

/** Follows an ask to its end. Never rejects but when the lines cannot be made, which is a bug. */
export async function follow(events: AsyncIterable<StreamEvent>, options: FollowOptions): Promise<Ending> {
  const follower = new Follower(options);
  const iterator = events[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = iterator.next();
      if (follower.hasOpenCalls && (await isLate(next))) await follower.endMessage();
      const { done, value } = await next;
      if (done) throw new Error('The events of an ask ended without a reply.');
      if (value.type === 'reply') return await follower.reply(value.reply);
      await follower.take(value);
    }
  } catch (thrown) {
    return follower.fail(toTroupeError(thrown, 'The wrapper'));
  }
}

/** The ending of an ask that was never made. */
export function failedEnding(error: TroupeError): Ending {
  const none = new Map();
  return { outcome: { error }, steps: 0, inTools: false, stopReason: null, stepUuids: none, resultUuids: none };
}

/** Whether nothing comes before the process is idle: the calls of one answer come all at once. */
async function isLate(next: Promise<unknown>): Promise<boolean> {
  return Promise.race([next.then(() => false), setImmediate(true)]);
}

class Follower {
  readonly #options: FollowOptions;
  readonly #stepUuids = new Map<number, readonly string[]>();
  readonly #resultUuids = new Map<string, string>();
  /** Calls that have no result yet. */
  readonly #openCalls = new Map<string, ToolCall>();
  #step: StepLines | undefined;
  #stopReason: string | null = null;
  #retries = 0;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  get hasOpenCalls(): boolean {
    return this.#openCalls.size > 0;
  }

  async take(event: Exclude<StreamEvent, { type: 'reply' }>): Promise<void> {
    const { lines, partials, maxRetries } = this.#options;
    switch (event.type) {
      case 'step-start':
        await this.endMessage();
        this.#step = new StepLines({ model: event.model, partials, put: (line) => lines.put(line) });
        this.#stepUuids.set(event.step, this.#step.uuids);
        if (partials) await lines.put(systemLine('status', { status: 'requesting' }));
        return;
      case 'text-delta':
        return this.#step?.delta('text', event.text);
      case 'reasoning-delta':
        return this.#step?.delta('thinking', event.text);
      case 'step-end':
        this.#retries = 0;
        this.#stopReason = stopReason(event.finishReason);
        return this.#step?.end(this.#stopReason, event.usage);
      case 'tool-call':
        this.#openCalls.set(event.call.id, event.call);
        await this.#step?.toolCall(event.call);
        return this.#options.shown.add(event.call.id);
      case 'tool-result':
        await this.endMessage();
        return this.#showResult(event.result);
      case 'retry':
        this.#retries += 1;
        return lines.put(
          systemLine('api_retry', {
            ...{ attempt: this.#retries, max_retries: maxRetries, retry_delay_ms: 0, error_status: null },
            error: apiErrorWord(event.error.class, undefined),
          }),
        );
      case 'fallback':
        this.#retries = 0;
        return lines.put(systemLine('model_fallback', { trigger: event.error.code, content: event.error.message }));
    }
  }

  /** Nothing more belongs to the message in hand. */
  async endMessage(): Promise<void> {
    await this.#step?.close();
  }

  async reply(reply: Reply): Promise<Ending> {
    if (this.#step !== undefined && !this.#step.hasText) await this.#step.delta('text', reply.text);
    await this.endMessage();
    return this.#ending({ reply });
  }

  async fail(error: TroupeError): Promise<Ending> {
    const inTools = this.hasOpenCalls;
    if (error.code === 'TROUPE_ERR_ASK_CANCELLED') await this.#showInterruption();
    else await this.#step?.abort();
    return { ...this.#ending({ error }), inTools };
  }

  async #showInterruption(): Promise<void> {
    const inTools = this.hasOpenCalls;
    if (inTools) await this.endMessage();
    else await this.#step?.abort();
    for (const { id, name } of [...this.#openCalls.values()]) {
      await this.#showResult({ role: 'tool', callId: id, name, content: interrupted, isError: true });
    }
    await this.#options.lines.put(noteLine(`[Request interrupted by user${inTools ? ' for tool use' : ''}]`));
  }

  async #showResult(result: ToolMessage): Promise<void> {
    const uuid = randomUUID();
    this.#openCalls.delete(result.callId);
    this.#options.shown.remove(result.callId);
    this.#resultUuids.set(result.callId, uuid);
    await this.#options.lines.put({ ...toolResultLine(result), uuid });
  }

  #ending(outcome: Ending['outcome']): Ending {
    return {
      outcome,
      steps: this.#stepUuids.size,
      inTools: false,
      stopReason: this.#stopReason,
      stepUuids: this.#stepUuids,
      resultUuids: this.#resultUuids,
    };
  }
}

const interrupted = 'This call was interrupted; whether it had an effect is not known.';
