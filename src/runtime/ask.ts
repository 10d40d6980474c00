/**
 * One ask on its way: the data that the chart does not carry.
 *
 * Q1  It settles once; what comes later is dropped.
 * Q2  Its timer, its hold on the caller's signal and whatever still works for it end when it settles.
 * Q3  A listener that throws harms nobody but itself.
 */
import type { ModelResponse } from '../../actors/backend.ts';
import type { Schema } from '../../actors/tools/schema.ts';
import type { Budget, Reservation } from '../core/budget.ts';
import type { Conversation } from '../core/conversation.ts';
import type { Attempt, TroupeError } from '../core/errors.ts';
import type { Clock } from '../core/seams.ts';
import type { Image, ToolMessage, Usage, UserMessage } from '../core/types.ts';
import { addKnown, addUsage, unknownUsage } from '../core/usage.ts';
import { noTools, type Replay, type ToolSet } from './agent-spec.ts';
import type { Approvals } from './approval.ts';
import type { AskPath } from './ask-path.ts';
import { callSafely } from './guards.ts';
import type { Reply, StreamEvent } from './reply.ts';
import type { OutputForm } from './structured-output.ts';
import { type HostedResults, noHostedResults } from './tool-results.ts';
import type { View } from './view.ts';
import { abandoned } from './work-logic.ts';

/** Options of one ask. */
export interface AskOptions<Wanted extends Schema | undefined = undefined> {
  /**
   * Names the ask. The same prompt under the same id is the same ask: while that is open, whoever asks again waits for it, with
   * the time that it has; once it is answered, its reply is given again. One that failed is made anew. Default: made up.
   */
  readonly askId?: string;
  /** Deadline in milliseconds from now; waiting in the mailbox counts. Default: the agent's `timeouts.askMs`. */
  readonly timeoutMs?: number;
  /** Aborting it cancels the ask. */
  readonly signal?: AbortSignal;
  /** Pictures that go with the prompt, to models that can see. Default: none. */
  readonly images?: readonly Image[];
  /**
   * The form of the answer: a Standard Schema (zod) or a JSON Schema. `reply.output` is then what it made of the model's last
   * words. An answer that does not fit is sent back once; then the ask fails with `TROUPE_ERR_OUTPUT_INVALID`. Default: none.
   */
  readonly schema?: Wanted;
  /** What happens to an answer that broke off when a listener has seen some of it; see `Replay`. Default: the agent's. */
  readonly replay?: Replay;
  /** USD that this ask may cost, all its calls together. Default: no limit but those of agent, group and troupe. */
  readonly budgetUsd?: number;
  /** For this ask alone the conversation is compressed so that what is sent of it has at most `maxTokens` tokens. Default: no. */
  readonly compression?: { readonly maxTokens: number };
}

/** What an ask is made from, besides its prompt. */
interface AskSetup {
  readonly askId: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly images: readonly Image[];
  readonly clock: Clock;
  readonly conversation: Conversation;
  readonly outer: AskPath | undefined;
  readonly form: OutputForm | undefined;
  readonly replay: Replay;
  readonly budget: Budget | undefined;
  readonly maxTokens: number | undefined;
  /** Whether its caller gave it its id. */
  readonly isNamed: boolean;
  /** Of an ask that a process before this one accepted. */
  readonly accepted?: { readonly acceptedAt: number; readonly deadlineAt: number };
}

/** A model call in flight. */
interface CallInFlight extends Pick<Attempt, 'backend' | 'model' | 'step'> {
  readonly startedAt: number;
  /** What is set aside for it; undefined when there is no budget. */
  readonly reservation: Reservation | undefined;
  /** Whether its backend was called. */
  isSent: boolean;
}

