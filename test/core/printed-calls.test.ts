/** Tool calls that a model printed: which texts are some, and that no other text ever is. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { printedCalls } from '../../src/core/printed-calls.ts';

const isKnown = (name: string) => name === 'add' || name === 'look_up';
const add = '{"name": "add", "arguments": {"a": 1, "b": 2}}';
const lookUp = '{"name": "look_up", "parameters": {"word": "}<tool_call>"}}';
const added = { name: 'add', arguments: '{"a":1,"b":2}' };
const lookedUp = { name: 'look_up', arguments: '{"word":"}<tool_call>"}' };

function found(text: string) {
  const printed = printedCalls(text, isKnown);
  return printed && { ...printed, calls: printed.calls.map(({ id: _id, ...call }) => call) };
}

describe('calls', () => {
  test.each([
    ['nothing else', add, [added], ''],
    ['blanks around', `\n ${add}\n\n`, [added], ''],
    ['a list', `[${add}, ${lookUp}]`, [added, lookedUp], ''],
    ['one a line', `${add}\n${lookUp}`, [added, lookedUp], ''],
    ['behind a semicolon', `${add}; ${lookUp}`, [added, lookedUp], ''],
    ['in the words of OpenAI', `{"type":"function","function":${add}}`, [added], ''],
    ['arguments as a text', '{"name":"add","arguments":"{\\"a\\":1,\\"b\\":2}"}', [added], ''],
    ['Qwen', `<tool_call>\n${add}\n</tool_call>`, [added], ''],
    [
      'Qwen, twice, with words',
      `I add.\n<tool_call>${add}</tool_call>\n<tool_call>${add}</tool_call>\nSo.`,
      [added, added],
      'I add.\n\n\nSo.',
    ],
    ['Qwen, end forgotten', `<tool_call>\n${add}`, [added], ''],
    ['Mistral', `[TOOL_CALLS] [${add}]`, [added], ''],
    ['Mistral, with words', `I add.\n[TOOL_CALLS][${add}]</s>`, [added], 'I add.'],
    ['Llama', `<|python_tag|>${add}<|eom_id|>`, [added], ''],
    ['Llama, twice', `<|python_tag|>${add}; ${lookUp}`, [added, lookedUp], ''],
    ['a block of code', `\`\`\`json\n${add}\n\`\`\``, [added], ''],
    ['a block of code behind words', `I will add:\n\n\`\`\`\n${add}\n\`\`\`\n`, [added], 'I will add:'],
  ])('%s', (_name, text, calls, around) => {
    expect(found(text)).toEqual({ calls, text: around });
  });

  test('each has an id of its own', () => {
    expect(printedCalls(`[${add},${add}]`, isKnown)?.calls.map(({ id }) => id)).toEqual(['call_1', 'call_2']);
  });
});

describe('no calls', () => {
  test.each([
    ['an empty text', ''],
    ['an unknown tool', '{"name": "drop", "arguments": {}}'],
    ['one known, one unknown', `[${add}, {"name": "drop", "arguments": {}}]`],
    ['no arguments', '{"name": "add"}'],
    ['arguments that are none', '{"name": "add", "arguments": 3}'],
    ['an object with more to it', '{"name": "add", "arguments": {}, "description": "Adds."}'],
    ['an empty list', '[]'],
    ['JSON that is cut', add.slice(0, -3)],
    ['in a sentence', `Call it as ${add} if you like.`],
    ['behind words', `The call is ${add}`],
    ['before words', `${add} is the call.`],
    ['a tag in a sentence', `Qwen prints <tool_call>${add}</tool_call> for that.`],
    ['a tag at the end of a sentence', `Qwen prints <tool_call>${add}</tool_call>`],
    ['a tag at the start of a sentence', `<tool_call>${add}</tool_call> is what Qwen prints.`],
    ['a tag in a block of code', `Qwen prints:\n\`\`\`\n<tool_call>${add}</tool_call>\n\`\`\`\nSo it is.`],
    [
      'tags with words between that are no line',
      `<tool_call>${add}</tool_call> and\nthen <tool_call>${add}</tool_call>`,
    ],
    ['a mark in a sentence', `Mistral prints [TOOL_CALLS] [${add}]`],
    ['a block that is talked about', `\`\`\`json\n${add}\n\`\`\`\nThis adds two numbers.`],
    ['two blocks', `\`\`\`json\n${add}\n\`\`\`\nor\n\`\`\`json\n${add}\n\`\`\``],
    ['a block in another language', `\`\`\`ts\n${add}\n\`\`\``],
    ['code', 'function add(a, b) { return { name: "add", arguments: { a, b } }; }'],
  ])('%s', (_name, text) => {
    expect(found(text)).toBeUndefined();
  });

  const pieces = [add, lookUp, '{', '}', '[', ']', ';', '\n', ' ', '```', '```json\n', '<tool_call>', '</tool_call>'];
  const words = ['So', 'the', 'call', 'x => { y }', '{"a": 1}', '[TOOL_CALLS]', '<|python_tag|>', '"name": "add"'];

  test('what begins and ends as an ordinary sentence is none, whatever is in it', () => {
    const anything = fc.array(fc.constantFrom(...pieces, ...words), { maxLength: 12 }).map((list) => list.join(''));
    fc.assert(
      fc.property(anything, fc.constantFrom(' ', ', '), (text, gap) => {
        const line = text.replaceAll('\n', ' ');
        expect(found(`You see${gap}${line} and so on.`)).toBeUndefined();
      }),
    );
  });

  test('a text without a known name is none, and no text makes it throw', () => {
    const anything = fc.array(fc.oneof(fc.constantFrom(...pieces, ...words), fc.string()), { maxLength: 12 });
    fc.assert(
      fc.property(anything, (list) => {
        const text = list.join('');
        expect(printedCalls(text, () => false)).toBeUndefined();
        const printed = printedCalls(text, isKnown);
        for (const { name, arguments: args } of printed?.calls ?? []) {
          expect(isKnown(name)).toBe(true);
          expect(text).toContain(`"${name}"`);
          expect(typeof JSON.parse(args)).toBe('object');
        }
      }),
    );
  });

  test('any JSON that is no call of a known tool is none', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(found(text)).toBeUndefined();
        expect(found(`\`\`\`json\n${text}\n\`\`\``)).toBeUndefined();
      }),
    );
  });
});
