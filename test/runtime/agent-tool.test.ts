/** Agents that ask agents through tools: what is refused, what ends together, what nobody waits for. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Backend } from '../../actors/backend.ts';
import { type Script, scripted } from '../../actors/backends/scripted.ts';
import { type ToolContext, tool } from '../../actors/tools/tool.ts';
import type { TroupeError } from '../../src/core/errors.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import { agentTool } from '../../src/runtime/agent-tool.ts';
import { askAll } from '../../src/runtime/ask-many.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';

/** Agents by these names, on one backend. */
async function scene(backend: Backend, names: readonly string[], options: TroupeOptions = {}) {
  const clock = new VirtualClock();
  const troupe = createTroupe({ backends: { backend }, clock, defaults: { maxRetries: 0 }, ...options });
  const agents: Record<string, Agent> = {};
  for (const name of names) agents[name] = await troupe.spawn(name);
  const agent = (name: string) => agents[name]!;
  return { clock, troupe, agent };
}

/** Every agent calls its one tool, if it has one, then says what that gave. */
const relay: Backend = {
  kind: 'relay',
  model: 'relay',
  info: { inference: 'embedded', price: 'free', capabilities: ['tools'], setup: '' },
  async call({ tools, prompt, conversation }) {
    const last = [...conversation.messages(), ...prompt].at(-1);
    const asked = last?.role === 'user';
    const [first] = tools;
    const toolCalls = asked && first ? [{ id: 'c', name: first.name, arguments: '{"prompt":"go on"}' }] : [];
    const unified = toolCalls.length > 0 ? 'tool-calls' : 'stop';
    const usage = { inputTokens: 10, outputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0 };
    const text = asked ? 'end' : (last?.content ?? '');
    return { text, toolCalls, finishReason: { unified, raw: undefined }, usage, costUsd: 0.5 };
  },
};

/** A tool that does this. */
function does(execute: (context: ToolContext) => unknown, timeoutMs?: number) {
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  return tool({ name: 'go', description: 'Goes.', execute: (_, context) => execute(context), ...limit });
}

const codeOf = (thrown: TroupeError) => thrown.code;
const call = (name: string, prompt = 'x') => ({ toolCalls: [{ name, arguments: { prompt } }] });

describe('agentTool', () => {
  test('asks with what the model said; each agent pays for itself', async () => {
    const { troupe, agent } = await scene(relay, ['boss', 'data base']);
    agent('boss').addTools(agentTool(agent('data base'), { description: 'Knows data.' }));
    const reply = await agent('boss').ask('Hi');
    expect([reply.text, reply.steps, reply.costUsd, reply.attempts.length]).toEqual(['end', 2, 1, 2]);
    expect(troupe.agents().map(({ name, costUsd, usage }) => [name, costUsd, usage.inputTokens])).toEqual([
      ['boss', 1, 20],
      ['data base', 0.5, 10],
    ]);
    expect(agent('data base').messages()).toEqual([
      { role: 'user', content: 'go on' },
      { role: 'assistant', content: 'end' },
    ]);
  });

  test('what the model is told of it', async () => {
    const { agent } = await scene(relay, ['déjà vu']);
    const { definition } = agentTool(agent('déjà vu'), { description: 'Knows.', prompt: (said) => `Briefly: ${said}` });
    expect(definition).toEqual({
      name: 'ask_d_j__vu',
      description: 'Knows.',
      parameters: {
        type: 'object',
        properties: {
          prompt: { type: 'string', description: 'The task or question, with everything needed to answer it.' },
        },
        required: ['prompt'],
        additionalProperties: false,
      },
    });
    expect(agentTool(agent('déjà vu'), { name: 'memory', description: 'Knows.' }).definition.name).toBe('memory');
    expect(() => agentTool(agent('déjà vu'), { name: 'no name', description: '' })).toThrow('`name`');
  });

  test('a prompt is made from what the model said', async () => {
    const backend = scripted({
      boss: [call('expert', 'why?'), { text: 'ok' }],
      expert: [{ expect: /^Briefly: why\?$/ }],
    });
    const { agent } = await scene(backend, ['boss', 'expert']);
    const prompt = (said: string) => `Briefly: ${said}`;
    agent('boss').addTools(agentTool(agent('expert'), { name: 'expert', description: '', prompt }));
    expect((await agent('boss').ask('Hi')).text).toBe('ok');
  });

  test('two agents ask one expert at the same time; it answers one after the other', async () => {
    const { agent } = await scene(relay, ['a', 'b', 'expert']);
    const expert = agentTool(agent('expert'), { description: 'Knows.' });
    agent('a').addTools(expert);
    agent('b').addTools(expert);
    const replies = await Promise.all([agent('a').ask('Hi'), agent('b').ask('Hi')]);
    expect(replies.map(({ text }) => text)).toEqual(['end', 'end']);
    expect(
      agent('expert')
        .messages()
        .map(({ content }) => content),
    ).toEqual(['go on', 'end', 'go on', 'end']);
  });

  test.each(['before', 'while it is asked'])('an expert that is killed %s is a failed call', async (when) => {
    const backend = gatedBackend();
    const { agent } = await scene(backend, ['boss', 'expert']);
    agent('boss').addTools(agentTool(agent('expert'), { name: 'expert', description: '' }));
    const asked = agent('boss').ask('Hi');
    await settle();
    if (when === 'before') await agent('expert').kill('tired');
    backend.next('boss').resolve({ toolCalls: [{ id: 'c', name: 'expert', arguments: '{"prompt":"x"}' }] });
    await settle();
    if (when !== 'before') await agent('expert').kill('tired');
    await settle();
    const content = expect.stringMatching(/^Agent "expert" is dead \(.*\); spawn another\.$/);
    expect(backend.next('boss').messages.at(-1)).toMatchObject({ role: 'tool', content, isError: true });
    backend.next('boss').resolve({ text: 'alone, then' });
    expect((await asked).text).toBe('alone, then');
  });
});

