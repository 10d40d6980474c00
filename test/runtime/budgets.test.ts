/** Budgets while agents work: what is let through, what is charged, what is told. */
import { afterEach, describe, expect, test } from 'vitest';
import type { ModelRequest } from '../../actors/backend.ts';
import { memoryStore } from '../../actors/store/memory.ts';
import { tool } from '../../actors/tools/tool.ts';
import type { BudgetWarning } from '../../src/core/budget.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import type { TroupeOptions } from '../../src/runtime/troupe-options.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle, VirtualClock } from '../../src/testing/virtual-clock.ts';
import { type SizedAnswer, type SizedOptions, sizedBackend, words } from '../helpers/sized-backend.ts';

const troupes: Troupe[] = [];
afterEach(() => Promise.all(troupes.splice(0).map((troupe) => troupe.close())));

const perToken = { inference: 'cloud', price: 'per-token' } as const;
/** A call costs what its answer has: a thousandth of a dollar for each token. At most 10 tokens, if nobody says otherwise. */
const prices = {
  date: '2026-11-24',
  models: { 'sized-model': { inputUsd: 0, outputUsd: 1000 }, 'gated-model': { inputUsd: 0, outputUsd: 1000 } },
};
const parameters = { maxTokens: 10 };

function open(options: TroupeOptions) {
  const clock = new VirtualClock();
  const troupe = createTroupe({ clock, prices, random: () => 0.5, defaults: { parameters }, ...options });
  troupes.push(troupe);
  const warnings: BudgetWarning[] = [];
  const breakers: string[] = [];
  const compressed: unknown[] = [];
  troupe.on('budget', (warning) => warnings.push(warning));
  troupe.on('breaker', ({ state }) => breakers.push(state));
  troupe.on('compressed', (compression) => compressed.push(compression));
  return { clock, troupe, warnings, breakers, compressed };
}

/** One agent of a backend that says so many words. */
async function scene(spec: AgentSpec = {}, sized: SizedOptions = {}, options: TroupeOptions = {}) {
  const model = sizedBackend({ info: perToken, answer: () => ({ text: words(10) }), ...sized });
  const opened = open({ backends: { model, ...options.backends }, ...options });
  const agent = await opened.troupe.spawn('worker', spec);
  return { ...opened, model, agent };
}

const exceeded = { code: 'TROUPE_ERR_BUDGET_EXCEEDED', class: 'quota' };

async function outcomes(asks: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(asks);
  return settled.map((one) => (one.status === 'fulfilled' ? 'replied' : (one.reason as TroupeError).code));
}

