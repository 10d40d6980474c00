/** Asks that were accepted when the process ended: each is taken up where its last finished step ended, and answered once. */
import { beforeAll, describe, expect, test } from 'vitest';
import { tool } from '../../actors/tools/tool.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { failure } from '../helpers/model-request.ts';
import { agentOf, Computer, said } from './computer.ts';

const look = tool({ name: 'look', description: 'Looks.', idempotent: true, execute: () => 'seen' });
const options = { defaults: { tools: [look] } };

// What checks arguments is loaded with the first call.
beforeAll(() => look.check({}));

/** A computer whose agent `worker` was asked this, the ids being the prompts. */
async function asking(prompts: readonly string[], spec: AgentSpec = {}) {
  const computer = new Computer();
  const before = await computer.boot(options);
  const agent = await before.troupe.spawn('worker', { system: 'Be brief.', ...spec });
  for (const prompt of prompts) await agent.askAsync(prompt, { askId: prompt }).accepted;
  await settle();
  return { computer, before, agent };
}

async function outcomes(computer: Computer, agent = 'worker'): Promise<string[]> {
  const asks = await computer.disk.asks(agent);
  return asks.map(({ askId, outcome }) => {
    if (outcome === undefined) return `${askId} is open`;
    return `${askId}: ${outcome.kind === 'reply' ? outcome.reply.text : outcome.code}`;
  });
}

describe('an accepted ask', () => {
  test('is answered whether its first call was in flight or it waited, in the order they were asked', async () => {
    const { computer, before } = await asking(['one', 'two', 'three']);
    expect(before.backend.calls.length).toBe(1);
    before.crash();
    const boot = await computer.boot(options);
    for (const text of ['1', '2', '3']) await boot.say(text);
    expect(boot.settled).toEqual(['one replied', 'two replied', 'three replied']);
    expect(await outcomes(computer)).toEqual(['one: 1', 'two: 2', 'three: 3']);
    expect(said(agentOf(boot, 'worker').messages())).toEqual([
      ...['system: Be brief.', 'user: one', 'assistant: 1', 'user: two', 'assistant: 2', 'user: three', 'assistant: 3'],
    ]);
  });

  test('goes on after the steps that were finished, which are not repeated, and before those that waited', async () => {
    const { computer, before } = await asking(['one', 'two']);
    await before.want(['c1', 'look']);
    before.crash();
    const boot = await computer.boot(options);
    expect(said(boot.sent())).toEqual(['system: Be brief.', 'user: one', 'assistant wants c1', 'tool: seen']);
    await boot.want(['c2', 'look']);
    boot.crash();
    const next = await computer.boot(options);
    const waiting = next.troupe.handle('one').wait();
    await next.say('done');
    expect((await waiting).steps).toBe(3);
    await next.say('two is done');
    expect(said(next.sent()).slice(1)).toEqual([
      ...['user: one', 'assistant wants c1', 'tool: seen', 'assistant wants c2', 'tool: seen', 'assistant: done'],
      'user: two',
    ]);
    expect(boot.backend.calls.length + next.backend.calls.length).toBe(4);
    expect(await outcomes(computer)).toEqual(['one: done', 'two: two is done']);
  });

  test('is made again when the crash was in the pause before another try, or while the next backend was asked', async () => {
    const computer = new Computer();
    const backends = () => ({ other: gatedBackend() });
    const before = await computer.boot({ ...options, backends: backends() });
    const failed = new TroupeError('TROUPE_ERR_BACKEND_UNAVAILABLE', 'It is down.');
    const [a, b] = [
      await before.troupe.spawn('a'),
      await before.troupe.spawn('b', { fallback: ['other'], maxRetries: 0 }),
    ];
    void a.ask('one', { askId: 'one' });
    void b.ask('two', { askId: 'two' });
    await settle();
    before.backend.next('a').reject(failed);
    before.backend.next('b').reject(failed);
    await settle();
    before.crash();
    const boot = await computer.boot({ ...options, backends: backends() });
    await boot.say('1', 'a');
    await boot.say('2', 'b');
    expect(boot.settled).toEqual(['one replied', 'two replied']);
  });

  test('whose time is over is rejected and settled, in hand or not; the others have what is left', async () => {
    const { computer, before, agent } = await asking([]);
    for (const [askId, timeoutMs] of [
      ['one', 5000],
      ['two', 5000],
      ['three', 60_000],
    ] as const)
      await agent.askAsync(askId, { askId, timeoutMs }).accepted;
    await before.want(['c1', 'look']);
    before.crash();
    const boot = await computer.boot(options, 5000);
    expect(await outcomes(computer)).toEqual([
      'one: TROUPE_ERR_ASK_TIMEOUT',
      'two: TROUPE_ERR_ASK_TIMEOUT',
      'three is open',
    ]);
    expect(said(boot.sent()).slice(-2)).toEqual(['tool: seen', 'user: three']);
    await boot.clock.advance(55_000);
    expect((await outcomes(computer)).at(-1)).toBe('three: TROUPE_ERR_ASK_TIMEOUT');
    expect(boot.clock.pending).toBe(0);
  });

  test('is not refused though the mailbox has no room for all that waited', async () => {
    const prompts = ['one', 'two', 'three', 'four'];
    const { computer, before } = await asking(prompts, { mailboxLimit: 1, mailboxPolicy: 'wait' });
    before.crash();
    const boot = await computer.boot({ ...options, resume: ({ spec }) => ({ ...spec, mailboxPolicy: 'reject' }) });
    const late = agentOf(boot, 'worker').askAsync('five', { askId: 'five' });
    for (const _ of [...prompts, 'five']) await boot.say('ok');
    await late.wait();
    expect(boot.settled).toEqual([...prompts, 'five'].map((askId) => `${askId} replied`));
  });

  test('of a stateless agent begins at the system message again, and leaves nothing', async () => {
    const { computer, before } = await asking(['one'], { stateless: true });
    await before.want(['c1', 'look']);
    before.crash();
    const boot = await computer.boot(options);
    expect(said(boot.sent())).toEqual(['system: Be brief.', 'user: one', 'assistant wants c1', 'tool: seen']);
    await boot.say('done');
    expect(await outcomes(computer)).toEqual(['one: done']);
    expect(said(agentOf(boot, 'worker').messages())).toEqual(['system: Be brief.']);
  });

  test('of an agent that cannot come back stays in the store', async () => {
    const { computer, before } = await asking(['one']);
    before.crash();
    const boot = await computer.boot({ resume: () => ({ backend: 'gone' }) });
    expect(boot.failed).toEqual([{ agent: 'worker', code: 'TROUPE_ERR_BACKEND_UNKNOWN' }]);
    boot.crash();
    const next = await computer.boot(options);
    await next.say('1');
    expect(await outcomes(computer)).toEqual(['one: 1']);
  });

  test('with images has them again', async () => {
    const computer = new Computer();
    const before = await computer.boot();
    const agent = await before.troupe.spawn('worker');
    const images = [{ mediaType: 'image/png', data: 'AAAA' }] as const;
    await agent.askAsync('what is it', { images }).accepted;
    before.crash();
    const boot = await computer.boot();
    expect(boot.sent()).toEqual([{ role: 'user', content: 'what is it', images }]);
  });
});

