import fastCheck from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openai } from '../../../actors/backends/openai.ts';
import { type MessageFormat, messageBytes, requestBytes } from '../../../actors/wire/conversation-bytes.ts';
import { ollamaMessages } from '../../../actors/wire/ollama-chat.ts';
import { chatMessages } from '../../../actors/wire/openai-chat.ts';
import { Conversation, type Group } from '../../../src/core/conversation.ts';
import { createTroupe, type Troupe } from '../../../src/runtime/troupe.ts';
import { type Fault, type FaultServer, faultServer } from '../../../src/testing/fault-server.ts';
import { modelRequest } from '../../helpers/model-request.ts';
import { chunk } from '../../helpers/openai-wire.ts';

/** A format of its own for each test, so that nothing is encoded yet. */
function plainFormat(): MessageFormat {
  return { encode: (message) => JSON.stringify(message) };
}

function textOf(pieces: readonly Uint8Array[]): string {
  return Buffer.concat(pieces).toString();
}

const said = (prompt: string, answer: string): Group => [
  { role: 'user', content: prompt },
  { role: 'assistant', content: answer },
];

describe('the bytes of a conversation', () => {
  it('are its messages and the prompt, separated by commas', () => {
    const format = plainFormat();
    expect(textOf(messageBytes(format, new Conversation(), []))).toBe('');
    expect(textOf(messageBytes(format, new Conversation('S'), []))).toBe('{"role":"system","content":"S"}');
    const conversation = new Conversation('S');
    conversation.append(said('ü', '🙂'));
    const prompt = [{ role: 'user', content: 'next' } as const];
    expect(`[${textOf(messageBytes(format, conversation, prompt))}]`).toBe(
      JSON.stringify([...conversation.messages(), ...prompt]),
    );
  });

  it('stand in a request behind its fields, and close it', () => {
    const request = modelRequest();
    const body = JSON.parse(textOf(requestBytes({ model: 'm', stop: undefined }, plainFormat(), request)));
    expect(body).toEqual({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ],
    });
    const nothing = modelRequest({ conversation: new Conversation(), prompt: [] });
    expect(textOf(requestBytes({ model: 'm' }, plainFormat(), nothing))).toBe('{"model":"m","messages":[]}');
  });

  it('never change once they are handed out', () => {
    const format = plainFormat();
    const parent = new Conversation('S');
    parent.append(said('a', 'b'));
    const handed: { pieces: Uint8Array[]; text: string }[] = [];
    const hand = (conversation: Conversation) => {
      const pieces = messageBytes(format, conversation, [{ role: 'user', content: 'P' }]);
      handed.push({ pieces, text: textOf(pieces) });
    };
    hand(parent);
    const fork = parent.fork();
    fork.append(said('fork', 'f'.repeat(10_000)));
    hand(fork);
    for (let count = 0; count < 50; count += 1) {
      parent.append(said(`p${count}`, 'x'.repeat(count * 100)));
      hand(parent);
      hand(fork);
    }
    for (const { pieces, text } of handed) expect(textOf(pieces)).toBe(text);
  });

  it('are those of `JSON.stringify`, whatever is appended, forked and asked for', () => {
    const step = fastCheck.oneof(
      fastCheck.record({ do: fastCheck.constant('append' as const), who: fastCheck.nat(9), text: fastCheck.string() }),
      fastCheck.record({ do: fastCheck.constant('fork' as const), who: fastCheck.nat(9), at: fastCheck.nat(9) }),
      fastCheck.record({ do: fastCheck.constant('ask' as const), who: fastCheck.nat(9), text: fastCheck.string() }),
    );
    fastCheck.assert(
      fastCheck.property(fastCheck.array(step, { maxLength: 60 }), fastCheck.boolean(), (steps, hasSystem) => {
        const format = plainFormat();
        const all = [new Conversation(hasSystem ? 'S' : undefined)];
        const handed: { pieces: Uint8Array[]; expected: string }[] = [];
        for (const one of steps) {
          const conversation = all[one.who % all.length]!;
          if (one.do === 'append') conversation.append(said(one.text, `${one.text}!`));
          else if (one.do === 'fork') all.push(conversation.fork(one.at));
          else {
            const prompt = [{ role: 'user', content: one.text } as const];
            const expected = JSON.stringify([...conversation.messages(), ...prompt]);
            handed.push({ pieces: messageBytes(format, conversation, prompt), expected });
          }
        }
        for (const { pieces, expected } of handed) expect(`[${textOf(pieces)}]`).toBe(expected);
      }),
      { numRuns: 1000, seed: 42 },
    );
  });

  it('hold the results of one step as one message, and no system message, where the format has it so', () => {
    const counts = { encode: 0, encodeResults: 0 };
    const format: MessageFormat = {
      encode: (message) => {
        counts.encode += 1;
        return JSON.stringify(message.content);
      },
      encodeResults: (results) => {
        counts.encodeResults += 1;
        return JSON.stringify(results.map(({ content }) => content));
      },
      systemApart: true,
    };
    const step = (...ids: string[]): Group => [
      { role: 'assistant', content: 'calls', toolCalls: ids.map((id) => ({ id, name: 'f', arguments: '{}' })) },
      ...ids.map((callId) => ({ role: 'tool', callId, name: 'f', content: callId }) as const),
    ];
    const conversation = new Conversation('S');
    const prompt = [{ role: 'user', content: 'prompt' } as const];
    const sent = (of = conversation) => JSON.parse(`[${textOf(messageBytes(format, of, prompt))}]`);
    expect(sent()).toEqual(['prompt']);
    conversation.append([...prompt, ...step('a', 'b')]);
    expect(sent()).toEqual(['prompt', 'calls', ['a', 'b'], 'prompt']);
    const fork = conversation.fork();
    conversation.append([...step('c'), ...step('d', 'e')]);
    expect(sent()).toEqual(['prompt', 'calls', ['a', 'b'], 'calls', ['c'], 'calls', ['d', 'e'], 'prompt']);
    expect(sent(fork)).toEqual(['prompt', 'calls', ['a', 'b'], 'prompt']);
    // The prompt is encoded once by itself, again when it was in the log by then.
    expect(counts).toEqual({ encode: 5, encodeResults: 3 });
  });

  it.each([
    ['openai', chatMessages],
    ['ollama', ollamaMessages],
  ])('are kept for each protocol by itself: %s', (_name, format) => {
    const conversation = new Conversation();
    conversation.append([
      { role: 'assistant', content: 'c', toolCalls: [{ id: 'i', name: 'n', arguments: '{"x":1}' }] },
      { role: 'tool', callId: 'i', name: 'n', content: 'r' },
    ]);
    const alone = JSON.parse(`[${textOf(messageBytes({ encode: format.encode }, conversation, []))}]`);
    messageBytes(plainFormat(), conversation, []);
    expect(JSON.parse(`[${textOf(messageBytes(format, conversation, []))}]`)).toEqual(alone);
    expect(alone[1]).toHaveProperty(format === chatMessages ? 'tool_call_id' : 'tool_name', expect.any(String));
  });
});

