/** Steps whose tools had not all run when the process ended: nothing runs twice that may not, and nothing unasked. */
import { beforeAll, describe, expect, test } from 'vitest';
import { type Tool, type ToolOptions, tool } from '../../actors/tools/tool.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { agentOf, Computer, said, type Want } from './computer.ts';

/** What was run, in all processes. */
let ran: string[] = [];

/** A tool that notes its runs; in a process that crashes it never comes to an end. */
function noting(name: string, options: Partial<ToolOptions<unknown>> = {}): { ends: Tool; hangs: Tool } {
  const make = (end: () => unknown) =>
    tool({
      ...{ name, description: 'Works.', parameters: { type: 'object' } as const },
      ...options,
      execute: (args, { callId }) => {
        ran.push(`${name} ${callId}${JSON.stringify(args) === '{}' ? '' : ` ${JSON.stringify(args)}`}`);
        return end();
      },
    });
  return { ends: make(() => 'ok'), hangs: make(() => new Promise(() => {})) };
}

const look = noting('look', { idempotent: true });
const pay = noting('pay');
const remove = noting('remove', { approve: true });

beforeAll(() => look.ends.check({}));

const cutOff = 'tool: This call was interrupted by the end of the process; whether it had an effect is not known.';

/** A computer that crashed after the model had wanted these calls of tools that hang, or end. */
async function wanting(tools: readonly Tool[], ...calls: readonly Want[]) {
  ran = [];
  const computer = new Computer();
  const before = await computer.boot({ defaults: { tools } });
  const agent = await before.troupe.spawn('worker', { maxParallelTools: 1 });
  await agent.askAsync('go', { askId: 'go' }).accepted;
  await before.want(...calls);
  return { computer, before, agent };
}

describe('a tool call', () => {
  test('that had begun runs again if it is idempotent; else the model is told; what had not begun runs', async () => {
    const calls: Want[] = [
      ['c1', 'look'],
      ['c2', 'pay'],
      ['c3', 'pay', { usd: 3 }],
    ];
    const { computer, before } = await wanting([look.ends, pay.hangs], ...calls);
    expect(ran).toEqual(['look c1', 'pay c2']);
    before.crash();
    const boot = await computer.boot({ defaults: { tools: [look.ends, pay.ends] } });
    expect(ran.slice(2)).toEqual(['look c1', 'pay c3 {"usd":3}']);
    expect(said(boot.sent())).toEqual(['user: go', 'assistant wants c1, c2, c3', 'tool: ok', cutOff, 'tool: ok']);
    await boot.say('done');
    expect(said(agentOf(boot, 'worker').messages()).at(-1)).toBe('assistant: done');
    expect(await computer.disk.asks('worker')).toMatchObject([{ groups: 2, outcome: { reply: { steps: 2 } } }]);
  });

  test('whose step is finished is not made again', async () => {
    const { computer, before } = await wanting([pay.ends], ['c1', 'pay']);
    before.crash();
    const boot = await computer.boot({ defaults: { tools: [pay.ends] } });
    expect([ran, said(boot.sent()).at(-1)]).toEqual([['pay c1'], 'tool: ok']);
  });

  test('of a tool that is gone, or that the backend ran, may have had an effect', async () => {
    const { computer, before } = await wanting([look.hangs], ['c1', 'look'], ['c2', 'unknown']);
    before.crash();
    const boot = await computer.boot();
    expect(said(boot.sent()).slice(-2)).toEqual([cutOff, cutOff]);
  });

  test('is told of once more though the process ends again and again', async () => {
    const { computer, before } = await wanting([pay.hangs], ['c1', 'pay'], ['c2', 'pay', { usd: 2 }]);
    before.crash();
    const boot = await computer.boot({ defaults: { tools: [pay.hangs] } });
    boot.crash();
    const next = await computer.boot({ defaults: { tools: [pay.hangs] } });
    expect(ran).toEqual(['pay c1', 'pay c2 {"usd":2}']);
    expect(said(next.sent()).slice(-2)).toEqual([cutOff, cutOff]);
  });

  test('beyond the last step does not run', async () => {
    ran = [];
    const computer = new Computer();
    const before = await computer.boot();
    const agent = await before.troupe.spawn('worker');
    await agent.askAsync('go', { askId: 'go' }).accepted;
    before.crash();
    const spec = { backend: 'model', tools: [look.ends], maxSteps: 1 };
    const boot = await computer.boot({ resume: () => spec });
    // The process ends before it is settled.
    computer.disk.settleAsk = () => {};
    await boot.want(['c1', 'look']);
    const [asked] = await computer.disk.asks('worker');
    expect([ran, boot.settled, asked?.step]).toEqual([[], ['go failed'], undefined]);
  });
});

