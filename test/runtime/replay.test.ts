/** Answers that break off when somebody has seen some of them: fail, begin again, go on. */
import { describe, expect, test } from 'vitest';
import type { ScriptedStep } from '../../actors/backends/scripted.ts';
import { scripted } from '../../actors/backends/scripted.ts';
import { TroupeError } from '../../src/core/errors.ts';
import type { AgentSpec, Replay } from '../../src/runtime/agent-spec.ts';
import type { StreamEvent } from '../../src/runtime/reply.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';

const cut = new TroupeError('TROUPE_ERR_BACKEND_STREAM_CUT', 'it broke off');

async function scene(scripts: Readonly<Record<string, readonly ScriptedStep[]>>, spec: AgentSpec = {}) {
  const clock = new VirtualClock();
  const backends = Object.fromEntries(
    Object.entries(scripts).map(([name, script]) => [name, scripted(script, { clock })]),
  );
  const troupe = createTroupe({ backends, clock, random: () => 0.5 });
  const agent = await troupe.spawn('a', { fallback: Object.keys(scripts).slice(1), maxRetries: 1, ...spec });
  return { clock, backends, agent, troupe };
}

/** What a reader of the stream has on the screen at the end, the events on the way, and how it ended. */
async function read({ agent, clock }: Awaited<ReturnType<typeof scene>>, replay?: Replay) {
  const stream = agent.stream('go', replay === undefined ? {} : { replay });
  let screen = '';
  const events: string[] = [];
  const reading = (async () => {
    for await (const event of stream as AsyncIterable<StreamEvent>) {
      if (event.type === 'text-delta') screen += event.text;
      if (event.type === 'restarted') screen = screen.slice(0, screen.length - event.discardChars);
      if (event.type !== 'text-delta' && event.type !== 'reply') events.push(event.type);
    }
  })();
  const ended = reading.then(
    () => 'replied',
    ({ code, partialText }: TroupeError) => `${code} after "${partialText}"`,
  );
  await clock.runUntilIdle();
  return { screen, events, ended: await ended, reply: await stream.reply.catch(() => undefined) };
}

describe('an answer that broke off', () => {
  test('fails the ask by default, with what was seen', async () => {
    const all = await scene({ one: [{ text: 'Once upon', error: cut }] });
    expect(await read(all)).toEqual({
      screen: 'Once upon',
      events: ['step-start'],
      ended: 'TROUPE_ERR_BACKEND_STREAM_CUT after "Once upon"',
      reply: undefined,
    });
  });

  test('is asked for again with `true`, and the reader is told what to forget', async () => {
    const all = await scene({ one: [{ text: 'Once upon', error: cut }, { text: 'A new tale.' }] });
    const { screen, events, ended, reply } = await read(all, true);
    expect([screen, ended, reply?.text]).toEqual(['A new tale.', 'replied', 'A new tale.']);
    expect(events).toEqual(['step-start', 'retry', 'restarted', 'step-start', 'step-end']);
    expect(reply?.attempts.map(({ error }) => error?.code)).toEqual(['TROUPE_ERR_BACKEND_STREAM_CUT', undefined]);
  });

  test('is handed over to the next backend', async () => {
    const steps = [1, 2].map(() => ({ text: 'Once upon', error: cut }));
    const all = await scene({ one: steps, two: [{ text: 'From two.' }] }, { replay: true });
    const { screen, events, reply } = await read(all);
    expect([screen, reply?.text]).toEqual(['From two.', 'From two.']);
    expect(events.filter((type) => type !== 'step-start')).toEqual([
      'retry',
      'restarted',
      'fallback',
      'restarted',
      'step-end',
    ]);
  });

  test('is gone on with with `continue`: nothing is shown twice, and the log has the whole', async () => {
    const all = await scene({
      one: [
        { text: 'Once upon', error: cut },
        { text: ' a time', error: cut },
      ],
      two: [{ expect: 'Go on with the very next character', text: ' there was.' }, { text: 'Bye.' }],
    });
    const { screen, reply } = await read(all, 'continue');
    expect([screen, reply?.text]).toEqual(['Once upon a time there was.', 'Once upon a time there was.']);
    expect(all.backends['two']?.calls[0]?.messages.slice(0, 2)).toEqual([
      { role: 'user', content: 'go' },
      { role: 'assistant', content: 'Once upon a time' },
    ]);
    expect(all.agent.messages()).toEqual([
      { role: 'user', content: 'go' },
      { role: 'assistant', content: 'Once upon a time there was.' },
    ]);
  });

  test('`continue` that fails for good tells all that was seen', async () => {
    const all = await scene({
      one: [
        { text: 'Once upon', error: cut },
        { text: ' a time', error: cut },
      ],
    });
    expect((await read(all, 'continue')).ended).toBe('TROUPE_ERR_BACKEND_STREAM_CUT after "Once upon a time"');
  });

  test('of a later step takes back only that step', async () => {
    const look = {
      definition: { name: 'look', description: '', parameters: {} },
      check: async (value: unknown) => ({ value }),
      run: async () => 'seen',
    };
    const all = await scene(
      { one: [{ text: 'Looking. ', toolCalls: [{ name: 'look' }] }, { text: 'Half', error: cut }, { text: 'Done.' }] },
      { tools: [look], replay: true },
    );
    expect((await read(all)).screen).toBe('Looking. Done.');
  });
});

test('a reader who saw nothing needs no option', async () => {
  const all = await scene({ one: [{ error: cut }, { text: 'fine' }] });
  expect((await read(all)).screen).toBe('fine');
});

test.each([false, true])('stickyFallback %s', async (stickyFallback) => {
  const noKey = new TroupeError('TROUPE_ERR_BACKEND_AUTH', 'wrong key');
  const first = [{ error: noKey }, { text: 'one is well' }];
  const { agent } = await scene({ one: first, two: [{ text: 'a' }, { text: 'b' }] }, { stickyFallback });
  const replies = [await agent.ask('x'), await agent.ask('y')];
  expect(replies.map(({ text }) => text)).toEqual(['a', stickyFallback ? 'b' : 'one is well']);
});
