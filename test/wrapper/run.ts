/** The wrapper in this process, with streams that a test writes and reads. */
import { PassThrough } from 'node:stream';
import { runWrapper } from '../../src/wrapper/run-wrapper.ts';

export type Line = Readonly<Record<string, unknown>>;

export interface Run {
  /** Every line that came, in order. */
  readonly lines: readonly Line[];
  /** What people were told. */
  readonly troubles: readonly string[];
  readonly input: PassThrough;
  readonly output: PassThrough;
  readonly code: Promise<number>;
  /** Writes these as lines. */
  send(...messages: readonly unknown[]): void;
  /** The next line of these words: `result`, `system/init`, `control_request/can_use_tool`. */
  next(kind: string): Promise<Line>;
  terminate(code: number): void;
  interrupt(): void;
}

export interface RunSetup {
  readonly endpoint: string;
  readonly stateDir: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Starts the wrapper with these arguments. */
export function run({ endpoint, stateDir, environment, cwd = '/' }: RunSetup, ...argv: readonly string[]): Run {
  const input = new PassThrough();
  const output = new PassThrough();
  const lines: Line[] = [];
  const troubles: string[] = [];
  const terminate = new AbortController();
  const interrupt = new AbortController();
  const waiters = new Set<() => void>();
  let rest = '';
  let taken = 0;
  output.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts.map((part) => JSON.parse(part)));
    for (const waiter of [...waiters]) waiter();
  });
  const code = runWrapper({
    ...{ argv, cwd, version: '0.0.0', input, output },
    environment: {
      LLM_ENDPOINT: endpoint,
      LLM_MODEL: 'fault:talk',
      TROUPE_STATE_DIR: stateDir,
      CLAUDE_CODE_MAX_RETRIES: '0',
      ...environment,
    },
    onTrouble: (message) => void troubles.push(message),
    terminate: terminate.signal,
    interrupt: interrupt.signal,
  });
  return {
    ...{ lines, troubles, input, output, code },
    send: (...messages) => void input.write(messages.map((message) => `${JSON.stringify(message)}\n`).join('')),
    next: (kind) =>
      new Promise((resolve) => {
        const waiter = () => {
          const at = lines.findIndex((line, index) => index >= taken && kindOf(line) === kind);
          if (at === -1) return;
          taken = at + 1;
          waiters.delete(waiter);
          resolve(lines[at] ?? {});
        };
        waiters.add(waiter);
        waiter();
      }),
    terminate: (reason) => terminate.abort(reason),
    interrupt: () => interrupt.abort(),
  };
}

/** Its type, with the subtype of those that have kinds. */
export function kindOf(line: Line): string {
  const { type, subtype } = line;
  if (type === 'system') return `${type}/${subtype}`;
  if (type === 'control_request') return `${type}/${(line['request'] as Line)['subtype']}`;
  if (type === 'stream_event') return `event/${(line['event'] as Line)['type']}`;
  if (type === 'command_lifecycle') return `${type}/${line['state']}`;
  return String(type);
}

/** A message of the user. */
export function user(content: unknown, more: object = {}): object {
  return { type: 'user', message: { role: 'user', content }, ...more };
}

/** A control request. */
export function request(subtype: string, more: object = {}): object {
  return { type: 'control_request', request_id: subtype, request: { subtype, ...more } };
}

/** The answer to a request of the wrapper's. */
export function respond(asked: Line, response: object): object {
  const answer = { subtype: 'success', request_id: asked['request_id'], response };
  return { type: 'control_response', response: answer };
}
