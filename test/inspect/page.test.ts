/** What the page makes of messages: its model, run here without a browser. */
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { inspectTroupe } from '../../src/inspect/inspect-troupe.ts';
import { memorySink } from '../../src/inspect/memory-sink.ts';
import { chartScript } from '../../src/inspect/page/chart-script.ts';
import { modelScript } from '../../src/inspect/page/model-script.ts';
import { page } from '../../src/inspect/page/page.ts';
import { stage, usage } from './stage.ts';

/** The page's model after a snapshot and messages, as plain data. */
function modelled(snapshot: unknown, messages: readonly unknown[]) {
  const program = `${modelScript}${chartScript}
    takeSnapshot(snapshot);
    for (const message of messages) take(message);
    const edge = (agent) => edgeTaken(model.machines[agent.machine].edges, agent.edge);
    JSON.stringify({
      total: model.total, asks: model.asks, events: model.events,
      agents: [...model.agents.values()].map((agent) => ({
        name: agent.name, state: agent.state, total: agent.total, messages: agent.messages, alive: agent.alive,
        segments: agent.segments.map(({ state }) => state), steps: agent.sequence.map(({ label }) => label),
        edge: agent.edge && edge(agent).source + ' to ' + edge(agent).target,
      })),
    });`;
  return JSON.parse(runInNewContext(program, { snapshot, messages, document: {}, Intl, Date }));
}

test('a snapshot and messages become lanes, sequences and sums', async () => {
  const { clock, troupe } = stage([
    { text: 'one', usage },
    { text: 'two', usage },
  ]);
  const early = await troupe.spawn('early', { backend: 'one' });
  await early.ask('hi');
  const sink = memorySink();
  const inspection = inspectTroupe(troupe, { sinks: [sink] });
  const snapshot = inspection.snapshot();
  await early.ask('hi', { askId: 'ask-x' });
  await troupe.spawn('late', { backend: 'one' });
  await early.kill();
  await clock.advance(1);
  const total = { inputTokens: 20, outputTokens: 10, costUsd: 0 };
  expect(modelled(snapshot, sink.messages)).toEqual({
    ...{ total, asks: { open: 0, replied: 1, failed: 0 }, events: sink.messages.length },
    agents: [
      {
        ...{ name: '@supervisor', state: 'open', total: {}, messages: 0, alive: true, segments: ['open'], steps: [] },
      },
      {
        ...{ name: 'early', state: 'dead', total, messages: 4, alive: false },
        segments: ['idle', 'awaiting.calling', 'idle', 'dead', 'dead'],
        steps: ['ask-x', 'scripted-model', '10 → 5 tokens', 'reply', 'dead'],
        edge: ' to dead',
      },
      {
        ...{ name: 'late', state: 'idle', total: {}, messages: 0, alive: true, segments: ['idle'], steps: ['spawned'] },
      },
    ],
  });
});

test('a message that was seen already changes nothing', async () => {
  const { troupe } = stage([{ text: 'one', usage }]);
  const sink = memorySink();
  const inspection = inspectTroupe(troupe, { sinks: [sink] });
  const snapshot = inspection.snapshot();
  const agent = await troupe.spawn('a', { backend: 'one' });
  await agent.ask('hi');
  const once = modelled(snapshot, sink.messages);
  expect(modelled(snapshot, [...sink.messages, ...sink.messages])).toEqual(once);
  expect(modelled(inspection.snapshot(), sink.messages).events).toBe(0);
});

test('the script of the page is a script', () => {
  const script = /<script>([\s\S]*)<\/script>/.exec(page({ mode: 'live', actions: false }))?.[1] ?? '';
  expect(() => new Function(script)).not.toThrow();
});
