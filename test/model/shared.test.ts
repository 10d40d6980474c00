/** What all agents share, seen from the asks of one: the breakers that a fallback looks at, and the budget of repeats. */
import { expect, test } from 'vitest';
import type { Backend } from '../../actors/backend.ts';
import { TroupeError } from '../../src/core/errors.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

/** A backend whose calls all end at once: with its name, or with an error as long as `failsOn` names it. */
function backends(names: readonly string[], failsOn: Set<string>) {
  const calls: string[] = [];
  const make = (name: string): Backend => {
    const backend = gatedBackend();
    const { call } = backend;
    backend.call = (request) => {
      const answered = call(request);
      calls.push(name);
      if (failsOn.has(name)) backend.next().reject(new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'reset'));
      else backend.next().resolve({ text: `from ${name}` });
      return answered;
    };
    return backend;
  };
  return { calls, backends: Object.fromEntries(names.map((name) => [name, make(name)])) };
}

test('a fallback passes by a backend that cools down, unless there is no other', async () => {
  const failing = new Set(['second']);
  const { calls, backends: all } = backends(['first', 'second', 'third'], failing);
  const troupe = createTroupe({ backends: all, clock: new VirtualClock(), limits: { second: { allowedFailures: 0 } } });
  const opener = await troupe.spawn('opener', { backend: 'second', maxRetries: 0 });
  await expect(opener.ask('x')).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_UNREACHABLE' });
  const agent = await troupe.spawn('agent', { fallback: ['second', 'third'], maxRetries: 0 });
  const next: string[] = [];
  troupe.on('fallback', ({ to }) => next.push(to));
  failing.add('first');
  expect((await agent.ask('x')).text).toBe('from third');
  failing.add('third');
  await expect(agent.ask('x')).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKENDS_EXHAUSTED' });
  expect([calls, next]).toEqual([
    ['second', 'first', 'third', 'first', 'third'],
    ['third', 'third', 'second'],
  ]);
  await troupe.close();
});

test('in a storm of failures, repeats are as rare as their budget says', async () => {
  const { calls, backends: all } = backends(['first'], new Set(['first']));
  const clock = new VirtualClock();
  const troupe = createTroupe({
    backends: all,
    clock,
    random: () => 0.5,
    limits: { first: { allowedFailures: 1_000_000 } },
  });
  const agent = await troupe.spawn('agent', { maxRetries: 3, mailboxLimit: 100 });
  const asks = Array.from({ length: 60 }, () => agent.ask('x').catch(({ code }: TroupeError) => code));
  await clock.runUntilIdle();
  expect(new Set(await Promise.all(asks))).toEqual(new Set(['TROUPE_ERR_BACKEND_UNREACHABLE']));
  // A hundred in reserve, and one for each five first calls but the first, for which there is no room.
  expect(calls.length).toBe(60 + 100 + 11);
  await troupe.close();
});
