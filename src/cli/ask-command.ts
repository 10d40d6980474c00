/** `troupe ask [prompt...]`: one ask; the answer is shown while it arrives. */
import { text as readAll } from 'node:stream/consumers';
import { loadMcpConfig } from '../../actors/tools/mcp-config-file.ts';
import { TroupeError } from '../core/errors.ts';
import type { ModelParameters } from '../core/types.ts';
import { createTroupe } from '../runtime/troupe.ts';
import { type BackendFlags, chooseBackend } from './choose-backend.ts';
import { onInterrupt } from './interrupt.ts';
import { showAnswer } from './show-answer.ts';

export interface AskFlags extends BackendFlags {
  readonly system?: string;
  readonly fallback?: readonly string[];
  readonly temperature?: number;
  readonly maxTokens?: number;
  readonly timeout: number;
  readonly mcpConfig?: string;
  readonly json?: true;
}

/** Asks and prints the answer; gives the exit code. */
export async function askCommand(words: readonly string[], flags: AskFlags): Promise<number> {
  const prompt = await promptOf(words);
  const { backend, model, backends } = await chooseBackend(flags);
  const { system, fallback = [], temperature, maxTokens, mcpConfig } = flags;
  const parameters: ModelParameters = {
    ...(temperature !== undefined && { temperature }),
    ...(maxTokens !== undefined && { maxTokens }),
  };
  const mcp = mcpConfig === undefined ? {} : await loadMcpConfig(mcpConfig);
  const troupe = createTroupe({ backends });
  const stop = onInterrupt();
  try {
    const route = { backend, fallback, mcp, ...(model !== undefined && { model }) };
    const agent = await troupe.spawn('ask', { ...route, parameters, ...(system !== undefined && { system }) });
    troupe.on('approval-needed', ({ call }) => agent.approve(call, { deny: 'nobody is there to allow it.' }));
    const stream = agent.stream(prompt, { timeoutMs: flags.timeout * 1000, signal: stop.signal });
    if (flags.json) process.stdout.write(`${JSON.stringify(await stream.reply, undefined, 2)}\n`);
    else await showAnswer(stream);
    return 0;
  } finally {
    stop.release();
    await troupe.close();
  }
}

/** The words of the command line, then standard input when it is piped: `troupe ask "Sum up:" < notes.txt`. */
async function promptOf(words: readonly string[]): Promise<string> {
  const typed = words.join(' ').trim();
  const piped = process.stdin.isTTY ? '' : (await readAll(process.stdin)).trim();
  const prompt = [typed, piped].filter((part) => part !== '').join('\n\n');
  if (prompt !== '') return prompt;
  const message = 'There is no prompt: give it as words, or pipe it to standard input.';
  throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
