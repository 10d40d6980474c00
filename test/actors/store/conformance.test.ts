/** What every store must do, run on each. */
import { describe, expect, test } from 'vitest';
import { memoryStore } from '../../../actors/store/memory.ts';
import type { Store } from '../../../actors/store/store.ts';
import type { Group } from '../../../src/core/conversation.ts';
import { unknownUsage } from '../../../src/core/usage.ts';

const stores: [string, () => Store][] = [['memory', () => memoryStore({ keepSettled: 2 })]];

const agent = (name: string, rest = {}) => ({ name, backend: 'one', createdAt: 1, ...rest });
const group = (text: string): Group => [
  { role: 'user', content: text },
  { role: 'assistant', content: text.toUpperCase() },
];
const ask = (askId: string) => ({ agent: 'a', askId, prompt: `prompt of ${askId}`, acceptedAt: 1, deadlineAt: 2 });

describe.each(stores)('%s', (_name, make) => {
  test('agents come back in order, without the removed', async () => {
    const store = make();
    for (const name of ['b', 'a', 'c']) store.putAgent(agent(name, { system: `system of ${name}` }));
    store.removeAgent('a');
    await store.barrier();
    expect(await store.agents()).toEqual([
      agent('b', { system: 'system of b' }),
      agent('c', { system: 'system of c' }),
    ]);
    await store.close();
  });

  test('groups come back whole and in order; unknown agents have none', async () => {
    const store = make();
    store.putAgent(agent('a'));
    for (const text of ['x', 'y']) store.appendGroup('a', group(text));
    await store.barrier();
    expect([await store.groups('a'), await store.groups('z')]).toEqual([[group('x'), group('y')], []]);
    await store.close();
  });

  test('a fork shares a prefix, goes its own way and outlives its parent', async () => {
    const store = make();
    store.putAgent(agent('a'));
    for (const text of ['x', 'y']) store.appendGroup('a', group(text));
    store.putAgent(agent('b', { parent: { name: 'a', groupCount: 1 } }));
    store.appendGroup('b', group('z'));
    store.appendGroup('a', group('w'));
    store.putAgent(agent('c', { parent: { name: 'b', groupCount: 2 } }));
    store.removeAgent('a');
    store.removeAgent('b');
    await store.barrier();
    expect(await store.groups('c')).toEqual([group('x'), group('z')]);
    await store.close();
  });

  test('asks are open until they are settled; old settled ones may be dropped, open ones never', async () => {
    const store = make();
    store.putAgent(agent('a'));
    for (const askId of ['1', '2', '3', '4']) store.putAsk(ask(askId));
    const outcome = { kind: 'reply' as const, text: 'ok' };
    for (const askId of ['1', '2', '4', 'unknown']) store.settleAsk('a', askId, outcome);
    await store.barrier();
    const asks = await store.asks('a');
    expect(asks.filter((one) => one.outcome === undefined)).toEqual([ask('3')]);
    expect(asks.filter((one) => one.outcome !== undefined)).toEqual([
      { ...ask('2'), outcome },
      { ...ask('4'), outcome },
    ]);
    await store.close();
  });

  test('the ledger adds up by agent, of dead ones too; unknown stays unknown', async () => {
    const store = make();
    store.putAgent(agent('a'));
    const usage = { ...unknownUsage, inputTokens: 3 };
    store.addUsage({ agent: 'a', calls: 1, usage, costUsd: 0.5 });
    store.addUsage({ agent: 'a', calls: 1, usage, costUsd: undefined });
    store.addUsage({ agent: 'b', calls: 1, usage: unknownUsage, costUsd: undefined });
    store.removeAgent('a');
    await store.barrier();
    expect(await store.ledger()).toEqual([
      { agent: 'a', calls: 2, usage: { ...unknownUsage, inputTokens: 6 }, costUsd: 0.5 },
      { agent: 'b', calls: 1, usage: unknownUsage, costUsd: undefined },
    ]);
    await store.close();
  });
});
