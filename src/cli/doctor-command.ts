/** `troupe doctor`: which backends this machine has, which models, and how to get the rest. It asks no server elsewhere. */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Probe, probeServers } from '../../actors/discover.ts';
import { count, plain, table } from './terminal.ts';

/** One backend as it was found. */
interface Diagnosis {
  readonly backend: string;
  readonly state: 'ready' | 'missing';
  /** What was found, or what stands against it. */
  readonly found: string;
  /** How to get it; absent when it is ready. */
  readonly todo?: string;
}

/** Looks at every backend and prints what it found; the exit code is 0: missing backends are no failure. */
export async function doctorCommand(flags: { readonly json?: true }): Promise<number> {
  const [servers, claude] = await Promise.all([probeServers(), onPath('claude')]);
  const rows = [embedded, ...servers.map(serverRow), openAiRow(), anthropicRow(), claudeRow(claude)];
  if (flags.json) process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
  else process.stdout.write(`${doctorText(rows)}\n`);
  return 0;
}

const embedded: Diagnosis = {
  backend: 'offline',
  state: 'ready',
  found: 'embedded rules, no language model: `troupe review` works with it',
};

function serverRow({ backend, endpoint, models, problem }: Probe): Diagnosis {
  if (problem === undefined) {
    const more = models.length > 5 ? `, and ${count(models.length - 5, 'other')}` : '';
    return { backend, state: 'ready', found: `${endpoint}: ${models.slice(0, 5).map(plain).join(', ')}${more}` };
  }
  return { backend, state: 'missing', found: `${endpoint}: ${problem}`, todo: howTo[backend] ?? '' };
}

const howTo: Readonly<Record<string, string>> = {
  ollama: 'install Ollama, then `ollama pull llama3`',
  llamaCpp: 'start `llama-server -m model.gguf` (LocalAI uses the same port)',
  lmStudio: 'start the server in LM Studio, or `lms server start`',
  vllm: 'start `vllm serve MODEL` on a machine with a GPU',
};

function openAiRow(): Diagnosis {
  if (isSet('OPENAI_API_KEY')) return { backend: 'openai', state: 'ready', found: 'OPENAI_API_KEY is set; not asked' };
  const endpoint = isSet('LLM_ENDPOINT');
  if (endpoint) return { backend: 'openai', state: 'ready', found: 'LLM_ENDPOINT is set; not asked' };
  return {
    backend: 'openai',
    state: 'missing',
    found: 'no OPENAI_API_KEY',
    todo: 'set OPENAI_API_KEY, or LLM_ENDPOINT for a server of your own',
  };
}

function anthropicRow(): Diagnosis {
  const found = isSet('ANTHROPIC_API_KEY') ? 'ANTHROPIC_API_KEY is set' : 'no ANTHROPIC_API_KEY';
  return { backend: 'anthropic', state: 'missing', found, todo: 'not in this version of troupe yet' };
}

function claudeRow(path: string | undefined): Diagnosis {
  const found = path === undefined ? 'no `claude` on the PATH' : `the command is ${path}`;
  return { backend: 'claude', state: 'missing', found, todo: 'not in this version of troupe yet' };
}

function isSet(variable: string): boolean {
  return (process.env[variable] ?? '') !== '';
}

/** Where a command stands on the PATH. */
async function onPath(command: string): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const names = process.platform === 'win32' ? [`${command}.exe`, `${command}.cmd`] : [command];
  for (const path of folders.flatMap((folder) => names.map((name) => join(folder, name)))) {
    const works = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (works) return path;
  }
  return undefined;
}

function doctorText(rows: readonly Diagnosis[]): string {
  const cells = rows.map(({ backend, state, found, todo }) => [
    backend,
    state,
    todo === undefined ? plain(found) : `${plain(found)}. To get it: ${todo}`,
  ]);
  return table(cells);
}
