/** `limits` of a troupe: what its agents may ask of a backend together. */
import { expect, test } from 'vitest';
import type { Backend } from '../../actors/backend.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

async function scene(maxConcurrent: number | 'slots', slots?: Promise<number | undefined>) {
  const clock = new VirtualClock();
  const one = gatedBackend();
  const described = slots === undefined ? {} : { describeModel: async () => factsOf(await slots) };
  const backend: Backend = { ...one, ...described };
  const troupe = createTroupe({ backends: { one: backend }, clock, limits: { one: { maxConcurrent } } });
  const agents = await Promise.all(['a', 'b', 'c', 'd'].map((name) => troupe.spawn(name)));
  const asked = agents.map((agent) => agent.ask('x').then(({ text }) => text));
  await settle();
  return { clock, one, troupe, asked, health: () => troupe.health().backends[0] };
}

const factsOf = (slots: number | undefined) => (slots === undefined ? {} : { slots });

test('no more calls at a time than allowed; who waits comes next', async () => {
  const { one, asked, health } = await scene(2);
  expect([one.pending.length, health()?.inFlight, health()?.waiting]).toEqual([2, 2, 2]);
  for (const name of ['a', 'b', 'c', 'd']) {
    one.next(name).resolve({ text: name });
    await settle();
  }
  expect(await Promise.all(asked)).toEqual(['a', 'b', 'c', 'd']);
});

test('an ask whose time is over while it waits has called nobody', async () => {
  const { one, troupe, clock, asked } = await scene(1);
  const late = troupe
    .agent('b')
    ?.ask('y', { timeoutMs: 100 })
    .catch((error) => [error.code, error.attempts]);
  await clock.advance(100);
  expect(await late).toEqual(['TROUPE_ERR_ASK_TIMEOUT', []]);
  expect([one.calls.length, asked.length]).toEqual([1, 4]);
});

test.each([
  [3, 3],
  [undefined, 4],
])('one at a time until the server says how many: %s', async (slots, pending) => {
  let say: (slots: number | undefined) => void = () => {};
  const said = new Promise<number | undefined>((resolve) => {
    say = resolve;
  });
  const { one } = await scene('slots', said);
  expect(one.pending).toHaveLength(1);
  say(slots);
  await settle();
  expect(one.pending).toHaveLength(pending);
});

test('a server that cannot say is no limit', async () => {
  const { one } = await scene('slots');
  expect(one.pending).toHaveLength(4);
});

test('a wrong limit is refused when the troupe is made', () => {
  expect(() => createTroupe({ limits: { one: { maxConcurrent: 0 } } })).toThrow(
    'limits of backend "one": `maxConcurrent` must be a whole number above 0, or "slots", not 0.',
  );
});
