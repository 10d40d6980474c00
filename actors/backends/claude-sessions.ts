/**
 * The live sessions of one Claude Code backend: at most one for each agent, at most so many in all.
 *
 * P1  A session belongs to the agent that opened it: no other agent is ever answered by it.
 * P2  Over the cap, the session that has been idle longest is ended; when none is idle, the next call waits its turn.
 * P3  An idle session is ended after a while. Nothing is lost by it: the marks in the log lead back to its place.
 */
import type { Clock } from '../../src/core/seams.ts';
import type { ClaudeSession } from '../wire/claude-session.ts';

export interface ClaudeSessionsOptions {
  readonly clock: Clock;
  readonly maxProcesses: number;
  /** Milliseconds after which an idle session is ended. */
  readonly idleMs: number;
}

/** A session of an agent's. */
export interface HeldSession {
  readonly session: ClaudeSession;
  /** What it was opened with: another wish needs another session. */
  readonly setup: string;
}

interface Held extends HeldSession {
  timer: unknown;
}

export class ClaudeSessions {
  readonly #options: ClaudeSessionsOptions;
  /** By agent; the one that was used last is last. */
  readonly #held = new Map<string, Held>();
  /** Processes that live, start or end. */
  #count = 0;
  readonly #waiting: (() => void)[] = [];
  /** By agent: resolves when the sessions that it no longer has are gone. */
  readonly #ending = new Map<string, Promise<unknown>>();

  constructor(options: ClaudeSessionsOptions) {
    this.#options = options;
  }

  /** The session of an agent. */
  of(agent: string): HeldSession | undefined {
    return this.#held.get(agent);
  }

  /** Opens a session for an agent, in place of the one it has, when there is room for one more process. */
  async open(
    agent: string,
    setup: string,
    start: () => Promise<ClaudeSession>,
    signal: AbortSignal,
  ): Promise<ClaudeSession> {
    void this.drop(agent);
    await this.#enter(signal);
    try {
      const session = await start();
      this.#held.set(agent, { session, setup, timer: undefined });
      void session.ended.then(() => this.#forget(agent, session));
      // It was given up in the moment in which it was ready.
      if (signal.aborted) void this.drop(agent);
      return session;
    } catch (thrown) {
      this.#leave();
      throw thrown;
    }
  }

  /** The agent's session works from now on. */
  use(agent: string): void {
    const held = this.#held.get(agent);
    if (held === undefined) return;
    this.#options.clock.clearTimeout(held.timer);
    this.#held.delete(agent);
    this.#held.set(agent, held);
  }

  /** The agent's session is idle from now on. */
  rest(agent: string): void {
    const { clock, idleMs } = this.#options;
    const held = this.#held.get(agent);
    if (held === undefined) return;
    held.timer = clock.setTimeout(() => void this.drop(agent), idleMs);
    if (this.#waiting.length > 0) void this.drop(agent);
  }

  /** Ends the agent's session, if it has one. Resolves when all processes that it ever had are gone. */
  async drop(agent: string): Promise<void> {
    const held = this.#held.get(agent);
    if (held !== undefined) {
      this.#held.delete(agent);
      this.#options.clock.clearTimeout(held.timer);
      const ending = Promise.allSettled([this.#ending.get(agent), held.session.end()]);
      this.#ending.set(agent, ending);
      void ending.then(() => this.#ending.get(agent) === ending && this.#ending.delete(agent));
    }
    await this.#ending.get(agent);
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    for (const agent of [...this.#held.keys()]) void this.drop(agent);
    await Promise.allSettled([...this.#ending.values()]);
  }

  /** Waits until there is room and takes it. */
  async #enter(signal: AbortSignal): Promise<void> {
    while (this.#count >= this.#options.maxProcesses) {
      const idle = [...this.#held].find(([, { session }]) => session.isIdle)?.[0];
      if (idle !== undefined) void this.drop(idle);
      await this.#turn(signal);
    }
    this.#count += 1;
  }

  /** Resolves when a process has ended, first come first served; rejects once `signal` is aborted. */
  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        reject(signal.reason);
      };
      const go = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(go);
    });
  }

  /** A session ended; what its process left behind is still to be waited for. */
  #forget(agent: string, session: ClaudeSession): void {
    if (this.#held.get(agent)?.session === session) void this.drop(agent);
    this.#leave();
  }

  #leave(): void {
    this.#count -= 1;
    this.#waiting.shift()?.();
  }
}
