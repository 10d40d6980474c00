/** The inspector's server as a browser, a stranger and a slow reader see it. */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { inspectTroupe } from '../../src/inspect/inspect-troupe.ts';
import type { InspectSnapshot } from '../../src/inspect/messages.ts';
import { type InspectorServer, type ServeInspectorOptions, serveInspector } from '../../src/inspect/server.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { settle } from '../../src/testing/virtual-clock.ts';
import { openStream, send, stage } from './stage.ts';

const open: InspectorServer[] = [];
async function serve(options: ServeInspectorOptions = {}) {
  const server = await serveInspector({ lingerMs: 0, ...options });
  open.push(server);
  return server;
}
afterEach(() => Promise.all(open.splice(0).map((server) => server.close())));

const ask = { message: 'my prompt is PROMPT-CANARY', answer: 'ANSWER-CANARY', arguments: 'ARGUMENT-CANARY' };

test.each(['none', 'full'] as const)('with content `%s`', async (content) => {
  const { troupe } = stage([{ toolCalls: [{ name: 'no_such_tool', arguments: ask.arguments }] }, { text: ask.answer }]);
  const server = await serve({ troupe, content });
  const stream = await openStream(server);
  const first = await stream.until(({ event }) => event === 'snapshot');
  expect((first.data as InspectSnapshot).content).toBe(content);
  const agent = await troupe.spawn('a', { backend: 'one', system: 'SYSTEM-CANARY' });
  await agent.ask(ask.message);
  await agent.kill('REASON-CANARY');
  await stream.until(() => stream.messages.some(({ kind }) => kind === 'dead'));
  expect(stream.messages.map(({ kind }) => kind)).toContain('call');
  const shown = content === 'full' ? ['ANSWER-CANARY', 'ARGUMENT-CANARY', 'PROMPT-CANARY'] : [];
  expect([...new Set(stream.bytes.match(/\w+-CANARY/g))].sort()).toEqual(shown);
  await stream.close();
});

test('keys are shown to nobody', async () => {
  const key = `sk-ant-${'secret'.repeat(6)}`;
  const { troupe } = stage([]);
  const server = await serve({ troupe, content: 'full' });
  const stream = await openStream(server);
  await stream.until(({ event }) => event === 'snapshot');
  await troupe.spawn('a', { backend: 'one', system: key });
  await troupe
    .agent('a')
    ?.ask(`use ${key}`)
    .catch(() => {});
  await stream.until(() => stream.messages.some((message) => message.kind === 'ask' && message.phase === 'settled'));
  expect(stream.bytes).not.toContain('secretsecret');
  await stream.close();
});

test.each([
  ['a foreign Host', { host: 'evil.test' }],
  ['a Host with another port', { host: 'localhost:1' }],
  ['a foreign Origin', { origin: 'http://evil.test' }],
  ['an Origin that is null', { origin: 'null' }],
  ['an Origin of another port', { origin: 'http://127.0.0.1:1' }],
  ['a missing token', { authorization: '' }],
  ['a wrong token', { authorization: 'Bearer 12345678901234567890123456789012' }],
])('%s is refused', async (_name, headers: Record<string, string>) => {
  const { troupe } = stage([]);
  const { port, token } = await serve({ troupe, actions: true });
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/events'],
    ['GET', '/recording'],
    ['GET', '/no/such/thing'],
    ['POST', '/actions'],
    ['OPTIONS', '/actions'],
  ] as const) {
    const answer = await send(port, { method, path, headers: { authorization: `Bearer ${token}`, ...headers } });
    expect({ path, status: answer.status, cors: answer.headers['access-control-allow-origin'] }).toEqual({
      ...{ path, status: 403, cors: undefined },
    });
  }
});

