/**
 * Runs a scenario on time, chance and ids that a seed decides, and gives the log of it.
 *
 * S1  The same seed and scenario give the same bytes, in any process: the log has names, virtual times and facts, and nothing
 *     that a process makes up. What a scenario does with sockets, timers or chance of the process is outside of that.
 * S2  Time moves only when all that can be done without it is done.
 * S3  A scenario that waits for nothing that time brings fails at once and says so.
 */
import { createHash } from 'node:crypto';
import type { Backend } from '../../actors/backend.ts';
import { reasonOf } from '../core/errors.ts';
import { inspectTroupe } from '../inspect/inspect-troupe.ts';
import type { Sink } from '../inspect/sink.ts';
import type { Agent } from '../runtime/agent.ts';
import type { AgentSpec } from '../runtime/agent-spec.ts';
import { createTroupe, type Troupe } from '../runtime/troupe.ts';
import type { TroupeOptions } from '../runtime/troupe-options.ts';
import { idMaker, type KeyedRandom, keyedRandom } from './keyed-random.ts';
import { type LogEntry, logLine } from './simulation-log.ts';
import { settle, VirtualClock } from './virtual-clock.ts';

/** Options of `simulate`: those of a troupe, but for what the seed decides. */
export interface SimulateOptions<Name extends string, Result>
  extends Omit<TroupeOptions, 'clock' | 'ids' | 'random' | 'backends'> {
  /** Decides every draw and every id. */
  readonly seed: number | string;
  /** Backends by name, or a function that makes them from the world's clock and chance. */
  readonly backends: Given<Readonly<Record<string, Backend>>>;
  /** Agents that are spawned before the scenario begins, in this order. Default: none. */
  readonly agents?: Given<Readonly<Record<Name, AgentSpec>>>;
  /** The scenario. Time moves while it waits. */
  readonly run: (scene: Scene<Name>) => Promise<Result>;
  /** Milliseconds of virtual time after which a scenario has failed. Default: 30 days. */
  readonly maxVirtualMs?: number;
}

type Given<Value> = Value | ((world: World) => Value);

/** What decides in a simulation. */
export interface World {
  readonly clock: VirtualClock;
  /** Give every use a purpose, such as the name of an agent: then one more draw for one changes nothing for others. */
  readonly random: KeyedRandom;
  /** Waits on the virtual clock. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export interface Scene<Name extends string = string> extends World {
  readonly troupe: Troupe;
  readonly agents: Readonly<Record<Name, Agent>>;
}

export interface Simulation<Result = unknown> {
  readonly seed: number | string;
  /** What happened, a line of JSON each. */
  readonly log: string;
  /** Of the log, in hexadecimal. */
  readonly sha256: string;
  readonly entries: readonly LogEntry[];
  readonly virtualMs: number;
  /** What the scenario resolved to. */
  readonly result: Result;
}

/** A scenario that failed: with what is in `cause`. */
export class SimulationError extends Error {
  override readonly name = 'SimulationError';
  readonly seed: number | string;
  /** What happened until then. */
  readonly log: string;

  /** Made by `simulate`. */
  constructor(seed: number | string, problem: string, log: string, cause: unknown) {
    super(`The simulation with seed ${JSON.stringify(seed)} failed ${problem}: ${reasonOf(cause)}`, { cause });
    this.seed = seed;
    this.log = log;
  }
}

/** Simulates. Rejects with a `SimulationError`; the troupe is closed either way. */
export async function simulate<Result, Name extends string = never>(
  options: SimulateOptions<Name, Result>,
): Promise<Simulation<Result>> {
  const { seed, backends, agents, run, maxVirtualMs = 30 * 86_400_000, ...troupeOptions } = options;
  const clock = new VirtualClock();
  const random = keyedRandom(seed);
  const world: World = { clock, random, sleep: (ms, signal) => clock.sleep(ms, signal) };
  const troupe = createTroupe({
    ...troupeOptions,
    ...{ clock, ids: idMaker(seed), backends: made(backends, world) },
    // The runtime draws without a purpose: a draw at one time shifts none at another.
    random: () => random(`of the runtime at ${clock.now()}`),
  });
  const recorder = record(troupe);
  const scenario = async () => {
    const spawned: Partial<Record<string, Agent>> = {};
    for (const [name, spec] of Object.entries<AgentSpec>(
      made<Readonly<Record<string, AgentSpec>>>(agents ?? {}, world),
    ))
      spawned[name] = await troupe.spawn(name, spec);
    return run({ ...world, troupe, agents: spawned as Record<Name, Agent> });
  };
  const played = await drive(clock, scenario(), maxVirtualMs);
  const closed = await drive(clock, troupe.close(), clock.now() + maxVirtualMs);
  const { log, entries } = await recorder.end();
  const at = `at ${clock.now()} ms`;
  if (played.status === 'rejected') throw new SimulationError(seed, at, log, played.reason);
  if (closed.status === 'rejected') throw new SimulationError(seed, 'when it was closed', log, closed.reason);
  const sha256 = createHash('sha256').update(log).digest('hex');
  return { seed, log, sha256, entries, virtualMs: clock.now(), result: played.value };
}

function made<Value>(given: Given<Value>, world: World): Value {
  return typeof given === 'function' ? (given as (world: World) => Value)(world) : given;
}

/** Rounds in which nothing happens, after which nothing will. */
const idleRounds = 100;

/** Moves time until the work is done. */
async function drive<Value>(
  clock: VirtualClock,
  work: Promise<Value>,
  untilMs: number,
): Promise<PromiseSettledResult<Value>> {
  let end: PromiseSettledResult<Value> | undefined;
  void Promise.allSettled([work]).then(([result]) => {
    end = result;
  });
  for (let idle = 0; ; ) {
    await settle();
    if (end !== undefined) return end;
    const next = clock.nextDueAt;
    if (next === undefined) {
      idle += 1;
      if (idle === idleRounds)
        return failed('it waits for something that no time brings; let it wait by `sleep` alone');
      continue;
    }
    idle = 0;
    if (next > untilMs) return failed(`it is not over at ${untilMs} ms, see \`maxVirtualMs\``);
    await clock.advance(Math.max(0, next - clock.now()));
  }
}

function failed(reason: string): PromiseRejectedResult {
  return { status: 'rejected', reason: new Error(reason) };
}

interface Recorder {
  /** Ends the log with the conversation of every agent that was. */
  end(): Promise<{ readonly log: string; readonly entries: readonly LogEntry[] }>;
}

function record(troupe: Troupe): Recorder {
  const entries: LogEntry[] = [];
  const born: Agent[] = [];
  const sink: Sink = { write: (message) => void entries.push(message) };
  const inspection = inspectTroupe(troupe, { sinks: [sink], content: 'full', redact: false });
  troupe.on('agent-spawned', (agent) => void born.push(agent));
  return {
    async end() {
      await inspection.stop();
      const { clock } = troupe;
      for (const agent of born) {
        const said = { kind: 'conversation', messages: agent.messages() } as const;
        entries.push({ at: clock.now(), seq: entries.length + 1, agent: agent.name, ...said });
      }
      return { log: entries.map((entry) => `${logLine(entry)}\n`).join(''), entries };
    },
  };
}
