/** A test of your own compression: whatever it chooses, a long chat goes on, on time that no test waits for. */
import assert from 'node:assert/strict';
import type { CompressionStrategy } from '../actors/compression/index.ts';
import { agentInvariants, answeringBackend, assertValidMessages, simulate } from '../src/testing/index.ts';

/** Keeps what was marked, and the newest two. */
const marked: CompressionStrategy = {
  name: 'marked',
  async compress({ groups }) {
    const isKept = (index: number) =>
      index >= groups.length - 2 || groups[index]?.some(({ content }) => content.startsWith('!')) === true;
    return { head: [], kept: [...groups.keys()].filter(isKept) };
  },
};

export async function main(print: (text: string) => void): Promise<void> {
  const { result, entries, virtualMs } = await simulate({
    seed: 1,
    backends: ({ clock }) => ({
      model: answeringBackend(() => ({ text: 'Noted. '.repeat(50), delayMs: 60_000 }), { clock }),
    }),
    agents: { scribe: { system: 'Take notes.', compression: { strategy: marked, maxTokens: 1000 } } },
    run: async ({ agents: { scribe } }) => {
      await scribe.ask('! The password is swordfish.');
      for (let note = 1; note <= 20; note += 1) await scribe.ask(`Note ${note}.`);
      return scribe.messages({ sent: true });
    },
  });
  assertValidMessages(result);
  assert(result.some(({ content }) => content.includes('swordfish')));
  assert.deepEqual(agentInvariants(entries), []);
  const compressions = entries.filter(({ kind }) => kind === 'compressed').length;
  print(`${compressions} compressions, ${result.length} of 43 messages are sent, ${virtualMs / 60_000} minutes\n`);
}
