/** An agent that is compressed, on a backend that counts words: what tests of compression begin with. */

import { slidingWindow } from '../../actors/compression/sliding-window.ts';
import type { CompressionStrategy } from '../../actors/compression/strategy.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import type { Message } from '../../src/core/types.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import type { Compression } from '../../src/runtime/compress.ts';
import type { Reply } from '../../src/runtime/reply.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';
import { type SizedAnswer, type SizedOptions, sizedBackend, words } from './sized-backend.ts';

const troupes: Troupe[] = [];

/** Closes the troupes of all scenes so far. */
export async function closeScenes(): Promise<void> {
  await Promise.all(troupes.splice(0).map((troupe) => troupe.close()));
}

/** Each turn takes 114 tokens by our count, 110 by that of the backend: 50 words each way, and what is around them. */
export const windowAt600 = { maxTokens: 600, strategy: slidingWindow() };

/** An agent whose limit is 600 tokens and whose strategy a window, unless its spec says otherwise. */
export async function compressionScene(spec: AgentSpec = {}, sized: SizedOptions = {}, options: TroupeOptions = {}) {
  const clock = new VirtualClock();
  const model = sizedBackend(sized);
  const store = memoryStore();
  const troupe = createTroupe({ backends: { model }, clock, store, random: () => 0.5, ...options });
  troupes.push(troupe);
  const compressed: Compression[] = [];
  troupe.on('compressed', (compression) => compressed.push(compression));
  const agent = await troupe.spawn('worker', { system: 'Be brief.', compression: windowAt600, ...spec });
  return { clock, model, troupe, store, agent, compressed };
}

/** Turns of 50 words each way, one after the other. */
export async function talk(agent: Agent, turns: number, from = 1): Promise<Reply[]> {
  const replies: Reply[] = [];
  for (let turn = from; turn < from + turns; turn += 1) replies.push(await agent.ask(words(49, `prompt-${turn}`)));
  return replies;
}

/** What begins each message, which tells them apart. */
export function heads(messages: readonly Message[]): string[] {
  return messages.map(({ content }) => content.split(' ')[0] ?? '');
}

/** Answers that can be told apart. */
export function numbered(number: number): SizedAnswer {
  return { text: words(49, `answer-${number + 1}`) };
}

/** A strategy that takes until it is let go. */
export function gatedStrategy(): { readonly strategy: CompressionStrategy; readonly open: () => void } {
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const strategy: CompressionStrategy = {
    name: 'gated',
    async compress(input) {
      await gate;
      return slidingWindow().compress(input);
    },
  };
  return { strategy, open: () => open() };
}

/** Waits, without time, for what promises alone bring about. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let round = 0; round < 1000 && !isSo(); round += 1) await settle();
  if (!isSo()) throw new Error('It did not come so far.');
}
