/** Exchanges with a real server, recorded and said again without it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ollama } from '../../actors/backends/ollama.ts';
import { openai } from '../../actors/backends/openai.ts';
import { createTroupe } from '../../src/index.ts';
import { type CassetteOptions, cassette } from '../../src/testing/cassette.ts';
import { type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { readTape } from '../../src/testing/tape.ts';
import { type ModelServer, modelServer } from '../contract/server.ts';
import { openAiFaults } from '../helpers/openai-wire.ts';

const home = mkdtempSync(join(tmpdir(), 'troupe-cassette-'));
const key = 'a-key-of-no-known-shape-4711';
let path: string;
let count = 0;

beforeEach(() => {
  count += 1;
  path = join(home, `${count}.jsonl`);
});

/** Asks these prompts through a cassette, and gives the answers, or the codes of what failed. */
async function ask(kind: 'openai' | 'ollama', options: Partial<CassetteOptions>, prompts: readonly string[]) {
  const tape = await cassette({ path, ...options });
  const { endpoint } = tape;
  const model = 'contract-model';
  const backend = kind === 'openai' ? openai({ endpoint, model, apiKey: key }) : ollama({ endpoint, model });
  const troupe = createTroupe({ backends: { backend } });
  const agent = await troupe.spawn('a', { maxRetries: 0 });
  const answers: string[] = [];
  const pieces: string[] = [];
  for (const prompt of prompts) {
    const stream = agent.stream(prompt);
    try {
      for await (const event of stream) if (event.type === 'text-delta') pieces.push(event.text);
      answers.push((await stream.reply).text);
    } catch (error) {
      answers.push((error as Error).message);
    }
  }
  await troupe.close();
  return { answers, pieces, closed: tape.close() };
}

describe('with a model server', () => {
  let server: ModelServer;

  beforeEach(async () => {
    server = await modelServer();
  });
  afterEach(() => server.close());

  test.each(['openai', 'ollama'] as const)('%s: what was said is said again, piece by piece', async (kind) => {
    const prompts = ['say Grüße, wörld.', 'count'];
    const recorded = await ask(kind, { mode: 'record', target: server.url }, prompts);
    await recorded.closed;
    const requests = server.counts.requests;
    const replayed = await ask(kind, {}, prompts);
    await replayed.closed;
    expect(replayed.answers).toEqual(recorded.answers);
    expect(replayed.pieces.join('')).toBe(recorded.pieces.join(''));
    expect([recorded.answers[0], server.counts.requests]).toEqual(['Grüße, wörld.', requests]);
    expect(readTape(path).find(({ body }) => body.includes('wörld'))?.chunks.length).toBeGreaterThan(3);
  });

  test('a key in a prompt is not on the tape', async () => {
    const { closed } = await ask('openai', { mode: 'record', target: server.url }, [`${key}\nsay one`]);
    await closed;
    const tape = readFileSync(path, 'utf8');
    expect([tape.includes(key), tape.includes('[redacted]')]).toEqual([false, true]);
    const replayed = await ask('openai', {}, [`${key}\nsay one`]);
    await replayed.closed;
    expect(replayed.answers).toEqual(['one']);
  });

  test('an answer that spells a key in pieces is not on the tape, and told', async () => {
    const { answers, closed } = await ask('openai', { mode: 'record', target: server.url }, [`say ${key}`]);
    expect(answers).toEqual([key]);
    await expect(closed).rejects.toMatchObject({ code: 'TROUPE_ERR_SCRIPT_UNEXPECTED' });
    expect(readTape(path)).toEqual([]);
  });

  test('a request that is not on the tape is refused with what differs, and told again at the end', async () => {
    await (await ask('openai', { mode: 'record', target: server.url }, ['say one'])).closed;
    const { answers, closed } = await ask('openai', {}, ['say two']);
    const problem = '`messages[0].content` is "say two" and on the tape "say one"';
    expect(answers).toEqual([expect.stringContaining(problem)]);
    await expect(closed).rejects.toMatchObject({
      code: 'TROUPE_ERR_SCRIPT_UNEXPECTED',
      message: expect.stringContaining(problem),
    });
  });

  test('what nobody asked for is told at the end', async () => {
    await (await ask('openai', { mode: 'record', target: server.url }, ['say one', 'say two'])).closed;
    const { answers, closed } = await ask('openai', {}, ['say one']);
    expect(answers).toEqual(['one']);
    await expect(closed).rejects.toMatchObject({ code: 'TROUPE_ERR_SCRIPT_UNCONSUMED' });
  });
});

describe('with a server that fails', () => {
  let server: FaultServer;

  beforeEach(async () => {
    server = await faultServer(openAiFaults);
  });
  afterEach(() => server.close());

  const codes = async (options: Partial<CassetteOptions>, fault: string) => {
    const tape = await cassette({ path, ...options });
    const backend = openai({ endpoint: tape.endpoint, model: `fault:${fault}`, apiKey: key });
    const troupe = createTroupe({ backends: { backend } });
    const agent = await troupe.spawn('a', { maxRetries: 0 });
    const error = await agent.ask('hello').catch((thrown: unknown) => thrown);
    await troupe.close();
    await tape.close();
    const { code, status, retryAfterMs, partialText } = error as Record<string, unknown>;
    return { code, status, retryAfterMs, partialText };
  };

  test.each(['429-seconds', '500', '401-echo', 'reset-mid-stream', 'html-200'])('%s is replayed', async (fault) => {
    const recorded = await codes({ mode: 'record', target: server.url }, fault);
    expect(recorded.code).toMatch(/^TROUPE_ERR_BACKEND_/);
    expect(readFileSync(path, 'utf8')).not.toContain(key);
    expect(await codes({}, fault)).toEqual(recorded);
    expect(server.counts.requests).toBe(1);
  });

  test('a client that leaves is on the tape, too', async () => {
    const leave = async (options: Partial<CassetteOptions>) => {
      const tape = await cassette({ path, ...options });
      const backend = openai({ endpoint: tape.endpoint, model: 'fault:hang-body' });
      const troupe = createTroupe({ backends: { backend } });
      const seen: string[] = [];
      for await (const event of (await troupe.spawn('a')).stream('hello')) {
        if (event.type !== 'text-delta') continue;
        seen.push(event.text);
        break;
      }
      await troupe.close();
      await tape.close();
      return seen;
    };
    const recorded = await leave({ mode: 'record', target: server.url });
    expect(readTape(path).map(({ end }) => end)).toEqual(['left']);
    expect(await leave({})).toEqual(recorded);
  });

  test('a server that is not there is told at the end', async () => {
    await expect(codes({ mode: 'record', target: 'http://127.0.0.1:9' }, 'ok')).rejects.toMatchObject({
      code: 'TROUPE_ERR_SCRIPT_UNEXPECTED',
    });
  });
});

test('a tape that is none, and options that are wrong', async () => {
  await expect(cassette({ path })).rejects.toMatchObject({ code: 'TROUPE_ERR_PATH_REFUSED' });
  writeFileSync(path, '{}\n');
  await expect(cassette({ path })).rejects.toMatchObject({ code: 'TROUPE_ERR_PATH_REFUSED' });
  await expect(cassette({ path, mode: 'record' })).rejects.toMatchObject({ code: 'TROUPE_ERR_OPTION_INVALID' });
  rmSync(home, { recursive: true });
});
