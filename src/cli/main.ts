#!/usr/bin/env node
/** The command `troupe`. Exit codes: 0 done, 1 failure, 2 wrong usage, 130 after Ctrl-C, 143 after SIGTERM. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { isTroupeError } from '../core/errors.ts';
import type { AgentsFlags } from './agents-command.ts';
import type { AskFlags } from './ask-command.ts';
import type { ChatFlags } from './chat-command.ts';
import type { GcFlags } from './gc-command.ts';
import type { HistoryFlags } from './history-command.ts';
import type { ImportFlags } from './import-command.ts';
import type { InspectCommandFlags } from './inspect-command.ts';
import { inspectable, portOf } from './inspecting.ts';
import type { StoreFlags } from './kept-store.ts';
import type { ResumeFlags } from './resume-command.ts';
import type { ReviewFlags } from './review-command.ts';
import { oneLine } from './terminal.ts';
import type { UsageFlags } from './usage-command.ts';

/** Errors that say that the command line was wrong. */
const usageCodes = ['TROUPE_ERR_OPTION_INVALID', 'TROUPE_ERR_BACKEND_UNKNOWN', 'TROUPE_ERR_PATH_REFUSED'];

const mcpHelp = 'file of the form of .mcp.json: starts the MCP servers that it names, for their tools';

const backendHelp = 'backend; unasked, a model server on this machine, else the embedded rules';

const agentHelp = 'name that the agent is kept under: it goes on where it was';

const storeHelp = 'file of the store; unasked, TROUPE_STORE, else .troupe/troupe.db';

const program = new Command('troupe')
  .description('An actor-model runtime for LLM agents.')
  .version(
    (JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string })
      .version,
  )
  .option('--debug', 'print the stack of an error')
  .exitOverride();

program
  .command('ask')
  .description('ask once; the answer is shown while it arrives')
  .argument('[prompt...]', 'the prompt; what is piped to standard input follows it')
  .option('--agent <name>', agentHelp)
  .option('--store <path>', storeHelp)
  .option('--system <text>', 'system message')
  .option('--backend <name>', backendHelp)
  .option('--model <id>', 'model')
  .option('--endpoint <url>', 'OpenAI-compatible server to use')
  .option('--auto', 'choose by the prompt among all backends that doctor finds, providers too')
  .option('--explain', 'with --auto: say why, on standard error; alone: say what it would choose, and ask nothing')
  .option('--fallback <names...>', 'backends to go on with when the first fails')
  .option('--mcp-config <file>', mcpHelp)
  .option('--temperature <number>', 'how freely the model chooses', number)
  .option('--max-tokens <count>', 'cap on generated tokens', number)
  .option('--timeout <seconds>', 'time for the ask', number, 600)
  .option('--json', 'print the reply as JSON')
  .action(async (prompt: string[], flags: AskFlags) => {
    const { askCommand } = await import('./ask-command.ts');
    process.exitCode = await askCommand(prompt, flags);
  });

program
  .command('chat')
  .description('chat with an agent and its forks; /help in the chat says what there is')
  .option('--agent <name>', agentHelp)
  .option('--store <path>', storeHelp)
  .option('--system <text>', 'system message')
  .option('--backend <name>', backendHelp)
  .option('--model <id>', 'model')
  .option('--endpoint <url>', 'OpenAI-compatible server to use')
  .option('--fallback <names...>', 'backends to go on with when the first fails')
  .option('--mcp-config <file>', mcpHelp)
  .option('--code <path>', 'code that the agents may read; you are asked for each call')
  .action(async (flags: ChatFlags) => {
    const { chatCommand } = await import('./chat-command.ts');
    process.exitCode = await chatCommand(flags);
  });

program
  .command('review')
  .description('review a code base with four experts; unasked, no code leaves this machine')
  .argument('<path>', 'folder or file')
  .option('--backend <name>', backendHelp)
  .option('--expert-backend <name>', 'backend of the experts, if it is another')
  .option('--model <id>', 'model')
  .option('--expert-model <id>', 'model of the experts, if it is another')
  .option('--endpoint <url>', 'OpenAI-compatible server to use')
  .option('--timeout <seconds>', 'time for one ask', number, 600)
  .option('--json', 'print the report as JSON')
  .action(async (path: string, flags: ReviewFlags) => {
    const { reviewCommand } = await import('./review-command.ts');
    process.exitCode = await reviewCommand(path, flags);
  });

