/** Cases of the contract: the tool loop. */
import { expect } from 'vitest';
import type { Message } from '../../src/core/types.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { Case } from './case.ts';
import { calculator, onStage, seenBy } from './stage.ts';

export const toolCases: readonly Case[] = [
  {
    name: 'one tool',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, server }) => {
        const { tools, ran } = calculator();
        const agent = await spawn('a', { tools });
        const reply = await agent.ask('call add {"a":1,"b":2}');
        const offered = server.heard[0]?.tools.find(({ name }) => /(?:^|__)add$/.test(name));
        expect(offered?.parameters).toMatchObject({ type: 'object', required: ['a', 'b'] });
        expect(reply).toMatchObject({ text: '3', steps: 2 });
        expect(ran).toEqual(['add 1 2']);
        expect(shape(agent)).toEqual(['user', 'assistant add', 'tool 3', 'assistant']);
        expect((await seenBy(agent)).counts).toEqual({ user: 2, assistant: 2, tool: 1 });
      }),
  },
  {
    name: 'two tools at once',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const { tools, ran } = calculator();
        const agent = await spawn('a', { tools });
        const reply = await agent.ask('call add {"a":1,"b":2} and call mul {"a":3,"b":4}');
        expect(reply).toMatchObject({ text: '3; 12', steps: 2 });
        expect([...ran].sort()).toEqual(['add 1 2', 'mul 3 4']);
        expect(shape(agent)).toEqual(['user', 'assistant add mul', 'tool 3', 'tool 12', 'assistant']);
      }),
  },
  {
    name: 'ten steps of tools',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn, server }) => {
        const { tools, ran } = calculator();
        const agent = await spawn('a', { tools, maxSameCalls: 10 });
        const reply = await agent.ask('call 10 times add {"a":20,"b":22}');
        expect(reply).toMatchObject({ text: Array(10).fill('42').join('; '), steps: 11 });
        expect(ran).toHaveLength(10);
        expect(server.heard).toHaveLength(11);
      }),
  },
  {
    name: 'the model sees that a tool failed',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const { tools } = calculator();
        const agent = await spawn('a', { tools });
        expect((await agent.ask('call divide {"a":1,"b":2}')).text).toContain('Nothing is divided here.');
        expect(agent.messages().find(({ role }) => role === 'tool')).toMatchObject({ isError: true });
      }),
  },
  {
    name: 'the model sees that there is no such tool',
    needs: ['model'],
    run: (world) =>
      onStage(world, {}, async ({ spawn }) => {
        const { tools, ran } = calculator();
        const agent = await spawn('a', { tools });
        expect((await agent.ask('call nope {}')).text).toMatch(/no.* tool.*nope/i);
        expect(ran).toEqual([]);
        expect((await agent.ask('call add {"a":1,"b":2}')).text).toBe('3');
      }),
  },
];

/** A conversation in one line for each message. */
function shape(agent: Agent): string[] {
  return agent.messages().map((message) => [message.role, ...facts(message)].join(' '));
}

function facts(message: Message): string[] {
  if (message.role === 'tool') return [message.content];
  return message.role === 'assistant' ? (message.toolCalls ?? []).map(({ name }) => name) : [];
}
