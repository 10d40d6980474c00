/**
 * The asks that wait for one another: what a tool asks while it runs belongs to the ask that the tool runs for.
 *
 * P1  Agents never wait for each other in a circle. Each answers one ask at a time, so they would wait for ever.
 * P2  An inner ask has no more time than the outer one, and ends with the tool that made it, when that is given up.
 * P3  Only the code of a tool sees its path. The runtime, and whatever a tool leaves running, is on none.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import { TroupeError } from '../core/errors.ts';
import type { Clock } from '../core/seams.ts';
import type { AgentRecord } from './agent-record.ts';
import type { Ask } from './ask.ts';

/** A tool that runs for an ask, and what that ask is itself part of. */
export interface AskPath {
  readonly agent: AgentRecord;
  /** What is left to the ask, by the clock of its own troupe. */
  readonly timeLeftMs: () => number;
  /** The tool's: aborted when nobody waits for it any more. */
  readonly signal: AbortSignal;
  readonly outer: AskPath | undefined;
  /** Whether the tool has ended. What it has asked is an ask of its own from then on. */
  ended: boolean;
}

interface ToolRun extends Pick<AskPath, 'agent' | 'signal'> {
  readonly ask: Ask;
  readonly clock: Clock;
}

/** An ask that a tool has made and that has not settled. */
interface Wait {
  readonly path: AskPath;
  /** Who is asked. */
  readonly agent: AgentRecord;
}

const paths = new AsyncLocalStorage<AskPath | undefined>();

/** What each agent's tools wait for. */
const waits = new WeakMap<AgentRecord, Set<Wait>>();

/** Runs a tool for an ask of an agent. */
export async function onPath<Output>(
  { agent, ask, signal, clock }: ToolRun,
  run: () => Promise<Output>,
): Promise<Output> {
  const timeLeftMs = () => ask.deadlineAt - clock.now();
  const path: AskPath = { agent, timeLeftMs, signal, outer: ask.outer, ended: false };
  // A tool may make many asks at once, and each listens.
  setMaxListeners(0, signal);
  try {
    return await paths.run(path, run);
  } finally {
    path.ended = true;
  }
}

/** The path that the running code is on; undefined when no tool runs it. */
export function currentPath(): AskPath | undefined {
  return living(paths.getStore());
}

/** Runs `work` on no path. */
export function offPath<Output>(work: () => Output): Output {
  return paths.getStore() === undefined ? work() : paths.run(undefined, work);
}

/** From now on, until the returned function is called, who made the path waits for this agent. */
export function waitFor(agent: AgentRecord, path: AskPath): () => void {
  const wait: Wait = { path, agent };
  const ofAgent = waits.get(path.agent) ?? new Set();
  waits.set(path.agent, ofAgent.add(wait));
  return () => ofAgent.delete(wait);
}

/** Why an agent must not be asked on this path; undefined when it may. */
export function pathRefusal(agent: AgentRecord, path: AskPath, maxAskDepth: number): TroupeError | undefined {
  const circle = wayBetween(agent, path.agent, new Set());
  if (circle !== undefined) {
    const way = namesOf([path.agent, ...circle]);
    const message = `Agent "${agent.name}" cannot be asked here: it would wait for its own answer (${way}).`;
    return new TroupeError('TROUPE_ERR_ASK_CYCLE', message);
  }
  const agents = [agent];
  for (let step = living(path); step !== undefined; step = living(step.outer)) agents.unshift(step.agent);
  if (agents.length <= maxAskDepth) return undefined;
  const message = `Asks nest ${agents.length} deep (${namesOf(agents)}); \`maxAskDepth\` is ${maxAskDepth}.`;
  return new TroupeError('TROUPE_ERR_ASK_DEPTH_EXCEEDED', message, { limit: maxAskDepth });
}

/** The agents from one that waits, over those that it waits for, to another; undefined when it does not wait for that. */
function wayBetween(from: AgentRecord, to: AgentRecord, seen: Set<AgentRecord>): AgentRecord[] | undefined {
  if (from === to) return [to];
  if (seen.has(from)) return undefined;
  seen.add(from);
  for (const { path, agent } of waits.get(from) ?? []) {
    const rest = path.ended ? undefined : wayBetween(agent, to, seen);
    if (rest !== undefined) return [from, ...rest];
  }
  return undefined;
}

function living(path: AskPath | undefined): AskPath | undefined {
  return path?.ended === false ? path : undefined;
}

function namesOf(agents: readonly AgentRecord[]): string {
  return agents.map(({ name }) => name).join(' → ');
}
