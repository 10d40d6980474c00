/** Cases of the contract: what is asked and what comes back. */
import { expect } from 'vitest';
import { z } from 'zod';
import { isTroupeError } from '../../src/core/errors.ts';
import type { ModelParameters, Usage } from '../../src/core/types.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { Reply, StreamEvent } from '../../src/runtime/reply.ts';
import type { Case } from './case.ts';
import type { Ledger } from './server.ts';
import { calculator, onStage, seenBy } from './stage.ts';
import type { World } from './worlds.ts';

const words = 'Grüße, wörld 🙂, 日本語, ẞ.';

export const answerCases: readonly Case[] = [
  {
    name: 'a text',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const reply = await (await spawn('a')).ask(`say ${words}`);
        expect(reply).toMatchObject({ text: words, steps: 1, agent: 'a', finishReason: { unified: 'stop' } });
        expect(reply.attempts).toHaveLength(1);
      }),
  },
  {
    name: 'the pieces of a stream are the reply, and what is asked for without a stream is the same',
    needs: [],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const [streamed, asked] = [await spawn('a'), await spawn('b')];
        const { events, reply } = await collect(streamed, `say ${words}`);
        const pieces = events.flatMap((event) => (event.type === 'text-delta' ? [event.text] : []));
        expect(pieces.join('')).toBe(reply.text);
        expect((await asked.ask(`say ${words}`)).text).toBe(reply.text);
        expect([events[0]?.type, events.at(-1)?.type]).toEqual(['step-start', 'reply']);
      }),
  },
  {
    name: 'words are passed on while the model still speaks',
    needs: ['model', 'cut'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, server }) => {
        const stream = (await spawn('a')).stream('hold on, there is more');
        const heard: string[] = [];
        for await (const event of stream) {
          if (event.type !== 'text-delta') continue;
          heard.push(event.text);
          if (heard.length > 1) continue;
          await server.waiting(1);
          server.release();
        }
        expect(heard[0]).toBe('on,');
        expect(heard.join('')).toBe('on, there is more');
      }),
  },
  {
    name: 'whole answers are the same as streams',
    needs: ['model', 'whole'],
    run: (world) =>
      onStage(world, { stream: false }, async ({ spawn, server }) => {
        const { tools } = calculator();
        const agent = await spawn('a', { tools });
        const { events, reply } = await collect(agent, `say ${words}`);
        expect(reply.text).toBe(words);
        expect(events.filter(({ type }) => type === 'text-delta')).toEqual([{ type: 'text-delta', text: words }]);
        expect((await agent.ask('call add {"a":1,"b":2}')).text).toBe('3');
        expect(agent.usage()).toEqual(usageOf(world, server.ledger));
      }),
  },
  {
    name: 'usage is what the server counted, and sums up',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, server, troupe }) => {
        const { tools } = calculator();
        const agent = await spawn('a', { system: 'Be brief.', tools });
        const first = await agent.ask('say one');
        expect(first.usage).toEqual(usageOf(world, server.ledger));
        await agent.ask('call add {"a":1,"b":2} and call mul {"a":3,"b":4}');
        const twin = await agent.fork('b');
        await twin.ask('say two');
        expect(troupe.usage().usage).toEqual(usageOf(world, server.ledger));
      }),
  },
  {
    name: 'cost is what the price list says, to the cent, forks included',
    needs: ['model', 'cost'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, server, troupe }) => {
        const { tools } = calculator();
        const agent = await spawn('a', { tools });
        expect((await agent.ask('say one')).costUsd).toBeCloseTo(server.ledger.usd, 9);
        await agent.ask('call 3 times add {"a":1,"b":2}');
        const twin = await agent.fork('b');
        await twin.ask('say two');
        await agent.ask('say three');
        expect(troupe.usage().costUsd).toBeCloseTo(server.ledger.usd, 9);
        expect(server.ledger.usd).toBeGreaterThan(0);
      }),
  },
  {
    name: 'the system prompt',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const system = 'Du bist knapp.\nDu bist höflich.';
        const agent = await spawn('a', { system });
        const { text } = await agent.ask('echo system');
        if (world.addsToSystem) expect(text).toContain(system);
        else expect(text).toBe(system);
        const twin = await agent.fork('b', { system: 'You are somebody else.' });
        const other = (await twin.ask('echo system')).text;
        expect(other).toContain('You are somebody else.');
        expect(other).not.toContain('höflich');
      }),
  },
  {
    name: 'parameters reach the model',
    needs: ['model'],
    cannot: ({ parameters }) => (parameters.length === 0 ? 'it takes none' : undefined),
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const all: ModelParameters = { temperature: 0.5, topP: 0.9, maxTokens: 321, stop: ['END'], seed: 7 };
        const given = Object.fromEntries(world.parameters.map((name) => [name, all[name]])) as ModelParameters;
        const agent = await spawn('a', { parameters: given });
        expect(JSON.parse((await agent.ask('echo parameters')).text)).toEqual(given);
      }),
  },
  {
    name: 'a structured answer fits its schema',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const agent = await spawn('a', {
          parameters: { responseFormat: { type: 'schema', name: 'trip', schema: trip } },
        });
        expect(JSON.parse((await agent.ask('json')).text)).toEqual({ city: 'text', days: 7, stops: [{ by: 'train' }] });
        expect(JSON.parse((await agent.ask('json')).text)).toEqual({ city: 'text', days: 7, stops: [{ by: 'train' }] });
      }),
  },
  {
    name: 'an ask with a schema gives typed output, between asks without one',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const { tools } = calculator();
        const agent = await spawn('a', { tools });
        const by = z.object({ by: z.enum(['train', 'bus']) });
        const schema = z.object({ city: z.string(), days: z.number(), stops: z.array(by) });
        const { output, steps } = await agent.ask('json', { schema });
        const days: number = output.days;
        expect([output, days, steps]).toEqual([{ city: 'text', days: 7, stops: [{ by: 'train' }] }, 7, 1]);
        expect((await agent.ask('say one')).text).toBe('one');
        // What the model was told for the one ask is not told again.
        expect(JSON.stringify((await seenBy(agent)).texts)).not.toContain('JSON Schema');
      }),
  },
  {
    name: 'an empty answer',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const agent = await spawn('a');
        const outcome = await agent.ask('empty').catch((error: unknown) => error);
        if (world.emptyAnswer === 'answer')
          expect(outcome).toMatchObject({ text: '', finishReason: { unified: 'stop' } });
        else expect(isTroupeError(outcome) && outcome.code).toBe(world.emptyAnswer);
        expect((await agent.ask('say on we go')).text).toBe('on we go');
      }),
  },
  {
    name: 'an answer of 5 MB',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const { text } = await (await spawn('a')).ask('long 5000000');
        expect(text.length).toBe(5_000_000);
        expect(text === 'x'.repeat(5_000_000)).toBe(true);
      }),
  },
  {
    name: 'answers that arrive byte by byte',
    needs: ['model'],
    run: (world) =>
      onStage(world, { bytewise: true }, async ({ spawn }) => {
        const { tools } = calculator();
        const agent = await spawn('a', { tools });
        expect((await agent.ask(`say ${words}`)).text).toBe(words);
        expect((await agent.ask('call add {"a":1,"b":2} and call shout {"text":"ß日🙂"}')).text).toBe('3; ß日🙂!');
      }),
  },
];

const trip = {
  type: 'object',
  properties: {
    city: { type: 'string' },
    days: { type: 'integer' },
    stops: {
      type: 'array',
      items: {
        type: 'object',
        properties: { by: { type: 'string', enum: ['train', 'bus'] } },
        required: ['by'],
        additionalProperties: false,
      },
    },
  },
  required: ['city', 'days', 'stops'],
  additionalProperties: false,
} as const;

async function collect(agent: Agent, prompt: string): Promise<{ events: readonly StreamEvent[]; reply: Reply }> {
  const stream = agent.stream(prompt);
  const events: StreamEvent[] = [];
  for await (const event of stream) events.push(event);
  return { events, reply: await stream.reply };
}

/** What the books of the server are in our words, as far as the backend is told. */
function usageOf({ cacheTokens }: World, ledger: Ledger): Usage {
  const told = new Set<string>(cacheTokens);
  return {
    inputTokens: ledger.input,
    outputTokens: ledger.output,
    cacheReadTokens: told.has('cacheReadTokens') ? ledger.cacheRead : undefined,
    cacheWriteTokens: told.has('cacheWriteTokens') ? ledger.cacheWrite : undefined,
  };
}
