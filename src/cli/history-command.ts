/** `troupe history NAME`: what was said with a kept agent. */
import type { Message } from '../core/types.ts';
import { type StoreFlags, storedAgent, withStore } from './kept-store.ts';
import { jsonText, oneLine, plain } from './terminal.ts';

export interface HistoryFlags extends StoreFlags {
  /** Messages to show, the last ones. Default: all. */
  readonly last?: number;
  readonly json?: true;
}

/** Prints the messages, oldest first; the exit code is 0. */
export async function historyCommand(name: string, flags: HistoryFlags): Promise<number> {
  const all = await withStore(flags, async (store): Promise<readonly Message[]> => {
    const { system } = await storedAgent(store, name);
    const said = (await store.groups(name)).flat();
    return system === undefined ? said : [{ role: 'system', content: system }, ...said];
  });
  const { last = all.length, json } = flags;
  const shown = last === 0 ? [] : all.slice(-last);
  if (json) process.stdout.write(`${jsonText(shown, 2)}\n`);
  else
    process.stdout.write(
      shown.map((message) => `${messageText(message, name)}\n`).join('') || 'Nothing was said yet.\n',
    );
  return 0;
}

/** A message as lines: who it is of, its text, the calls that it makes. */
function messageText(message: Message, name: string): string {
  if (message.role === 'tool') {
    const failed = message.isError === true ? ' failed' : '';
    return `tool ${oneLine(message.name)}${failed}: ${plain(message.content)}`;
  }
  const who = message.role === 'assistant' ? oneLine(name) : message.role;
  const calls = (message.role === 'assistant' && message.toolCalls) || [];
  const lines = calls.map((call) => `${who} calls ${oneLine(`${call.name} ${call.arguments}`)}`);
  const isSilent = message.content === '' && lines.length > 0;
  return [...(isSilent ? [] : [`${who}: ${plain(message.content)}`]), ...lines].join('\n');
}