describe('a circle is refused at once', () => {
  test.each([1, 2, 3, 10])('of %i', async (count) => {
    const names = Array.from({ length: count }, (_, index) => `a${index}`);
    const { agent, clock } = await scene(relay, names, { maxAskDepth: 20 });
    for (const [index, name] of names.entries())
      agent(name).addTools(agentTool(agent(names[(index + 1) % count]!), { description: 'The next.' }));
    const { text } = await agent('a0').ask('Hi');
    const way = [...names.slice(-1), ...names].join(' → ');
    expect(text).toBe(`Agent "a0" cannot be asked here: it would wait for its own answer (${way}).`);
    expect(clock.pending).toBe(0);
  });

  test('also when each link is a chain of its own: a asks b while b asks a', async () => {
    const { agent, clock } = await scene(relay, ['a', 'b']);
    agent('a').addTools(agentTool(agent('b'), { description: '' }));
    agent('b').addTools(agentTool(agent('a'), { description: '' }));
    const replies = await Promise.all([agent('a').ask('Hi'), agent('b').ask('Hi')]);
    expect(replies.map(({ text }) => text.includes('would wait for its own answer'))).toContain(true);
    expect(clock.pending).toBe(0);
  });

  test('of a stateless agent, too, by every verb', async () => {
    const { troupe, agent } = await scene(relay, ['a']);
    const self = await troupe.spawn('self', { stateless: true });
    const verbs = [
      () => self.ask('x').catch(codeOf),
      () => self.askAsync('x').wait().catch(codeOf),
      () => self.stream('x')[Symbol.asyncIterator]().next().catch(codeOf),
      async () => (await askAll([{ agent: self, prompt: 'x' }])).map(({ error }) => error?.code).join(),
    ];
    const codes: unknown[] = [];
    self.addTools(does(async () => codes.push(...(await Promise.all(verbs.map((verb) => verb()))))));
    await self.ask('Hi');
    expect(codes).toEqual(Array(4).fill('TROUPE_ERR_ASK_CYCLE'));
    expect((await agent('a').ask('Hi')).text).toBe('end');
  });

  test('whatever agents ask at whatever time, nobody waits for ever', async () => {
    const graphs = fc.array(fc.array(fc.nat(4), { maxLength: 3 }), { minLength: 2, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        graphs,
        fc.array(fc.nat(4), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (graph, starts, atOnce) => {
          const names = graph.map((_, index) => `a${index}`);
          const { agent, clock } = await scene(relay, names);
          const at = (index: number) => agent(names[index % names.length]!);
          for (const [index, targets] of graph.entries()) {
            const ask = (target: number) =>
              at(target)
                .ask('go on')
                .then(() => 'ok', codeOf);
            const inTurn = async () => {
              for (const target of targets) await ask(target);
            };
            at(index).addTools(does(() => (atOnce ? Promise.all(targets.map(ask)) : inTurn())));
          }
          const results = await Promise.race([Promise.all(starts.map((start) => at(start).ask('Hi'))), waitLong()]);
          expect(results?.map(({ agent: name }) => name)).toEqual(starts.map((start) => at(start).name));
          expect(clock.pending).toBe(0);
        },
      ),
    );
  }, 60_000);
});

/** More turns of the event loop than any of these asks takes. */
async function waitLong(): Promise<undefined> {
  for (let turn = 0; turn < 300; turn += 1) await settle();
}

describe('no circle, no refusal', () => {
  test('two ways to one agent', async () => {
    const { agent } = await scene(relay, ['a', 'b', 'c', 'd']);
    const texts: string[] = [];
    const say = async (...names: string[]) => {
      texts.push(...(await Promise.all(names.map(async (name) => (await agent(name).ask('x')).text))));
    };
    agent('a').addTools(does(() => say('b', 'c', 'd')));
    agent('b').addTools(does(() => say('c', 'd')));
    agent('c').addTools(does(() => say('d')));
    await agent('a').ask('Hi');
    expect(texts).toHaveLength(7);
  });

  test('what a tool leaves running when it ends is on no path', async () => {
    const { agent } = await scene(relay, ['a', 'b']);
    let left: Promise<{ readonly text: string }> | undefined;
    agent('a').addTools(
      does(() => {
        left = settle().then(() => agent('a').ask('afterwards'));
        agent('a').removeTools('go');
      }),
    );
    await agent('a').ask('Hi');
    expect((await left)?.text).toBe('end');
  });

  test('a listener to the end of an inner ask asks whom it likes', async () => {
    const { troupe, agent } = await scene(relay, ['a', 'b']);
    let asked: Promise<{ readonly text: string }> | undefined;
    troupe.on('ask-settled', (settled) => {
      if (settled.agent !== 'b') return;
      agent('a').removeTools('ask_b');
      asked = agent('a').ask('And?');
    });
    agent('a').addTools(agentTool(agent('b'), { description: '' }));
    await agent('a').ask('Hi');
    expect((await asked)?.text).toBe('end');
  });

  test('many asks of one tool warn of nothing', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `b${index}`);
    const { agent } = await scene(relay, ['a', ...names]);
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    agent('a').addTools(does(({ signal }) => Promise.all(names.map((name) => agent(name).ask('x', { signal })))));
    await agent('a').ask('Hi');
    await settle();
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

test.each([
  ['by default 8 deep', {}, 8],
  ['as deep as is allowed', { maxAskDepth: 3 }, 3],
])('asks nest %s', async (_what, options, depth) => {
  const names = Array.from({ length: 12 }, (_, index) => `a${index}`);
  const { agent, troupe } = await scene(relay, names, options);
  for (const [index, name] of names.slice(1).entries())
    agent(names[index]!).addTools(agentTool(agent(name), { description: 'The next.' }));
  const { text } = await agent('a0').ask('Hi');
  const way = names.slice(0, depth + 1).join(' → ');
  expect(text).toBe(`Asks nest ${depth + 1} deep (${way}); \`maxAskDepth\` is ${depth}.`);
  expect(troupe.agents().filter(({ usage }) => usage.inputTokens !== undefined)).toHaveLength(depth);
  expect(() => createTroupe({ maxAskDepth: 0 })).toThrow('`maxAskDepth`');
});

describe('an inner ask ends with what waits for it', () => {
  /** `boss` has asked `expert`, whose call hangs; `ask` is how the tool asks. */
  async function inProgress(ask: (expert: Agent, context: ToolContext) => unknown, timeoutMs?: number) {
    const backend = gatedBackend();
    const { clock, troupe, agent } = await scene(backend, ['boss', 'expert']);
    agent('boss').addTools(does((context) => ask(agent('expert'), context), timeoutMs));
    const settled: string[] = [];
    troupe.on('ask-settled', ({ agent: name, outcome }) => settled.push(`${name} ${outcome}`));
    const handle = agent('boss').askAsync('Hi', { timeoutMs: 1000 });
    await settle();
    backend.next('boss').resolve({ toolCalls: [{ id: 'c', name: 'go', arguments: '{}' }] });
    await settle();
    expect(backend.pending.map((pending) => pending.agent)).toContain('expert');
    return { backend, clock, boss: agent('boss'), handle, settled };
  }

  const ways = [
    ['a plain ask', (expert: Agent) => expert.ask('x')],
    ['an ask with a signal of its own', (expert: Agent) => expert.ask('x', { signal: new AbortController().signal })],
    ["an ask with the tool's signal", (expert: Agent, { signal }: ToolContext) => expert.ask('x', { signal })],
    ['askAll', (expert: Agent) => askAll([{ agent: expert, prompt: 'x' }])],
  ] as const;

  test.each(ways)('cancelled with it: %s', async (_way, ask) => {
    const { backend, handle, settled, clock } = await inProgress(ask);
    handle.cancel();
    await settle();
    expect([backend.aborted.map(({ agent }) => agent), settled]).toEqual([
      ['expert'],
      ['boss failed', 'expert failed'],
    ]);
    expect([await handle.wait().catch(codeOf), clock.pending]).toEqual(['TROUPE_ERR_ASK_CANCELLED', 0]);
  });

  test.each(ways)('killed with its agent: %s', async (_way, ask) => {
    const { backend, handle, boss, clock } = await inProgress(ask);
    await boss.kill();
    await settle();
    expect(backend.aborted.map(({ agent }) => agent)).toEqual(['expert']);
    expect([await handle.wait().catch(codeOf), clock.pending]).toEqual(['TROUPE_ERR_AGENT_DEAD', 0]);
  });

  test.each(ways)('with the time of the tool: %s', async (_way, ask) => {
    const { backend, clock, handle } = await inProgress(ask, 200);
    await clock.advance(200);
    expect(backend.aborted.map(({ agent }) => agent)).toEqual(['expert']);
    expect(backend.next('boss').messages.at(-1)).toMatchObject({ isError: true });
    backend.next('boss').resolve({ text: 'without it' });
    expect((await handle.wait()).text).toBe('without it');
  });

  test.each(ways)('with the time of the outer ask: %s', async (_way, ask) => {
    const { backend, clock, handle } = await inProgress(ask);
    await clock.advance(1000);
    expect(backend.aborted.map(({ agent }) => agent)).toEqual(['expert']);
    expect([await handle.wait().catch(codeOf), clock.pending]).toEqual(['TROUPE_ERR_ASK_TIMEOUT', 0]);
  });

  test.each([
    ['the time that the outer ask has left', {}, 1000],
    ['that, though it wants more', { timeoutMs: 5000 }, 1000],
    ['less, when it wants less', { timeoutMs: 300 }, 300],
  ])('one that a tool leaves behind has %s', async (_what, options, ms) => {
    let left: Promise<unknown> | undefined;
    const { backend, clock, handle } = await inProgress((expert) => {
      left = expert.ask('x', options).catch(({ message }: TroupeError) => message);
    });
    backend.next('boss').resolve({ text: 'it is on its way' });
    expect((await handle.wait()).text).toBe('it is on its way');
    await clock.advance(ms - 1);
    expect(backend.aborted).toEqual([]);
    await clock.advance(1);
    expect(await left).toBe(`The ask to "expert" did not end within ${ms} ms.`);
  });

  test('a tool that was given up asks nobody any more', async () => {
    let late: Promise<unknown> | undefined;
    const { handle } = await inProgress((expert) => {
      const first = expert.ask('x');
      late = first.catch(() => expert.ask('again').catch(codeOf));
      return late;
    });
    handle.cancel();
    expect(await late).toBe('TROUPE_ERR_ASK_CANCELLED');
  });
});

test('a list price is what a call costs when the backend does not say', async () => {
  const usage = { inputTokens: 1000, outputTokens: 100 };
  const script: Script = [{ text: 'x', usage }, { text: 'y' }];
  const { call: play, ...rest } = scripted(script);
  const paid: Backend = {
    ...rest,
    info: { ...rest.info, price: 'per-token' },
    call: async (request) => ({ ...(await play(request)), costUsd: undefined }),
  };
  const troupe = createTroupe({ backends: { paid } });
  const agent = await troupe.spawn('a', { model: 'claude-sonnet-4-20250514' });
  const costs = [(await agent.ask('1')).costUsd, (await agent.ask('2')).costUsd, agent.costUsd];
  expect(costs).toEqual([expect.closeTo(0.0045, 12), undefined, expect.closeTo(0.0045, 12)]);
});
