/** Cases of the contract: agents that are cut short, forked, killed, many, or handed to another backend. */
import { expect } from 'vitest';
import { scripted } from '../../actors/backends/scripted.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { failure } from '../helpers/model-request.ts';
import { argumentsOf } from '../helpers/processes.ts';
import type { Case } from './case.ts';
import { calculator, onStage, type Stage, seenBy } from './stage.ts';

export const lifeCases: readonly Case[] = [
  {
    name: 'an ask that is cut in the middle leaves nothing behind',
    needs: ['model', 'cut'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, server }) => {
        const agent = await spawn('a');
        await agent.ask('say before');
        const cut = async () => {
          for await (const event of agent.stream('hang after Hi')) if (event.type === 'text-delta') return event.text;
          return undefined;
        };
        expect(await cut()).toBe('Hi');
        await server.when(({ aborted }) => aborted === 1);
        expect((await seenBy(agent)).texts).toEqual([
          ['user', 'say before'],
          ['assistant', 'before'],
          ['user', 'count'],
        ]);
      }),
  },
  {
    name: 'an ask that is cancelled before a word leaves nothing behind',
    needs: ['model', 'cut'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, server }) => {
        const agent = await spawn('a');
        const handle = agent.askAsync('hang');
        const failed = failure(handle.wait());
        await server.waiting(1);
        handle.cancel();
        expect(await failed).toMatchObject({ code: 'TROUPE_ERR_ASK_CANCELLED' });
        await server.when(({ aborted }) => aborted === 1);
        expect((await seenBy(agent)).texts).toEqual([['user', 'count']]);
      }),
  },
  {
    name: 'an ask that is cut while a tool runs leaves what was done before',
    needs: ['model', 'cut'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const { tools } = calculator();
        const agent = await spawn('a', { tools });
        const stream = agent.stream('call 5 times add {"a":1,"b":2}');
        let results = 0;
        for await (const event of stream) {
          if (event.type === 'tool-result') results += 1;
          if (results === 2) break;
        }
        expect(await failure(stream.reply)).toMatchObject({ code: 'TROUPE_ERR_ASK_CANCELLED' });
        expect((await agent.ask('say on we go')).text).toBe('on we go');
      }),
  },
  {
    name: 'a deadline ends an ask, and the next one works',
    needs: ['model', 'cut'],
    run: async (world) => {
      const clock = new VirtualClock();
      await onStage(world, { troupe: { clock } }, async ({ spawn, server }) => {
        const agent = await spawn('a');
        const failed = failure(agent.ask('hang after Hi', { timeoutMs: 5000 }));
        await server.waiting(1);
        await clock.advance(5000);
        expect(await failed).toMatchObject({ code: 'TROUPE_ERR_ASK_TIMEOUT' });
        await server.when(({ aborted }) => aborted === 1);
        expect((await agent.ask('say still here')).text).toBe('still here');
      });
      expect(clock.pending).toBe(0);
    },
  },
  {
    name: 'a fork and its parent see only their own later messages',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const parent = await spawn('a');
        await parent.ask('say apple');
        const twin = await parent.fork('b');
        await parent.ask('say pear');
        await twin.ask('say plum');
        const shared = [
          ['user', 'say apple'],
          ['assistant', 'apple'],
        ];
        const own = (word: string) => [
          ['user', `say ${word}`],
          ['assistant', word],
          ['user', 'count'],
        ];
        expect((await seenBy(parent)).texts).toEqual([...shared, ...own('pear')]);
        expect((await seenBy(twin)).texts).toEqual([...shared, ...own('plum')]);
      }),
  },
  {
    name: 'a fork shares no word of what is said later, whoever answers',
    needs: [],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const parent = await spawn('a');
        await parent.ask('say apple');
        const twin = await parent.fork('b');
        await parent.ask('say pear');
        await twin.ask('say plum');
        expect(JSON.stringify(parent.messages())).not.toContain('plum');
        expect(JSON.stringify(twin.messages())).not.toContain('pear');
        expect(twin.messages().slice(0, 2)).toEqual(parent.messages().slice(0, 2));
      }),
  },
  {
    name: 'a fork at an earlier message knows nothing of what came after it',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const { tools } = calculator();
        const parent = await spawn('a', { tools });
        await parent.ask('say apple');
        await parent.ask('call add {"a":1,"b":2}');
        const twin = await parent.fork('b', { at: 2 });
        expect((await seenBy(twin)).texts).toEqual([
          ['user', 'say apple'],
          ['assistant', 'apple'],
          ['user', 'count'],
        ]);
        const other = await parent.fork('c');
        expect((await seenBy(other)).counts).toEqual({ user: 3, assistant: 3, tool: 1 });
      }),
  },
  {
    name: 'a fork of a parent that is busy',
    needs: ['model', 'cut'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, server }) => {
        const parent = await spawn('a');
        await parent.ask('say apple');
        const late = parent.ask('hold late words');
        await server.waiting(1);
        const twin = await parent.fork('b');
        expect((await seenBy(twin)).texts).toEqual([
          ['user', 'say apple'],
          ['assistant', 'apple'],
          ['user', 'count'],
        ]);
        server.release();
        expect((await late).text).toBe('late words');
        expect((await seenBy(parent)).counts).toEqual({ user: 3, assistant: 2, tool: 0 });
      }),
  },
  {
    name: 'a kill rejects what is pending and closes the wire',
    needs: ['model', 'cut'],
    run: (world) =>
      onStage(world, {}, async (stage) => {
        await killBusy(stage);
        expect((await (await stage.spawn('b')).ask('say alive')).text).toBe('alive');
      }),
  },
  {
    name: 'a kill resolves when the process is gone',
    needs: ['model', 'cut', 'process'],
    run: async (world) => {
      await onStage(world, {}, async (stage) => {
        await killBusy(stage);
        expect(stage.place.processes()).toEqual([]);
      });
    },
  },
  {
    name: 'a kill ends the commands that run, too',
    needs: ['model', 'cut', 'shell'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, place }) => {
        const agent = await spawn('a');
        const failed = failure(agent.ask('call Bash {"command":"sleep 1000"}'));
        await expect.poll(() => place.processes().some(sleeps), { timeout: 20_000 }).toBe(true);
        await agent.kill('enough');
        expect(await failed).toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
        expect(place.processes()).toEqual([]);
      }),
  },
  {
    name: 'whoever is killed answers no more',
    needs: [],
    run: (world) =>
      onStage(world, {}, async ({ spawn, troupe }) => {
        const agent = await spawn('a');
        await agent.ask('say one');
        await agent.kill('enough');
        expect(await failure(agent.ask('say two'))).toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
        expect(troupe.agents()).toEqual([]);
      }),
  },
  {
    name: 'twenty agents at once get their own answers',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, server }) => {
        const names = Array.from({ length: 20 }, (_, index) => `agent ${index}`);
        const { tools } = calculator();
        const agents = await Promise.all(names.map((name) => spawn(name, { tools })));
        const replies = await Promise.all(agents.map((agent) => agent.ask(`say I am ${agent.name}`)));
        expect(replies.map(({ text }) => text)).toEqual(names.map((name) => `I am ${name}`));
        const sums = await Promise.all(agents.map((agent, index) => agent.ask(`call add {"a":${index},"b":1}`)));
        expect(sums.map(({ text }) => text)).toEqual(names.map((_, index) => String(index + 1)));
        expect(server.heard).toHaveLength(60);
      }),
  },
  {
    name: 'another backend takes over with the same conversation, and gives it back',
    needs: ['model'],
    run: (world) =>
      onStage(
        world,
        { troupe: { backends: { spare: scripted([{ text: 'plum, says the spare' }]) } } },
        async ({ spawn }) => {
          const agent = await spawn('a', { fallback: ['spare'] });
          await agent.ask('say apple');
          const reply = await agent.ask('error 500');
          expect(reply.text).toBe('plum, says the spare');
          expect(reply.attempts.map(({ backend, error }) => [backend, error?.code])).toEqual([
            ['world', 'TROUPE_ERR_BACKEND_UNAVAILABLE'],
            ['spare', undefined],
          ]);
          const said = JSON.stringify((await seenBy(agent)).texts);
          for (const words of ['say apple', 'error 500', 'plum, says the spare']) expect(said).toContain(words);
        },
      ),
  },
  {
    name: 'a troupe that is closed in the middle of everything leaves nothing open',
    needs: ['model', 'cut'],
    run: async (world) => {
      const clock = new VirtualClock();
      await onStage(world, { troupe: { clock } }, async ({ spawn, server, troupe }) => {
        const [idle, busy, silent] = [await spawn('a'), await spawn('b'), await spawn('c')];
        await idle.ask('say one');
        const asks = [failure(busy.ask('hang after Hi')), failure(silent.ask('hang')), failure(silent.ask('say two'))];
        await server.waiting(2);
        await troupe.close();
        for (const ask of asks) expect((await ask).class).toBe('cancelled');
      });
      expect(clock.pending).toBe(0);
    },
  },
];

/** Kills an agent that is in the middle of an answer and has another ask waiting. */
async function killBusy({ spawn, server }: Stage): Promise<void> {
  const agent = await spawn('a');
  const asks = [failure(agent.ask('hang after Hi')), failure(agent.ask('say two'))];
  await server.waiting(1);
  await agent.kill('enough');
  for (const ask of asks) expect(await ask).toMatchObject({ code: 'TROUPE_ERR_AGENT_DEAD' });
  await server.when(({ aborted }) => aborted === 1);
}

/** Whether a process runs `sleep`. */
function sleeps(pid: number): boolean {
  return argumentsOf(pid)[0] === 'sleep';
}