describe('before an agent has taken up what it was asked', () => {
  /** Something that must be decided on with a question that does not come back. */
  const stuck = tool({
    ...{ name: 'remove', description: 'Removes.', execute: () => 'removed' },
    approve: () => new Promise<boolean>(() => {}),
    timeoutMs: 1000,
  });

  async function resuming() {
    const computer = new Computer();
    const before = await computer.boot({ defaults: { tools: [stuck] } });
    const agent = await before.troupe.spawn('worker', { system: 'Be brief.' });
    await agent.askAsync('one', { askId: 'one', timeoutMs: 10_000 }).accepted;
    await agent.askAsync('two', { askId: 'two' }).accepted;
    await before.want(['c1', 'remove']);
    await before.clock.advance(1000);
    expect(agent.approvals().length).toBe(1);
    before.crash();
    const boot = await computer.boot({ defaults: { tools: [stuck] } });
    const back = agentOf(boot, 'worker');
    expect([back.state, boot.backend.calls.length]).toEqual(['idle', 0]);
    return { computer, boot, agent: back };
  }

  test('new asks wait, behind the old ones', async () => {
    const { boot, agent } = await resuming();
    void agent.ask('three', { askId: 'three' });
    await settle();
    expect(boot.backend.calls.length).toBe(0);
    await boot.clock.advance(1000);
    agent.approve('c1', 'allow');
    for (const text of ['1', '2', '3']) await boot.say(text);
    expect(boot.settled).toEqual(['one replied', 'two replied', 'three replied']);
  });

  test('an ask can be cancelled, and what its tools may have done is told', async () => {
    const { boot, agent } = await resuming();
    await boot.troupe.handle('one').cancel();
    await boot.troupe.handle('two').cancel();
    await settle();
    expect(boot.settled).toEqual(['one failed', 'two failed']);
    void agent.ask('three');
    await boot.clock.advance(1000);
    expect(said(boot.sent()).slice(1)).toEqual([
      ...['user: one', 'assistant wants c1', 'tool: This call was interrupted before it ran.', 'user: three'],
    ]);
  });

  test('an ask can expire', async () => {
    const { computer, boot } = await resuming();
    await boot.clock.advance(1);
    const asks = await computer.disk.asks('worker');
    expect(asks.map(({ outcome }) => outcome?.kind)).toEqual([undefined, undefined]);
    boot.crash();
    const late = await computer.boot({ defaults: { tools: [{ ...stuck, timeoutMs: 100_000 }] } });
    await late.clock.advance(10_000);
    expect(late.settled).toEqual(['one failed']);
    expect(late.backend.calls.length).toBe(0);
    await late.clock.advance(100_000);
    await late.say('2');
    expect(late.settled).toEqual(['one failed', 'two replied']);
  });

  test('it can be killed: all is rejected, and another one of its name has nothing of it', async () => {
    const { computer, boot, agent } = await resuming();
    const waiting = [boot.troupe.handle('one').wait(), boot.troupe.handle('two').wait(), agent.ask('three')];
    await settle();
    await agent.kill();
    for (const one of waiting) expect((await failure(one)).code).toBe('TROUPE_ERR_AGENT_DEAD');
    const other = await boot.troupe.spawn('worker');
    await boot.clock.advance(1000);
    expect([other.messages(), await computer.disk.groups('worker'), await outcomes(computer)]).toEqual([[], [], []]);
    await boot.troupe.close({ drainMs: 60_000 });
  });

  test('it is compressed only after it', async () => {
    const { boot, agent } = await resuming();
    const compressed = agent.compress();
    await boot.clock.advance(1000);
    agent.approve('c1', 'allow');
    await boot.say('1');
    expect((await compressed).agent).toBe('worker');
    await boot.say('2');
    expect(boot.settled).toEqual(['one replied', 'two replied']);
  });

  test('the troupe can be closed: what was asked of it is still there', async () => {
    const { computer, boot } = await resuming();
    const waiting = boot.troupe.handle('one').wait();
    await settle();
    await boot.troupe.close();
    expect((await failure(waiting)).code).toBe('TROUPE_ERR_AGENT_DEAD');
    boot.crash();
    expect(await outcomes(computer)).toEqual(['one is open', 'two is open']);
  });
});

