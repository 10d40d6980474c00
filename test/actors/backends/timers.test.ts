/** The timers of an ask against servers that fall silent: each ends it, and the server sees its socket close. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ollama } from '../../../actors/backends/ollama.ts';
import { openai } from '../../../actors/backends/openai.ts';
import type { Timeouts } from '../../../src/runtime/agent-spec.ts';
import { createTroupe, type Troupe } from '../../../src/runtime/troupe.ts';
import { type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { settle, VirtualClock } from '../../../src/testing/virtual-clock.ts';
import { failure } from '../../helpers/model-request.ts';
import { ollamaJsonFaults } from '../../helpers/ollama-wire.ts';
import { openAiFaults } from '../../helpers/openai-wire.ts';

let streaming: FaultServer;
let whole: FaultServer;
const troupes: Troupe[] = [];

beforeAll(async () => {
  streaming = await faultServer(openAiFaults);
  whole = await faultServer(ollamaJsonFaults);
});
afterEach(() => Promise.all(troupes.splice(0).map((troupe) => troupe.close())));
afterAll(() => Promise.all([streaming.close(), whole.close()]));

/** An ask that the server has got, and has begun to answer if it does so at all. */
async function silent(mode: 'stream' | 'whole', fault: string, timeouts: Timeouts) {
  const server = mode === 'stream' ? streaming : whole;
  const backend =
    mode === 'stream' ? openai({ endpoint: server.url }) : ollama({ endpoint: server.url, stream: false });
  const clock = new VirtualClock();
  const troupe = createTroupe({ backends: { server: backend }, clock });
  troupes.push(troupe);
  const agent = await troupe.spawn('a', { model: `fault:${fault}`, maxRetries: 0, timeouts });
  const before = { ...server.counts };
  let ended = false;
  let text = '';
  let sawText = () => {};
  const begun = new Promise<void>((resolve) => {
    sawText = resolve;
  });
  const failed = failure(
    (async () => {
      for await (const event of agent.stream('Hi')) {
        if (event.type !== 'text-delta') continue;
        text += event.text;
        sawText();
      }
    })(),
  ).finally(() => {
    ended = true;
  });
  await server.when(({ requests }) => requests > before.requests);
  if (mode === 'stream' && fault !== 'hang-headers') await begun;
  await settle();
  const closed = () =>
    server.when(({ aborted, openSockets }) => aborted > before.aborted && openSockets <= before.openSockets);
  return { clock, failed, closed, isEnded: () => ended, text: () => text };
}

const long = 1_000_000;
const timedOut = { code: 'TROUPE_ERR_BACKEND_TIMEOUT', class: 'timeout', retryable: true, backend: 'server' };

describe.each(['hang-headers', 'hang-body'])('%s', (fault) => {
  it('ends a whole answer when nothing came for `firstEventMs`; `idleMs` does not matter', async () => {
    const ask = await silent('whole', fault, { firstEventMs: 5000, idleMs: 10, askMs: long });
    await ask.clock.advance(4999);
    expect(ask.isEnded()).toBe(false);
    await ask.clock.advance(1);
    expect(await ask.failed).toMatchObject(timedOut);
    await ask.closed();
  });

  it.each(['stream', 'whole'] as const)('ends at the deadline of the ask: %s', async (mode) => {
    const ask = await silent(mode, fault, { firstEventMs: long, idleMs: long, askMs: 7000 });
    await ask.clock.advance(6999);
    expect(ask.isEnded()).toBe(false);
    await ask.clock.advance(1);
    expect(await ask.failed).toMatchObject({ code: 'TROUPE_ERR_ASK_TIMEOUT', class: 'timeout', retryable: false });
    await ask.closed();
  });
});

describe('a stream', () => {
  it('ends when nothing came for `firstEventMs`', async () => {
    const ask = await silent('stream', 'hang-headers', { firstEventMs: 5000, idleMs: 10, askMs: long });
    await ask.clock.advance(4999);
    expect(ask.isEnded()).toBe(false);
    await ask.clock.advance(1);
    expect(await ask.failed).toMatchObject(timedOut);
    await ask.closed();
  });

  it.each(['hang-body', 'drip-forever'])('ends when it was idle for `idleMs`: %s', async (fault) => {
    const ask = await silent('stream', fault, { firstEventMs: 10, idleMs: 3000, askMs: long });
    await ask.clock.advance(2999);
    expect(ask.isEnded()).toBe(false);
    await ask.clock.advance(1);
    expect(await ask.failed).toMatchObject({ ...timedOut, partialText: 'Grüße' });
    expect(ask.text()).toBe('Grüße');
    await ask.closed();
  });

  it('that drips for ever ends at the deadline of the ask', async () => {
    const ask = await silent('stream', 'drip-forever', { firstEventMs: long, idleMs: long, askMs: 7000 });
    await ask.clock.advance(7000);
    expect((await ask.failed).code).toBe('TROUPE_ERR_ASK_TIMEOUT');
    await ask.closed();
  });
});
