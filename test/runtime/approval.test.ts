/** Tool calls that somebody must allow: asking, deciding, running out of time, and what may happen meanwhile. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Tool, type ToolOptions, tool } from '../../actors/tools/tool.ts';
import type { Message } from '../../src/core/types.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import type { ApprovalDecision } from '../../src/runtime/approval.ts';
import type { StreamEvent } from '../../src/runtime/reply.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { assertValidMessages } from '../../src/testing/messages.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';
import { failure } from '../helpers/model-request.ts';

type Options = Partial<ToolOptions<{ readonly path: string }>>;

/** A tool that notes what it was called with. */
function remover(options: Options = { approve: true }): { readonly tool: Tool; readonly ran: string[] } {
  const ran: string[] = [];
  const made = tool({
    ...{ name: 'remove', description: 'Removes a file.', parameters: z.object({ path: z.string() }) },
    execute: ({ path }) => {
      ran.push(path);
      return `removed ${path}`;
    },
    ...options,
  });
  return { tool: made, ran };
}

/** A tool that needs nobody. */
function looker(): { readonly tool: Tool; readonly ran: unknown[] } {
  const ran: unknown[] = [];
  const execute = (args: unknown) => {
    ran.push(args);
    return 'seen';
  };
  return { tool: tool({ name: 'look', description: 'Looks.', parameters: z.object({}), execute }), ran };
}

async function scene(spec: AgentSpec) {
  const clock = new VirtualClock(1000);
  const backend = gatedBackend();
  const troupe = createTroupe({ backends: { backend }, clock });
  const agent = await troupe.spawn('worker', { system: 'Be brief.', ...spec });
  const want = async (...calls: readonly (readonly [id: string, name: string, args: object])[]) => {
    await settle();
    const toolCalls = calls.map(([id, name, args]) => ({ id, name, arguments: JSON.stringify(args) }));
    backend.next().resolve({ toolCalls });
    await settle();
  };
  const end = async (text = 'done') => {
    await settle();
    backend.next().resolve({ text });
    await settle();
  };
  return { clock, backend, troupe, agent, want, end };
}

function stateOf(agent: Agent): unknown {
  return agent.ref.getSnapshot().value;
}

function resultsIn(messages: readonly Message[]): string[] {
  return messages.flatMap((message) => (message.role === 'tool' ? [message.content] : []));
}

const approving = { 'tool-loop': 'approving' };
const one = ['c1', 'remove', { path: '/a' }] as const;
const two = ['c2', 'remove', { path: '/b' }] as const;
const look = ['c3', 'look', {}] as const;

