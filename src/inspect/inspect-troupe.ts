/**
 * An inspection of a troupe: it watches while somebody looks, and gives every sink what happens.
 *
 * N1  Nothing that a sink, a redactor or an observer does reaches an agent.
 * N2  The troupe is watched only while a sink wants messages; otherwise an inspection costs nothing.
 * N3  Messages are numbered without gaps in the order in which the facts happened.
 */
import type { AnyStateMachine } from 'xstate';
import { agentMachine } from '../../machines/agent.ts';
import { supervisorMachine } from '../../machines/supervisor.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import { callSafely } from '../runtime/guards.ts';
import type { Troupe } from '../runtime/troupe.ts';
import { contentFilter, type RedactOption } from './content.ts';
import { drawMachine, type MachineDrawing } from './drawing.ts';
import type { ContentLevel, Detail, InspectMessage, InspectSnapshot } from './messages.ts';
import { Observer, viewOf } from './observer.ts';
import { roundedMs, tokensOf } from './reading.ts';
import type { Sink } from './sink.ts';

/** Options of `inspectTroupe`. */
export interface InspectOptions {
  /** Who takes the messages. Default: nobody, until `add`. */
  readonly sinks?: readonly Sink[];
  /** How much of prompts, answers, arguments, results and error messages is shown. Default `none`. */
  readonly content?: ContentLevel;
  /**
   * Called with every text that is shown, after keys of known shapes and the values of secret-looking names were taken out;
   * what it returns is shown. `false`: nothing is taken out. Default: the built-in redaction alone.
   */
  readonly redact?: RedactOption;
}

/** A running inspection. */
export interface Inspection {
  /** Whether the troupe is watched at the moment. */
  readonly isWatching: boolean;
  /** Everything as it is now. */
  snapshot(): InspectSnapshot;
  /** Lets one more sink join. */
  add(sink: Sink): void;
  /** Watches no longer, and closes the sinks. Rejects with what one of them rejects with. */
  stop(): Promise<void>;
}

/** Inspects a troupe. Throws `TROUPE_ERR_OPTION_INVALID`. It ends by `stop()`; a troupe that closes does not stop it. */
export function inspectTroupe(troupe: Troupe, options: InspectOptions = {}): Inspection {
  checkOptions('inspectTroupe', options, inspectRules);
  const { sinks = [], content = 'none', redact } = options;
  const filter = contentFilter(content, redact);
  const joined = new Set<Sink>();
  const wanting = new Set<Sink>();
  let observer: Observer | undefined;
  let seq = 0;
  let stopped: Promise<void> | undefined;

  const now = () => roundedMs(troupe.clock.now());
  const tell = (agent: string, detail: Detail) => {
    seq += 1;
    const message: InspectMessage = { at: now(), seq, agent, ...detail };
    for (const sink of wanting) callSafely(() => sink.write(message));
  };
  const snapshot = (): InspectSnapshot => ({
    ...{ at: now(), seq, content, machines: machines() },
    agents: troupe.agents().map((info) => viewOf(troupe, info)),
    total: tokensOf(troupe.usage()),
  });
  const want = (sink: Sink, wanted: boolean) => {
    if (wanted && stopped === undefined) wanting.add(sink);
    else wanting.delete(sink);
    if (wanting.size > 0) observer ??= new Observer({ troupe, filter, tell });
    else {
      observer?.stop();
      observer = undefined;
    }
  };
  const add = (sink: Sink) => {
    joined.add(sink);
    if (sink.join === undefined) want(sink, true);
    else callSafely(() => sink.join?.({ troupe, snapshot, want: (wanted) => want(sink, wanted) }));
  };
  for (const sink of sinks) add(sink);
  return {
    get isWatching() {
      return observer !== undefined;
    },
    snapshot,
    add,
    stop() {
      stopped ??= Promise.resolve().then(() => closeAll(joined));
      for (const sink of joined) want(sink, false);
      return stopped;
    },
  };
}

async function closeAll(sinks: Iterable<Sink>): Promise<void> {
  const results = await Promise.allSettled([...sinks].map(async (sink) => sink.close?.()));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

let drawings: Readonly<Record<string, MachineDrawing>> | undefined;

/** The drawings of the shipped machines, by id. */
function machines(): Readonly<Record<string, MachineDrawing>> {
  const shipped: readonly AnyStateMachine[] = [agentMachine, supervisorMachine];
  drawings ??= Object.fromEntries(shipped.map((machine) => [machine.id, drawMachine(machine)]));
  return drawings;
}

const levels: readonly unknown[] = ['none', 'preview', 'full'] satisfies readonly ContentLevel[];

/** The rules of what is shown, for whoever takes the same options. */
export const contentRules = {
  content: (value) => (levels.includes(value) ? undefined : '"none", "preview" or "full"'),
  redact: (value) => (value === false || typeof value === 'function' ? undefined : 'a function or false'),
} as const satisfies Record<string, Rule>;

const inspectRules: Readonly<Record<keyof InspectOptions, Rule>> = { sinks: rules.list, ...contentRules };
