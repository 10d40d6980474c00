/**
 * Child processes: started, talked to by lines, and ended with everybody they started.
 *
 * C1  A child sees no environment but what is named, and no shell reads its arguments.
 * C2  `exited` settles, and never rejects: at the latest 2 s after the exit, although somebody else still holds stdout.
 *     No line comes after it.
 * C3  A line and the kept end of stderr are capped, whatever the child writes.
 * C4  A child that has exited leaves nobody behind, whether `end` was called or not: see `process-tree.ts`.
 * C5  What this process leaves behind is ended by the watchdog (`watchdog.ts`), or by the next one that starts a child
 *     (`process-registry.ts`).
 * C6  No error holds an argument or the environment of a child. execa is loaded by the first start.
 */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { TroupeError, toTroupeError } from '../../src/core/errors.ts';
import { sleep, systemClock } from '../clock.ts';
import { ErrorTail } from './error-tail.ts';
import { type LineReader, lineReader } from './lines.ts';
import { inheritedMarkers, markerVariable, newMarker } from './process-marker.ts';
import { openRegistry, type ProcessRegistry } from './process-registry.ts';
import { ProcessTree, signalGroup } from './process-tree.ts';
import type { Redact } from './redact.ts';
import { unwatch, watch } from './watchdog.ts';

export interface ProcessOptions {
  /** A program: a path, or a name to be found in the child's `PATH`. */
  readonly command: string;
  /** Its arguments as they are: no shell sees them. */
  readonly args: readonly string[];
  /** Default: the folder of this process. */
  readonly cwd?: string | undefined;
  /** Which variables of this process the child may see. Default `defaultInheritEnv`; a list replaces it. */
  readonly inheritEnv?: readonly string[] | undefined;
  /** Variables on top of the inherited ones. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Takes each line of stdout that is not blank, without its LF or CRLF. What it throws ends the process. */
  readonly onLine: (line: string) => void;
  /** Cap on one line; a longer one ends the process with `TROUPE_ERR_BACKEND_TOO_LARGE`. Default 64 MB. */
  readonly maxLineBytes?: number | undefined;
  /** Cleans stderr before anybody sees it. Default: nothing is replaced. */
  readonly redact?: Redact | undefined;
  /** How long after the exit somebody else may still hold the output, in milliseconds. Default 2,000. */
  readonly outputGraceMs?: number | undefined;
  /** Where children are written down, for the sweep after a crash. Default: see `SweepOptions`. */
  readonly stateDir?: string | undefined;
}

/** How a process ended. */
export interface ProcessExit {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined;
  /** Undefined when it exited by itself. */
  readonly signal: string | undefined;
  /** The last 8 KB of stderr, redacted, without control codes but LF and tab. */
  readonly stderr: string;
  /** Why we ended it, or could not: a line was too long, `onLine` threw, or it is there even after SIGKILL. */
  readonly failure?: TroupeError;
}

export interface EndOptions {
  /** How long it may go on after the end of its input before it gets SIGTERM, in milliseconds. Default 0. */
  readonly inputGraceMs?: number;
  /** How long it may take after SIGTERM before SIGKILL, in milliseconds. Default 5,000. */
  readonly termGraceMs?: number;
  /** Once aborted, it gets no more time: SIGKILL. */
  readonly signal?: AbortSignal | undefined;
}

/** What a child sees of our environment when nothing else is said. */
export const defaultInheritEnv: readonly string[] = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'TERM', 'TMPDIR', 'TZ', 'LANG', 'LANGUAGE'],
  ...['LC_ALL', 'LC_COLLATE', 'LC_CTYPE', 'LC_MESSAGES', 'LC_MONETARY', 'LC_NUMERIC', 'LC_TIME'],
  ...(process.platform === 'win32'
    ? ['SystemRoot', 'SystemDrive', 'windir', 'ComSpec', 'PATHEXT', 'TEMP', 'TMP', 'USERNAME', 'USERPROFILE'].concat([
        'APPDATA',
        'LOCALAPPDATA',
        'HOMEDRIVE',
        'HOMEPATH',
        'ProgramData',
        'ProgramFiles',
      ])
    : []),
];

const defaultMaxLineBytes = 64 * 1024 * 1024;
const defaultOutputGraceMs = 2_000;
const defaultTermGraceMs = 5_000;
/** For those whom a leader left behind by itself: there is nobody for whom they could tidy up. */
const leftGraceMs = 1_000;
/** So much input may wait for a process that does not read. */
const maxWaitingBytes = 64 * 1024 * 1024;
const running = new Set<ChildProcess>();

