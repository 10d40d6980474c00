/** What a model takes: servers that refuse what is too long, that cut it without a word, and that have smaller windows. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ollama } from '../../actors/backends/ollama.ts';
import { openai } from '../../actors/backends/openai.ts';
import { none, slidingWindow } from '../../actors/compression/index.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import type { Compression } from '../../src/runtime/compress.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import type { AgentWarning } from '../../src/runtime/warnings.ts';
import { type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { last, ollamaFaults, part, streamed } from '../helpers/ollama-wire.ts';
import { chunk, doneEvent, openAiFaults } from '../helpers/openai-wire.ts';
import { sizedBackend, words } from '../helpers/sized-backend.ts';

const windowTokens = 600;
/** Words, as many tokens as they are to these servers. */
function sizeOf(body: Record<string, unknown> = {}): number {
  const messages = body['messages'] as { content: string }[];
  return messages.reduce((sum, { content }) => sum + content.split(' ').length, 0);
}

/** Refuses what is longer than its window. */
const limited: Fault = (exchange) => {
  const tokens = sizeOf(exchange.request.body);
  if (tokens > windowTokens) return openAiFaults['context-llama']?.(exchange);
  const usage = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: tokens, completion_tokens: 50 } })}\n\n`;
  exchange.reply(200, chunk({ content: words(50) }, 'stop') + usage + doneEvent, {
    'content-type': 'text/event-stream',
  });
};

/** An Ollama that says what it was trained for, and reads as much of a prompt as `most` tokens. */
const reading = (most: number): Fault => {
  return (exchange) => {
    const { request, reply } = exchange;
    if (request.path === '/api/show')
      return reply(200, { model_info: { 'general.architecture': 'a', 'a.context_length': 131_072 } });
    return streamed(
      part({ content: 'fine' }),
      last({ prompt_eval_count: Math.min(sizeOf(request.body), most) }),
    )(exchange);
  };
};

/** Answers, but never says what it takes. */
const silent: Fault = (exchange) => {
  if (exchange.request.path !== '/api/show') return reading(100_000)(exchange);
  wasAsked();
};
let wasAsked: () => void = () => {};

let chatServer: FaultServer;
let ollamaServer: FaultServer;
const troupes: Troupe[] = [];
beforeAll(async () => {
  chatServer = await faultServer({ ...openAiFaults, limited });
  const faults = { cutting: reading(4096), honest: reading(100_000), silent };
  ollamaServer = await faultServer({ ...ollamaFaults, ...faults });
});
afterEach(() => Promise.all(troupes.splice(0).map((troupe) => troupe.close())));
afterAll(() => Promise.all([chatServer.close(), ollamaServer.close()]));

async function spawn(spec: AgentSpec, options: TroupeOptions = {}) {
  const troupe = createTroupe({
    backends: {
      chat: openai({ endpoint: chatServer.url, apiKey: 'none' }),
      ollama: ollama({ endpoint: ollamaServer.url, contextTokens: 16_384 }),
    },
    ...options,
  });
  troupes.push(troupe);
  const compressed: Compression[] = [];
  const warnings: AgentWarning[] = [];
  troupe.on('compressed', (compression) => compressed.push(compression));
  troupe.on('warning', (warning) => warnings.push(warning));
  const agent = await troupe.spawn('worker', { compression: slidingWindow(), maxRetries: 0, ...spec });
  const already = chatServer.counts.requests;
  return { troupe, agent, compressed, warnings, requests: () => chatServer.counts.requests - already };
}

async function talk(agent: Agent, turns: number) {
  const replies = [];
  for (let turn = 1; turn <= turns; turn += 1) replies.push(await agent.ask(words(49, `p${turn}`)));
  return replies;
}

describe('a prompt that a server refuses as too long', () => {
  test('is compressed and sent again once; from then on it is compressed before', async () => {
    const { agent, compressed, requests } = await spawn({ model: 'fault:limited' });
    const replies = await talk(agent, 6);
    expect([requests(), compressed]).toEqual([6, []]);
    replies.push(await agent.ask(words(49, 'p7')));
    expect(requests()).toBe(8);
    expect(replies.at(-1)?.attempts.map(({ error }) => error?.code)).toEqual([
      'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW',
      undefined,
    ]);
    expect(compressed.length).toBe(1);
    expect(agent.messages().length).toBe(14);
    const { attempts } = (await talk(agent, 20)).reduce((one, other) =>
      other.attempts.length > one.attempts.length ? other : one,
    );
    expect([attempts.length, requests()]).toEqual([1, 28]);
    expect(compressed.length).toBeGreaterThan(3);
  });

  test('whatever is sent: the error says so after one compression, and the agent lives', async () => {
    const { agent, compressed, requests, troupe } = await spawn({ model: 'fault:limited' });
    await talk(agent, 4);
    const error: TroupeError = await agent.ask(words(700)).catch((thrown) => thrown);
    expect(error).toMatchObject({
      code: 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW',
      class: 'context-overflow',
      status: 400,
    });
    expect([error.attempts.length, requests(), compressed.length, agent.messages().length]).toEqual([2, 6, 1, 8]);
    const nothing = await troupe.spawn('nothing to leave out', { model: 'fault:context-openai' });
    await expect(nothing.ask('hi')).rejects.toMatchObject({ code: 'TROUPE_ERR_BACKEND_CONTEXT_OVERFLOW' });
    expect([requests(), compressed.length, nothing.state]).toEqual([8, 1, 'idle']);
    expect((await agent.ask('hi')).text).toBe(words(50));
  });

  test('`none` is compressed then, too, by the last resort, and goes on without a limit', async () => {
    const { agent, compressed } = await spawn({ model: 'fault:limited', compression: none() });
    expect((await talk(agent, 9)).map(({ attempts }) => attempts.length)).toEqual([...Array(6).fill(1), 2, 1, 1]);
    expect(compressed.map(({ by }) => by)).toEqual(['last-resort']);
  });
});

describe('a backend with a smaller window', () => {
  const down = new TroupeError('TROUPE_ERR_BACKEND_UNREACHABLE', 'nobody listens');

  async function falling(describeModel: () => Promise<{ contextTokens?: number }>) {
    let isDown = false;
    const large = sizedBackend({
      kind: 'large',
      answer: () => {
        if (isDown) throw down;
        return { text: words(50) };
      },
    });
    const small = sizedBackend({ kind: 'small', info: { inference: 'local' }, describeModel });
    const clock = new VirtualClock();
    const made = await spawn(
      { fallback: ['small'], parameters: { maxTokens: 100 } },
      { backends: { large, small }, clock },
    );
    await talk(made.agent, 20);
    isDown = true;
    return { ...made, small, clock };
  }

  test('that takes over is asked for it, and gets what fits', async () => {
    const { agent, small, compressed } = await falling(async () => ({ contextTokens: 1000 }));
    const reply = await agent.ask(words(49, 'p21'));
    expect(reply.attempts.map(({ backend, error }) => [backend, error?.code])).toEqual([
      ['large', 'TROUPE_ERR_BACKEND_UNREACHABLE'],
      ['small', undefined],
    ]);
    expect(compressed.length).toBe(1);
    const { messages = [] } = small.calls[0] ?? {};
    expect(messages.length).toBeLessThan(14);
    expect(messages).toEqual(agent.messages({ sent: true }).slice(0, -1));
    expect(agent.messages().length).toBe(42);
  });

  test('and that never says so is waited for five seconds, and not again for a minute', async () => {
    let asked = 0;
    const { agent, small, clock } = await falling(() => {
      asked += 1;
      return new Promise(() => {});
    });
    const first = agent.ask(words(49, 'p21'));
    await clock.advance(5000);
    await first;
    await agent.ask(words(49, 'p22'));
    expect([asked, small.calls.length, clock.now(), clock.pending]).toEqual([1, 2, 5000, 0]);
  });
});

describe('Ollama', () => {
  test('that cuts a prompt without a word is warned of, once for an agent', async () => {
    const { agent, warnings } = await spawn({ backend: 'ollama', model: 'fault:cutting' });
    await agent.ask(words(200));
    expect(warnings).toEqual([]);
    for (let count = 0; count < 3; count += 1) await agent.ask(words(11_000));
    expect(warnings).toEqual([
      {
        agent: 'worker',
        code: 'prompt-truncated',
        message:
          '"fault:cutting" at "ollama" has read 4096 tokens of a longer prompt: the server cut it without a word. Give it a larger context, or set `compression`.',
      },
    ]);
  });

  test('that reads what it is sent is not', async () => {
    const { agent, warnings, troupe } = await spawn({ backend: 'ollama', model: 'fault:honest' });
    for (const count of [200, 11_000, 3000, 11_000, 1200]) await agent.ask(words(count));
    expect(warnings).toEqual([]);
    const [known, ...others] = troupe.health().models;
    expect(others).toEqual([]);
    expect(known).toMatchObject({ backend: 'ollama', model: 'fault:honest', windowTokens: expect.any(Number) });
    expect([known?.reports === 0, known?.countError === undefined]).toEqual([false, false]);
  });

  test('that does not say what it takes keeps no answer back', async () => {
    const clock = new VirtualClock();
    const { agent } = await spawn({ backend: 'ollama', model: 'fault:silent' }, { clock });
    const isAsked = new Promise<void>((resolve) => {
      wasAsked = resolve;
    });
    const asked = agent.ask(words(2000));
    await isAsked;
    await clock.advance(5000);
    expect((await asked).text).toBe('fine');
    expect((await agent.ask(words(2000))).text).toBe('fine');
  });
});
