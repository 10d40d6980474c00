/** Agents that come back from a store: who, with what, and what became of those who cannot. */
import { describe, expect, test } from 'vitest';
import { summarize } from '../../actors/compression/index.ts';
import { tool } from '../../actors/tools/tool.ts';
import { Conversation } from '../../src/core/conversation.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { failure } from '../helpers/model-request.ts';
import { sizedBackend, words } from '../helpers/sized-backend.ts';
import { agentOf, Computer, said } from '../recovery/computer.ts';

const look = tool({ name: 'look', description: 'Looks.', execute: () => 'seen' });

/** A computer that ran a troupe whose agent `worker` has said "hello". */
async function afterCrash(spec: AgentSpec = {}) {
  const computer = new Computer();
  const before = await computer.boot({ roles: { looker: { tools: [look] } } });
  const agent = await before.troupe.spawn('worker', { system: 'Be brief.', ...spec });
  const asked = agent.ask('hi');
  await before.say('hello');
  await asked;
  return { computer, before, agent };
}

describe('an agent', () => {
  test('comes back with its name, its conversation, its birthday and the data of its spec', async () => {
    const given: AgentSpec = {
      ...{ model: 'large', group: 'crew', maxSteps: 3, maxRetries: 0, mailboxLimit: 1, budgetUsd: 1 },
      ...{ parameters: { temperature: 0.5, maxTokens: 7 }, timeouts: { askMs: 5000 }, fallback: ['other'] },
    };
    const computer = new Computer();
    const before = await computer.boot({ backends: { other: gatedBackend() } });
    const agent = await before.troupe.spawn('worker', { system: 'Be brief.', ...given });
    const asked = agent.ask('hi');
    await before.say('hello');
    await asked;
    const [info] = before.troupe.agents();
    before.crash();
    const boot = await computer.boot({ backends: { other: gatedBackend() } }, 60_000);
    const resumed = await boot.troupe.resumed;
    expect(resumed).toEqual([boot.troupe.agent('worker')]);
    expect(boot.troupe.agents()).toEqual([info]);
    expect(boot.troupe.group('crew')).toEqual(resumed);
    expect(said(resumed[0]?.messages() ?? [])).toEqual(['system: Be brief.', 'user: hi', 'assistant: hello']);
    const again = resumed[0]?.ask('still there?');
    await settle();
    const { request } = boot.backend.next();
    expect([request.model, request.parameters]).toEqual(['large', { temperature: 0.5, maxTokens: 7 }]);
    await boot.clock.advance(5000);
    expect((await failure(again ?? Promise.resolve())).code).toBe('TROUPE_ERR_ASK_TIMEOUT');
    expect(boot.failed).toEqual([]);
  });

  test.each([
    ['its role', { role: 'looker' }, { roles: { looker: { tools: [look] } } }],
    ['the defaults', {}, { defaults: { tools: [look] } }],
    ['the option', {}, { resume: () => ({ backend: 'model', tools: [look] }) }],
  ])('has the tools that %s gives it', async (_, spec, options) => {
    const { computer, before } = await afterCrash(spec);
    before.crash();
    const boot = await computer.boot(options);
    expect(agentOf(boot, 'worker').tools).toEqual(['look']);
  });

  test('that `resume` does not want stays in the store', async () => {
    const { computer, before } = await afterCrash();
    before.crash();
    const asked: unknown[] = [];
    const without = await computer.boot({
      resume: (stored) => {
        asked.push(stored);
        return false;
      },
    });
    expect([await without.troupe.resumed, without.troupe.agents()]).toEqual([[], []]);
    const createdAt = Date.UTC(2026, 10, 24, 0, 0, 1);
    expect(asked).toEqual([{ name: 'worker', backend: 'model', system: 'Be brief.', createdAt }]);
    without.crash();
    expect((await (await computer.boot()).troupe.resumed).map(({ name }) => name)).toEqual(['worker']);
  });

  test('whose backend is not there is told of and stays; the others come', async () => {
    const computer = new Computer();
    const before = await computer.boot({ backends: { other: gatedBackend() } });
    for (const [name, backend] of [
      ['a', 'model'],
      ['b', 'other'],
      ['c', 'model'],
    ] as const)
      await before.troupe.spawn(name, { backend });
    before.crash();
    const boot = await computer.boot();
    expect(boot.troupe.agents().map(({ name }) => name)).toEqual(['a', 'c']);
    expect(boot.failed).toEqual([{ agent: 'b', code: 'TROUPE_ERR_BACKEND_UNKNOWN' }]);
    boot.crash();
    const next = await computer.boot({ backends: { other: gatedBackend() } });
    expect(next.troupe.agents().map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  test('whose name is wanted meanwhile is first: the spawn waits and is refused', async () => {
    const { computer, before } = await afterCrash();
    before.crash();
    const boot = computer.start();
    const spawned = boot.troupe.spawn('worker');
    const other = boot.troupe.spawn('other');
    expect((await failure(spawned)).code).toBe('TROUPE_ERR_AGENT_NAME_TAKEN');
    expect((await other).name).toBe('other');
    expect(boot.troupe.agents().map(({ name }) => name)).toEqual(['worker', 'other']);
  });

  test('is forked, and forks come back: they share what was said before and nothing since', async () => {
    const { computer, before, agent } = await afterCrash();
    const twin = await agent.fork('twin');
    const asked = [agent.ask('you'), twin.ask('me')];
    await before.say('one', 'worker');
    await before.say('two', 'twin');
    await Promise.all(asked);
    await agent.fork('early', { at: 1 });
    before.crash();
    const boot = await computer.boot();
    const of = (name: string) => said(agentOf(boot, name).messages()).slice(1);
    expect(of('worker')).toEqual(['user: hi', 'assistant: hello', 'user: you', 'assistant: one']);
    expect(of('twin')).toEqual(['user: hi', 'assistant: hello', 'user: me', 'assistant: two']);
    expect(of('early')).toEqual([]);
    const third = await agentOf(boot, 'twin').fork('third');
    await agentOf(boot, 'twin').kill();
    boot.crash();
    const last = await computer.boot();
    expect(last.troupe.agents().map(({ name }) => name)).toEqual(['worker', 'early', 'third']);
    expect(said(agentOf(last, 'third').messages())).toEqual(said(third.messages()));
  });

  test('that was given a conversation has it after a crash', async () => {
    const { computer, before } = await afterCrash();
    const conversation = new Conversation('Be long.');
    conversation.append([
      { role: 'user', content: 'x' },
      { role: 'assistant', content: 'y' },
    ]);
    await before.troupe.spawn('heir', { system: 'Be long.' }, conversation);
    before.crash();
    const boot = await computer.boot();
    expect(said(agentOf(boot, 'heir').messages())).toEqual(['system: Be long.', 'user: x', 'assistant: y']);
  });

  test('stays after `close` and goes with `kill`', async () => {
    const { computer, before } = await afterCrash();
    await before.troupe.spawn('dead').then((dead) => dead.kill());
    await before.troupe.close();
    before.crash();
    const boot = await computer.boot();
    expect(boot.troupe.agents().map(({ name }) => name)).toEqual(['worker']);
    await boot.troupe.close();
  });

  test('sends its compressed view after a crash, and does not compress it again', async () => {
    const computer = new Computer();
    const options = () => ({
      backends: { sized: sizedBackend({ answer: () => ({ text: words(50) }) }) },
      defaults: { backend: 'sized' },
    });
    const before = await computer.boot(options());
    const agent = await before.troupe.spawn('worker', { system: 'Be brief.', compression: { maxTokens: 700 } });
    for (let count = 0; count < 12; count += 1) await agent.ask(words(50));
    const sent = agent.messages({ sent: true });
    expect(sent.length).toBeLessThan(agent.messages().length);
    before.crash();
    const boot = await computer.boot(options());
    const told: unknown[] = [];
    boot.troupe.on('compressed', (compressed) => told.push(compressed));
    const back = agentOf(boot, 'worker');
    expect(back.messages({ sent: true })).toEqual(sent);
    expect(back.messages()).toEqual(agent.messages());
    await (await back.fork('twin')).ask('short');
    expect(told).toEqual([]);
  });

  test('goes on in the session that a backend keeps', async () => {
    const computer = new Computer();
    const before = await computer.boot();
    const agent = await before.troupe.spawn('worker');
    const asked = agent.ask('hi');
    await settle();
    before.backend.next().resolve({ text: 'hello', session: { backend: 'gated', id: 's1', entry: 'e1' } });
    await asked;
    before.crash();
    const boot = await computer.boot();
    void agentOf(boot, 'worker').ask('again');
    await settle();
    expect(boot.backend.next().messages).toEqual([
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'hello', session: { backend: 'gated', id: 's1', entry: 'e1' } },
      { role: 'user', content: 'again' },
    ]);
  });
});

describe('what was spent', () => {
  const prices = { date: '2026-11-24', models: { 'sized-model': { inputUsd: 0, outputUsd: 1000 } } };
  const sized = () => ({
    backends: {
      sized: sizedBackend({ info: { inference: 'cloud', price: 'per-token' }, answer: () => ({ text: words(10) }) }),
    },
    defaults: { backend: 'sized', parameters: { maxTokens: 10 } },
    prices,
  });

  test('counts for the budgets of agent and troupe, and in the sums', async () => {
    const computer = new Computer();
    const before = await computer.boot(sized());
    const agent = await before.troupe.spawn('worker', { budgetUsd: 0.02 });
    const dead = await before.troupe.spawn('dead');
    await agent.ask('hi');
    await dead.ask('hi');
    await dead.kill();
    before.crash();
    const boot = await computer.boot({ ...sized(), budgetUsd: 0.04 });
    const back = agentOf(boot, 'worker');
    expect([back.costUsd, back.usage(), boot.troupe.usage().costUsd]).toEqual([0.01, agent.usage(), 0.02]);
    await back.ask('hi');
    expect((await failure(back.ask('hi'))).message).toContain('"agent "worker"" has no room');
    const other = await boot.troupe.spawn('other');
    await other.ask('hi');
    expect((await failure(other.ask('hi'))).message).toContain('"troupe" has no room');
  });

  test('is known before anything that was accepted goes on', async () => {
    const computer = new Computer();
    const before = await computer.boot(sized());
    await before.troupe.spawn('waiting', { backend: 'model' }).then((agent) => agent.askAsync('hi').accepted);
    const spender = await before.troupe.spawn('spender');
    await spender.ask('hi');
    before.crash();
    const boot = await computer.boot({ ...sized(), budgetUsd: 0.015, resume: () => ({ backend: 'sized' }) });
    expect(boot.settled).toEqual([expect.stringMatching(/^ask-.* failed$/)]);
  });

  test('by the agents of the same name before this one is not its own', async () => {
    const computer = new Computer();
    const before = await computer.boot(sized());
    const first = await before.troupe.spawn('worker');
    await first.ask('hi');
    await first.kill();
    before.crash();
    const next = await computer.boot(sized(), 86_400_000);
    await next.troupe.spawn('worker');
    next.crash();
    const boot = await computer.boot(sized());
    expect([agentOf(boot, 'worker').costUsd, boot.troupe.usage().costUsd]).toEqual([undefined, 0.01]);
  });

  test('for a summary that was cut by the crash is one unknown call', async () => {
    const computer = new Computer();
    const before = await computer.boot();
    const agent = await before.troupe.spawn('worker', { compression: { strategy: summarize() } });
    for (let count = 0; count < 12; count += 1) {
      const asked = agent.ask(words(300));
      await before.say(words(300));
      await asked;
    }
    void agent.compress();
    for (let turns = 0; turns < 1000 && before.backend.pending.length === 0; turns += 1) await settle();
    expect(before.backend.pending.map((call) => call.agent)).toEqual(['worker (summary)']);
    before.crash();
    const boot = await computer.boot();
    expect((await computer.disk.ledger()).map(({ agent: name, calls }) => [name, calls])).toEqual([['worker', 13]]);
    expect([await computer.disk.openCalls(), boot.backend.calls]).toEqual([[], []]);
  });

  test('in a call that was cut by the crash is one unknown call each', async () => {
    const computer = new Computer();
    const before = await computer.boot();
    const [a, b] = [await before.troupe.spawn('a'), await before.troupe.spawn('b')];
    void a.ask('hi');
    void b.ask('hi');
    await before.say('hello', 'a');
    void a.ask('hi again');
    await settle();
    before.crash();
    const boot = await computer.boot();
    const calls = async () => (await computer.disk.ledger()).map(({ agent, calls: count }) => [agent, count]);
    expect([await calls(), (await computer.disk.openCalls()).length]).toEqual([
      [
        ['a', 2],
        ['b', 1],
      ],
      2,
    ]);
    await boot.say('one');
    await boot.say('two');
    expect([await calls(), await computer.disk.openCalls()]).toEqual([
      [
        ['a', 3],
        ['b', 2],
      ],
      [],
    ]);
  });
});