/** Starts a process. Rejects with a `TroupeError` when that is impossible. */
export async function startProcess(options: ProcessOptions): Promise<ChildProcess> {
  checkTexts(options);
  const [{ execa }, registry] = await Promise.all([import('execa'), openRegistry(options.stateDir)]);
  const marker = newMarker();
  let failure: unknown;
  try {
    const subprocess = execa(options.command, options.args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: environmentOf(options, marker),
      extendEnv: false,
      detached: process.platform !== 'win32',
      cleanup: false,
      buffer: false,
      encoding: 'buffer',
      reject: false,
      forceKillAfterDelay: false,
      windowsHide: true,
    });
    if (subprocess.pid !== undefined) return new ChildProcess(options, subprocess as Subprocess, marker, registry);
    failure = (await subprocess).cause;
  } catch (thrown) {
    failure = thrown;
  }
  throw cannotStart(options, failure);
}

function checkTexts({ command, args, cwd = '', env = {} }: ProcessOptions): void {
  const texts = { command: [command], args, cwd: [cwd], env: Object.entries(env).flat() };
  for (const [option, values] of Object.entries(texts)) {
    if (!values.some((value) => value.includes('\0'))) continue;
    const message = `\`${option}\` of a process holds a NUL, which no process can be given. Remove it.`;
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
  }
}

/** What is used of execa's subprocess. Its promise is not: that one waits for as long as anybody holds stdout. */
interface Subprocess {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  once(event: 'exit', listener: (code: number | null, signal: string | null) => void): unknown;
}

