/** What Stately Inspector is sent: compared with the package `@statelyai/inspect`, and taken by its receiver. */
import { createBrowserReceiver, createInspector, type StatelyInspectionEvent } from '@statelyai/inspect';
import { expect, test } from 'vitest';
import { createActor } from 'xstate';
import { agentMachine, supervisorMachine } from '../../machines/index.ts';
import { inspectTroupe } from '../../src/inspect/inspect-troupe.ts';
import type { StatelyEvent } from '../../src/inspect/stately-events.ts';
import { type StatelySinkOptions, statelySink } from '../../src/inspect/stately-sink.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { openStream, type Stream, send, stage, usage } from './stage.ts';

/** All that a browser was sent so far. */
function eventsOf(stream: Stream): StatelyEvent[] {
  return stream.events
    .flatMap(({ data }) => data as { events: StatelyEvent[] } | { events: StatelyEvent[] }[])
    .flatMap(({ events }) => events);
}

async function watched(options?: StatelySinkOptions) {
  const { troupe } = stage([
    { toolCalls: [{ name: 'no_tool' }], usage },
    { text: 'SECRET answer', usage },
  ]);
  const sink = await statelySink(options);
  const inspection = inspectTroupe(troupe, { sinks: [sink] });
  return { troupe, sink, inspection };
}

const isDone = (stream: Stream) => () =>
  eventsOf(stream).some((event) => event.type === '@xstate.event' && event.event.type === 'ask settled');

test('a whole ask, as its receiver takes it', async () => {
  const { troupe, sink, inspection } = await watched();
  const stream = await openStream(sink);
  await stream.until(({ event }) => event === 'snapshot');
  const agent = await troupe.spawn('a', { backend: 'one', system: 'SECRET system' });
  await agent.ask('SECRET prompt');
  await stream.until(isDone(stream));

  const received: StatelyInspectionEvent[] = [];
  const listeners: ((event: { data: unknown }) => void)[] = [];
  const posted: unknown[] = [];
  const parent = { postMessage: (data: unknown) => posted.push(data) };
  const frame = { self: {}, top: {}, parent, addEventListener: (_: string, one: never) => listeners.push(one) };
  createBrowserReceiver({ window: frame as never }).subscribe((event) => received.push(event));
  expect(posted).toEqual([{ type: '@statelyai.connected' }]);
  for (const data of eventsOf(stream)) for (const listener of listeners) listener({ data });
  expect(received).toEqual(eventsOf(stream));

  const steps = received.map((event) => [
    event.sessionId,
    event.type.replace('@xstate.', ''),
    event.type === '@xstate.event' ? event.event.type : (event as { snapshot: { value: unknown } }).snapshot.value,
  ]);
  expect(steps).toEqual([
    ['@supervisor', 'actor', 'open'],
    ['a', 'actor', 'idle'],
    ['a', 'event', 'ask'],
    ['a', 'snapshot', { awaiting: 'calling' }],
    ['a', 'event', 'call begin'],
    ['a', 'event', 'call end'],
    ['a', 'event', 'callModel done'],
    ['a', 'snapshot', { 'tool-loop': 'running' }],
    ['a', 'event', 'tool begin'],
    ['a', 'event', 'tool end'],
    ['a', 'event', 'runTools done'],
    ['a', 'snapshot', { awaiting: 'calling' }],
    ['a', 'event', 'call begin'],
    ['a', 'event', 'call end'],
    ['a', 'event', 'callModel done'],
    ['a', 'snapshot', 'idle'],
    ['a', 'event', 'ask settled'],
  ]);
  expect(stream.bytes).not.toContain('SECRET');
  await inspection.stop();
});

test('each event has the fields that the package gives it, and the same definition', async () => {
  const theirs: StatelyInspectionEvent[] = [];
  const { inspect } = createInspector({ send: (event) => theirs.push(event) });
  createActor(supervisorMachine, { inspect, id: 'x' }).start().send({ type: 'close' });
  await expect.poll(() => theirs.map(({ type }) => type)).toContain('@xstate.snapshot');

  const { troupe, sink, inspection } = await watched();
  const stream = await openStream(sink);
  const agent = await troupe.spawn('a', { backend: 'one' });
  await agent.ask('hi');
  await stream.until(isDone(stream));
  const ours = eventsOf(stream);
  const shapeOf = (events: readonly object[], type: string) => {
    const event = JSON.parse(JSON.stringify(events.findLast((one) => (one as StatelyEvent).type === type)));
    return Object.entries(event)
      .map(([name, value]) => `${name}: ${typeof value}`)
      .sort();
  };
  for (const type of ['@xstate.event', '@xstate.snapshot']) expect(shapeOf(ours, type)).toEqual(shapeOf(theirs, type));
  expect(shapeOf(ours, '@xstate.actor')).toEqual([...shapeOf(theirs, '@xstate.actor'), 'parentId: string'].sort());
  expect(ours[0]?.['_version']).toBe(theirs[0]?.['_version']);

  createActor(agentMachine, { inspect, input: {} as never });
  await expect.poll(() => theirs.map((event) => (event as { name?: string }).name)).toContain(agentMachine.id);
  const definitionsOf = (events: readonly object[]) =>
    (events as { definition?: string }[])
      .flatMap(({ definition }) => (definition === undefined ? [] : [JSON.parse(definition)]))
      .sort((a, b) => a.id.localeCompare(b.id));
  expect(definitionsOf(ours)).toEqual(definitionsOf(theirs));
  await inspection.stop();
});

test('who comes late is sent every machine and agent as they are then', async () => {
  const { troupe, sink, inspection } = await watched();
  const agent = await troupe.spawn('a', { backend: 'one' });
  expect(inspection.isWatching).toBe(false);
  await agent.ask('hi');
  const stream = await openStream(sink);
  await stream.until(({ event }) => event === 'snapshot');
  expect(inspection.isWatching).toBe(true);
  const shown = eventsOf(stream).map(
    (event) => event.type === '@xstate.actor' && [event.name, event.parentId, event.snapshot],
  );
  expect(shown).toEqual([
    ['@supervisor', undefined, { status: 'active', value: 'open', context: {} }],
    [
      'a',
      '@supervisor',
      { status: 'active', value: 'idle', context: { depth: 0, messages: 4, tokens: expect.any(Number) } },
    ],
  ]);
  await inspection.stop();
});

test('strangers are sent nothing, and the page shows nothing but the inspector', async () => {
  const { sink, inspection } = await watched({ inspector: 'http://127.0.0.1:9/inspect' });
  const { port, token } = sink;
  const page = await send(port, { path: `/?token=${token}` });
  expect([page.status, page.headers['content-security-policy']]).toEqual([
    200,
    expect.stringMatching(/^default-src 'none';.* frame-src http:\/\/127\.0\.0\.1:9;/),
  ]);
  expect(page.text).toContain('src="http://127.0.0.1:9/inspect"');
  for (const path of ['/', '/events'])
    for (const headers of [{ host: 'evil.example' }, { origin: 'https://evil.example' }])
      expect((await send(port, { path: `${path}?token=${token}`, headers })).status).toBe(403);
  expect((await send(port, { path: '/events' })).status).toBe(403);
  await expect(statelySink({ inspector: 'file:///etc' })).rejects.toThrow('`inspector`');
  await inspection.stop();
  await settle();
});