describe('a call that must be allowed', () => {
  test('is told of by both kinds of events and by the agent, and runs when it is allowed', async () => {
    const { tool: remove, ran } = remover();
    const { agent, troupe, want, end } = await scene({ tools: [remove], approval: { timeoutMs: 500 } });
    const told: unknown[] = [];
    troupe.on('approval-needed', (pending) => told.push(pending));
    const events: StreamEvent[] = [];
    const stream = agent.stream('go', { askId: 'a1' });
    const reading = (async () => {
      for await (const event of stream) events.push(event);
    })();
    await want(one);
    const call = { id: 'c1', name: 'remove', arguments: '{"path":"/a"}' };
    const pending = { agent: 'worker', askId: 'a1', call, expiresAt: 1500 };
    expect([told, agent.approvals(), stateOf(agent), ran]).toEqual([[pending], [pending], approving, []]);
    agent.approve('c1', 'allow');
    await end();
    await reading;
    expect(events.map(({ type }) => type)).toEqual([
      ...['step-start', 'step-end', 'approval-needed', 'tool-call', 'tool-result'],
      ...['step-start', 'step-end', 'reply'],
    ]);
    expect(events[2]).toEqual({ type: 'approval-needed', call, expiresAt: 1500 });
    expect([ran, agent.approvals(), resultsIn(agent.messages())]).toEqual([['/a'], [], ['removed /a']]);
  });

  test('holds back its whole step until all are decided; the denied get the reason, the others run', async () => {
    const { tool: remove, ran } = remover();
    const { tool: looks, ran: looked } = looker();
    const { agent, want, end, clock } = await scene({ tools: [remove, looks], approval: { timeoutMs: 500 } });
    const asked = agent.ask('go');
    await want(one, look, two);
    agent.approve('c2', 'allow');
    await settle();
    expect([stateOf(agent), ran, looked]).toEqual([approving, [], []]);
    agent.approve('c1', { deny: 'not that one' });
    await end();
    expect([ran, looked.length]).toEqual([['/b'], 1]);
    expect(agent.messages().filter(({ role }) => role === 'tool')).toEqual([
      {
        ...{ role: 'tool', callId: 'c1', name: 'remove' },
        content: 'The call was denied: not that one',
        isError: true,
      },
      { ...{ role: 'tool', callId: 'c3', name: 'look' }, content: 'seen' },
      { ...{ role: 'tool', callId: 'c2', name: 'remove' }, content: 'removed /b' },
    ]);
    expect((await asked).text).toBe('done');
    expect(clock.pending).toBe(0);
  });

  test('runs with other arguments: the message keeps those of the model, the result says what ran', async () => {
    const { tool: remove, ran } = remover();
    const { agent, want, end } = await scene({ tools: [remove] });
    const asked = agent.ask('go');
    await want(one, two);
    agent.approve('c1', { allow: true, arguments: { path: '/tmp/a' } });
    agent.approve('c2', { allow: true, arguments: { file: 1 } });
    await end();
    await asked;
    expect(ran).toEqual(['/tmp/a']);
    const [, , message] = agent.messages();
    expect(message).toMatchObject({ toolCalls: [{ arguments: '{"path":"/a"}' }, { arguments: '{"path":"/b"}' }] });
    const [changed, wrong] = resultsIn(agent.messages());
    expect(changed).toBe('[arguments were changed to {"path":"/tmp/a"}]\nremoved /tmp/a');
    expect(wrong).toMatch(/^\[arguments were changed to {"file":1}\]\nThe arguments do not fit: path: /);
  });

  test('may be decided on at once, from within the event', async () => {
    const { tool: remove, ran } = remover();
    const { agent, troupe, want, end } = await scene({ tools: [remove] });
    const told: string[] = [];
    troupe.on('approval-needed', ({ call }) => {
      told.push(call.id);
      agent.approve(call, call.id === 'c1' ? 'allow' : { deny: 'no' });
    });
    const asked = agent.ask('go');
    await want(one, two);
    await end();
    await asked;
    expect([told, ran]).toEqual([['c1', 'c2'], ['/a']]);
  });

  test('waits when nobody listens, and a listener that throws harms nobody', async () => {
    const { tool: remove } = remover();
    const { agent, troupe, want, end } = await scene({ tools: [remove] });
    troupe.on('approval-needed', () => {
      throw new Error('listener');
    });
    const asked = agent.ask('go');
    await want(one);
    expect(stateOf(agent)).toEqual(approving);
    agent.approve('c1', { allow: true });
    await end();
    expect((await asked).text).toBe('done');
  });

  test('keeps its tool when the agent loses it meanwhile', async () => {
    const { tool: remove, ran } = remover();
    const { agent, want, end } = await scene({ tools: [remove] });
    const asked = agent.ask('go');
    await want(one);
    agent.removeTools('remove');
    agent.approve('c1', 'allow');
    await end();
    await asked;
    expect(ran).toEqual(['/a']);
  });

  test('of a stateless agent is the same, and leaves nothing behind', async () => {
    const { tool: remove, ran } = remover();
    const { agent, backend, want, end } = await scene({ tools: [remove], stateless: true });
    const asked = agent.ask('go');
    await want(one);
    agent.approve('c1', 'allow');
    await settle();
    expect(resultsIn(backend.next().messages)).toEqual(['removed /a']);
    await end();
    await asked;
    expect([ran, agent.messages().length]).toEqual([['/a'], 1]);
  });
});

