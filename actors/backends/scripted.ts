/**
 * A backend whose answers are written down beforehand, for deterministic tests of agents.
 * It fails loudly: on a call that the script does not have, and on steps that nobody asked for.
 */
import { TroupeError } from '../../src/core/errors.ts';
import type { Clock } from '../../src/core/seams.ts';
import type { FinishReason, Json, Usage } from '../../src/core/types.ts';
import { unknownUsage } from '../../src/core/usage.ts';
import type { Backend, ModelRequest, ModelResponse } from '../backend.ts';
import { requestMessages } from '../backend.ts';
import { sleep, systemClock } from '../clock.ts';
import { backendInfo } from './backend-info.ts';

/** One model call of the script. */
export interface ScriptedStep {
  /** What the last message of the request must contain; anything else fails the call. */
  readonly expect?: string | RegExp;
  /** The answer's text, or its pieces as they arrive. Default: empty. */
  readonly text?: string | readonly string[];
  readonly toolCalls?: readonly { readonly name: string; readonly arguments?: Json; readonly id?: string }[];
  /** Fails the call after the text. */
  readonly error?: TroupeError;
  /** Default: `tool-calls` when there are any, else `stop`. */
  readonly finishReason?: FinishReason['unified'];
  /** Default: all unknown. */
  readonly usage?: Partial<Usage>;
  /** Waits so long before the first piece of text. Default 0. */
  readonly delayMs?: number;
  /** After the text, waits until the call is aborted. */
  readonly hang?: true;
}

/** Steps in order for whoever calls, or for each agent by its name. */
export type Script = readonly ScriptedStep[] | { readonly [agent: string]: readonly ScriptedStep[] };

export interface ScriptedOptions {
  /** Default `scripted-model`. */
  readonly model?: string;
  /** Keeps `delayMs`. Default: the process's clock. */
  readonly clock?: Clock;
}

/** A scripted backend, with what it was asked. */
export interface ScriptedBackend extends Backend {
  /** The messages of every call so far, in order. */
  readonly calls: readonly { readonly agent: string; readonly messages: ReturnType<typeof requestMessages> }[];
}

/** Makes a backend that answers by `script`. `close()` rejects with `TROUPE_ERR_SCRIPT_UNCONSUMED` when steps are left. */
export function scripted(script: Script, options: ScriptedOptions = {}): ScriptedBackend {
  const { model = 'scripted-model', clock = systemClock } = options;
  const steps = new Map(Object.entries(Array.isArray(script) ? { '': script } : script).map(toQueue));
  const calls: ScriptedBackend['calls'][number][] = [];
  return {
    kind: 'scripted',
    model,
    info: backendInfo('scripted'),
    calls,
    async call(request) {
      const messages = requestMessages(request);
      calls.push({ agent: request.agent, messages });
      const step = (steps.get('') ?? steps.get(request.agent))?.shift();
      if (step === undefined)
        throw unexpected(`Call ${calls.length}, by agent "${request.agent}", is not in the script`);
      checkExpectation(step, messages.at(-1)?.content ?? '', calls.length);
      return play(step, request, clock, calls.length);
    },
    async close() {
      const left = [...steps].filter(([, queue]) => queue.length > 0);
      if (left.length === 0) return;
      const where = left.map(([agent, queue]) => `${queue.length}${agent === '' ? '' : ` of agent "${agent}"`}`);
      throw new TroupeError(
        'TROUPE_ERR_SCRIPT_UNCONSUMED',
        `The script has steps that were never asked for: ${where.join(', ')}.`,
      );
    },
  };
}

function toQueue([agent, steps]: [string, readonly ScriptedStep[]]): [string, ScriptedStep[]] {
  return [agent, [...steps]];
}

function checkExpectation({ expect }: ScriptedStep, content: string, number: number): void {
  if (expect === undefined) return;
  if (typeof expect === 'string' ? content.includes(expect) : expect.test(content)) return;
  throw unexpected(
    `Call ${number} should end with a message that has ${String(expect)}, but it ends with "${content.slice(0, 200)}"`,
  );
}

async function play(step: ScriptedStep, request: ModelRequest, clock: Clock, number: number): Promise<ModelResponse> {
  const { signal, onEvent } = request;
  if (step.delayMs !== undefined) await sleep(clock, step.delayMs, signal);
  const pieces = typeof step.text === 'string' ? [step.text] : (step.text ?? []);
  for (const text of pieces) {
    signal.throwIfAborted();
    onEvent({ type: 'text-delta', text });
  }
  if (step.hang) await aborted(signal);
  if (step.error !== undefined) throw step.error;
  const toolCalls = (step.toolCalls ?? []).map((call, index) => ({
    id: call.id ?? `call-${number}-${index + 1}`,
    name: call.name,
    arguments: typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments ?? {}),
  }));
  return {
    text: pieces.join(''),
    toolCalls,
    finishReason: { unified: step.finishReason ?? (toolCalls.length > 0 ? 'tool-calls' : 'stop'), raw: undefined },
    usage: { ...unknownUsage, ...step.usage },
    costUsd: 0,
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function unexpected(message: string): TroupeError {
  return new TroupeError('TROUPE_ERR_SCRIPT_UNEXPECTED', `${message}.`);
}
