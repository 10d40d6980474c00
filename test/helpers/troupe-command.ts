/** The command `troupe`, built, as a process of its own that can be spoken to and ended. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { distFolder } from './processes.ts';

export interface CommandOptions {
  readonly cwd: string;
  /** Beside the PATH. */
  readonly env?: Readonly<Record<string, string>>;
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
}

/** How it ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class TroupeCommand {
  stdout = '';
  stderr = '';
  readonly ended: Promise<Ended>;
  readonly #child;
  readonly #waiters = new Set<() => void>();

  constructor(words: readonly string[], { cwd, env = {}, nodeArgs = [] }: CommandOptions) {
    const main = join(distFolder(), 'src/cli/main.js');
    this.#child = spawn(process.execPath, [...nodeArgs, main, ...words], {
      cwd,
      env: { PATH: process.env['PATH'] ?? '', ...env },
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#take('stdout', text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => this.#take('stderr', text));
    this.#child.stdin.on('error', () => {});
    this.ended = new Promise((resolve) => {
      this.#child.on('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  type(text: string): void {
    this.#child.stdin.write(text);
  }

  /** Ends its input. */
  end(): void {
    this.#child.stdin.end();
  }

  kill(signal: 'SIGINT' | 'SIGTERM' | 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  /** Resolves as soon as it has said this. */
  says(where: 'stdout' | 'stderr', text: string): Promise<void> {
    return new Promise((resolve) => {
      const waiter = () => {
        if (!this[where].includes(text)) return;
        this.#waiters.delete(waiter);
        resolve();
      };
      this.#waiters.add(waiter);
      waiter();
    });
  }

  #take(where: 'stdout' | 'stderr', text: string): void {
    this[where] += text;
    for (const waiter of [...this.#waiters]) waiter();
  }
}

/** Runs it to its end, with this on standard input. */
export function runTroupe(words: readonly string[], options: CommandOptions, input = ''): Promise<Ended> {
  const command = new TroupeCommand(words, options);
  if (input !== '') command.type(input);
  command.end();
  return command.ended;
}
