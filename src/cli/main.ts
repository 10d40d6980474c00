#!/usr/bin/env node
/** The command `troupe`. Exit codes: 0 done, 1 failure, 2 wrong usage. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { isTroupeError } from '../core/errors.ts';
import type { ReviewFlags } from './review-command.ts';
import { oneLine } from './terminal.ts';

/** Errors that say that the command line was wrong. */
const usageCodes = ['TROUPE_ERR_OPTION_INVALID', 'TROUPE_ERR_BACKEND_UNKNOWN', 'TROUPE_ERR_PATH_REFUSED'];

const program = new Command('troupe')
  .description('An actor-model runtime for LLM agents.')
  .version(
    (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string })
      .version,
  )
  .option('--debug', 'print the stack of an error')
  .exitOverride();

program
  .command('review')
  .description('review a code base with four experts; unasked, no code leaves this machine')
  .argument('<path>', 'folder or file')
  .option('--backend <name>', 'backend of the orchestrator and, unless told otherwise, the experts')
  .option('--expert-backend <name>', 'backend of the experts')
  .option('--model <id>', 'model of the orchestrator')
  .option('--expert-model <id>', 'model of the experts')
  .option('--endpoint <url>', 'OpenAI-compatible server to use')
  .option('--timeout <seconds>', 'time for one ask', '600')
  .option('--json', 'print the report as JSON')
  .action(async (path: string, flags: ReviewFlags) => {
    const { reviewCommand } = await import('./review-command.ts');
    process.exitCode = await reviewCommand(path, flags);
  });

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Prints an error as one line; gives the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const message = error instanceof Error ? error.message : String(error);
  console.error(`troupe: ${oneLine(message)}`);
  if (program.opts<{ debug?: true }>().debug) console.error(error);
  return isTroupeError(error) && usageCodes.includes(error.code) ? 2 : 1;
}