describe('a budget', () => {
  test('of an ask: the step for which there is no room is not made, and those before it stay as they were', async () => {
    const look = tool({ name: 'look', description: 'Looks.', parameters: { type: 'object' }, execute: () => 'seen' });
    const answer = (number: number): SizedAnswer => ({
      text: words(10),
      toolCalls: [{ id: `call-${number}`, name: 'look', arguments: `{"at":${number}}` }],
    });
    const { agent, model, breakers, troupe } = await scene({ tools: [look] }, { answer });
    const error: TroupeError = await agent.ask('hi', { budgetUsd: 0.025 }).catch((thrown) => thrown);
    expect(error).toMatchObject({ ...exceeded, agent: 'worker', askId: 'ask-1', backend: 'model', retryable: false });
    expect(error.message).toBe(
      'The budget "ask "ask-1"" has no room for this call, which may cost $0.01: of $0.025 $0.02 is spent and $0.00 is set ' +
        'aside for calls that are being made. Raise its limit, lower `maxTokens`, or use a cheaper model or a free backend.',
    );
    expect(error.attempts.map(({ costUsd, error: failed }) => [costUsd, failed])).toEqual([
      [0.01, undefined],
      [0.01, undefined],
    ]);
    expect([model.calls.length, agent.state, agent.messages().length, breakers]).toEqual([2, 'idle', 5, []]);
    expect(troupe.agents().map(({ restarts }) => restarts)).toEqual([0]);
    expect(await outcomes([agent.ask('hi', { budgetUsd: 0.01 })])).toEqual(['TROUPE_ERR_BUDGET_EXCEEDED']);
    expect(model.calls.length).toBe(3);
  });

  test('of an agent, over its asks, its forks apart', async () => {
    const { agent, model, warnings } = await scene({ budgetUsd: 0.03 });
    expect(await outcomes(Array.from({ length: 5 }, () => agent.ask('hi')))).toEqual([
      ...['replied', 'replied', 'replied'],
      ...Array(2).fill('TROUPE_ERR_BUDGET_EXCEEDED'),
    ]);
    const twin = await agent.fork('twin');
    expect(await outcomes([twin.ask('hi'), agent.ask('hi')])).toEqual(['replied', 'TROUPE_ERR_BUDGET_EXCEEDED']);
    expect([model.calls.length, agent.costUsd, twin.costUsd]).toEqual([4, 0.03, 0.01]);
    expect(warnings).toEqual([
      { budget: 'agent "worker"', share: 0.8, spentUsd: 0.03, limitUsd: 0.03 },
      { budget: 'agent "worker"', share: 1, spentUsd: 0.03, limitUsd: 0.03 },
    ]);
  });

  test('of an agent outlives its restart', async () => {
    let isWell = true;
    const answer = (): SizedAnswer => {
      if (!isWell) throw new Error('a bug');
      return { text: words(10) };
    };
    const { agent, troupe } = await scene({ budgetUsd: 0.03 }, { answer });
    await agent.ask('hi');
    isWell = false;
    await expect(agent.ask('hi')).rejects.toMatchObject({ class: 'crashed' });
    isWell = true;
    // Nobody knows what the call that broke has cost: what was set aside is spent.
    expect(await outcomes([agent.ask('hi'), agent.ask('hi')])).toEqual(['replied', 'TROUPE_ERR_BUDGET_EXCEEDED']);
    expect(troupe.agents()[0]?.restarts).toBe(1);
  });

  test('of a group, and of the troupe around it; each warns once at 0.8 and at 1', async () => {
    const { troupe, warnings, model } = await scene({}, {}, { budgetUsd: 0.05 });
    troupe.group('pair', { budgetUsd: 0.04 });
    const one = await troupe.spawn('one', { group: 'pair' });
    const two = await troupe.spawn('two', { group: 'pair', budgetUsd: 0.01 });
    const results = [];
    for (const agent of [two, two, one, one, one, one, one]) results.push(...(await outcomes([agent.ask('hi')])));
    expect(results).toEqual([
      ...['replied', 'TROUPE_ERR_BUDGET_EXCEEDED', 'replied', 'replied', 'replied'],
      ...['TROUPE_ERR_BUDGET_EXCEEDED', 'TROUPE_ERR_BUDGET_EXCEEDED'],
    ]);
    const outside = troupe.agent('worker');
    expect(await outcomes([outside?.ask('hi') as Promise<unknown>])).toEqual(['replied']);
    expect(await outcomes([outside?.ask('hi') as Promise<unknown>])).toEqual(['TROUPE_ERR_BUDGET_EXCEEDED']);
    expect([model.calls.length, troupe.usage().costUsd]).toEqual([5, 0.05]);
    expect(warnings.map(({ budget, share, spentUsd }) => [budget, share, spentUsd])).toEqual([
      ['agent "two"', 0.8, 0.01],
      ['agent "two"', 1, 0.01],
      ['group "pair"', 0.8, 0.04],
      ['group "pair"', 1, 0.04],
      ['troupe', 0.8, 0.04],
      ['troupe', 1, 0.05],
    ]);
  });

  test('for one call lets one of many through', async () => {
    const gated = gatedBackend();
    const { troupe } = open({ backends: { gated }, budgetUsd: 0.01 });
    const agents = await Promise.all(Array.from({ length: 20 }, (_, at) => troupe.spawn(`a${at}`)));
    const asks = agents.map((agent) => agent.ask('hi'));
    await settle();
    expect(gated.pending.length).toBe(1);
    gated.next().resolve({ costUsd: 0 });
    expect((await outcomes(asks)).sort()).toEqual([...Array(19).fill('TROUPE_ERR_BUDGET_EXCEEDED'), 'replied']);
    // It cost nothing after all.
    const again = agents[7]?.ask('hi');
    await settle();
    gated.next().resolve({ costUsd: 0.01 });
    expect(await outcomes([again as Promise<unknown>])).toEqual(['replied']);
    expect(await outcomes([agents[7]?.ask('hi') as Promise<unknown>])).toEqual(['TROUPE_ERR_BUDGET_EXCEEDED']);
  });

  test('that is spent opens no breaker, retries nothing and crashes nobody', async () => {
    const { troupe, agent, breakers, model } = await scene({ budgetUsd: 0 });
    const failed: unknown[] = [];
    troupe.on('call-failed', (failure) => failed.push(failure));
    for (let count = 0; count < 20; count += 1)
      await expect(agent.ask('hi')).rejects.toMatchObject({ ...exceeded, attempts: [] });
    const rich = await troupe.spawn('rich');
    expect((await rich.ask('hi')).text).toBe(words(10));
    expect([breakers, failed, model.calls.length, agent.state]).toEqual([[], [], 1, 'idle']);
    expect(troupe.health()).toMatchObject({ restarts: 0, backends: [{ state: 'closed', inFlight: 0, failures: 0 }] });
  });

  test('that is spent leaves what is free: the ask goes on there', async () => {
    const free = sizedBackend({ kind: 'free', model: 'free-model', answer: () => ({ text: 'for nothing' }) });
    const paid = sizedBackend({ info: perToken, answer: () => ({ text: words(10) }) });
    const { troupe } = open({ backends: { paid, free }, budgetUsd: 0.01 });
    const agent = await troupe.spawn('worker', { fallback: ['free'] });
    const replies = [await agent.ask('a'), await agent.ask('b')];
    expect(replies.map(({ text, costUsd }) => [text, costUsd])).toEqual([
      [words(10), 0.01],
      ['for nothing', 0],
    ]);
    expect(replies[1]?.attempts.map(({ backend, error }) => [backend, error])).toEqual([['free', undefined]]);
    const alone = await troupe.spawn('alone', { backend: 'free', budgetUsd: 0 });
    expect((await alone.ask('c')).costUsd).toBe(0);
    expect(troupe.health()).toMatchObject({ fallbacks: 1 });
  });
});