describe('a call that must be allowed', () => {
  const one: Want = ['c1', 'remove', { path: '/a' }];
  const two: Want = ['c2', 'remove', { path: '/b' }];

  test('waits again', async () => {
    const { computer, before } = await wanting([remove.ends], one);
    before.crash();
    const boot = computer.start({ defaults: { tools: [remove.ends] } });
    const told: unknown[] = [];
    boot.troupe.on('approval-needed', ({ call }) => told.push(call.id));
    await boot.troupe.resumed;
    await settle();
    const agent = agentOf(boot, 'worker');
    expect([told, agent.approvals().map(({ call }) => call.id), agent.state, ran]).toEqual([
      ...[['c1'], ['c1'], 'tool-loop', []],
    ]);
    agent.approve('c1', { allow: true, arguments: { path: '/c' } });
    await settle();
    expect(ran).toEqual(['remove c1 {"path":"/c"}']);
    await boot.say('done');
    expect(boot.settled).toEqual(['go replied']);
  });

  test('and was denied does not run because another one of its step had begun: it waits again', async () => {
    const { computer, before, agent } = await wanting([remove.hangs], one, two);
    agent.approve('c2', { deny: 'not that one' });
    agent.approve('c1', 'allow');
    await settle();
    expect(ran).toEqual(['remove c1 {"path":"/a"}']);
    before.crash();
    const boot = await computer.boot({ defaults: { tools: [remove.ends] } });
    const back = agentOf(boot, 'worker');
    expect([ran.length, back.approvals().map(({ call }) => call.id)]).toEqual([1, ['c2']]);
    back.approve('c2', { deny: 'still not' });
    await settle();
    expect(ran.length).toBe(1);
    expect(said(boot.sent()).slice(-2)).toEqual([cutOff, 'tool: The call was denied: still not']);
  });

  test('and was allowed with other arguments does not run with those of the model', async () => {
    const { computer, before, agent } = await wanting([remove.hangs], one, two);
    agent.approve('c1', 'allow');
    agent.approve('c2', { allow: true, arguments: { path: '/tmp' } });
    await settle();
    before.crash();
    const boot = await computer.boot({ defaults: { tools: [remove.ends] } });
    expect(ran).toEqual(['remove c1 {"path":"/a"}']);
    expect(
      agentOf(boot, 'worker')
        .approvals()
        .map(({ call }) => call.arguments),
    ).toEqual(['{"path":"/b"}']);
  });
});

test('a step that has everything it wanted before the crash goes on without anybody', async () => {
  const { computer, before } = await wanting([remove.hangs], ['c1', 'remove']);
  agentOf(before, 'worker').approve('c1', 'allow');
  await settle();
  before.crash();
  const boot = await computer.boot({ defaults: { tools: [remove.ends] } });
  expect([agentOf(boot, 'worker').approvals(), said(boot.sent()).at(-1)]).toEqual([[], cutOff]);
});

test('tools that are to run again find the other agents', async () => {
  ran = [];
  const computer = new Computer();
  const before = await computer.boot();
  const asking = (find: () => Promise<unknown>) =>
    tool({ name: 'ask_b', description: 'Asks b.', idempotent: true, execute: find });
  const a = await before.troupe.spawn('a', { tools: [asking(() => new Promise(() => {}))] });
  await before.troupe.spawn('b');
  await a.askAsync('go', { askId: 'go' }).accepted;
  await before.want(['c1', 'ask_b']);
  before.crash();
  const boot = computer.start({
    resume: ({ name }) => ({
      backend: 'model',
      tools: name === 'a' ? [asking(async () => (await agentOf(boot, 'b').ask('help')).text)] : [],
    }),
  });
  await boot.troupe.resumed;
  await boot.say('of course', 'b');
  expect(said(boot.sent()).at(-1)).toBe('tool: of course');
});