/** One running process. */
export class ChildProcess {
  readonly pid: number;
  /** Settles when it has exited and its output has ended. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  readonly #name: string;
  readonly #options: ProcessOptions;
  readonly #subprocess: Subprocess;
  readonly #lines: LineReader;
  readonly #stderr = new ErrorTail();
  readonly #tree: ProcessTree;
  readonly #gone = new AbortController();
  readonly #hurry = new AbortController();
  readonly #unregister: Promise<() => void>;
  #failure: TroupeError | undefined;
  #ending: Promise<ProcessExit> | undefined;

  /** Use `startProcess`. */
  constructor(options: ProcessOptions, subprocess: Subprocess, marker: string, registry: ProcessRegistry) {
    const { pid, stdin, stdout, stderr } = subprocess;
    this.pid = pid;
    this.#unregister = registry.add({ pid, marker, command: options.command });
    addRunning(this);
    this.#options = options;
    this.#subprocess = subprocess;
    this.#name = nameOf(options);
    const maxLineBytes = options.maxLineBytes ?? defaultMaxLineBytes;
    this.#lines = lineReader({
      onLine: (line) => this.#takeLine(line),
      maxLineBytes,
      tooLong: () => lineTooLong(this.#name, maxLineBytes),
    });
    this.#tree = new ProcessTree({ pid, marker, leaderGone: this.#gone.signal });
    // Each of them may fail when the other side goes away; `write` and `exited` tell of it.
    for (const stream of [stdin, stdout, stderr]) stream.on('error', () => {});
    stdout.on('data', (bytes: Uint8Array) => this.#read(() => this.#lines.read(bytes)));
    stderr.on('data', (bytes: Uint8Array) => this.#stderr.add(bytes));
    this.exited = this.#settle();
    void this.exited.then(() => this.end({ termGraceMs: leftGraceMs }));
  }

  /**
   * Writes one line to stdin and adds its LF. Resolves once the process, or the pipe to it, has taken it; lines stay in
   * the order of the calls. Rejects with `TROUPE_ERR_PROCESS_DIED` when its input is closed, with
   * `TROUPE_ERR_BACKEND_TOO_LARGE` when more than 64 MB of earlier lines wait.
   */
  write(line: string): Promise<void> {
    const { stdin } = this.#subprocess;
    return new Promise((resolve, reject) => {
      if (stdin.writableLength > maxWaitingBytes) return reject(inputFull(this.#name));
      stdin.write(`${line}\n`, (error) => {
        if (error) reject(inputClosed(this.#name, error));
        else resolve();
      });
    });
  }

  /** Ends its input after what was written: many programs then finish and exit. */
  closeInput(): void {
    this.#subprocess.stdin.end();
  }

  /**
   * Ends it and everybody it started: end of input, SIGTERM, SIGKILL. Resolves when all of them are gone. A further
   * call waits for the first; its `signal` counts, its graces do not.
   */
  async end(options: EndOptions = {}): Promise<ProcessExit> {
    const onAbort = () => this.#hurry.abort();
    if (options.signal?.aborted) onAbort();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    this.#ending ??= this.#end(options);
    try {
      return await this.#ending;
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
    }
  }

  async #end({ inputGraceMs = 0, termGraceMs = defaultTermGraceMs }: EndOptions): Promise<ProcessExit> {
    this.closeInput();
    const hurry = this.#hurry.signal;
    if (inputGraceMs > 0) await pause(inputGraceMs, AbortSignal.any([hurry, this.#gone.signal]));
    const left = await this.#tree.end({ termGraceMs, hurry });
    if (left === 0) (await this.#unregister)();
    removeRunning(this);
    if (left === 0) return this.exited;
    const nothingYet = { code: undefined, signal: undefined, stderr: this.#stderrText };
    const exit = this.#gone.signal.aborted ? await this.exited : nothingYet;
    return { ...exit, failure: stillThere(this.#name, this.pid, left) };
  }

  async #settle(): Promise<ProcessExit> {
    const { stdin, stdout, stderr } = this.#subprocess;
    const closed = new AbortController();
    const streams = [stdout, stderr].map((stream) => new Promise((resolve) => stream.once('close', resolve)));
    void Promise.all(streams).then(() => closed.abort());
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
      this.#subprocess.once('exit', (...exit) => resolve(exit));
    });
    this.#gone.abort();
    await pause(this.#options.outputGraceMs ?? defaultOutputGraceMs, closed.signal);
    for (const stream of [stdin, stdout, stderr]) stream.destroy();
    this.#read(() => this.#takeLine(this.#lines.rest()));
    const failure = this.#failure === undefined ? {} : { failure: this.#failure };
    return { code: code ?? undefined, signal: signal ?? undefined, stderr: this.#stderrText, ...failure };
  }

  #takeLine(line: string): void {
    if (line.trim() !== '') this.#options.onLine(line);
  }

  #read(read: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      read();
    } catch (thrown) {
      this.#failure = toTroupeError(thrown, `\`onLine\` of ${this.#name}`);
      this.#subprocess.stdout.destroy();
      void this.end();
    }
  }

  get #stderrText(): string {
    return this.#stderr.text(this.#options.redact ?? ((text) => text));
  }
}

function addRunning(child: ChildProcess): void {
  if (running.size === 0) process.on('exit', terminateAll);
  running.add(child);
  watch(child.pid);
}

function removeRunning(child: ChildProcess): void {
  running.delete(child);
  unwatch(child.pid);
  if (running.size === 0) process.off('exit', terminateAll);
}

/** At the exit of this process nothing can be waited for; the watchdog sees to those who do not listen. */
function terminateAll(): void {
  for (const { pid } of running) signalGroup(pid, 'SIGTERM');
}

function environmentOf(
  { inheritEnv = defaultInheritEnv, env }: ProcessOptions,
  marker: string,
): Record<string, string> {
  const inherited = inheritEnv.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const markers = [...inheritedMarkers(), marker].join(',');
  return { ...Object.fromEntries(inherited), ...env, [markerVariable]: markers };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(systemClock, ms, signal).catch(() => {});
}

function nameOf({ command }: ProcessOptions): string {
  return `\`${basename(command)}\``;
}

/** Why a start failed. The system's own message is left out: it may hold arguments and environment. */
function cannotStart({ command, cwd }: ProcessOptions, thrown: unknown): TroupeError {
  const code = String((thrown as { code?: unknown } | undefined)?.code ?? 'unknown');
  const isFolderMissing = cwd !== undefined && !existsSync(cwd);
  const reason = isFolderMissing ? `the folder ${cwd} of \`cwd\` does not exist` : (startFailures[code] ?? code);
  const message = `Cannot start \`${command}\`: ${reason}.`;
  return new TroupeError('TROUPE_ERR_PROCESS_START_FAILED', message, { retryable: passingFailures.has(code) });
}

const startFailures: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such program. Install it, or give its full path',
  EACCES: 'it may not be executed (EACCES)',
  E2BIG: 'its arguments and environment are too long (E2BIG)',
  EAGAIN: 'there are too many processes (EAGAIN)',
  EMFILE: 'too many files are open (EMFILE)',
  ENFILE: 'too many files are open (ENFILE)',
  ENOMEM: 'there is not enough memory (ENOMEM)',
};
const passingFailures: ReadonlySet<string> = new Set(['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']);

function inputClosed(name: string, { code }: NodeJS.ErrnoException): TroupeError {
  const message = `${name} takes no more input (${code}): it has closed it, was ended or has exited.`;
  return new TroupeError('TROUPE_ERR_PROCESS_DIED', message);
}

function inputFull(name: string): TroupeError {
  const message = `${name} does not read: more than ${maxWaitingBytes} bytes of input wait. Await each \`write\`.`;
  return new TroupeError('TROUPE_ERR_BACKEND_TOO_LARGE', message);
}

function lineTooLong(name: string, maxLineBytes: number): TroupeError {
  const message = `One line of ${name} passed ${maxLineBytes} bytes. Raise \`maxLineBytes\` if such lines are wanted.`;
  return new TroupeError('TROUPE_ERR_BACKEND_TOO_LARGE', message);
}

function stillThere(name: string, pid: number, count: number): TroupeError {
  const message = `${count} process(es) of ${name} (pid ${pid}) are still there 5 s after SIGKILL.`;
  return new TroupeError('TROUPE_ERR_BACKEND_TIMEOUT', message, { retryable: false });
}