export class Ask {
  readonly askId: string;
  readonly prompt: UserMessage;
  readonly signal: AbortSignal | undefined;
  readonly acceptedAt: number;
  readonly deadlineAt: number;
  readonly reply: Promise<Reply<unknown>>;
  /** Where its steps are appended: the agent's, or one of its own when the agent is stateless. */
  readonly conversation: Conversation;
  /** The tool that asked, and for which ask; undefined when none did. */
  readonly outer: AskPath | undefined;
  /** The form that its answer must have, as said by who asks it, or asks it again; undefined when any will do. */
  form: OutputForm | undefined;
  readonly replay: Replay;
  /** What it may spend; undefined when nothing above it has a limit either. */
  readonly budget: Budget | undefined;
  readonly isNamed: boolean;
  /** Whether it was asked in a process before this one. */
  readonly isReadmitted: boolean;
  /** Tokens of conversation that it may send; undefined when it has no limit of its own. */
  readonly maxTokens: number | undefined;
  /** What is sent of the conversation for this ask alone; undefined when that is the agent's view. */
  view: View | undefined;
  /** Text of an answer that broke off and that the next call goes on with. */
  kept = '';
  /** What the answer is in that form, once it fits. */
  output: unknown;
  /** How it ended; undefined until then. */
  outcome: 'replied' | 'failed' | undefined;
  /** Why it failed. */
  error: TroupeError | undefined;
  readonly attempts: Attempt[] = [];
  readonly results = new Map<string, ToolMessage>();
  steps = 0;
  /** Whether the prompt is in the conversation, which it is from the first step that succeeded. */
  prompted = false;
  /** The answer of the step in hand. */
  response: ModelResponse | undefined;
  /** Whether that answer is in the conversation. */
  appended = false;
  /** The tools that the step in hand was offered: they stay its own, whatever the agent gets or loses meanwhile. */
  tools: ToolSet = noTools;
  /** Calls of that answer that the backend runs itself. */
  hosted: HostedResults = noHostedResults;
  /** Ids of the calls that were begun; undefined until the tools run. */
  started: Set<string> | undefined;
  /** Decisions on its tool calls; undefined when it needs none. */
  approvals: Approvals | undefined;
  /** How often in a row each of its calls was made. */
  callCounts: ReadonlyMap<string, number> | undefined;
  /** Why it is not to go on with tools. */
  stuck: TroupeError | undefined;
  /** Why it expires, when that is not its deadline. */
  expiry: string | undefined;
  /** Text of the call in flight. */
  partialText = '';
  /** Whether a listener was given text of the call in flight. */
  delivered = false;
  inFlight: CallInFlight | undefined;
  /** The controller of what works for it: a model call or tools. */
  work: AbortController | undefined;
  /** Settles it at once: set while it is decided and waits for the store. */
  decided: (() => void) | undefined;
  /** Failures of its calls, oldest first. */
  readonly failures: TroupeError[] = [];
  /** Backends that failed it for good. */
  readonly failedBackends = new Set<string>();
  #settle: { resolve: (reply: Reply<unknown>) => void; reject: (error: TroupeError) => void } | undefined;
  readonly #listeners = new Set<(event: StreamEvent<unknown>) => void>();
  readonly #cleanups: (() => void)[] = [];

  constructor(prompt: string, options: AskSetup) {
    const { askId, timeoutMs, signal, images, clock, conversation, outer, form, replay, budget, maxTokens } = options;
    this.conversation = conversation;
    this.outer = outer;
    this.form = form;
    this.replay = replay;
    this.budget = budget;
    this.maxTokens = maxTokens;
    this.askId = askId;
    this.prompt = { role: 'user', content: prompt, ...(images.length === 0 ? {} : { images }) };
    this.signal = signal;
    this.isNamed = options.isNamed;
    this.isReadmitted = options.accepted !== undefined;
    this.acceptedAt = options.accepted?.acceptedAt ?? clock.now();
    this.deadlineAt = options.accepted?.deadlineAt ?? this.acceptedAt + timeoutMs;
    this.reply = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.reply.catch(() => {});
  }

  get usage(): Usage {
    const [first] = this.attempts;
    if (first !== undefined && this.attempts.length === 1) return first.usage;
    return this.attempts.reduce((sum, attempt) => addUsage(sum, attempt.usage), unknownUsage);
  }

  get costUsd(): number | undefined {
    return this.attempts.reduce<number | undefined>((sum, attempt) => addKnown(sum, attempt.costUsd), undefined);
  }

  /** Gets ready for a model call: what the last one left is forgotten. */
  begin(tools: ToolSet, work: AbortController): void {
    const isRepeat = this.response === undefined && this.delivered;
    if (isRepeat && this.kept === '') this.emit({ type: 'restarted', discardChars: this.partialText.length });
    this.tools = tools;
    this.approvals = undefined;
    this.hosted = noHostedResults;
    this.started = undefined;
    this.work = work;
    this.partialText = '';
    this.delivered = false;
    this.response = undefined;
    this.output = undefined;
    this.appended = false;
    this.results.clear();
  }

  /** The call in hand failed: what a listener has seen of its answer stays, if that is wanted. */
  keepPartial(): void {
    if (this.replay !== 'continue' || !this.delivered || this.form !== undefined) return;
    this.kept += this.partialText;
    this.partialText = '';
  }

  /** Calls `listener` with every event from now on. */
  listen(listener: (event: StreamEvent<unknown>) => void): void {
    this.#listeners.add(listener);
  }

  emit(event: StreamEvent<unknown>): void {
    if (event.type === 'text-delta') {
      this.partialText += event.text;
      this.delivered ||= this.#listeners.size > 0;
    }
    for (const listener of this.#listeners) callSafely(listener, event);
  }

  /** Runs `cleanup` when the ask settles. */
  onSettled(cleanup: () => void): void {
    this.#cleanups.push(cleanup);
  }

  resolve(reply: Reply<unknown>): void {
    if (this.outcome !== undefined) return;
    this.emit({ type: 'reply', reply });
    this.#finish('replied')?.resolve(reply);
  }

  reject(error: TroupeError): void {
    this.error ??= error;
    this.#finish('failed')?.reject(error);
  }

  #finish(outcome: 'replied' | 'failed') {
    const settle = this.#settle;
    this.#settle = undefined;
    this.outcome ??= outcome;
    this.#listeners.clear();
    this.work?.abort(abandoned);
    this.response?.toolPhase?.abandon();
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    return settle;
  }
}
