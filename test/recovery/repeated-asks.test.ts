/** An `askId` is a key: asked again, in this process or in the next, it is the same ask. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { tool } from '../../actors/tools/tool.ts';
import { TroupeError } from '../../src/core/errors.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { failure } from '../helpers/model-request.ts';
import { agentOf, Computer } from './computer.ts';

/** A computer whose agent `worker` has answered `done`, failed `bad` and is asked `open`. */
async function scene() {
  const computer = new Computer();
  const before = await computer.boot();
  const agent = await before.troupe.spawn('worker', { maxRetries: 0 });
  const done = agent.ask('q', { askId: 'done' });
  await before.say('{"n":1}');
  const reply = await done;
  const bad = agent.ask('q', { askId: 'bad' });
  await settle();
  before.backend.next().reject(new TroupeError('TROUPE_ERR_BACKEND_AUTH', 'No key.'));
  await failure(bad);
  await agent.askAsync('q', { askId: 'open' }).accepted;
  before.crash();
  const boot = await computer.boot();
  return { computer, reply, boot, agent: agentOf(boot, 'worker') };
}

describe('an ask under an id that', () => {
  test('was answered by the process before gets that answer; nobody is called', async () => {
    const { reply, boot, agent } = await scene();
    const replies = await Promise.all([agent.ask('q', { askId: 'done' }), agent.ask('q', { askId: 'done' })]);
    expect(replies).toEqual([reply, reply]);
    expect(boot.backend.calls.length).toBe(1);
  });

  test('is open is joined, however often', async () => {
    const { computer, boot, agent } = await scene();
    const replies = [1, 2, 3].map(() => agent.ask('q', { askId: 'open' }));
    const handle = agent.askAsync('q', { askId: 'open' });
    await handle.accepted;
    await boot.say('yes');
    expect((await Promise.all(replies)).map(({ text }) => text)).toEqual(['yes', 'yes', 'yes']);
    expect((await handle.wait()).text).toBe('yes');
    expect(boot.backend.calls.length).toBe(1);
    expect((await computer.disk.asks('worker')).length).toBe(3);
  });

  test('was answered gets the answer when it is durable, not before', async () => {
    const { computer, boot, agent } = await scene();
    const whenDurable: (() => void)[] = [];
    computer.disk.barrier = () => new Promise((resolve) => whenDurable.push(resolve));
    await boot.say('yes');
    let given = 0;
    const count = () => {
      given += 1;
    };
    const asked = [agent.ask('q', { askId: 'open' }), boot.troupe.handle('open').wait()];
    for (const one of asked) one.then(count, count);
    await settle();
    expect(given).toBe(0);
    for (const resolve of whenDurable) resolve();
    expect((await Promise.all(asked)).map(({ text }) => text)).toEqual(['yes', 'yes']);
  });

  test('failed is asked anew', async () => {
    const { boot, agent } = await scene();
    await boot.say('open is answered');
    const again = agent.ask('q', { askId: 'bad' });
    await boot.say('better');
    expect((await again).text).toBe('better');
    expect((await boot.troupe.handle('bad').wait()).text).toBe('better');
  });

  test('has another prompt is refused', async () => {
    const { agent } = await scene();
    for (const askId of ['done', 'open']) {
      const error = await failure(agent.ask('other', { askId }));
      expect([error.code, error.askId]).toEqual(['TROUPE_ERR_OPTION_INVALID', askId]);
    }
  });

  test('wants a form has it, of an old answer and of one that is coming', async () => {
    const { boot, agent } = await scene();
    const schema = z.object({ n: z.number().transform((n) => n + 1) });
    expect((await agent.ask('q', { askId: 'done', schema })).output).toEqual({ n: 2 });
    const wrong = failure(agent.ask('q', { askId: 'done', schema: z.object({ m: z.number() }) }));
    expect((await wrong).code).toBe('TROUPE_ERR_OUTPUT_INVALID');
    const coming = agent.ask('q', { askId: 'open', schema });
    await boot.say('seven');
    await boot.say('{"n":7}');
    expect((await coming).output).toEqual({ n: 8 });
  });

  test('is that of the tool that asks would wait for itself', async () => {
    const computer = new Computer();
    const boot = await computer.boot();
    const errors: string[] = [];
    const self = tool({
      ...{ name: 'self', description: 'Asks.' },
      execute: async () => {
        const error = await failure(agentOf(boot, 'worker').ask('q', { askId: 'one' }));
        errors.push(error.code);
        return error.code;
      },
    });
    await self.check({});
    const agent = await boot.troupe.spawn('worker', { tools: [self] });
    const asked = agent.ask('q', { askId: 'one' });
    await boot.want(['c1', 'self']);
    await boot.say('done');
    expect([(await asked).text, errors]).toEqual(['done', ['TROUPE_ERR_ASK_CYCLE']]);
  });
});

describe('`handle` of an ask of the process before', () => {
  test('that was answered has its reply', async () => {
    const { reply, boot } = await scene();
    expect(await boot.troupe.handle('done').wait()).toEqual(reply);
  });

  test('that failed has its error', async () => {
    const { boot } = await scene();
    expect((await failure(boot.troupe.handle('bad').wait())).summary).toEqual({
      ...{ code: 'TROUPE_ERR_BACKEND_AUTH', class: 'auth', message: 'No key.' },
    });
  });

  test('that is open waits for it, as long as one wants', async () => {
    const { boot } = await scene();
    const handle = boot.troupe.handle('open');
    const [short, long] = [failure(handle.wait(100)), handle.wait()];
    await boot.clock.advance(100);
    expect((await short).code).toBe('TROUPE_ERR_WAIT_TIMEOUT');
    await boot.say('yes');
    expect((await long).text).toBe('yes');
    expect((await handle.wait()).text).toBe('yes');
  });

  test('that nobody knows says so', async () => {
    const { boot } = await scene();
    const error = await failure(boot.troupe.handle('nothing').wait());
    expect([error.code, error.askId]).toEqual(['TROUPE_ERR_OPTION_INVALID', 'nothing']);
  });

  test('without a name of its own is found by the one that it was given', async () => {
    const computer = new Computer();
    const before = await computer.boot();
    const agent = await before.troupe.spawn('worker');
    const handle = agent.askAsync('q');
    await before.say('yes');
    await handle.wait();
    expect((await before.troupe.handle(handle.askId).wait()).text).toBe('yes');
    before.crash();
    const boot = await computer.boot();
    expect((await boot.troupe.handle(handle.askId).wait()).text).toBe('yes');
    const other = agentOf(boot, 'worker').askAsync('q');
    expect(other.askId).not.toBe(handle.askId);
  });

  test('waits until the agents are back', async () => {
    const { computer, boot } = await scene();
    boot.crash();
    const next = computer.start();
    const handle = next.troupe.handle('open');
    const waiting = handle.wait();
    await next.troupe.resumed;
    await next.say('yes');
    expect((await waiting).text).toBe('yes');
  });
});
