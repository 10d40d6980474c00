/** `troupe inspect <file>`: shows a recording in the inspector's page, until Ctrl-C. */
import { once } from 'node:events';
import { readRecording, serveInspector } from '../inspect/index.ts';
import { count, note } from './terminal.ts';

export interface InspectCommandFlags {
  readonly port: number;
}

/** Serves the page and prints where it is; gives the exit code of the signal that ends it. */
export async function inspectCommand(path: string, { port }: InspectCommandFlags): Promise<number> {
  const recording = await readRecording(path);
  const { damagedLines, missing } = recording;
  if (damagedLines > 0) note(`${count(damagedLines, 'line')} of the recording cannot be read.`);
  if (missing > 0) note(`${count(missing, 'message')} of the inspection ${missing === 1 ? 'is' : 'are'} not in it.`);
  const ended = Promise.race([once(process, 'SIGINT').then(() => 130), once(process, 'SIGTERM').then(() => 143)]);
  const server = await serveInspector({ recording, port });
  process.stdout.write(`${server.url}\n`);
  if (process.stdout.isTTY) note('Ctrl-C ends it.');
  const code = await ended;
  await server.close();
  return code;
}
