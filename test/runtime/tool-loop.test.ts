/** The tool loop over real protocols: interrupted anywhere in it, and waiting for a decision at a backend with sessions. */
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { claudeCli } from '../../actors/backends/claude-cli.ts';
import { type Tool, tool } from '../../actors/tools/tool.ts';
import { Conversation } from '../../src/core/conversation.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { modelServer } from '../contract/server.ts';
import { onStage } from '../contract/stage.ts';
import { worlds } from '../contract/worlds.ts';
import { fakeClaude } from '../helpers/fake-claude.ts';
import { failure } from '../helpers/model-request.ts';

const look = tool({ name: 'look', description: 'Looks.', parameters: z.object({}), execute: () => 'seen' });

describe('interrupted in the tool loop, the next request is well formed', () => {
  const notByHttp = ['offline', 'claude', 'subprocess'];
  const dialects = worlds.filter(({ name }) => !notByHttp.includes(name));
  const places = ['approving', 'running'] as const;
  const ways = ['cancel', 'deadline', 'kill'] as const;
  const cases = dialects.flatMap((world) =>
    places.flatMap((place) => ways.map((way) => [world.name, place, way, world] as const)),
  );
  test.each(cases)('%s, %s, %s', async (_name, place, way, world) => {
    const clock = new VirtualClock();
    await onStage(world, { troupe: { clock } }, async ({ spawn, troupe, server }) => {
      const begun = signal();
      const hold = tool({
        ...{ name: 'hold', description: 'Waits.', parameters: z.object({}), approve: place === 'approving' },
        execute: () => {
          begun.give();
          return new Promise(() => {});
        },
      });
      troupe.on('approval-needed', begun.give);
      const agent = await spawn('a', { tools: [hold, look] });
      expect((await agent.ask('say Hi')).text).toBe('Hi');
      const handle = agent.askAsync('call hold {} and call look {}', { timeoutMs: 5000 });
      const failed = failure(handle.wait());
      await begun.given;
      expect(agent.ref.getSnapshot().value).toEqual({ 'tool-loop': place });
      // Killed, it is a conversation that another agent goes on with.
      if (way === 'cancel') handle.cancel();
      else if (way === 'deadline') await clock.advance(5000);
      else await agent.kill();
      await failed;
      const heir = way === 'kill' ? await goOn(troupe, agent, [hold]) : agent;
      expect((await heir.ask('say still here')).text).toBe('still here');
      const last = server.heard.at(-1)?.messages ?? [];
      expect(last.filter(({ role }) => role === 'tool')).toHaveLength(2);
      expect(server.violations).toEqual([]);
    });
  });
});

test('Claude Code waits for a decision like any other backend', async () => {
  const server = await modelServer();
  const claude = await fakeClaude(server.url);
  const ran: string[] = [];
  const remove = tool({
    ...{ name: 'remove', description: 'Removes a file.', parameters: z.object({ path: z.string() }), approve: true },
    execute: ({ path }) => {
      ran.push(path);
      return `removed ${path}`;
    },
  });
  const troupe = createTroupe({ backends: { claude: claudeCli(claude.options()) } });
  try {
    const agent = await troupe.spawn('worker', { tools: [remove], maxRetries: 0 });
    const pending = signal();
    troupe.on('approval-needed', pending.give);
    const allowed = agent.ask('call remove {"path":"/a"}');
    await pending.given;
    expect([ran, agent.approvals().map(({ call }) => call.name)]).toEqual([[], ['remove']]);
    agent.approve(agent.approvals()[0]?.call.id ?? '', 'allow');
    expect((await allowed).text).toBe('removed /a');
    troupe.on('approval-needed', ({ call }) => agent.approve(call, { deny: 'not today' }));
    expect((await agent.ask('call remove {"path":"/b"}')).text).toContain('The call was denied: not today');
    expect(ran).toEqual(['/a']);
    expect(server.violations).toEqual([]);
  } finally {
    await troupe.close();
    await server.close();
    await claude.remove();
  }
});

/** An agent with the messages of a dead one. */
async function goOn(troupe: Troupe, dead: Agent, tools: readonly Tool[]): Promise<Agent> {
  const conversation = new Conversation(undefined);
  const messages = dead.messages();
  while (messages.length > 0) {
    const next = messages.findIndex(({ role }, index) => index > 0 && role === 'user');
    conversation.append(messages.splice(0, next < 0 ? messages.length : next));
  }
  return troupe.spawn('heir', { tools, maxRetries: 0 }, conversation);
}

/** A promise that a callback resolves. */
function signal() {
  let give = () => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give: () => give() };
}