describe('what is charged', () => {
  test('for a call that is cancelled or dies with its agent: what was set aside, and what is learnt later on top', async () => {
    const gated = gatedBackend({ ignoreAbort: true });
    const { troupe, warnings } = open({ backends: { gated }, budgetUsd: 0.03 });
    const [one, two, three] = await Promise.all(['one', 'two', 'three'].map((name) => troupe.spawn(name)));
    const handle = one?.askAsync('hi');
    await settle();
    handle?.cancel();
    await expect(handle?.wait()).rejects.toMatchObject({ code: 'TROUPE_ERR_ASK_CANCELLED' });
    const dying = two?.ask('hi');
    await settle();
    await two?.kill();
    await expect(dying).rejects.toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
    expect([troupe.usage().costUsd, warnings]).toEqual([undefined, []]);
    gated.calls[0]?.request.onLateSpend?.({ usage: gated.calls[0].request as never, costUsd: 0.004 });
    // 0.024 is spent: no room for 0.01.
    expect(await outcomes([three?.ask('hi') as Promise<unknown>])).toEqual(['TROUPE_ERR_BUDGET_EXCEEDED']);
    expect(warnings.map(({ share, spentUsd }) => [share, spentUsd])).toEqual([[0.8, 0.024]]);
  });

  test('for a call that was given up before it was made: nothing', async () => {
    let passed: () => void = () => {};
    const store = memoryStore();
    let isSlow = true;
    store.barrier = () =>
      isSlow
        ? new Promise<void>((resolve) => {
            passed = resolve;
          })
        : Promise.resolve();
    const { agent, model } = await scene({ budgetUsd: 0.01 }, {}, { store });
    const handle = agent.askAsync('hi');
    await settle();
    handle.cancel();
    isSlow = false;
    passed();
    await expect(handle.wait()).rejects.toMatchObject({ code: 'TROUPE_ERR_ASK_CANCELLED' });
    expect(model.calls.length).toBe(0);
    expect(await outcomes([agent.ask('hi')])).toEqual(['replied']);
  });

  test('for an answer that had to be repaired: both calls, and the second has room for the answer it repairs', async () => {
    const schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] } as const;
    const answer = (number: number): SizedAnswer => ({ text: number % 2 === 0 ? words(8) : '{"n":5}' });
    const { agent } = await scene({ budgetUsd: 0.05 }, { answer });
    const reply = await agent.ask('hi', { schema });
    expect([reply.attempts.map(({ costUsd }) => costUsd), reply.costUsd?.toFixed(4)]).toEqual([
      [0.008, 0.001],
      '0.0090',
    ]);
    await expect(agent.ask('hi', { schema, budgetUsd: 0.01 })).rejects.toMatchObject({
      ...exceeded,
      attempts: [{ costUsd: 0.008, error: { code: 'TROUPE_ERR_OUTPUT_INVALID' } }],
    });
    const byInput = { date: '2026-11-24', models: { 'sized-model': { inputUsd: 1, outputUsd: 0 } } };
    const long = await scene({}, { answer: () => ({ text: words(4000) }) }, { prices: byInput });
    await expect(long.agent.ask('hi', { schema, budgetUsd: 0.015 })).rejects.toMatchObject(exceeded);
    expect(long.model.calls.length).toBe(1);
  });

  test('for the rounds of a loop that a backend runs itself: what it says at the end', async () => {
    const look = tool({ name: 'look', description: 'Looks.', parameters: { type: 'object' }, execute: () => 'seen' });
    const toolPhase = { hosted: () => undefined, give: () => {}, abandon: () => {} };
    const answer = (number: number): SizedAnswer =>
      number < 5
        ? { text: words(10), toolCalls: [{ id: `c${number}`, name: 'look', arguments: `{"n":${number}}` }], toolPhase }
        : { text: 'done', costUsd: 0.012 };
    const { agent } = await scene({ tools: [look], budgetUsd: 0.02 }, { answer });
    const reply = await agent.ask('hi');
    expect([reply.steps, reply.costUsd]).toEqual([6, 0.012]);
  });

  test('for a call that was refused after text of another one was kept: nothing', async () => {
    const cut = new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', 'cut');
    const busy = new TroupeError('TROUPE_ERR_BACKEND_OVERLOADED', 'slow down', { status: 429 });
    const answer = (number: number, { onEvent }: ModelRequest): SizedAnswer => {
      if (number === 0) {
        onEvent({ type: 'text-delta', text: 'begin ' });
        throw cut;
      }
      if (number === 1) throw busy;
      return { text: 'end' };
    };
    const { agent, clock } = await scene({ budgetUsd: 0.021, replay: 'continue' }, { answer });
    const stream = agent.stream('hi');
    const reading = (async () => {
      for await (const _ of stream);
    })();
    await clock.runUntilIdle();
    await reading;
    expect([(await stream.reply).text, (await stream.reply).attempts.length]).toEqual(['begin end', 3]);
  });
});