test('a stranger is refused before its body is read', async () => {
  const { port } = await serve({ troupe: stage([]).troupe, actions: true });
  const socket = connect(port, '127.0.0.1');
  socket.write('POST /actions HTTP/1.1\r\nhost: evil.test\r\ncontent-length: 100000000\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  expect(text.split('\r\n')[0]).toBe('HTTP/1.1 403 Forbidden');
});

test('the page carries all that it needs and may load nothing', async () => {
  const { url, port } = await serve({ troupe: stage([]).troupe });
  const { text, headers, status } = await send(port, { path: url.slice(url.indexOf('/', 8)) });
  const script = /<script>([\s\S]*)<\/script>/.exec(text)?.[1] ?? '';
  const style = /<style>([\s\S]*)<\/style>/.exec(text)?.[1] ?? '';
  const hash = (of: string) => `'sha256-${createHash('sha256').update(of).digest('base64')}'`;
  expect(status).toBe(200);
  expect(headers['content-security-policy']).toBe(
    `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; connect-src 'self'; base-uri 'none'; ` +
      "form-action 'none'; frame-ancestors 'none'",
  );
  expect(headers['referrer-policy']).toBe('no-referrer');
  expect(text.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|src=|@import|url\(/);
  expect(script).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
});

test('who comes back gets what it missed, and no snapshot', async () => {
  const { troupe } = stage([{ text: '1' }, { text: '2' }]);
  const server = await serve({ troupe, lingerMs: 60_000 });
  const first = await openStream(server);
  await first.until(({ event }) => event === 'snapshot');
  const agent = await troupe.spawn('a', { backend: 'one' });
  await agent.ask('hi');
  await first.until(() => first.messages.some((one) => one.kind === 'ask' && one.phase === 'settled'));
  const { id = '' } = first.events.at(-1) ?? {};
  await first.close();

  await agent.ask('again');
  const second = await openStream(server, { 'last-event-id': id });
  await second.until(() => second.messages.some((one) => one.kind === 'ask' && one.phase === 'settled'));
  expect(second.events.map(({ event }) => event).filter((event) => event !== 'messages')).toEqual([]);
  expect([...first.messages, ...second.messages].map(({ seq }) => seq)).toEqual(
    Array.from({ length: first.messages.length + second.messages.length }, (_, index) => index + 1),
  );
  await second.close();
});

test('who missed more than is kept is told of a gap', async () => {
  const { troupe } = stage([{ text: '1' }, { text: '2' }]);
  const server = await serve({ troupe, ringLimit: 2, lingerMs: 60_000 });
  const first = await openStream(server);
  const { id = '' } = await first.until(({ event }) => event === 'snapshot');
  const agent = await troupe.spawn('a', { backend: 'one' });
  await agent.ask('hi');
  await first.until(() => first.messages.some((one) => one.kind === 'ask' && one.phase === 'settled'));
  await first.close();
  const second = await openStream(server, { 'last-event-id': id });
  const { data } = await second.until(({ event }) => event === 'snapshot');
  expect(second.events.map(({ event }) => event)).toEqual(['gap', 'snapshot']);
  expect((data as InspectSnapshot).seq).toBe(first.messages.at(-1)?.seq);
  await second.close();
});

test('a slow reader costs a bounded buffer, and is told of its gap', async () => {
  const { troupe } = stage([]);
  const server = await serve({ ringLimit: 8, maxBufferedBytes: 256 * 1024 });
  const inspection = inspectTroupe(troupe, { sinks: [server] });
  const slow = await openStream(server);
  await slow.until(({ event }) => event === 'snapshot');
  slow.response.pause();
  const reason = 'x'.repeat(128 * 1024);
  for (let seq = 1; seq <= 800; seq += 1) {
    server.write({ at: 0, seq, agent: 'a', kind: 'warning', code: 'c', message: reason });
    if (seq % 8 === 0) await settle();
  }
  slow.response.resume();
  const { data } = await slow.until(({ event }) => event === 'gap');
  const { missed } = data as { missed: number };
  expect(missed).toBeGreaterThan(0);
  await slow.until(({ event }) => slow.messages.length + missed === 800 && event === 'snapshot');
  expect(slow.bytes.length).toBeLessThan(800 * 128 * 1024 - missed * 128 * 1024 + 256 * 1024);
  await slow.close();
  await inspection.stop();
});

test('a troupe is watched while a browser looks', async () => {
  const { troupe } = stage([]);
  const server = await serve();
  const inspection = inspectTroupe(troupe, { sinks: [server] });
  expect(inspection.isWatching).toBe(false);
  const stream = await openStream(server);
  expect(inspection.isWatching).toBe(true);
  await stream.close();
  while (inspection.isWatching) await settle();
  const again = await openStream(server);
  expect(inspection.isWatching).toBe(true);
  const ended = new Promise((resolve) => again.response.once('close', resolve));
  await server.close();
  expect(inspection.isWatching).toBe(false);
  await ended;
});

test('actions cancel, kill and decide', async () => {
  const backend = gatedBackend();
  const troupe = createTroupe({ backends: { gated: backend } });
  const { port, token } = await serve({ troupe, actions: true });
  const post = (body: unknown) =>
    send(port, {
      ...{ method: 'POST', path: '/actions', body: JSON.stringify(body) },
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    });
  const agent = await troupe.spawn('a');
  const cancelled = agent.ask('one', { askId: 'ask-1' }).catch((error) => error.code);
  await settle();
  expect((await post({ type: 'cancel', agent: 'a', askId: 'ask-1' })).status).toBe(204);
  expect(await cancelled).toBe('TROUPE_ERR_ASK_CANCELLED');
  const killed = agent.ask('two').catch((error) => error.code);
  expect((await post({ type: 'kill', agent: 'a' })).status).toBe(204);
  expect(await killed).toBe('TROUPE_ERR_AGENT_DEAD');
  const wrong = [
    await post({ type: 'kill', agent: 'a' }),
    await post({ type: 'dance', agent: 'a' }),
    await post({ type: 'allow', agent: 'a', callId: 'x', more: 1 }),
    await post('x'.repeat(20_000)),
  ];
  expect(wrong.map(({ status }) => status)).toEqual([400, 400, 400, 413]);
  expect(wrong[0]?.text).toBe('action: there is no living agent "a".');
});

test('actions are off unless they are turned on', async () => {
  const { troupe } = stage([]);
  const { port, token } = await serve({ troupe });
  await troupe.spawn('a', { backend: 'one' });
  const { status } = await send(port, {
    ...{ method: 'POST', path: '/actions', body: '{"type":"kill","agent":"a"}' },
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  });
  expect(status).toBe(403);
  expect(troupe.agent('a')?.state).toBe('idle');
});

test('it listens to this machine unless told otherwise', async () => {
  const { url, token } = await serve();
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}$/);
  expect(token.length).toBe(32);
  for (const options of [{ host: '0.0.0.0' }, { host: '0.0.0.0', remote: true }, { host: '::', token: 'x'.repeat(16) }])
    await expect(serveInspector(options)).rejects.toMatchObject({ code: 'TROUPE_ERR_OPTION_INVALID' });
  await expect(serveInspector({ token: 'short' })).rejects.toThrow('`token` must be at least 16 characters');
  await expect(serveInspector({ port: Number(new URL(url).port) })).rejects.toThrow('EADDRINUSE');
});
