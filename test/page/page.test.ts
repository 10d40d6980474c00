/** The inspector's pages in a real browser. `SCREENSHOTS=folder` keeps what they look like. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { offline } from '../../actors/backends/offline.ts';
import { inspectTroupe } from '../../src/inspect/inspect-troupe.ts';
import { jsonlSink, readRecording } from '../../src/inspect/recording.ts';
import { serveInspector } from '../../src/inspect/server.ts';
import { statelySink } from '../../src/inspect/stately-sink.ts';
import { review } from '../../src/review/index.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import { gatedBackend } from '../../src/testing/gated-backend.ts';
import { send } from '../inspect/stage.ts';
import { browserPath, launch } from './browser.ts';

const sample = new URL('../../examples/sample-project', import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), 'troupe-page-'));
const screenshots = process.env['SCREENSHOTS'];

let browser: Browser;

describe.skipIf(browserPath === undefined)('in a browser', { timeout: 60_000 }, () => {
  beforeAll(async () => {
    browser = await launch();
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('a review live, then from its recording', async () => {
    const path = join(folder, 'review.jsonl');
    const held = gatedBackend();
    const troupe = createTroupe({ backends: { offline: offline(), held } });
    const server = await serveInspector({ lingerMs: 0 });
    const inspection = inspectTroupe(troupe, { sinks: [server, jsonlSink(path)] });
    const { page, traffic, hosts } = await open(server.url);

    const planner = await troupe.spawn('planner', { backend: 'held', model: 'held-model' });
    const asked = planner.ask('SECRET prompt');
    await expect.poll(() => held.pending.length).toBe(1);
    await page.locator('.row', { hasText: 'planner' }).click();
    await lit(page, 'calling');
    const usage = { inputTokens: 1200, outputTokens: 300 };
    held.next().resolve({ text: 'SECRET answer', usage: { ...held.next().request, ...usage } as never, costUsd: 1.25 });
    await asked;
    await lit(page, 'idle');
    const report = await review(troupe, sample, { backend: 'offline' });
    expect(report.findings.length).toBeGreaterThan(0);

    await figuresAre(page, troupe);
    await page.locator('.row', { hasText: 'security' }).click();
    await page.locator('#sequence .step').first().waitFor();
    await expect.poll(() => page.locator('#who').textContent()).toBe('security');
    await page.locator('#span').selectOption('5000');
    await shoot(page, 'inspector-overview');
    await shoot(page, 'inspector-statechart', '#chart');
    await shoot(page, 'inspector-sequence', '#sequence');
    const seen = `${await page.content()}${traffic.join('')}`;
    expect(seen).toContain('planner');
    expect(seen).not.toMatch(/SECRET|auth\.js/);
    expect([...hosts]).toEqual([new URL(server.url).host]);
    await refusesStrangers(server);
    const state = { agents: troupe.agents().length, cost: troupe.usage().costUsd };
    await inspection.stop();
    await page.close();

    const shown = await serveInspector({ recording: await readRecording(path) });
    const again = await open(shown.url);
    await expect.poll(() => figure(again.page, 'agents')).toBe(String(state.agents));
    expect(await figure(again.page, 'cost')).toBe(`$${state.cost?.toFixed(2)}`);
    await again.page.locator('#seek').fill('0');
    await expect.poll(() => figure(again.page, 'agents')).toBe('0');
    await again.page.locator('#seek').fill('1000');
    await expect.poll(() => figure(again.page, 'agents')).toBe(String(state.agents));
    await again.page.locator('.row', { hasText: 'security' }).click();
    await shoot(again.page, 'inspector-replay');
    await again.page.close();
    await shown.close();
    await troupe.close();
  });

  test('the page around Stately Inspector hands on what the frame asks for, to it alone', async () => {
    const { url: inspector, close } = await stubInspector();
    const held = gatedBackend();
    const troupe = createTroupe({ backends: { held } });
    await troupe.spawn('early', { backend: 'held' });
    const sink = await statelySink({ inspector });
    const inspection = inspectTroupe(troupe, { sinks: [sink] });
    const { page } = await open(sink.url);
    const frame = page.frameLocator('iframe').locator('#seen');
    await expect.poll(() => frame.textContent()).toBe('@xstate.actor:@supervisor @xstate.actor:early ');
    await troupe.spawn('late', { backend: 'held' });
    await expect.poll(() => frame.textContent()).toMatch(/ @xstate\.actor:late $/);
    await page.close();
    await inspection.stop();
    await troupe.close();
    close();
  });
});

/** A page, with every server-sent event that it gets and every host that it talks to. */
async function open(url: string) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 760 } });
  const traffic: string[] = [];
  const hosts = new Set<string>();
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  session.on('Network.eventSourceMessageReceived', ({ data }) => traffic.push(data));
  await page.goto(url);
  return { page, traffic, hosts };
}

/** Waits until this state of the statechart is lit, and no other. */
async function lit(page: Page, state: string) {
  await expect.poll(() => page.locator('#chart .node.now text:not(.invokes)').allTextContents()).toEqual([state]);
}

function figure(page: Page, label: string): Promise<string | null> {
  return page
    .locator('#figures .figure', { has: page.locator(`span:text-is("${label}")`) })
    .locator('b')
    .textContent();
}

/** Waits until the page says what the troupe says. */
async function figuresAre(page: Page, troupe: Troupe) {
  const { usage, costUsd } = troupe.usage();
  await expect.poll(() => figure(page, 'agents')).toBe(String(troupe.agents().length));
  await expect.poll(() => figure(page, 'cost')).toBe(`$${costUsd?.toFixed(2)}`);
  expect(usage.inputTokens).toBe(1200);
  await expect.poll(() => figure(page, 'tokens in → out')).toBe('1.2k → 300');
}

async function refusesStrangers({ port, token }: { port: number; token: string }) {
  for (const headers of [{ host: `evil.example:${port}` }, { origin: 'https://evil.example' }])
    for (const path of ['/', '/events', '/recording'])
      expect((await send(port, { path: `${path}?token=${token}`, headers })).status).toBe(403);
  expect((await send(port, { path: '/events' })).status).toBe(403);
}

async function shoot(page: Page, name: string, selector?: string) {
  if (screenshots === undefined) return;
  const path = join(screenshots, `${name}.png`);
  await (selector === undefined ? page.screenshot({ path }) : page.locator(selector).screenshot({ path }));
}

/** What the hosted inspector does as far as it is known: says that it is there, and listens. */
async function stubInspector() {
  const script = `addEventListener('message', ({ data }) => { seen.append(data.type + ':' + data.sessionId + ' '); });
    parent.postMessage({ type: '@statelyai.connected' }, '*');`;
  const server: Server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(`<!doctype html><p id="seen"></p><script>${script}</script>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