test('a troupe that is closed at once brings nobody back and loses nothing', async () => {
  const { computer, before } = await asking(['one']);
  before.crash();
  const boot = computer.start(options);
  await boot.troupe.close();
  expect([await boot.troupe.resumed, boot.failed, boot.settled]).toEqual([[], [], []]);
  boot.crash();
  const next = await computer.boot(options);
  await next.say('1');
  expect(await outcomes(computer)).toEqual(['one: 1']);
});

test('what a troupe was asked itself ends with its `close`, as its callers are told', async () => {
  const { computer, before } = await asking([]);
  const asked = agentOf(before, 'worker').ask('one', { askId: 'one' });
  await settle();
  await before.troupe.close();
  expect((await failure(asked)).code).toBe('TROUPE_ERR_AGENT_DEAD');
  before.crash();
  const boot = await computer.boot(options);
  expect([await outcomes(computer), boot.backend.calls.length]).toEqual([['one: TROUPE_ERR_AGENT_DEAD'], 0]);
});

test('a process that fails while it comes back changes nothing', async () => {
  const { computer, before } = await asking(['one', 'two']);
  await before.want(['c1', 'look']);
  before.crash();
  const calls: number[] = [];
  for (const _ of [1, 2, 3]) {
    const boot = await computer.boot(options);
    calls.push(boot.backend.calls.length);
    boot.crash();
  }
  const last = await computer.boot(options);
  await last.say('1');
  await last.say('2');
  expect([calls, await outcomes(computer)]).toEqual([
    [1, 1, 1],
    ['one: 1', 'two: 2'],
  ]);
  expect((await computer.disk.ledger()).map(({ calls: count }) => count)).toEqual([7]);
});
