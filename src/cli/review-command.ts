/** `troupe review <path>`. */

import type { Backend } from '../../actors/backend.ts';
import { openai } from '../../actors/backends/openai.ts';
import { findModelServer } from '../../actors/discover.ts';
import { type ReviewReport, review } from '../review/index.ts';
import type { StreamEvent } from '../runtime/reply.ts';
import { createTroupe } from '../runtime/troupe.ts';
import { reviewText } from './review-text.ts';
import { oneLine, plain } from './terminal.ts';

export interface ReviewFlags {
  readonly backend?: string;
  readonly expertBackend?: string;
  readonly model?: string;
  readonly expertModel?: string;
  readonly endpoint?: string;
  readonly timeout?: string;
  readonly json?: true;
}

/** Runs the review and prints it; gives the exit code: 1 when an agent failed. */
export async function reviewCommand(path: string, flags: ReviewFlags): Promise<number> {
  const { backend, backends } = await chooseBackend(flags);
  const troupe = createTroupe({ backends });
  const stop = new AbortController();
  const onInterrupt = () => stop.abort();
  process.once('SIGINT', onInterrupt);
  try {
    const report = await review(troupe, path, {
      backend,
      ...given({ expertBackend: flags.expertBackend, model: flags.model, expertModel: flags.expertModel }),
      ...(flags.timeout === undefined ? {} : { timeoutMs: Number(flags.timeout) * 1000 }),
      signal: stop.signal,
      onProgress: tell,
    });
    process.stdout.write(flags.json ? `${JSON.stringify(report, undefined, 2)}\n` : reviewText(report));
    return exitCode(report);
  } finally {
    process.off('SIGINT', onInterrupt);
    await troupe.close();
  }
}

/** What was asked for; else a model server on this machine; else the embedded rules. Nothing else: code stays here unless told. */
async function chooseBackend(flags: ReviewFlags): Promise<{ backend: string; backends: Record<string, Backend> }> {
  const { backend, endpoint, model } = flags;
  if (endpoint !== undefined)
    return { backend: 'openai', backends: { openai: openai({ endpoint, ...given({ model }) }) } };
  if (backend !== undefined) return { backend, backends: {} };
  const server = await findModelServer();
  if (server === undefined) {
    note(
      'No model server found on this machine: using the embedded rules (no language model). See --backend, --endpoint.',
    );
    return { backend: 'offline', backends: {} };
  }
  note(`Using ${plain(server.model)} at ${server.endpoint}. For the embedded rules: --backend offline.`);
  return { backend: 'local', backends: { local: openai({ endpoint: server.endpoint, model: server.model }) } };
}

function tell(agent: string, event: StreamEvent): void {
  if (event.type === 'tool-call') note(`${agent}: ${event.call.name} ${oneLine(event.call.arguments).slice(0, 100)}`);
  else if (event.type === 'retry') note(`${agent}: ${oneLine(event.error.message)}; trying again`);
  else if (event.type === 'reply') note(`${agent}: done`);
}

function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

function exitCode(report: ReviewReport): number {
  return report.agents.some(({ error }) => error !== undefined) ? 1 : 0;
}

/** The fields that have a value. */
function given<Fields extends Record<string, string | undefined>>(fields: Fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: string;
  };
}
