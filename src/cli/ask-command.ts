/** `troupe ask [prompt...]`: one ask; the answer is shown while it arrives. */
import { text as readAll } from 'node:stream/consumers';
import { loadMcpConfig } from '../../actors/tools/mcp-config-file.ts';
import type { BackendChoice } from '../core/choice.ts';
import { TroupeError } from '../core/errors.ts';
import type { ModelParameters } from '../core/types.ts';
import type { Troupe } from '../runtime/troupe.ts';
import { autoBackend, explanation } from './auto-backend.ts';
import { type Choice, chooseBackend } from './choose-backend.ts';
import { type InspectFlags, inspected } from './inspecting.ts';
import { onTroupe, type Stop } from './interrupt.ts';
import { type AgentFlags, type Extras, engage } from './kept-agent.ts';
import { showAnswer } from './show-answer.ts';
import { note, plain } from './terminal.ts';

export interface AskFlags extends AgentFlags, InspectFlags {
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
  const asked = await promptOf(words);
  if (flags.explain && !flags.auto) {
    process.stdout.write(`${explanation(await autoChoice(asked, flags))}\n`);
    return 0;
  }
  const extras = await extrasOf(flags);
  const choose = () => (flags.auto ? autoRoute(asked, flags) : chooseBackend(flags));
  const { options, bringUp } = await engage(flags, { name: 'ask', extras, choose });
  const work = async (troupe: Troupe, stop: Stop) => {
    troupe.on('approval-needed', ({ agent, call }) => {
      troupe.agent(agent)?.approve(call, { deny: 'nobody is there to allow it.' });
    });
    const agent = await bringUp(troupe);
    const stream = agent.stream(asked.prompt, { timeoutMs: flags.timeout * 1000, signal: stop.now });
    if (flags.json) process.stdout.write(`${JSON.stringify(await stream.reply, undefined, 2)}\n`);
    else await showAnswer(stream);
    return 0;
  };
  return onTroupe(options, inspected(flags, work));
}

/** What the agent is made from besides its route. */
async function extrasOf({ system, fallback, temperature, maxTokens, mcpConfig }: AskFlags): Promise<Extras> {
  const parameters: ModelParameters = {
    ...(temperature !== undefined && { temperature }),
    ...(maxTokens !== undefined && { maxTokens }),
  };
  return {
    ...(Object.keys(parameters).length > 0 && { parameters }),
    ...(fallback !== undefined && { fallback }),
    ...(system !== undefined && { system }),
    ...(mcpConfig !== undefined && { mcp: await loadMcpConfig(mcpConfig) }),
  };
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

/** Where `--auto` sends the prompt, which is said on standard error. */
async function autoRoute(asked: Prompt, flags: AskFlags): Promise<Choice> {
  const choice = await autoChoice(asked, flags);
  const { backend, model, score } = choice;
  const line = `Using ${backend}, ${plain(model)}, for a score of ${score}. --explain says why.`;
  note(flags.explain ? explanation(choice) : line);
  return { backend, model, backends: {} };
}

async function autoChoice({ prompt, task }: Prompt, flags: AskFlags): Promise<BackendChoice> {
  const { maxTokens, mcpConfig, system = '' } = flags;
  if (flags.backend !== undefined || flags.model !== undefined || flags.endpoint !== undefined) {
    const message =
      '`--auto` and `--explain` choose backend and model: leave out `--backend`, `--model` and `--endpoint`.';
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
  return autoBackend({
    task,
    inputTokens: Math.ceil(Buffer.byteLength(system + prompt) / bytesPerToken),
    ...(maxTokens !== undefined && { outputTokens: maxTokens }),
    ...(mcpConfig !== undefined && { needs: ['tools'] }),
  });
}
