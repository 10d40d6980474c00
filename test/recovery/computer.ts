/**
 * A computer on which one troupe after the other runs, over one store that stays. `crash()` is the end of a process: what
 * the troupe still does is seen by nobody, and what it still writes is lost.
 */
import { memoryStore } from '../../actors/store/memory.ts';
import type { Store } from '../../actors/store/store.ts';
import type { Message } from '../../src/core/types.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { type GatedBackend, gatedBackend } from '../../src/testing/gated-backend.ts';
import { assertValidMessages } from '../../src/testing/messages.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

/** A call of a tool, as a model makes it. */
export type Want = readonly [id: string, name: string, args?: object];

export interface Boot {
  readonly troupe: Troupe;
  readonly clock: VirtualClock;
  /** The backend `model`. */
  readonly backend: GatedBackend;
  readonly failed: { readonly agent: string; readonly code: string }[];
  /** Ids of the asks that were settled, and how. */
  readonly settled: string[];
  /** Answers the oldest pending call. */
  say(text: string, agent?: string): Promise<void>;
  /** The same with tool calls. */
  want(...calls: readonly Want[]): Promise<void>;
  /** What the last call sent. */
  sent(): readonly Message[];
  crash(): void;
}

export class Computer {
  /** It says that it outlives the process. */
  readonly disk = Object.assign(memoryStore(), { isDurable: true });
  #now = Date.UTC(2026, 10, 24);

  /** Starts a troupe, once the last one is gone, `afterMs` later. */
  async boot(options: TroupeOptions = {}, afterMs = 1000): Promise<Boot> {
    const boot = this.start(options, afterMs);
    await boot.troupe.resumed;
    await settle();
    return boot;
  }

  /** The same, without waiting until its agents are back. */
  start(options: TroupeOptions = {}, afterMs = 1000): Boot {
    this.#now += afterMs;
    const clock = new VirtualClock(this.#now);
    const backend = gatedBackend();
    const { store, unplug } = pluggedIn(this.disk);
    const troupe = createTroupe({
      ...{ clock, store, random: () => 0.5 },
      ...options,
      backends: { model: backend, ...options.backends },
    });
    const failed: Boot['failed'] = [];
    const settled: string[] = [];
    troupe.on('resume-failed', ({ agent, error }) => failed.push({ agent, code: error.code }));
    troupe.on('ask-settled', ({ askId, outcome }) => settled.push(`${askId} ${outcome}`));
    return {
      ...{ troupe, clock, backend, failed, settled },
      async say(text, agent) {
        await calling(backend);
        backend.next(agent).resolve({ text });
        await settle();
      },
      async want(...calls) {
        await calling(backend);
        const toolCalls = calls.map(([id, name, args = {}]) => ({ id, name, arguments: JSON.stringify(args) }));
        backend.next().resolve({ toolCalls });
        await settle();
      },
      sent: () => {
        const messages = backend.calls.at(-1)?.messages ?? [];
        assertValidMessages(messages);
        return messages;
      },
      crash: () => {
        unplug();
        this.#now = clock.now();
      },
    };
  }
}

/** Waits for a call, also when something must be loaded first. */
async function calling(backend: GatedBackend): Promise<void> {
  for (let turns = 0; turns < 1000 && backend.pending.length === 0; turns += 1) await settle();
}

/** The agent of this name. Throws when there is none. */
export function agentOf({ troupe }: Boot, name: string): Agent {
  const agent = troupe.agent(name);
  if (agent === undefined) throw new Error(`There is no agent "${name}".`);
  return agent;
}

/** Roles and contents, the shortest way to say what a conversation is. */
export function said(messages: readonly Message[]): string[] {
  return messages.map((message) => {
    if (message.role !== 'assistant' || message.toolCalls === undefined) return `${message.role}: ${message.content}`;
    return `assistant wants ${message.toolCalls.map(({ id }) => id).join(', ')}`;
  });
}

function pluggedIn(disk: Store) {
  let isPlugged = true;
  const store = new Proxy(disk, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      const use = (...args: unknown[]) => Reflect.apply(value, target, args);
      const lose = () => (key === 'barrier' ? new Promise(() => {}) : undefined);
      return (...args: unknown[]) => (isPlugged ? use(...args) : lose());
    },
  });
  return {
    store,
    unplug: () => {
      isPlugged = false;
    },
  };
}