program
  .command('doctor')
  .description('say which backends this machine has, which models, and how to get the rest')
  .option('--json', 'print it as JSON')
  .action(async (flags: { json?: true }) => {
    const { doctorCommand } = await import('./doctor-command.ts');
    process.exitCode = await doctorCommand(flags);
  });

program
  .command('usage')
  .description('say what the calls that a store knows of have taken, and what another model would have')
  .option('--store <path>', storeHelp)
  .option('--by <keys...>', 'what to tell apart: agent, model, backend, day; unasked, agent')
  .option('--what-if <model>', 'what the same tokens would cost on this model')
  .option('--prices <file>', 'prices of your own, which go before the list prices')
  .option('--json', 'print it as JSON')
  .option('--csv', 'print it as CSV')
  .action(async (flags: UsageFlags) => {
    const { usageCommand } = await import('./usage-command.ts');
    process.exitCode = await usageCommand(flags);
  });

program
  .command('agents')
  .description('list the agents that a store keeps')
  .option('--store <path>', storeHelp)
  .option('--json', 'print them as JSON')
  .action(async (flags: AgentsFlags) => {
    const { agentsCommand } = await import('./agents-command.ts');
    process.exitCode = await agentsCommand(flags);
  });

program
  .command('history')
  .description('print what was said with a kept agent')
  .argument('<name>', 'its name')
  .option('--last <count>', 'only the last messages', count)
  .option('--store <path>', storeHelp)
  .option('--json', 'print the messages as JSON')
  .action(async (name: string, flags: HistoryFlags) => {
    const { historyCommand } = await import('./history-command.ts');
    process.exitCode = await historyCommand(name, flags);
  });

program
  .command('resume')
  .description('take up the asks that a process which was killed has left open, and print their replies')
  .option('--store <path>', storeHelp)
  .option('--mcp-config <file>', mcpHelp)
  .option('--json', 'print asks and replies as JSON')
  .action(async (flags: ResumeFlags) => {
    const { resumeCommand } = await import('./resume-command.ts');
    process.exitCode = await resumeCommand(flags);
  });

program
  .command('gc')
  .description('forget kept agents that were not used lately, and free what they took')
  .option('--older-than <days>', 'how long they were not used', number, 30)
  .option('--yes', 'remove what is listed without asking')
  .option('--store <path>', storeHelp)
  .action(async (flags: GcFlags) => {
    const { gcCommand } = await import('./gc-command.ts');
    process.exitCode = await gcCommand(flags);
  });

program
  .command('export')
  .description('print a kept agent as lines of JSON')
  .argument('<name>', 'its name')
  .option('--store <path>', storeHelp)
  .action(async (name: string, flags: StoreFlags) => {
    const { exportCommand } = await import('./export-command.ts');
    process.exitCode = await exportCommand(name, flags);
  });

program
  .command('import')
  .description('keep an agent that was exported')
  .argument('<file>', 'what `troupe export` printed')
  .option('--as <name>', 'name to keep it under, if it is another')
  .option('--store <path>', storeHelp)
  .action(async (file: string, flags: ImportFlags) => {
    const { importCommand } = await import('./import-command.ts');
    process.exitCode = await importCommand(file, flags);
  });

program
  .command('inspect')
  .description('show what was recorded with `--record`, in a page on this machine')
  .argument('<file>', 'the recording')
  .option('--port <port>', 'port of the page; 0 = any free one', portOf, 0)
  .action(async (file: string, flags: InspectCommandFlags) => {
    const { inspectCommand } = await import('./inspect-command.ts');
    process.exitCode = await inspectCommand(file, flags);
  });

// Where agents work, somebody can look on.
for (const command of program.commands)
  if (['ask', 'chat', 'review', 'resume'].includes(command.name())) inspectable(command);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** The value of an option that is a number. */
function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

/** The value of an option that is a number of things. */
function count(text: string): number {
  const value = number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InvalidArgumentError('It must be a whole number, 0 or more.');
  return value;
}

/** Prints an error as one line; gives the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const message = error instanceof Error ? error.message : String(error);
  console.error(`troupe: ${oneLine(message)}`);
  if (program.opts<{ debug?: true }>().debug) console.error(error);
  return isTroupeError(error) && usageCodes.includes(error.code) ? 2 : 1;
}