describe('prices', () => {
  test('not known: with a budget nothing is sent, and the error says what to do; without one it is', async () => {
    const { agent, troupe, model } = await scene({ budgetUsd: 1, model: 'nobody-knows' });
    await expect(agent.ask('hi')).rejects.toMatchObject({
      ...exceeded,
      message:
        'The budget "agent "worker"" cannot be kept: no price is known for the model "nobody-knows". Name it in `prices`.',
    });
    expect(model.calls.length).toBe(0);
    const free = await troupe.spawn('without', { model: 'nobody-knows' });
    expect((await free.ask('hi')).costUsd).toBeUndefined();
  });

  test('of your own win, for models of your own machine too, by the token or by the hour', async () => {
    const models = {
      ...prices.models,
      'sized-model': { inputUsd: 0, outputUsd: 2000 },
      hourly: { usdPerHour: 3.6, inputTokensPerSecond: 1000, outputTokensPerSecond: 10 },
    };
    const { agent, troupe } = await scene(
      { budgetUsd: 0.02 },
      { info: { inference: 'local', price: 'free' } },
      {
        prices: { date: '2026-11-24', models },
      },
    );
    expect((await agent.ask('hi')).costUsd).toBe(0.02);
    expect(await outcomes([agent.ask('hi')])).toEqual(['TROUPE_ERR_BUDGET_EXCEEDED']);
    const byHour = await troupe.spawn('hourly', { model: 'hourly' });
    // A tenth of a second for each of ten tokens, and 9 thousandths of one for the prompt: a thousandth of a dollar a second.
    expect((await byHour.ask('hi')).costUsd).toBeCloseTo(0.001 + 9e-6, 12);
  });

  test('what a backend says itself wins over any list', async () => {
    const { agent } = await scene({ budgetUsd: 0.02 }, { answer: () => ({ text: words(10), costUsd: 0.000_5 }) });
    const replies = [];
    for (let count = 0; count < 21; count += 1) replies.push(...(await outcomes([agent.ask('hi')])));
    expect([replies.filter((code) => code === 'replied').length, agent.costUsd?.toFixed(4)]).toEqual([21, '0.0105']);
    expect(await outcomes([agent.ask('hi')])).toEqual(['TROUPE_ERR_BUDGET_EXCEEDED']);
  });
});
