/** How an agent runs the tools that its model wants: arguments, limits, repeats, tools that come and go. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Tool, type ToolOptions, tool } from '../../actors/tools/tool.ts';
import type { ToolMessage } from '../../src/core/types.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { canonicalArguments, readArguments } from '../../src/runtime/tool-arguments.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';
import { failure } from '../helpers/model-request.ts';

const anything = z.looseObject({});

async function scene(spec: AgentSpec) {
  const clock = new VirtualClock();
  const backend = gatedBackend();
  const troupe = createTroupe({ backends: { backend }, clock });
  const agent = await troupe.spawn('worker', spec);
  // What is loaded at its first use takes more than promises.
  const called = async () => {
    while (backend.pending.length === 0) await settle();
  };
  /** The model wants these; an id for each is made up. */
  const want = async (...calls: readonly (readonly [name: string, text?: string])[]) => {
    await called();
    const toolCalls = calls.map(([name, text = '{}'], index) => ({ id: `c${index + 1}`, name, arguments: text }));
    backend.next().resolve({ toolCalls });
    await settle();
  };
  const end = async () => {
    await called();
    backend.next().resolve({ text: 'done' });
  };
  return { clock, backend, troupe, agent, want, end };
}

function results(agent: Agent): ToolMessage[] {
  return agent.messages().filter((message) => message.role === 'tool');
}

/** A tool whose calls end when the test says so. */
function gated(options: Partial<ToolOptions<Record<string, unknown>>> = {}) {
  const running: { readonly args: unknown; readonly end: () => void }[] = [];
  const made = tool({
    ...{ name: 'gate', description: 'Waits for the test.', parameters: anything },
    execute: (args) =>
      new Promise((resolve) => {
        const one = {
          args,
          end: () => {
            running.splice(running.indexOf(one), 1);
            resolve(args);
          },
        };
        running.push(one);
      }),
    ...options,
  });
  return { tool: made, running };
}

const echo = tool({ name: 'echo', description: 'Repeats.', parameters: anything, execute: (args) => args });

describe('arguments', () => {
  test.each([
    ['none', '', {}, false],
    ['JSON', '{"a":[1]}', { a: [1] }, false],
    ['single quotes and a comma too many', "{'a': 1,}", { a: 1 }, true],
    ['words of Python', '{"a": True, "b": None}', { a: true, b: null }, true],
    ['a fence', '```json\n{"a": 1}\n```', { a: 1 }, true],
    ['keys without quotes', '{a: "x"}', { a: 'x' }, true],
  ])('are read: %s', async (_name, text, value, repaired) => {
    expect(await readArguments(text)).toEqual({ value, repaired });
  });

  test.each(['{"path": "/home/me/pro', '{"a": {"b": 1}', '{"a": [1, 2}', 'I will look.', '{"a": 1,', '{"a": tr'])(
    'that were cut, or are none, are not made up: %s',
    async (text) => {
      expect(await readArguments(text)).toEqual({ problem: expect.stringContaining('JSON') });
    },
  );

  test('that had to be repaired are said in the result; those that cannot be are refused', async () => {
    const { agent, want, end } = await scene({ tools: [echo] });
    const asked = agent.ask('go');
    await want(['echo', "{'a': 1,}"], ['echo', '{"a": 1'], ['echo', '{"a": 1}']);
    await end();
    await asked;
    const [repaired, cut, sound] = results(agent);
    expect(repaired?.content).toBe('[arguments were read as {"a":1}]\n{"a":1}');
    expect(cut).toMatchObject({ isError: true, content: expect.stringContaining('The arguments are no valid JSON: ') });
    expect(sound?.content).toBe('{"a":1}');
  });

  test('are the same however they are written', () => {
    expect(canonicalArguments('{"b": {"d":1,"c":2}, "a":[2,1]}')).toBe('{"a":[2,1],"b":{"c":2,"d":1}}');
    expect(canonicalArguments(' not json ')).toBe('not json');
  });
});

