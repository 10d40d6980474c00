#!/usr/bin/env node
/** The command `openai-wrapper`. Exit codes: 0 done, 1 the last result was an error or the start failed, 129 and 143 by signal. */
import { readFileSync } from 'node:fs';
import { reasonOf } from '../core/errors.ts';
import { runWrapper } from './run-wrapper.ts';

const terminate = new AbortController();
const interrupt = new AbortController();
process.on('SIGTERM', () => terminate.abort(143));
process.on('SIGHUP', () => terminate.abort(129));
process.on('SIGINT', () => interrupt.abort());
process.stderr.on('error', () => {});

const onTrouble = (message: string) => void process.stderr.write(`openai-wrapper: ${message}\n`);

const code = await runWrapper({
  argv: process.argv.slice(2),
  environment: process.env,
  cwd: process.cwd(),
  version: version(),
  input: process.stdin,
  output: process.stdout,
  onTrouble,
  terminate: terminate.signal,
  interrupt: interrupt.signal,
}).catch((error: unknown) => {
  onTrouble(reasonOf(error));
  return 1;
});
// What is written may be on its way still, and standard input open, which would keep the process.
await Promise.race([new Promise((resolve) => process.stdout.write('', resolve)), aborted(terminate.signal)]);
process.exit(code);

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function version(): string {
  const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
