/**
 * A backend whose calls wait until a test answers them, in any order: for tests of what happens between request and answer.
 *
 * G1  A call is `pending` until it is answered or its request is aborted; then it is gone from there for good.
 * G2  An aborted call rejects at once with the abort's reason; with `ignoreAbort` it stays open, to be answered too late.
 */
import type { Backend, ModelRequest, ModelResponse } from '../../actors/backend.ts';
import { requestMessages } from '../../actors/backend.ts';
import type { Message } from '../core/types.ts';
import { unknownUsage } from '../core/usage.ts';

export interface GatedOptions {
  /** Default `gated-model`. */
  readonly model?: string;
  /** An aborted call goes on as if nobody had said so, as a bad backend would. Default false. */
  readonly ignoreAbort?: boolean;
}

/** What an answer is made of; what it leaves out is empty, unknown, or follows from the rest. */
export type GatedAnswer = Partial<ModelResponse>;

/** One model call that waits for its answer. */
export interface GatedCall {
  /** Name of the agent that called. */
  readonly agent: string;
  readonly model: string;
  /** Everything that the request sent, in order. */
  readonly messages: readonly Message[];
  readonly request: ModelRequest;
  /** Sends a piece of text ahead of the answer. */
  text(piece: string): void;
  /** Answers. The finish reason is by default `tool-calls` when there are any, else `stop`. */
  resolve(answer?: GatedAnswer): void;
  /** Fails the call with anything at all. */
  reject(error: unknown): void;
}

export interface GatedBackend extends Backend {
  /** Calls that wait for an answer and that somebody still waits for, oldest first. */
  readonly pending: readonly GatedCall[];
  /** Calls that were aborted before their answer, oldest first. */
  readonly aborted: readonly GatedCall[];
  /** Every call so far, oldest first. */
  readonly calls: readonly GatedCall[];
  /** The oldest pending call, of one agent if it is named. Throws when there is none. */
  next(agent?: string): GatedCall;
}

/** Makes a backend that answers when a test says so. */
export function gatedBackend(options: GatedOptions = {}): GatedBackend {
  const { model = 'gated-model', ignoreAbort = false } = options;
  const calls: GatedCall[] = [];
  const pending = new Set<GatedCall>();
  const aborted: GatedCall[] = [];
  return {
    kind: 'gated',
    model,
    info: {
      inference: 'embedded',
      price: 'free',
      capabilities: ['tools', 'streaming'],
      setup: 'For tests: answer its calls.',
    },
    calls,
    aborted,
    get pending() {
      return [...pending];
    },
    next(agent) {
      for (const call of pending) if (agent === undefined || call.agent === agent) return call;
      throw new Error(
        `No call${agent === undefined ? '' : ` of agent "${agent}"`} is pending; there were ${calls.length}.`,
      );
    },
    call(request) {
      return new Promise((resolve, reject) => {
        const call: GatedCall = {
          agent: request.agent,
          model: request.model,
          messages: requestMessages(request),
          request,
          text: (piece) => request.onEvent({ type: 'text-delta', text: piece }),
          resolve: (answer) => {
            pending.delete(call);
            resolve(whole(answer));
          },
          reject: (error) => {
            pending.delete(call);
            reject(error);
          },
        };
        calls.push(call);
        pending.add(call);
        const onAbort = () => {
          if (!pending.delete(call)) return;
          aborted.push(call);
          if (!ignoreAbort) reject(request.signal.reason);
        };
        if (request.signal.aborted) onAbort();
        else request.signal.addEventListener('abort', onAbort, { once: true });
      });
    },
  };
}

function whole(answer: GatedAnswer = {}): ModelResponse {
  const { toolCalls = [] } = answer;
  return {
    text: '',
    toolCalls,
    finishReason: { unified: toolCalls.length > 0 ? 'tool-calls' : 'stop', raw: undefined },
    usage: unknownUsage,
    costUsd: 0,
    ...answer,
  };
}
