/** What `--inspect` and `--record` add to a command: somebody looks on while its troupe works, no longer and no sooner. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { reasonOf } from '../core/errors.ts';
import type { Troupe } from '../runtime/troupe.ts';
import type { Stop } from './interrupt.ts';
import { note, oneLine } from './terminal.ts';

export interface InspectFlags {
  /** A port; true = any free one. */
  readonly inspect?: number | true;
  /** A file to record into. */
  readonly record?: string;
  readonly inspectContent: 'none' | 'preview' | 'full';
  readonly inspectActions?: true;
}

type Work = (troupe: Troupe, stop: Stop) => Promise<number>;

/** Gives a command the options. */
export function inspectable(command: Command): Command {
  return command
    .option('--inspect [port]', 'serve a page that shows the agents while they work', portOf)
    .option('--record <file>', 'record what the agents do, for `troupe inspect`')
    .addOption(
      new Option('--inspect-content <level>', 'how much of prompts and answers the page and the recording show')
        .choices(['none', 'preview', 'full'])
        .default('none'),
    )
    .option('--inspect-actions', 'let the page cancel asks, kill agents and allow tool calls');
}

/** The value of an option that is a port. */
export function portOf(text: string): number {
  const port = Number(text);
  if (text.trim() !== '' && Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError(`It must be a port, 0 to 65535; before other words write \`--inspect=0\`.`);
}

/** The same work, with somebody who looks on if the flags say so. */
export function inspected({ inspect, record, inspectContent, inspectActions }: InspectFlags, work: Work): Work {
  if (inspect === undefined && record === undefined) return work;
  return async (troupe, stop) => {
    const { inspectTroupe, jsonlSink, serveInspector } = await import('../inspect/index.ts');
    const sinks = [
      ...(record === undefined ? [] : [jsonlSink(record)]),
      ...(inspect === undefined
        ? []
        : [await serveInspector({ port: inspect === true ? 0 : inspect, actions: inspectActions === true })]),
    ];
    const inspection = inspectTroupe(troupe, { sinks, content: inspectContent });
    for (const sink of sinks) if ('url' in sink) note(`Inspector: ${sink.url}`);
    try {
      return await work(troupe, stop);
    } finally {
      // What was worked out is not lost with its recording.
      await inspection.stop().catch((error: unknown) => note(`troupe: ${oneLine(reasonOf(error))}`));
    }
  };
}
