/** What every store must do, run on each. */
import { describe, expect, test, vi } from 'vitest';
import type { AskOutcome } from '../../../actors/store/store.ts';
import type { Group } from '../../../src/core/conversation.ts';
import { unknownUsage } from '../../../src/core/usage.ts';
import { agent, ask, call, entry, group, kinds, reply, written } from './stores.ts';

vi.setConfig({ testTimeout: 60_000 });

describe.each(kinds)('%s', (_name, kind) => {
  const { open, later } = kind;

  test('agents come back whole and in order, without the removed; one put again is the youngest', async () => {
    const whole = agent('b', {
      model: 'm',
      system: 'system of b',
      spec: { maxSteps: 3, tools: ['x'], deep: { no: null, yes: [true, 1.5] } },
      createdAt: 1_764_000_000_000.25,
    });
    const store = await written(kind, (s) => {
      for (const one of [agent('d'), whole, agent('a'), agent('c')]) s.putAgent(one);
      s.appendGroup('d', group('of the first d'));
      s.removeAgent('a');
      s.removeAgent('unknown');
      s.putAgent(agent('d', { backend: 'two' }));
    });
    expect(await store.agents()).toEqual([whole, agent('c'), agent('d', { backend: 'two' })]);
    expect(await store.groups('d')).toEqual([]);
    await store.close();
  });

  test('groups come back whole and in order; unknown agents have none', async () => {
    const full: Group = [
      { role: 'user', content: 'look', images: [{ mediaType: 'image/png', data: 'iVBORw0KGgo=' }] },
      {
        role: 'assistant',
        content: '',
        reasoning: 'hm',
        toolCalls: [{ id: 'c1', name: 'read', arguments: '{"broken": ' }],
        thinking: { protocol: 'anthropic', blocks: [{ type: 'thinking', signature: 'abc=' }] },
        session: { backend: 'claude', id: 's', entry: 'e' },
      },
      { role: 'tool', callId: 'c1', name: 'read', content: 'no', isError: true },
    ];
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      s.appendGroup('a', group('x'));
      s.appendGroup('a', []);
      s.appendGroup('a', full);
      s.appendGroup('unknown', group('nobody'));
    });
    expect([await store.groups('a'), await store.groups('unknown')]).toEqual([[group('x'), full], []]);
    await store.close();
  });

  test('a fork shares a prefix, goes its own way and outlives its parent', async () => {
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      for (const text of ['x', 'y']) s.appendGroup('a', group(text));
      s.putAgent(agent('b', { parent: { name: 'a', groupCount: 1 } }));
      s.appendGroup('b', group('z'));
      s.appendGroup('a', group('w'));
      s.putAgent(agent('c', { parent: { name: 'b', groupCount: 2 } }));
      s.putAgent(agent('d', { parent: { name: 'a', groupCount: 99 } }));
      s.putAgent(agent('e', { parent: { name: 'unknown', groupCount: 2 } }));
      s.putAgent(agent('f', { parent: { name: 'a', groupCount: 0 } }));
      s.appendGroup('d', group('v'));
      s.removeAgent('a');
      s.removeAgent('b');
      s.putAgent(agent('a'));
      s.appendGroup('a', group('anew'));
    });
    expect(await Promise.all(['a', 'c', 'd', 'e', 'f'].map((name) => store.groups(name)))).toEqual([
      [group('anew')],
      [group('x'), group('z')],
      [group('x'), group('y'), group('w'), group('v')],
      [],
      [],
    ]);
    await store.close();
  });

  test('a chain of 50 forks, each with groups of its own, all but the last removed', async () => {
    const store = await written(kind, (s) => {
      s.putAgent(agent('0'));
      for (const text of ['0a', '0b']) s.appendGroup('0', group(text));
      for (let depth = 1; depth <= 50; depth += 1) {
        // One less than the parent has: every fork leaves its parent's last group out.
        s.putAgent(agent(`${depth}`, { parent: { name: `${depth - 1}`, groupCount: depth } }));
        for (const text of [`${depth}a`, `${depth}b`]) s.appendGroup(`${depth}`, group(text));
      }
      for (let depth = 0; depth < 50; depth += 1) s.removeAgent(`${depth}`);
    });
    const texts = (await store.groups('50')).map(([message]) => message!.content);
    expect(texts).toEqual([...Array.from({ length: 51 }, (_, depth) => `${depth}a`), '50b']);
    await store.close();
  });

  test('a fork at less than what its parent itself shares', async () => {
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      for (const text of ['1', '2', '3']) s.appendGroup('a', group(text));
      s.putAgent(agent('b', { parent: { name: 'a', groupCount: 3 } }));
      s.appendGroup('b', group('4'));
      s.putAgent(agent('c', { parent: { name: 'b', groupCount: 1 } }));
      s.appendGroup('c', group('5'));
      s.putAgent(agent('d', { parent: { name: 'c', groupCount: 2 } }));
    });
    expect(await store.groups('d')).toEqual([group('1'), group('5')]);
    await store.close();
  });

  test('views: the last one counts, and goes with its agent', async () => {
    const view = { groupCount: 2, head: [group('summary')], kept: [1] };
    const store = await written(kind, (s) => {
      for (const name of ['a', 'b', 'c']) s.putAgent(agent(name));
      for (const text of ['1', '2', '3']) s.appendGroup('a', group(text));
      s.putView('a', { groupCount: 1, head: [], kept: [] });
      s.putView('a', view);
      s.putView('b', view);
      s.putView('unknown', view);
      s.removeAgent('b');
      s.putAgent(agent('b'));
    });
    const views = await Promise.all(['a', 'b', 'c', 'unknown'].map((name) => store.view(name)));
    expect(views).toEqual([view, undefined, undefined, undefined]);
    expect(await store.groups('a')).toEqual(['1', '2', '3'].map(group));
    await store.close();
  });

  test('asks are open until they are settled; old settled ones may be dropped, open ones never', async () => {
    const images = [{ mediaType: 'image/gif' as const, data: 'R0lGODlh' }];
    const failed: AskOutcome = { kind: 'error', code: 'TROUPE_ERR_ASK_TIMEOUT', class: 'timeout', message: 'late' };
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      s.putAgent(agent('b'));
      for (const askId of ['1', '2', '3', '4']) s.putAsk(ask(askId));
      s.putAsk({ ...ask('5'), images });
      s.putAsk(ask('1', 'b'));
      s.putAsk(ask('1', 'unknown'));
      for (const askId of ['4', '1']) s.settleAsk('a', askId, reply(askId));
      s.settleAsk('a', '2', failed);
      s.settleAsk('a', 'unknown', failed);
      s.settleAsk('a', '2', reply('too late'));
    });
    expect(await store.asks('a')).toEqual([
      { ...ask('1'), groups: 0, outcome: reply('1') },
      { ...ask('2'), groups: 0, outcome: failed },
      { ...ask('3'), groups: 0 },
      { ...ask('5'), images, groups: 0 },
    ]);
    expect(await store.asks('b')).toEqual([{ ...ask('1', 'b'), groups: 0 }]);
    expect(await store.asks('unknown')).toEqual([]);
    await store.close();
  });

  test('an ask counts the groups that are its steps, until it is settled; put again it begins anew', async () => {
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      for (const askId of ['1', '2', '3']) s.putAsk(ask(askId));
      for (const askId of ['1', '2', '1', undefined, 'unknown', '3']) s.appendGroup('a', group('x'), askId);
      s.settleAsk('a', '1', reply('done'));
      s.settleAsk('a', '3', reply('done'));
      s.appendGroup('a', group('x'), '1');
      s.putAsk(ask('3'));
    });
    expect(await store.asks('a')).toEqual([
      { ...ask('1'), groups: 2, outcome: reply('done') },
      { ...ask('2'), groups: 1 },
      { ...ask('3'), groups: 0 },
    ]);
    await store.close();
  });

  test('a step is kept until its group, the next step or the end of its ask, with the calls that began', async () => {
    const message = (content: string) => ({ role: 'assistant' as const, content, reasoning: 'hm' });
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      for (const askId of ['1', '2', '3', '4', '5']) s.putAsk(ask(askId));
      s.startTool('a', '1', 'before any step');
      for (const askId of ['1', '2', '3', '4', 'unknown']) s.putStep('a', askId, message('first'));
      for (const callId of ['c1', 'c\0\ud800"2', '__proto__']) s.startTool('a', '1', callId);
      s.startTool('a', '2', 'c1');
      s.putStep('a', '2', message('second'));
      s.appendGroup('a', group('x'), '3');
      s.startTool('a', '3', 'late');
      s.settleAsk('a', '4', reply('done'));
      s.putStep('a', '4', message('late'));
    });
    expect(await store.asks('a')).toEqual([
      { ...ask('4'), groups: 0, outcome: reply('done') },
      { ...ask('1'), groups: 0, step: { message: message('first'), started: ['c1', 'c\0\ud800"2', '__proto__'] } },
      { ...ask('2'), groups: 0, step: { message: message('second'), started: [] } },
      { ...ask('3'), groups: 1 },
      { ...ask('5'), groups: 0 },
    ]);
    await store.close();
  });

  test('asks go with their agent; a later one of the name has none', async () => {
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      for (const askId of ['1', '2']) s.putAsk(ask(askId));
      s.settleAsk('a', '1', reply('done'));
      s.removeAgent('a');
      s.putAgent(agent('a'));
    });
    expect(await store.asks('a')).toEqual([]);
    await store.close();
  });

  test('a reply comes back whole, with every attempt', async () => {
    const outcome: AskOutcome = {
      kind: 'reply',
      reply: {
        text: '{"a":[1,null]}',
        output: { a: [1, null], b: { c: '' } },
        reasoning: 'since',
        finishReason: { unified: 'other', raw: undefined },
        steps: 3,
        attempts: [
          {
            backend: 'one',
            model: 'm',
            step: 1,
            durationMs: 12.5,
            usage: { ...unknownUsage, inputTokens: 3 },
            costUsd: undefined,
            error: { code: 'TROUPE_ERR_BACKEND_TIMEOUT', class: 'timeout', message: 'nothing came' },
          },
          { backend: 'two', model: 'n', step: 1, durationMs: 0, usage: unknownUsage, costUsd: 0.1 },
        ],
        durationMs: 40,
      },
    };
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      s.putAsk(ask('1'));
      s.settleAsk('a', '1', outcome);
    });
    expect(await store.asks('a')).toEqual([{ ...ask('1'), groups: 0, outcome }]);
    await store.close();
  });

  test('a call is open until its ledger entry, also when its agent is removed', async () => {
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      for (const askId of ['1', '2', '3']) s.beginCall(call(askId));
      s.beginCall(call('2', { agent: 'b' }));
      s.beginCall(call('1', { backend: 'two', startedAt: 9 }));
      s.addUsage(entry({ askId: '2' }));
      s.addUsage(entry({ askId: 'unknown' }));
      s.addUsage(entry());
      s.removeAgent('a');
    });
    expect(await store.openCalls()).toEqual([
      call('3'),
      call('2', { agent: 'b' }),
      call('1', { backend: 'two', startedAt: 9 }),
    ]);
    await store.close();
  });

  test('the ledger adds up by agent, backend, model and day, of dead agents too; unknown stays unknown', async () => {
    const usage = { ...unknownUsage, inputTokens: 3, cacheReadTokens: 0 };
    const next = Date.UTC(2026, 10, 25);
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      s.addUsage(entry({ usage, costUsd: 0.1 }));
      s.addUsage(entry({ usage: { ...usage, outputTokens: 2 }, costUsd: 0.2 }));
      s.addUsage(entry());
      s.addUsage(entry({ at: next, calls: 1 }));
      s.addUsage(entry({ at: next, calls: 0, costUsd: 0.5 }));
      s.addUsage(entry({ model: 'n', calls: 0 }));
      s.addUsage(entry({ backend: 'two' }));
      s.addUsage(entry({ agent: 'b', usage }));
      s.removeAgent('a');
    });
    const sum = { agent: 'a', backend: 'one', model: 'm', day: '2026-11-24' };
    const nothing = { calls: 1, unpriced: 1, usage: unknownUsage, costUsd: undefined };
    expect(await store.ledger()).toEqual([
      {
        ...sum,
        calls: 3,
        unpriced: 1,
        usage: { inputTokens: 6, outputTokens: 2, cacheReadTokens: 0, cacheWriteTokens: undefined },
        costUsd: 0.1 + 0.2,
      },
      { ...sum, ...nothing, day: '2026-11-25', costUsd: 0.5 },
      { ...sum, ...nothing, model: 'n', calls: 0, unpriced: 0 },
      { ...sum, ...nothing, backend: 'two' },
      { ...sum, ...nothing, agent: 'b', usage },
    ]);
    await store.close();
  });

  test('10,000 groups of one agent, and 1,000 agents', async () => {
    const names = Array.from({ length: 1_000 }, (_, number) => `agent ${number}`);
    const store = await written(kind, (s) => {
      for (const name of names) s.putAgent(agent(name));
      for (let number = 0; number < 10_000; number += 1) s.appendGroup('agent 7', group(`text ${number}`));
      s.putAgent(agent('fork', { parent: { name: 'agent 7', groupCount: 9_999 } }));
    });
    const groups = await store.groups('agent 7');
    expect(groups).toEqual(Array.from({ length: 10_000 }, (_, number) => group(`text ${number}`)));
    expect(await store.groups('fork')).toEqual(groups.slice(0, -1));
    expect((await store.agents()).map(({ name }) => name)).toEqual([...names, 'fork']);
    await store.close();
  });

  test('a barrier without writes, many at once, and reading while one is under way', async () => {
    const store = open();
    await store.barrier();
    store.putAgent(agent('a'));
    const first = store.barrier();
    store.appendGroup('a', group('x'));
    await Promise.all([first, store.barrier(), store.groups('a'), store.barrier()]);
    expect(await store.groups('a')).toEqual([group('x')]);
    await Promise.all([store.close(), store.close()]);
  });

  test('what was enqueued before `close` is kept', async () => {
    const store = open();
    store.putAgent(agent('a'));
    const reopened = await later(store);
    await reopened.barrier();
    expect(await reopened.agents()).toEqual([agent('a')]);
    await reopened.close();
  });
});
