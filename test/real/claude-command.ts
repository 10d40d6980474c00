/** The real Claude Code of this folder: its binary, without the launcher that only finds it. */
import { createRequire } from 'node:module';

/** Path of the command. */
export function claudeCommand(): string {
  const { resolve } = createRequire(import.meta.url);
  const name = process.platform === 'win32' ? 'claude.exe' : 'claude';
  return resolve(`@anthropic-ai/claude-code-${process.platform}-${process.arch}/${name}`);
}
