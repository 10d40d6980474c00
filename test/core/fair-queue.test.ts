/** Whose turn it is, by examples and beside a slow queue that is plainly right. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FairQueue } from '../../src/core/fair-queue.ts';

const seed = Number(process.env['MODEL_SEED'] ?? 20_251_107);

function filled(...entries: [key: string, value: string][]): FairQueue<string, string> {
  const queue = new FairQueue<string, string>();
  for (const [key, value] of entries) queue.add(key, value);
  return queue;
}

function takeAll<Value>(queue: FairQueue<string, Value>): Value[] {
  const taken: Value[] = [];
  for (let value = queue.take(); value !== undefined; value = queue.take()) taken.push(value);
  return taken;
}

test('keys take turns, and each serves its own in order', () => {
  const queue = filled(['a', 'a1'], ['a', 'a2'], ['a', 'a3'], ['b', 'b1'], ['c', 'c1'], ['b', 'b2']);
  expect(queue.size).toBe(6);
  expect(takeAll(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  expect(queue.size).toBe(0);
});

test('who comes while others wait has a turn in this round', () => {
  const queue = filled(['a', 'a1'], ['a', 'a2'], ['a', 'a3']);
  expect(queue.take()).toBe('a1');
  queue.add('b', 'b1');
  expect(takeAll(queue)).toEqual(['a2', 'b1', 'a3']);
});

test('it goes on after it was empty', () => {
  const queue = filled(['a', 'a1']);
  expect([queue.take(), queue.take()]).toEqual(['a1', undefined]);
  queue.add('a', 'a2');
  queue.add('b', 'b1');
  expect(takeAll(queue)).toEqual(['a2', 'b1']);
});

test('a value is taken out from where it waits, once', () => {
  const queue = filled(['a', 'a1'], ['a', 'a2'], ['b', 'b1']);
  expect([queue.delete('a', 'a1'), queue.delete('a', 'a1'), queue.delete('b', 'a2')]).toEqual([true, false, false]);
  expect(queue.values()).toEqual(['a2', 'b1']);
  expect(queue.delete('b', 'b1')).toBe(true);
  expect(queue.size).toBe(1);
  expect(takeAll(queue)).toEqual(['a2']);
});

test('a value that waits already stays where it is', () => {
  const queue = filled(['a', 'a1'], ['a', 'a2'], ['a', 'a1']);
  expect(queue.size).toBe(2);
  expect(takeAll(queue)).toEqual(['a1', 'a2']);
});

test('any order of uses goes as in a list of lists', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const use = fc.oneof(
    fc.record({ do: fc.constant('add' as const), key, value: fc.nat(12) }),
    fc.record({ do: fc.constant('delete' as const), key, value: fc.nat(12) }),
    fc.constant({ do: 'take' as const }),
  );
  const property = fc.property(fc.array(use, { maxLength: 200 }), (uses) => {
    const queue = new FairQueue<string, number>();
    let lists: [string, number[]][] = [];
    for (const each of uses) {
      const list = 'key' in each ? lists.find(([name]) => name === each.key)?.[1] : undefined;
      if (each.do === 'add') {
        queue.add(each.key, each.value);
        if (list === undefined) lists.push([each.key, [each.value]]);
        else if (!list.includes(each.value)) list.push(each.value);
      } else if (each.do === 'delete') {
        const at = list?.indexOf(each.value) ?? -1;
        expect(queue.delete(each.key, each.value)).toBe(at >= 0);
        if (at >= 0) list?.splice(at, 1);
      } else {
        const [first, ...others] = lists;
        expect(queue.take()).toBe(first?.[1].shift());
        lists = first === undefined ? [] : [...others, first];
      }
      lists = lists.filter(([, values]) => values.length > 0);
      expect(queue.values()).toEqual(lists.flatMap(([, values]) => values));
      expect(queue.size).toBe(lists.flatMap(([, values]) => values).length);
    }
  });
  fc.assert(property, { seed, numRuns: 500 });
});