describe('limits', () => {
  test('so many calls of a step run at once, and the results stand in the order of the calls', async () => {
    const gate = gated();
    const { agent, want, end } = await scene({ tools: [gate.tool], maxParallelTools: 2 });
    const asked = agent.ask('go');
    await want(...['1', '2', '3', '4'].map((number) => ['gate', `{"n":${number}}`] as const));
    const seen: number[] = [];
    while (gate.running.length > 0) {
      seen.push(gate.running.length);
      gate.running.at(-1)?.end();
      await settle();
    }
    await end();
    await asked;
    expect(seen).toEqual([2, 2, 2, 1]);
    expect(results(agent).map(({ content }) => content)).toEqual(['{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}']);
  });

  test('what waits for its turn never starts when the ask is cancelled', async () => {
    const gate = gated();
    const { agent, want } = await scene({ tools: [gate.tool], maxParallelTools: 1 });
    const handle = agent.askAsync('go');
    const failed = failure(handle.wait());
    await want(['gate'], ['gate']);
    const [first] = gate.running;
    handle.cancel();
    first?.end();
    await settle();
    expect((await failed).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    expect(gate.running).toEqual([]);
    expect(results(agent).map(({ content }) => content)).toEqual([
      'This call was interrupted; whether it had an effect is not known.',
      'This call was interrupted before it ran.',
    ]);
  });

  test('a call that is cancelled while its arguments are checked never starts', async () => {
    let checked = () => {};
    let runs = 0;
    const slow: Tool = {
      definition: { name: 'slow', description: '', parameters: { type: 'object' } },
      check: (value) =>
        new Promise((resolve) => {
          checked = () => resolve({ value });
        }),
      run: async () => {
        runs += 1;
      },
    };
    const { agent, want } = await scene({ tools: [slow] });
    const handle = agent.askAsync('go');
    const failed = failure(handle.wait());
    await want(['slow']);
    handle.cancel();
    checked();
    await failed;
    await settle();
    expect(runs).toBe(0);
  });

  test("a tool's own time wins over the agent's", async () => {
    const never = { description: '', parameters: anything, execute: () => new Promise(() => {}) };
    const quick = tool({ ...never, name: 'quick', timeoutMs: 10 });
    const usual = tool({ ...never, name: 'usual' });
    const { agent, clock, want, end } = await scene({ tools: [quick, usual], timeouts: { toolMs: 50 } });
    const asked = agent.ask('go');
    await want(['quick'], ['usual']);
    await clock.advance(50);
    await end();
    await asked;
    expect(results(agent).map(({ content }) => content)).toEqual([
      'The tool took longer than 10 ms.',
      'The tool took longer than 50 ms.',
    ]);
    expect(clock.pending).toBe(0);
  });

  test('a result that is too long is cut where it says, never within a character', async () => {
    const much = tool({ name: 'much', description: '', parameters: anything, execute: () => `123${'😀'.repeat(3)}` });
    const { agent, want, end } = await scene({ tools: [much], maxToolResultChars: 4 });
    const asked = agent.ask('go');
    await want(['much']);
    await end();
    await asked;
    expect(results(agent)[0]?.content).toBe('123\n[cut: 6 more characters]');
  });

  test.each([
    [{ maxParallelTools: 0 }, '`maxParallelTools` must be a whole number above 0, not 0'],
    [{ maxToolResultChars: 1.5 }, '`maxToolResultChars` must be a whole number above 0'],
    [{ maxSameCalls: -1 }, '`maxSameCalls` must be a whole number above 0'],
    [{ approval: { timeoutMs: 0, onTimeout: 'allow' } }, '`timeoutMs` must be a number of milliseconds above 0, not 0'],
    [{ approval: { onTimeout: 'allow' } }, '`onTimeout` must be "deny" or "fail", not "allow"'],
  ])('are checked: %j', async (wrong, message) => {
    const error = await failure(createTroupe().spawn('a', wrong as AgentSpec));
    expect([error.code, error.message.includes(message)]).toEqual(['TROUPE_ERR_OPTION_INVALID', true]);
  });
});

describe('the same call again and again', () => {
  test('is answered with an error instead of being run, and at last the ask fails', async () => {
    const ran: unknown[] = [];
    const look = tool({ name: 'look', description: '', parameters: anything, execute: (args) => ran.push(args) });
    const { agent, want } = await scene({ tools: [look], maxSameCalls: 2 });
    const failed = failure(agent.ask('go'));
    for (const text of ['{"a":1,"b":2}', '{"b":2,"a":1}', '{"a":1,"b":2}', '{ "a":1, "b":2 }', '{"a":1,"b":2}'])
      await want(['look', text]);
    expect(await failed).toMatchObject({
      code: 'TROUPE_ERR_ASK_STEPS_EXCEEDED',
      message: expect.stringMatching(/same call of "look" 5 times in a row; raise `maxSameCalls`/),
    });
    expect(ran).toHaveLength(2);
    const refused = 'so it was not run again: use its result, or do something else.';
    expect(results(agent).map(({ content, isError = false }) => [content, isError])).toEqual([
      ['1', false],
      ['2', false],
      ...[3, 4, 5].map((times) => [`This call was made ${times} times in a row, ${refused}`, true]),
    ]);
  });

  test('counts anew after another call, for other arguments and for the next ask', async () => {
    const { agent, want, end } = await scene({ tools: [echo], maxSameCalls: 1 });
    for (const _ask of [1, 2]) {
      const asked = agent.ask('go');
      await want(['echo', '{"a":1}']);
      await want(['echo', '{"a":2}']);
      await want(['echo', '{"a":1}']);
      await end();
      await asked;
    }
    expect(results(agent).filter(({ isError }) => isError)).toEqual([]);
  });

  test('counts within one step, too, and what else the step wants is run', async () => {
    const { agent, want, end } = await scene({ tools: [echo], maxSameCalls: 1 });
    const asked = agent.ask('go');
    await want(['echo', '{"a":1}'], ['echo', '{"a":1}'], ['echo', '{"a":2}']);
    await end();
    await asked;
    expect(results(agent).map(({ isError = false }) => isError)).toEqual([false, true, false]);
  });
});

describe('tools that come and go', () => {
  test('a call in flight keeps the tools that it was offered', async () => {
    const { agent, want, end } = await scene({ tools: [echo] });
    const asked = agent.ask('go');
    await settle();
    agent.removeTools('echo');
    agent.addTools(tool({ name: 'other', description: '', parameters: anything, execute: () => 'x' }));
    await want(['echo', '{"a":1}'], ['other']);
    await want(['echo'], ['other']);
    await end();
    await asked;
    expect(results(agent).map(({ content }) => content)).toEqual([
      '{"a":1}',
      'There is no tool "other". Tools: echo.',
      'There is no tool "echo". Tools: other.',
      'x',
    ]);
  });

  test('a tool that runs goes on, and its result counts', async () => {
    const gate = gated();
    const { agent, want, end } = await scene({ tools: [gate.tool] });
    const asked = agent.ask('go');
    await want(['gate', '{"a":1}']);
    agent.removeTools('gate');
    gate.running[0]?.end();
    await end();
    expect((await asked).text).toBe('done');
    expect(results(agent)).toMatchObject([{ content: '{"a":1}' }]);
  });
});
