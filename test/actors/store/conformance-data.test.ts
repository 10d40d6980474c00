/** What every store must do with any data and in any order, run on each. */
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { memoryStore } from '../../../actors/store/memory.ts';
import type { Store } from '../../../actors/store/store.ts';
import type { Message } from '../../../src/core/types.ts';
import { agent, ask, call, entry, fresh, group, kinds, options, reply, written } from './stores.ts';

vi.setConfig({ testTimeout: 60_000 });

describe.each(kinds)('%s', (_name, kind) => {
  test('ten megabytes of text come back', async () => {
    const text = 'é\n'.repeat(5_000_000);
    const store = await written(kind, (s) => {
      s.putAgent(agent('a'));
      s.appendGroup('a', group(text));
    });
    expect(await store.groups('a')).toEqual([group(text)]);
    await store.close();
  });

  test.each([
    ['NUL', 'a\0b'],
    ['a lone surrogate', 'a\ud800b\udfff'],
    ['quotes and SQL', `'"; drop table agents; --`],
    ['a prototype', '__proto__'],
    ['emptiness', ''],
    ['a number', '1e3'],
    ['a long text', 'é'.repeat(10_000)],
  ])('%s is data, in names, ids and contents', async (_what, text) => {
    const data = JSON.parse('{"__proto__":{"x":1},"$type":"Function","toJSON":"no","constructor":null}');
    const store = await written(kind, (s) => {
      s.putAgent(agent('harmless'));
      s.putAgent(agent(text, { system: text, spec: { ...data, text } }));
      s.putAsk({ ...ask(text, text), prompt: text });
      s.appendGroup(text, [{ role: 'user', content: text }], text);
      s.putView(text, { groupCount: 1, head: [[{ role: 'user', content: text }]], kept: [] });
      s.beginCall(call(text, { agent: text, model: text }));
      s.addUsage(entry({ agent: text, backend: text, model: text }));
      s.settleAsk(text, text, reply(text));
    });
    const message: Message = { role: 'user', content: text };
    expect(await store.agents()).toEqual([agent('harmless'), agent(text, { system: text, spec: { ...data, text } })]);
    expect(Object.keys((await store.agents())[1]!.spec!)).toEqual([...Object.keys(data), 'text']);
    expect(await store.groups(text)).toEqual([[message]]);
    expect(await store.view(text)).toEqual({ groupCount: 1, head: [[message]], kept: [] });
    expect(await store.asks(text)).toEqual([{ ...ask(text, text), prompt: text, groups: 1, outcome: reply(text) }]);
    expect(await store.openCalls()).toEqual([call(text, { agent: text, model: text })]);
    expect((await store.ledger()).map(({ model }) => model)).toEqual([text]);
    await store.close();
  });
});

test('both kinds agree on any sequence of writes', async () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const askId = fc.constantFrom('1', '2', '3');
  const step = fc.oneof(
    fc.record({ name, parent: fc.option(name), groupCount: fc.nat(4) }).map(({ name: of, parent, groupCount }) => {
      const forked = parent === null ? {} : { parent: { name: parent, groupCount } };
      return (s: Store) => s.putAgent(agent(of, forked));
    }),
    name.map((of) => (s: Store) => s.removeAgent(of)),
    fc.tuple(name, fc.option(askId), fc.nat(99)).map(([of, id, text]) => (s: Store) => {
      s.appendGroup(of, group(`${text}`), id ?? undefined);
    }),
    fc.tuple(name, askId).map(
      ([of, id]) =>
        (s: Store) =>
          s.putAsk(ask(id, of)),
    ),
    fc.tuple(name, askId, fc.nat(9)).map(
      ([of, id, text]) =>
        (s: Store) =>
          s.settleAsk(of, id, reply(`${text}`)),
    ),
    fc.tuple(name, askId).map(
      ([of, id]) =>
        (s: Store) =>
          s.putStep(of, id, { role: 'assistant', content: id }),
    ),
    fc.tuple(name, askId, fc.nat(9)).map(
      ([of, id, callId]) =>
        (s: Store) =>
          s.startTool(of, id, `${callId}`),
    ),
    fc.tuple(name, fc.nat(3)).map(([of, groupCount]) => (s: Store) => {
      s.putView(of, { groupCount, head: [], kept: [] });
    }),
    fc.tuple(name, askId).map(
      ([of, id]) =>
        (s: Store) =>
          s.beginCall(call(id, { agent: of })),
    ),
    fc.tuple(name, fc.option(askId), fc.nat(2)).map(([of, id, cost]) => (s: Store) => {
      s.addUsage(
        entry({ agent: of, ...(id === null ? {} : { askId: id }), costUsd: cost === 0 ? undefined : cost / 3 }),
      );
    }),
  );
  const all = async (s: Store) => ({
    agents: await s.agents(),
    calls: await s.openCalls(),
    ledger: await s.ledger(),
    each: await Promise.all(
      ['a', 'b', 'c'].map(async (of) => [await s.groups(of), await s.asks(of), await s.view(of)]),
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const [memory, sqlite] = [memoryStore(options), fresh()];
      for (const [index, write] of steps.entries()) {
        write(memory);
        write(sqlite);
        if (index % 7 === 0) await sqlite.barrier();
      }
      await sqlite.barrier();
      await sqlite.gc();
      expect(await all(sqlite)).toEqual(await all(memory));
      await sqlite.close();
    }),
    { numRuns: 60 },
  );
});