describe('over HTTP', () => {
  let server: FaultServer;
  const troupes: Troupe[] = [];
  /** Says back the last prompt. */
  const echo: Fault = ({ request, reply }) => {
    const messages = request.body?.['messages'] as { content: string }[];
    reply(200, chunk({ content: `re: ${messages.at(-1)?.content}` }, 'stop'), { 'content-type': 'text/event-stream' });
  };
  beforeAll(async () => {
    server = await faultServer({ ok: echo });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await Promise.all(troupes.splice(0).map((troupe) => troupe.close()));
  });
  afterAll(() => server.close());

  async function spawn() {
    const troupe = createTroupe({ backends: { server: openai({ endpoint: server.url, model: 'm' }) } });
    troupes.push(troupe);
    return troupe.spawn('a', { system: 'S' });
  }

  it('each message of a chat of 1,000 asks is encoded once', async () => {
    const encode = vi.spyOn(chatMessages, 'encode');
    const agent = await spawn();
    for (let count = 0; count < 1000; count += 1) await agent.ask(`ask ${count}`);
    const times = new Map<object, number>();
    for (const [message] of encode.mock.calls) times.set(message, (times.get(message) ?? 0) + 1);
    // The answer to the last ask was never sent.
    expect(times.size).toBe(2000);
    expect(Math.max(...times.values())).toBe(1);
    const sent = server.requests.at(-1)?.body?.['messages'];
    expect(sent).toEqual(agent.messages().slice(0, -1));
  }, 60_000);

  it('asks of forks at the same time send each its own conversation', async () => {
    const parent = await spawn();
    await parent.ask('before');
    const twins = await Promise.all(['b', 'c', 'd'].map((name) => parent.fork(name)));
    const all = [parent, ...twins];
    for (let round = 0; round < 20; round += 1) {
      const first = server.requests.length;
      await Promise.all(all.map((agent) => agent.ask(`${round} of ${agent.name} ${'ü'.repeat(round * 50)}`)));
      const sent = server.requests.slice(first).map(({ body }) => JSON.stringify(body?.['messages']));
      const expected = all.map((agent) => JSON.stringify(agent.messages().slice(0, -1)));
      expect(sent.sort()).toEqual(expected.sort());
    }
    const alone = new Set(all.map((agent) => JSON.stringify(agent.messages())));
    expect(alone.size).toBe(4);
  });
});