describe('which calls must be allowed', () => {
  const never = () => new Promise<boolean>(() => {});
  const cases: [string, Options['approve'], boolean][] = [
    ['all, of a tool that says so', true, true],
    ['none, by default', undefined, false],
    ['those for which the function says so', ({ path }) => path === '/a', true],
    ['not those for which it says no', async ({ path }) => path !== '/a', false],
    ['those for which it throws', () => fails(), true],
    ['those for which it rejects', async () => fails(), true],
    ['those for which it says nothing of use', () => undefined as never, true],
  ];
  test.each(cases)('%s', async (_name, approve, waits) => {
    const { tool: remove } = remover(approve === undefined ? {} : { approve });
    const { agent, want, end, clock } = await scene({ tools: [remove] });
    const asked = agent.ask('go');
    await want(one);
    expect(agent.approvals().map(({ call }) => call.id)).toEqual(waits ? ['c1'] : []);
    if (waits) agent.approve('c1', 'allow');
    await end();
    await asked;
    expect(clock.pending).toBe(0);
  });

  test('those for which it takes too long', async () => {
    const { tool: remove } = remover({ approve: never, timeoutMs: 20 });
    const { agent, want, clock } = await scene({ tools: [remove] });
    agent.ask('go').catch(() => {});
    await want(one);
    expect(agent.approvals()).toEqual([]);
    await clock.advance(20);
    expect(agent.approvals().map(({ call }) => call.id)).toEqual(['c1']);
    await agent.kill();
    expect(clock.pending).toBe(0);
  });

  test('not those that will not run: wrong arguments, unknown tools, repeats, one step too many', async () => {
    const asked: string[] = [];
    const { tool: remove, ran } = remover({
      approve: ({ path }) => {
        asked.push(path);
        return true;
      },
    });
    const { agent, want } = await scene({ tools: [remove], maxSameCalls: 1, maxSteps: 3 });
    const failed = failure(agent.ask('go'));
    await want(['c1', 'remove', { file: 1 }], ['c2', 'nothing', {}], ['c3', 'remove', { path: '/a' }]);
    agent.approve('c3', { deny: 'no' });
    await want(one);
    await want(two);
    expect((await failed).code).toBe('TROUPE_ERR_ASK_STEPS_EXCEEDED');
    expect([asked, ran]).toEqual([['/a'], []]);
  });

  test('an ask that is given up while the function thinks ends, and the next one works', async () => {
    const { tool: remove } = remover({ approve: never });
    const { agent, want, end, clock } = await scene({ tools: [remove] });
    const handle = agent.askAsync('go');
    const failed = failure(handle.wait());
    await want(one);
    handle.cancel();
    expect((await failed).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    await settle();
    expect(clock.pending).toBe(0);
    const next = agent.ask('and now?');
    await end();
    expect((await next).text).toBe('done');
    assertValidMessages(agent.messages());
  });
});

describe('a decision that is none', () => {
  test.each([
    ['of no call', 'c9', 'allow', 'No call "c9" of agent "worker" waits for a decision; waiting: "c1".'],
    ['of a call with that id and other arguments', { id: 'c1', name: 'remove', arguments: '{}' }, 'allow', 'No call'],
    ['no decision', 'c1', 'yes', '`decision` must be "allow", { allow: true, arguments? } or { deny: reason }'],
    ['allow: false', 'c1', { allow: false }, '`decision` must be'],
    ['arguments in a list', 'c1', { allow: true, arguments: [] }, '`decision` must be'],
    ['both', 'c1', { allow: true, deny: 'no' }, '`decision` must be'],
    ['a reason that is no text', 'c1', { deny: 1 }, '`decision` must be'],
    ['more than that', 'c1', { deny: 'no', because: 'x' }, '`decision` must be'],
    ['nothing', 'c1', null, '`decision` must be'],
  ])('%s is refused, and the call still waits', async (_name, call, decision, message) => {
    const { tool: remove } = remover();
    const { agent, want } = await scene({ tools: [remove] });
    agent.ask('go').catch(() => {});
    await want(one);
    const error = await failure((async () => agent.approve(call, decision as ApprovalDecision))());
    expect([error.code, error.message.includes(message)]).toEqual(['TROUPE_ERR_OPTION_INVALID', true]);
    expect(agent.approvals()).toHaveLength(1);
    await agent.kill();
  });

  test('a second one is refused: before the others are decided, while the tools run, after the ask and the agent', async () => {
    const { tool: remove, ran } = remover();
    const { agent, want, end } = await scene({ tools: [remove] });
    const again = () => agent.approve('c1', { deny: 'late' });
    const asked = agent.ask('go');
    await want(one, two);
    agent.approve('c1', 'allow');
    expect(again).toThrow('waiting: "c2"');
    agent.approve('c2', 'allow');
    expect(again).toThrow('waiting: none');
    await end();
    await asked;
    expect(again).toThrow('waiting: none');
    await agent.kill();
    expect(again).toThrow('waiting: none');
    expect(ran).toEqual(['/a', '/b']);
  });
});

describe('nobody decides', () => {
  test('what waits is denied, and the model goes on', async () => {
    const { tool: remove, ran } = remover();
    const { agent, want, end, clock } = await scene({ tools: [remove], approval: { timeoutMs: 300 } });
    const asked = agent.ask('go');
    await want(one, two);
    await clock.advance(200);
    agent.approve('c1', 'allow');
    await clock.advance(100);
    await end('went on');
    expect((await asked).text).toBe('went on');
    expect(ran).toEqual(['/a']);
    expect(resultsIn(agent.messages())).toEqual(['removed /a', 'The call was denied: nobody decided within 300 ms.']);
    expect(clock.pending).toBe(0);
  });

  test('or the ask fails, if the agent says so', async () => {
    const { tool: remove, ran } = remover();
    const approval = { timeoutMs: 300, onTimeout: 'fail' } as const;
    const { agent, want, end, clock } = await scene({ tools: [remove], approval });
    const failed = failure(agent.ask('go'));
    await want(one);
    await clock.advance(300);
    expect(await failed).toMatchObject({
      code: 'TROUPE_ERR_ASK_TIMEOUT',
      message: 'Nobody decided on the call of "remove" within 300 ms, the `approval.timeoutMs` of "worker".',
    });
    expect([ran, resultsIn(agent.messages()), clock.pending]).toEqual([
      [],
      ['This call was interrupted before it ran.'],
      0,
    ]);
    const next = agent.ask('and now?');
    await end();
    expect((await next).text).toBe('done');
  });

  test.each(['deny', 'fail'] as const)('its ask has less time: the deadline ends it (%s)', async (onTimeout) => {
    const { tool: remove } = remover();
    const { agent, want, clock } = await scene({ tools: [remove], approval: { onTimeout } });
    const failed = failure(agent.ask('go', { timeoutMs: 50 }));
    await want(one);
    expect(agent.approvals().map(({ expiresAt }) => expiresAt)).toEqual([1050]);
    await clock.advance(50);
    expect((await failed).message).toBe('The ask to "worker" did not end within 50 ms.');
    expect(clock.pending).toBe(0);
  });

  test('a clock that gives no timer leaves it to the deadline', async () => {
    const { tool: remove } = remover();
    const clock = new VirtualClock();
    const setTimeout = clock.setTimeout.bind(clock);
    clock.setTimeout = (callback, ms) => {
      if (ms === 77) throw new Error('no timer');
      return setTimeout(callback, ms);
    };
    const backend = gatedBackend();
    const agent = await createTroupe({ backends: { backend }, clock }).spawn('worker', {
      ...{ tools: [remove], approval: { timeoutMs: 77 } },
    });
    const failed = failure(agent.ask('go', { timeoutMs: 100 }));
    await settle();
    backend.next().resolve({ toolCalls: [{ id: 'c1', name: 'remove', arguments: '{"path":"/a"}' }] });
    await clock.advance(100);
    expect((await failed).code).toBe('TROUPE_ERR_ASK_TIMEOUT');
  });
});

test('a fork of an agent that waits neither waits nor sees the unfinished step', async () => {
  const { tool: remove, ran } = remover();
  const { agent, backend, want, end } = await scene({ tools: [remove] });
  const asked = agent.ask('go');
  await want(one);
  const twin = await agent.fork('twin');
  expect([twin.messages(), twin.approvals(), twin.state]).toEqual([
    [{ role: 'system', content: 'Be brief.' }],
    [],
    'idle',
  ]);
  expect(() => twin.approve('c1', 'allow')).toThrow('waiting: none');
  const answered = twin.ask('hello');
  await settle();
  backend.next('twin').resolve({ text: 'I am the twin' });
  expect((await answered).text).toBe('I am the twin');
  expect(stateOf(agent)).toEqual(approving);
  agent.approve('c1', 'allow');
  await end();
  expect([(await asked).text, ran]).toEqual(['done', ['/a']]);
  expect(twin.messages().map(({ role }) => role)).toEqual(['system', 'user', 'assistant']);
});

function fails(): never {
  throw new Error('no idea');
}
