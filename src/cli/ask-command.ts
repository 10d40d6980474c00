/** `troupe ask [prompt...]`: one ask; the answer is shown while it arrives. */
import { text as readAll } from 'node:stream/consumers';
import { loadMcpConfig } from '../../actors/tools/mcp-config-file.ts';
import { TroupeError } from '../core/errors.ts';
import type { ModelParameters } from '../core/types.ts';
import { createTroupe } from '../runtime/troupe.ts';
import { autoBackend, explanation } from './auto-backend.ts';
import { type BackendFlags, type Choice, chooseBackend } from './choose-backend.ts';
import { onInterrupt } from './interrupt.ts';
import { showAnswer } from './show-answer.ts';
import { note, plain } from './terminal.ts';

export interface AskFlags extends BackendFlags {
  readonly auto?: true;
  readonly explain?: true;
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
  const { prompt, task } = await promptOf(words);
  const route = await routeOf({ prompt, task }, flags);
  if (route === undefined) return 0;
  const { backend, model, backends } = route;
  const { system, fallback = [], temperature, maxTokens, mcpConfig } = flags;
  const parameters: ModelParameters = {
    ...(temperature !== undefined && { temperature }),
    ...(maxTokens !== undefined && { maxTokens }),
  };
  const mcp = mcpConfig === undefined ? {} : await loadMcpConfig(mcpConfig);
  const troupe = createTroupe({ backends });
  const stop = onInterrupt();
  try {
    const where = { backend, fallback, mcp, ...(model !== undefined && { model }) };
    const agent = await troupe.spawn('ask', { ...where, parameters, ...(system !== undefined && { system }) });
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

interface Prompt {
  readonly prompt: string;
  /** The part of it that says what to do. */
  readonly task: string;
}

/** The words of the command line, then standard input when it is piped: `troupe ask "Sum up:" < notes.txt`. */
async function promptOf(words: readonly string[]): Promise<Prompt> {
  const typed = words.join(' ').trim();
  const piped = process.stdin.isTTY ? '' : (await readAll(process.stdin)).trim();
  const prompt = [typed, piped].filter((part) => part !== '').join('\n\n');
  if (prompt !== '') return { prompt, task: typed || piped };
  const message = 'There is no prompt: give it as words, or pipe it to standard input.';
  throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}

/** About right in any language: a token is four letters of ours, or a Chinese character and a bit. */
const bytesPerToken = 4;

/** Where the prompt goes; undefined when it was only asked where it would go. */
async function routeOf({ prompt, task }: Prompt, flags: AskFlags): Promise<Choice | undefined> {
  const { auto, explain, maxTokens, mcpConfig, system = '' } = flags;
  if (!auto && !explain) return await chooseBackend(flags);
  if (flags.backend !== undefined || flags.model !== undefined || flags.endpoint !== undefined) {
    const message =
      '`--auto` and `--explain` choose backend and model: leave out `--backend`, `--model` and `--endpoint`.';
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
  const choice = await autoBackend({
    task,
    inputTokens: Math.ceil(Buffer.byteLength(system + prompt) / bytesPerToken),
    ...(maxTokens !== undefined && { outputTokens: maxTokens }),
    ...(mcpConfig !== undefined && { needs: ['tools'] }),
  });
  const { backend, model, score } = choice;
  if (!auto) {
    process.stdout.write(`${explanation(choice)}\n`);
    return undefined;
  }
  note(
    explain ? explanation(choice) : `Using ${backend}, ${plain(model)}, for a score of ${score}. --explain says why.`,
  );
  return { backend, model, backends: {} };
}
