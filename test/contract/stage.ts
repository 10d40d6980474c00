/**
 * One troupe on one world, for one case. When the case is over everything must be gone: requests kept the protocol's
 * rules, no socket is open, no process lives.
 */
import { expect } from 'vitest';
import { type Tool, tool } from '../../actors/tools/tool.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import type { Seen } from './model.ts';
import type { Place, PlaceOptions, World } from './worlds.ts';

export interface StageOptions extends PlaceOptions {
  /** Of the troupe, besides the backend under test, which is `world` and the default. */
  readonly troupe?: TroupeOptions;
}

export interface Stage {
  readonly world: World;
  readonly place: Place;
  readonly server: Place['server'];
  readonly troupe: Troupe;
  /** Spawns an agent that makes no second attempt. */
  spawn(name: string, spec?: AgentSpec): Promise<Agent>;
}

/** Plays a case and cleans up; fails when something is left. */
export async function onStage(
  world: World,
  options: StageOptions,
  play: (stage: Stage) => Promise<void>,
): Promise<void> {
  const { troupe: troupeOptions = {}, ...placeOptions } = options;
  const place = await world.make(placeOptions);
  const { server, backend } = place;
  try {
    const backends = { world: backend, ...troupeOptions.backends };
    const troupe = createTroupe({ ...troupeOptions, backends });
    const spawn = (name: string, spec: AgentSpec = {}) => troupe.spawn(name, { maxRetries: 0, ...spec });
    try {
      await play({ world, place, server, troupe, spawn });
    } finally {
      await troupe.close();
    }
    expect(server.violations).toEqual([]);
    expect(place.processes()).toEqual([]);
    await server.when(({ openSockets }) => openSockets === 0);
  } finally {
    await place.close();
  }
}

/** What the model sees of an agent's conversation when it is asked. */
export async function seenBy(agent: Agent): Promise<Seen> {
  return JSON.parse((await agent.ask('count')).text);
}

/** Tools that add, multiply, shout, and one that throws; `ran` lists what was reckoned. */
export function calculator(): { readonly tools: readonly Tool[]; readonly ran: readonly string[] } {
  const ran: string[] = [];
  const number = { type: 'number' } as const;
  const parameters = { type: 'object', properties: { a: number, b: number }, required: ['a', 'b'] } as const;
  const operation = (name: string, operate: (a: number, b: number) => number) =>
    tool<{ a: number; b: number }>({
      ...{ name, description: `The ${name} of two numbers.`, parameters },
      execute: ({ a, b }) => {
        ran.push(`${name} ${a} ${b}`);
        return operate(a, b);
      },
    });
  const divide = (): never => {
    throw new Error('Nothing is divided here.');
  };
  const shout = tool<{ text: string }>({
    ...{ name: 'shout', description: 'Says it louder.' },
    parameters: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    execute: ({ text }) => `${text}!`,
  });
  const tools = [
    operation('add', (a, b) => a + b),
    operation('mul', (a, b) => a * b),
    operation('divide', divide),
    shout,
  ];
  return { tools, ran };
}
