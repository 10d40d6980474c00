/** Claude Code as the tests have it: the fake command, in a home of its own, against a model server. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClaudeCliOptions } from '../../actors/backends/claude-cli.ts';
import { isAlive } from './processes.ts';

const program = fileURLToPath(new URL('../fixtures/claude/fake-claude.mjs', import.meta.url));

export const claudeKey = 'canary-claude-key-0815';

export interface FakeClaude {
  /** What the backend must be made with; `faults` are names of test/fixtures/claude/chaos.mjs. */
  options(faults?: readonly string[]): ClaudeCliOptions;
  readonly home: string;
  /** Processes of it, and of its tools, that are alive. */
  alive(): number[];
  remove(): Promise<void>;
}

/** Makes a home for the fake command. */
export async function fakeClaude(endpoint: string): Promise<FakeClaude> {
  const home = await mkdtemp(join(tmpdir(), 'troupe-claude-'));
  const pids = () => {
    try {
      return readFileSync(join(home, '.claude/pids'), 'utf8').trim().split(/\s+/).map(Number);
    } catch {
      return [];
    }
  };
  return {
    home,
    options: (faults = []) => ({
      command: process.execPath,
      args: [program],
      endpoint,
      apiKey: claudeKey,
      env: { HOME: home, FAKE_CLAUDE: faults.join(',') },
      endGraceMs: 300,
    }),
    alive: () => pids().filter(isAlive),
    remove: () => rm(home, { recursive: true, force: true }),
  };
}
