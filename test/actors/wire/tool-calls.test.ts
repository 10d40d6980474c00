import { describe, expect, it } from 'vitest';
import { ToolCallMerger } from '../../../actors/wire/tool-calls.ts';

/** One piece of a call as servers send it: id, index, name, arguments; undefined = the field is missing. */
type Piece = [id: string | null | undefined, index: number | undefined, name: string | undefined, text?: unknown];

function merge(pieces: readonly Piece[]): string[] {
  const merger = new ToolCallMerger();
  for (const [id, index, name, text] of pieces)
    merger.take([
      {
        ...(id === undefined ? {} : { id }),
        ...(index === undefined ? {} : { index }),
        function: { name, arguments: text },
      },
    ]);
  return merger.calls().map((call) => `${call.id} ${call.name} ${call.arguments}`);
}

describe('streamed tool calls', () => {
  it.each<[string, readonly Piece[], readonly string[]]>([
    ['one whole', [['a', 0, 'f', '{"x":1}']], ['a f {"x":1}']],
    [
      'one in pieces',
      [
        ['a', 0, 'f', ''],
        [undefined, 0, undefined, '{"x"'],
        [undefined, 0, undefined, ':1}'],
      ],
      ['a f {"x":1}'],
    ],
    [
      'two in pieces',
      [
        ['a', 0, 'f', '{'],
        [undefined, 0, undefined, '}'],
        ['b', 1, 'g', '{'],
        [undefined, 1, undefined, '}'],
      ],
      ['a f {}', 'b g {}'],
    ],
    [
      'interleaved by index',
      [
        ['a', 0, 'f', '{'],
        ['b', 1, 'g', '['],
        [undefined, 0, undefined, '}'],
        [undefined, 1, undefined, ']'],
      ],
      ['a f {}', 'b g []'],
    ],
    [
      'interleaved by id',
      [
        ['a', undefined, 'f', '{'],
        ['b', undefined, 'g', '['],
        ['a', undefined, undefined, '}'],
        ['b', undefined, undefined, ']'],
      ],
      ['a f {}', 'b g []'],
    ],
    [
      'both with index 0, other ids',
      [
        ['a', 0, 'f', '{"x":1}'],
        ['b', 0, 'f', '{"x":2}'],
      ],
      ['a f {"x":1}', 'b f {"x":2}'],
    ],
    [
      'both with index 0, in pieces',
      [
        ['a', 0, 'f', '{'],
        [undefined, 0, undefined, '}'],
        ['b', 0, 'f', '{'],
        [undefined, 0, undefined, '}'],
      ],
      ['a f {}', 'b f {}'],
    ],
    [
      'both with index 0, no id, other names',
      [
        [undefined, 0, 'f', '{"x":1}'],
        [undefined, 0, 'g', '{"x":2}'],
      ],
      ['call_1 f {"x":1}', 'call_2 g {"x":2}'],
    ],
    [
      'both with index 0, no id, same name',
      [
        [undefined, 0, 'f', '{"x":1}'],
        [undefined, 0, 'f', '{"x":2}'],
      ],
      ['call_1 f {"x":1}', 'call_2 f {"x":2}'],
    ],
    [
      'no index',
      [
        ['a', undefined, 'f', '{'],
        [undefined, undefined, undefined, '}'],
        ['b', undefined, 'g', '{}'],
      ],
      ['a f {}', 'b g {}'],
    ],
    [
      'no index, no id',
      [
        [undefined, undefined, 'f', '{"x":1}'],
        [null, undefined, 'f', '{"x":2}'],
      ],
      ['call_1 f {"x":1}', 'call_2 f {"x":2}'],
    ],
    [
      'one id for two indexes',
      [
        ['a', 0, 'f', '{"x":1}'],
        ['a', 1, 'f', '{"x":2}'],
      ],
      ['a f {"x":1}', 'call_2 f {"x":2}'],
    ],
    [
      'one id, no index',
      [
        ['a', undefined, 'f', '{"x":1}'],
        ['a', undefined, 'f', '{"x":2}'],
      ],
      ['a f {"x":1}', 'call_2 f {"x":2}'],
    ],
    [
      'an id that looks made up',
      [
        ['call_2', 0, 'f', '{}'],
        [undefined, 1, 'g', '{}'],
      ],
      ['call_2 f {}', 'call_2_ g {}'],
    ],
    [
      'id and name repeated in each piece',
      [
        ['a', 0, 'f', '{"x":'],
        ['a', 0, 'f', '"}"'],
        ['a', 0, 'f', '}'],
      ],
      ['a f {"x":"}"}'],
    ],
    [
      'name repeated after the end, with nothing',
      [
        ['a', 0, 'f', '{}'],
        ['a', 0, 'f', ''],
      ],
      ['a f {}'],
    ],
    [
      'a new id in each piece',
      [
        ['a', 0, 'f', '{"x"'],
        ['b', 0, undefined, ':1}'],
      ],
      ['a f {"x":1}'],
    ],
    [
      'the id after the name',
      [
        [undefined, 0, 'f', '{'],
        ['a', 0, undefined, '}'],
      ],
      ['a f {}'],
    ],
    ['an object for arguments', [['a', 0, 'f', { x: 1 }]], ['a f {"x":1}']],
    [
      'two objects, one index',
      [
        [undefined, 0, 'f', { x: 1 }],
        [undefined, 0, 'f', { x: 2 }],
      ],
      ['call_1 f {"x":1}', 'call_2 f {"x":2}'],
    ],
    ['no arguments', [['a', 0, 'f']], ['a f {}']],
    [
      'empty arguments',
      [
        ['a', 0, 'f', ''],
        [undefined, 0, undefined, ' \n'],
      ],
      ['a f {}'],
    ],
    ['null arguments', [['a', 0, 'f', null]], ['a f {}']],
    ['invalid arguments', [['a', 0, 'f', '{"x":oops}']], ['a f {"x":oops}']],
    ['no name', [['a', 0, undefined, '{}']], ['a  {}']],
    [
      'quotes and brackets in a text',
      [
        ['a', 0, 'f', '{"x":"\\"}'],
        ['a', 0, 'f', ']\\\\"'],
        ['a', 0, 'f', '}'],
      ],
      ['a f {"x":"\\"}]\\\\"}'],
    ],
    [
      'a new id after a call without arguments',
      [
        ['a', 0, 'f', ''],
        ['b', 0, 'f', '{}'],
      ],
      ['a f {}', 'b f {}'],
    ],
    [
      'a new name after a call without arguments',
      [
        [undefined, 0, 'f', ''],
        [undefined, 0, 'g', '{}'],
      ],
      ['call_1 f {}', 'call_2 g {}'],
    ],
    [
      'one id for two indexes, interleaved',
      [
        ['a', 0, 'f', '{'],
        ['a', 1, 'f', '['],
        [undefined, 0, undefined, '}'],
        [undefined, 1, undefined, ']'],
      ],
      ['a f {}', 'call_2 f []'],
    ],
    [
      'indexes out of order',
      [
        ['b', 1, 'g', '{}'],
        ['a', 0, 'f', '{}'],
      ],
      ['b g {}', 'a f {}'],
    ],
  ])('are each one call with its own arguments: %s', (_shape, pieces, calls) => {
    expect(merge(pieces)).toEqual(calls);
  });

  it('take no harm from what is none', () => {
    const merger = new ToolCallMerger();
    for (const odd of [
      undefined,
      null,
      7,
      'x',
      {},
      [],
      [null, 7, 'x'],
      [[]],
      [{ function: null }],
      [{ index: 'x', id: 5 }],
    ])
      expect(() => merger.take(odd)).not.toThrow();
    expect(merger.calls().every(({ name }) => name === '')).toBe(true);
  });
});
