/** A backend in which the model is a function: for tests that are too long to write down every answer. */
import type { Backend, ModelRequest } from '../../actors/backend.ts';
import { requestMessages } from '../../actors/backend.ts';
import { type ScriptedOptions, type ScriptedStep, scripted } from '../../actors/backends/scripted.ts';
import type { Message } from '../core/types.ts';

/** What the function is told of a call. */
export interface AnsweringCall {
  readonly agent: string;
  /** Which call of this agent it is, counted from 1. */
  readonly number: number;
  /** The last message that was sent: the prompt, or the result of a tool. */
  readonly last: Message | undefined;
  readonly request: ModelRequest;
}

/** Makes a backend that answers each call as `answer` says, with a step as in a script. What it throws fails the call. */
export function answeringBackend(
  answer: (call: AnsweringCall) => ScriptedStep | Promise<ScriptedStep>,
  options: ScriptedOptions = {},
): Backend {
  const counts = new Map<string, number>();
  const { model, info } = scripted([], options);
  return {
    kind: 'answering',
    ...{ model, info },
    async call(request) {
      const { agent, prompt } = request;
      const number = (counts.get(agent) ?? 0) + 1;
      counts.set(agent, number);
      const last = prompt.at(-1) ?? requestMessages(request).at(-1);
      const { toolCalls = [], ...step } = await answer({ agent, number, last, request });
      const named = toolCalls.map((call, index) => ({ id: `${agent}-${number}-${index + 1}`, ...call }));
      return scripted([{ ...step, toolCalls: named }], options).call(request);
    },
  };
}
