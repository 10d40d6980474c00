/** Backends that keep something for an agent: a tool loop of their own, a session, a process. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Backend, ModelRequest, ModelResponse, ToolPhase } from '../../actors/backend.ts';
import { backendInfo } from '../../actors/backends/backend-info.ts';
import { tool } from '../../actors/tools/tool.ts';
import type { ToolMessage } from '../../src/core/types.ts';
import { unknownUsage } from '../../src/core/usage.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import { failure } from '../helpers/model-request.ts';

const troupes: Troupe[] = [];
afterEach(() => Promise.all(troupes.splice(0).map((troupe) => troupe.close())));

type Call = (request: ModelRequest) => Promise<ModelResponse>;

function backendOf(call: Call, more: Partial<Backend> = {}): Backend {
  return { kind: 'session', model: 'm', info: backendInfo('scripted'), call, ...more };
}

async function spawn(backend: Backend, spec: AgentSpec = {}) {
  const troupe = createTroupe({ backends: { backend } });
  troupes.push(troupe);
  return { troupe, agent: await troupe.spawn('worker', { maxRetries: 0, ...spec }) };
}

function says(text: string, more: Partial<ModelResponse> = {}): ModelResponse {
  const finishReason = { unified: 'stop', raw: undefined } as const;
  return { text, toolCalls: [], finishReason, usage: unknownUsage, costUsd: undefined, ...more };
}

const calls = [
  { id: '1', name: 'own', arguments: '{}' },
  { id: '2', name: 'theirs', arguments: '{}' },
];
const own = tool({ name: 'own', description: 'Ours.', execute: () => 'from here' });
const theirs: ToolMessage = { role: 'tool', callId: '2', name: 'theirs', content: 'from there' };

/** Wants two tools, then ends. */
function twoTools(phase: ToolPhase): Call {
  return async ({ prompt }) => (prompt.length > 0 ? says('', { toolCalls: calls, toolPhase: phase }) : says('done'));
}

describe('a tool loop of its own', () => {
  test('its tools run there, ours run here and are given back', async () => {
    const given: ToolMessage[] = [];
    const phase: ToolPhase = {
      hosted: (callId) => (callId === '2' ? Promise.resolve(theirs) : undefined),
      give: (result) => given.push(result),
      abandon: () => {},
    };
    const { agent } = await spawn(backendOf(twoTools(phase)), { tools: [own] });
    expect((await agent.ask('go')).text).toBe('done');
    const ours = { role: 'tool', callId: '1', name: 'own', content: 'from here' };
    expect(given).toEqual([ours]);
    expect(agent.messages().slice(2, 4)).toEqual([ours, theirs]);
  });

  test('a call that fails there is a failed result, whatever was thrown', async () => {
    const phase: ToolPhase = {
      hosted: (callId) => (callId === '2' ? Promise.reject(new Error('broken')) : undefined),
      give: () => {},
      abandon: () => {},
    };
    const { agent } = await spawn(backendOf(twoTools(phase)), { tools: [own] });
    await agent.ask('go');
    expect(agent.messages()[3]).toEqual({ ...theirs, content: 'broken', isError: true });
  });

  test.each(['cancel', 'kill', 'deadline', 'step limit'])('is told when nobody goes on with it: %s', async (how) => {
    let abandoned = 0;
    let hosting = () => {};
    const hosts = new Promise<void>((resolve) => {
      hosting = resolve;
    });
    const phase: ToolPhase = {
      hosted: () => {
        hosting();
        return new Promise(() => {});
      },
      give: () => {},
      abandon: () => {
        abandoned += 1;
      },
    };
    const limits = how === 'step limit' ? { maxSteps: 1 } : {};
    const { agent } = await spawn(backendOf(twoTools(phase)), limits);
    const handle = agent.askAsync('go', how === 'deadline' ? { timeoutMs: 50 } : {});
    const failed = failure(handle.wait());
    if (how !== 'step limit') await hosts;
    if (how === 'cancel') handle.cancel();
    if (how === 'kill') await agent.kill();
    await failed;
    expect(abandoned).toBe(1);
  });
});

describe('what is kept for an agent', () => {
  test('kill waits until it is gone, and what fails there harms nobody', async () => {
    const order: string[] = [];
    let letGo = () => {};
    const release = (name: string) =>
      new Promise<void>((_, reject) => {
        letGo = () => {
          order.push(`released ${name}`);
          reject(new Error('broken'));
        };
      });
    const { agent } = await spawn(backendOf(async () => says('Hi'), { release }));
    const killed = agent.kill().then(() => order.push('killed'));
    letGo();
    await killed;
    expect(order).toEqual(['released worker', 'killed']);
  });

  test('what a call that was given up turned out to cost is in all sums, also of a dead agent', async () => {
    const usage = { inputTokens: 10, outputTokens: 2, cacheReadTokens: undefined, cacheWriteTokens: undefined };
    let tell = () => {};
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const call: Call = ({ onLateSpend }) =>
      new Promise(() => {
        tell = () => onLateSpend?.({ usage, costUsd: 0.5 });
        begin();
      });
    const { troupe, agent } = await spawn(backendOf(call));
    const asked = failure(agent.ask('go'));
    await begun;
    await agent.kill();
    expect((await asked).attempts).toMatchObject([{ usage: unknownUsage, error: { code: 'TROUPE_ERR_AGENT_DEAD' } }]);
    tell();
    expect([agent.usage(), agent.costUsd, troupe.usage()]).toEqual([usage, 0.5, { usage, costUsd: 0.5 }]);
  });

  test('marks and thinking go into the log, and to the next call', async () => {
    const session = { backend: 'session', id: 's', entry: 'e' };
    const thinking = { protocol: 'anthropic', blocks: [{ type: 'thinking', thinking: 'Hm.', signature: 'x' }] };
    const heard: unknown[] = [];
    const call: Call = async ({ conversation }) => {
      heard.push(conversation.messages().at(-1));
      return says('Hi', { session, thinking });
    };
    const { agent } = await spawn(backendOf(call));
    await agent.ask('one');
    await agent.ask('two');
    expect(heard).toEqual([undefined, { role: 'assistant', content: 'Hi', session, thinking }]);
  });
});

describe('pictures', () => {
  const image = { mediaType: 'image/png', data: 'iVBORw0KGgo=' } as const;

  test('go with their prompt', async () => {
    const heard: unknown[] = [];
    const { agent } = await spawn(
      backendOf(async ({ prompt }) => {
        heard.push(...prompt);
        return says('A cat.');
      }),
    );
    await agent.ask('What is it?', { images: [image] });
    expect(heard).toEqual([{ role: 'user', content: 'What is it?', images: [image] }]);
    expect(agent.messages()[0]).toEqual(heard[0]);
  });

  test.each([[{ mediaType: 'image/tiff', data: 'x' }], [{ data: 'x' }], [null]])(
    'of another kind are refused: %j',
    async (wrong) => {
      const { agent } = await spawn(backendOf(async () => says('')));
      const error = await failure(agent.ask('What is it?', { images: [wrong as never] }));
      expect([error.code, error.message.includes('`images` must be a list')]).toEqual([
        'TROUPE_ERR_OPTION_INVALID',
        true,
      ]);
    },
  );
});
