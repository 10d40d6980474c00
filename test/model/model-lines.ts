/** What the model says of messages, asks and lives, a line for each: the words in which it is compared with the real agent. */
import type { Message } from '../../src/core/types.ts';
import type { AskModel, Model } from './agent-model.ts';

/** What the call in flight must have sent. */
export function requestOf(model: Model): string[] {
  const id = model.hand ?? '';
  const ask = model.asks[id] as AskModel;
  const goOn = ask.kept === '' ? [] : [`assistant: ${ask.kept}`, 'user: go on'];
  return [...model.log, ...ask.log, ...(ask.prompted ? [] : [`user: prompt ${id}`]), ...goOn];
}

export function outcomeLine(what: string, attempts: readonly string[], partial: string): string {
  return `${what} (${attempts.join(', ')})${partial === '' ? '' : ` after "${partial}"`}`;
}

/** A message as the model writes it. */
export function messageLine(message: Message): string {
  switch (message.role) {
    case 'assistant': {
      const calls = message.toolCalls?.map(({ id }) => id).join(' ');
      return `assistant: ${message.content}${calls === undefined ? '' : ` -> ${calls}`}`;
    }
    case 'tool':
      return `tool: ${message.callId} ${/interrupted|denied/.exec(message.content)?.[0] ?? message.content}`;
    default:
      return `${message.role}: ${message.content.startsWith('Your answer broke off') ? 'go on' : message.content}`;
  }
}
/** The step that wanted tools, as it is appended. */
export function toolLines({ call: number, said, toolsDone, decided }: AskModel): string[] {
  let done = toolsDone;
  const ends = [0, 1].map((index) => {
    if (decided[index] === 'deny') return 'denied';
    done -= 1;
    return done < 0 ? 'interrupted' : 'done';
  });
  return [
    `assistant: ${said} -> c${number}-1 c${number}-2`,
    ...ends.map((end, index) => `tool: c${number}-${index + 1} ${end}`),
  ];
}

/** The end of an agent's life. `code` is what it crashed with. */
export function lifeLine(agent: string, { why, code, comesBack, restarts }: LifeEnd): string {
  const crash = code === undefined ? '' : ` (${code})`;
  return `${agent} ${why}${crash}, ${comesBack ? 'comes back' : 'is gone'}, restarts ${restarts}`;
}

interface LifeEnd {
  readonly why: 'killed' | 'crashed' | 'stopped';
  readonly code: string | undefined;
  readonly comesBack: boolean;
  readonly restarts: number;
}
