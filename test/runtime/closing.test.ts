/** Closing a troupe: what is in hand may end, within its limit. */
import { expect, test } from 'vitest';
import type { TroupeError } from '../../src/core/errors.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

async function scene() {
  const clock = new VirtualClock();
  const one = gatedBackend();
  const troupe = createTroupe({ backends: { one }, clock });
  const letters: string[] = [];
  troupe.on('dead-letter', ({ error }) => letters.push(error.code));
  const agent = await troupe.spawn('a');
  return { clock, one, troupe, agent, letters };
}

const outcome = (asked: Promise<{ text: string }>) =>
  asked.then(
    ({ text }) => text,
    ({ code }: TroupeError) => code,
  );

test('what is in hand and what waits may end; nothing new is taken', async () => {
  const { one, troupe, agent, letters, clock } = await scene();
  const asked = [agent.ask('x'), agent.ask('y')].map(outcome);
  await settle();
  const closing = troupe.close({ drainMs: 1000 });
  expect(await outcome(agent.ask('late'))).toBe('TROUPE_ERR_TROUPE_CLOSED');
  await expect(troupe.spawn('b')).rejects.toMatchObject({ code: 'TROUPE_ERR_TROUPE_CLOSED' });
  await expect(agent.fork('b')).rejects.toMatchObject({ code: 'TROUPE_ERR_TROUPE_CLOSED' });
  one.next().resolve({ text: 'one' });
  await settle();
  one.next().resolve({ text: 'two' });
  await closing;
  expect([await Promise.all(asked), letters, troupe.agents(), clock.pending]).toEqual([
    ['one', 'two'],
    ['TROUPE_ERR_TROUPE_CLOSED'],
    [],
    0,
  ]);
});

test('what is not done by the limit is killed', async () => {
  const { clock, troupe, agent, one } = await scene();
  const asked = outcome(agent.ask('x'));
  await settle();
  const closing = troupe.close({ drainMs: 1000 });
  await clock.advance(999);
  expect(one.pending).toHaveLength(1);
  await clock.advance(1);
  await closing;
  expect([await asked, one.aborted.length, clock.pending]).toEqual(['TROUPE_ERR_AGENT_DEAD', 1, 0]);
});

test('a second call ends the waiting at once', async () => {
  const { clock, troupe, agent } = await scene();
  const asked = outcome(agent.ask('x'));
  await settle();
  const closing = troupe.close({ drainMs: 60_000 });
  await settle();
  expect(troupe.close()).toBe(closing);
  await closing;
  expect([await asked, clock.now(), clock.pending]).toEqual(['TROUPE_ERR_AGENT_DEAD', 0, 0]);
});

test('a tool that runs may still ask, since its own ask depends on it', async () => {
  const { one, troupe, agent } = await scene();
  const helper = await troupe.spawn('helper');
  agent.addTools({
    definition: { name: 'delegate', description: 'Asks.', parameters: {} },
    check: async (value) => ({ value }),
    run: async () => (await helper.ask('h')).text,
  });
  const asked = outcome(agent.ask('x'));
  await settle();
  const closing = troupe.close({ drainMs: 1000 });
  one.next('a').resolve({ toolCalls: [{ id: '1', name: 'delegate', arguments: '{}' }] });
  await settle();
  one.next('helper').resolve({ text: 'helped' });
  await settle();
  one.next('a').resolve({ text: 'done' });
  await closing;
  expect(await asked).toBe('done');
});

test('with nothing in hand it does not wait', async () => {
  const { clock, troupe } = await scene();
  await troupe.close({ drainMs: 60_000 });
  expect([clock.now(), clock.pending]).toEqual([0, 0]);
});

test('a wrong limit is refused', async () => {
  const { troupe } = await scene();
  expect(() => troupe.close({ drainMs: -1 })).toThrow('`drainMs` must be a whole number, 0 or more, not -1.');
});
