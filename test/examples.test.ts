/** Every example runs and says what it should. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { text as readAll } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Backend } from '../actors/backend.ts';
import { anthropic } from '../actors/backends/anthropic.ts';
import { claudeCli } from '../actors/backends/claude-cli.ts';
import { ollama } from '../actors/backends/ollama.ts';
import { main as ask } from '../examples/01-ask.ts';
import { main as tools } from '../examples/02-tools.ts';
import { main as review } from '../examples/03-review.ts';
import { main as fallback } from '../examples/04-fallback.ts';
import { start as fastify } from '../examples/05-fastify.ts';
import { start as express } from '../examples/06-express.ts';
import { main as claudeOnly } from '../examples/07-claude.ts';
import { main as cheapModel } from '../examples/08-cheap-model.ts';
import { main as localModel } from '../examples/09-local-model.ts';
import { main as devToProd } from '../examples/10-dev-to-prod.ts';
import { main as dataGateway } from '../examples/11-data-gateway.ts';
import { main as experts } from '../examples/12-experts.ts';
import { main as testTool } from '../examples/13-test-a-tool.ts';
import { main as testPolicy } from '../examples/14-test-a-policy.ts';
import { type Fault, type FaultServer, faultServer } from '../src/testing/fault-server.ts';
import { type ModelServer, modelServer } from './contract/server.ts';
import { type FakeClaude, fakeClaude } from './helpers/fake-claude.ts';
import { openAiFaults, wholeText } from './helpers/openai-wire.ts';
import { distFolder } from './helpers/processes.ts';
import { walletModel } from './helpers/wallet-model.ts';

afterEach(() => vi.unstubAllEnvs());

async function output(main: (print: (text: string) => void) => Promise<void>): Promise<string[]> {
  let text = '';
  await main((piece) => {
    text += piece;
  });
  return text.trim().split('\n');
}

test('01-ask', async () => {
  const server = await faultServer(openAiFaults);
  vi.stubEnv('LLM_ENDPOINT', server.url);
  expect(await output(ask)).toEqual([`${wholeText} (5 tokens)`, wholeText]);
  await server.close();
});

test('02-tools', async () => {
  expect(await output(tools)).toEqual([
    'user: What do an apple, a pear and a stone cost?',
    'assistant: ',
    'tool: 40',
    'tool: 55',
    expect.stringMatching(/^tool: The arguments do not fit: fruit: /),
    'assistant: An apple and a pear cost 95 cents. I know no stone.',
    '2 steps',
  ]);
});

test('03-review', async () => {
  const lines = await output(review);
  expect([lines.length, lines.filter((line) => /^(critical|high|medium|low) \S+:\d+ \S/.test(line)).length]).toEqual([
    20, 20,
  ]);
});

test('04-fallback', async () => {
  expect(await output(fallback)).toEqual(['nobody: TROUPE_ERR_BACKEND_UNREACHABLE', 'rules: answered']);
});

describe('the phases, on a model of this machine', () => {
  let model: ModelServer;
  let fake: FakeClaude;
  const says = 'I was told nothing that I know.';
  const claude = () => claudeCli(fake.options());
  const local = () => ollama({ endpoint: model.url, model: 'contract-model' });

  beforeEach(async () => {
    model = await modelServer();
    fake = await fakeClaude(model.url);
  });
  afterEach(async () => {
    expect(fake.alive()).toEqual([]);
    await model.close();
    await fake.remove();
  });

  test('07-claude', async () => {
    const lines = await output((print) => claudeOnly(print, claude()));
    expect(lines).toEqual([
      expect.stringMatching(/^planner: I was told nothing that I know\. \(\$0\.0\d+\)$/),
      expect.stringMatching(/^rival: I was told nothing that I know\. \(\$0\.0\d+\)$/),
    ]);
    expect(model.heard.slice(1).map(({ messages }) => messages.map(({ text }) => text))).toEqual(
      expect.arrayContaining([
        ['We build a book store.', says, 'Choose SQL.'],
        ['We build a book store.', says, 'Choose files.'],
      ]),
    );
  });

  test('08-cheap-model', async () => {
    const [answer, ...costs] = await output((print) => cheapModel(print, claude()));
    const usd = costs.map((line) => Number(line.split('$')[1]));
    expect([answer, ...costs.map((line) => line.split(':')[0])]).toEqual([
      ...[says, 'fetcher on haiku', 'orchestrator on sonnet'],
    ]);
    expect((usd[1] ?? 0) / (usd[0] ?? 1)).toBeGreaterThan(4);
  });

  test('09-local-model', async () => {
    const lines = await output((print) => localModel(print, claude(), local()));
    expect(lines).toEqual([
      `worker 1: ${says}`,
      expect.stringMatching(/^planner on claude: \$0\.0\d+$/),
      'worker 1 on local: $0.000000',
    ]);
  });

  test('10-dev-to-prod', async () => {
    const lines = await output((print) => devToProd(print, claude(), local()));
    expect(lines).toEqual([`local: ${says}`, `moved to claude: ${says}`, `claude: ${says}`]);
    expect(model.heard[2]?.messages[0]?.text).toContain('<user>\nWe sell books. Remember that.\n</user>');
  });
});

describe('11-data-gateway, with a real MCP server', () => {
  let model: ModelServer;
  let fake: FakeClaude;
  const local = () => ollama({ endpoint: model.url, model: 'llama3.1' });

  beforeEach(async () => {
    model = await modelServer({ model: walletModel });
    fake = await fakeClaude(model.url);
  });
  afterEach(async () => {
    expect([fake.alive(), model.violations]).toEqual([[], []]);
    await model.close();
    await fake.remove();
  });

  test('by prices of 2025', async () => {
    const haiku = anthropic({ endpoint: model.url, apiKey: 'sk', model: 'claude-haiku-3-5-20241022' });
    // On loopback it would be a model of this machine, which is free.
    const cheap: Backend = { ...haiku, info: { ...haiku.info, price: 'per-token' } };
    const lines = await output((print) => dataGateway(print, cheap, local(), 'claude-sonnet-4-20250514'));
    expect(lines.slice(4)).toEqual([
      'claude-sonnet-4-20250514 for the same tokens',
      '  1464 input × $3 / 1,000,000 = $0.004392',
      '  176 output × $15 / 1,000,000 = $0.002640',
      'fetcher on claude-haiku-3-5-20241022',
      '  932 input × $0.8 / 1,000,000 = $0.000746',
      '  70 output × $4 / 1,000,000 = $0.000280',
      'analyst on llama3.1: free',
      '$0.001026 instead of $0.007032: 85.4 % less',
    ]);
    expect(model.ledger).toMatchObject({ input: 1464, output: 176 });
    const asked = model.heard.map(({ messages }) => messages.findLast(({ role }) => role === 'user')?.text);
    const wallet = '{"total_aum":125000,"staked":98000,"rewards":1840,"validators":[{"name":"north",';
    expect(asked[2]?.slice(0, wallet.length)).toBe(wallet);
    expect(asked[2]).not.toContain('transactions');
  });

  test('by Claude Code', async () => {
    const lines = await output((print) =>
      dataGateway(print, claudeCli({ ...fake.options(), model: 'haiku' }), local()),
    );
    expect(lines.slice(0, 4).map((line) => line.split(/[?.]/)[0])).toEqual([
      ...['Is the stake spread well', 'What do the commissions cost', 'Name the largest risk', 'Sum up'],
    ]);
    // What the README shows is what it prints.
    expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).toContain(lines.slice(4).join('\n'));
    expect(lines.at(-1)).toMatch(/^\$0\.\d+ instead of \$0\.\d+: 9[5-9]\.\d % less$/);
  });
});

test('12-experts', async () => {
  expect(await output(experts)).toEqual([
    'The answers are written down beforehand, and a token is taken to be four characters: this proves',
    'arithmetic, not quality. Whether narrow experts on a cheap model find as much is another question.',
    '1 generalist on sonnet: five questions, all files sent again with each',
    '  sonnet: 15093 input × $2 / 1,000,000 = $0.030186',
    '  sonnet: 45 output × $10 / 1,000,000 = $0.000450',
    '  sum $0.030636',
    '2 the same, asked all five at once',
    '  sonnet: 3011 input × $2 / 1,000,000 = $0.006022',
    '  sonnet: 44 output × $10 / 1,000,000 = $0.000440',
    '  sum $0.006462',
    '  instead of $0.030636: 78.9 % less, 1 : 4.7',
    '3 five experts, each with its files, and an orchestrator on sonnet',
    '  sonnet: 3083 input × $2 / 1,000,000 = $0.006166',
    '  sonnet: 51 output × $10 / 1,000,000 = $0.000510',
    '  sum $0.006676',
    '  instead of $0.030636: 78.2 % less, 1 : 4.6',
    '4 the experts on haiku, the orchestrator on sonnet',
    '  haiku: 3031 input × $0.1 / 1,000,000 = $0.000303',
    '  haiku: 45 output × $0.5 / 1,000,000 = $0.000023',
    '  sonnet: 52 input × $2 / 1,000,000 = $0.000104',
    '  sonnet: 6 output × $10 / 1,000,000 = $0.000060',
    '  sum $0.000490',
    '  instead of $0.030636: 98.4 % less, 1 : 62.6',
    '5 the experts on a model of this machine, free, the orchestrator on sonnet',
    '  sonnet: 52 input × $2 / 1,000,000 = $0.000104',
    '  sonnet: 6 output × $10 / 1,000,000 = $0.000060',
    '  sum $0.000164',
    '  instead of $0.030636: 99.5 % less, 1 : 186.8',
    "1, 2 and 4 were run; the troupe's own account of them: $0.037588",
  ]);
});

describe.each([
  ['05-fastify', fastify],
  ['06-express', express],
])('%s', (name, start) => {
  let model: FaultServer;
  let service: Awaited<ReturnType<typeof start>>;

  /** The example, with a model that behaves like this. */
  const begin = async (fault: string, graceMs?: number, faults: Readonly<Record<string, Fault>> = openAiFaults) => {
    model = await faultServer(faults);
    const grace = graceMs === undefined ? {} : { graceMs };
    service = await start({ endpoint: model.url, model: `fault:${fault}`, ...grace });
  };

  afterEach(async () => {
    await service.close();
    await expect(fetch(service.url)).rejects.toThrow();
    await model.when(({ openSockets }) => openSockets === 0);
    await model.close();
  });

  const post = (body: object, signal?: AbortSignal) => {
    const headers = { 'content-type': 'application/json' };
    return fetch(`${service.url}/ask`, { method: 'POST', headers, body: JSON.stringify(body), signal: signal ?? null });
  };
  const question = { agent: 'clerk', prompt: 'Hi' };
  const stream = (signal?: AbortSignal) =>
    fetch(`${service.url}/stream?${new URLSearchParams(question)}`, { signal: signal ?? null });

  test('an ask is answered', async () => {
    await begin('ok');
    const response = await post(question);
    expect([response.status, await response.json()]).toEqual([
      200,
      { text: wholeText, usage: expect.objectContaining({ outputTokens: 5 }) },
    ]);
    await post({ agent: 'poet', prompt: 'And you?' });
    expect(model.requests.map(({ body }) => body?.['messages'])).toEqual([
      [
        { role: 'system', content: 'Answer in one line.' },
        { role: 'user', content: 'Hi' },
      ],
      [
        { role: 'system', content: 'Answer in verse.' },
        { role: 'user', content: 'And you?' },
      ],
    ]);
  });

  test('a stream is sent as events', async () => {
    await begin('ok');
    const response = await stream();
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    const events = (await response.text()).split('\n\n');
    expect(events.splice(-2)).toEqual(['event: done\ndata:', '']);
    expect(events.map((event) => JSON.parse(event.replace('data: ', ''))).join('')).toBe(wholeText);
  });

  test.each([
    ['no prompt', { agent: 'clerk' }],
    ['no such agent', { agent: 'constructor', prompt: 'Hi' }],
    ['not a text', { agent: 'clerk', prompt: {} }],
  ])('a wrong question is the client’s fault: %s', async (_name, body) => {
    await begin('ok');
    const { status } = await post(body);
    expect([status, model.counts.requests]).toEqual([400, 0]);
  });

  test('a failure has the code of its error', async () => {
    await begin('403');
    const response = await post(question);
    expect([response.status, await response.json()]).toEqual([502, { error: 'TROUPE_ERR_BACKEND_AUTH' }]);
    expect(await (await stream()).text()).toBe('event: error\ndata: TROUPE_ERR_BACKEND_AUTH\n\n');
  });

  test('a client that leaves its stream cancels the ask', async () => {
    await begin('drip-forever');
    const leave = new AbortController();
    const response = await stream(leave.signal);
    expect((await response.body?.getReader().read())?.value).toBeDefined();
    leave.abort();
    await model.when(({ aborted, openSockets }) => aborted === 1 && openSockets === 0);
  });

  test('so does one that leaves before its answer', async () => {
    await begin('hang-headers');
    const leave = new AbortController();
    const response = post(question, leave.signal);
    await model.when(({ requests }) => requests === 1);
    leave.abort();
    await expect(response).rejects.toThrow();
    await model.when(({ aborted }) => aborted === 1);
  });

  test('close waits for what is in progress', async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await begin('late', undefined, { late: (exchange) => released.then(() => openAiFaults['ok']?.(exchange)) });
    const response = post(question);
    await model.when(({ requests }) => requests === 1);
    const closed = service.close();
    release();
    expect(await (await response).json()).toMatchObject({ text: wholeText });
    await closed;
  });

  test('but no longer than its grace', async () => {
    await begin('drip-forever', 1);
    const response = await stream();
    const text = response.text();
    await service.close();
    expect(await text).toBe('data: "Grüße"\n\nevent: error\ndata: TROUPE_ERR_AGENT_DEAD\n\n');
    await model.when(({ aborted }) => aborted === 1);
  });

  test('nothing of it keeps a process alive', async () => {
    await begin('ok');
    const script = `(await import('../dist/examples/${name}.js')).main((text) => process.stdout.write(text));`;
    const env = { PATH: process.env['PATH'] ?? '', LLM_ENDPOINT: model.url };
    const args = ['--input-type=module', '-e', script];
    const child = spawn(process.execPath, args, {
      cwd: import.meta.dirname,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const output = readAll(child.stdout);
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(await output).toContain('event: done');
  });
});

test('13-test-a-tool', async () => {
  expect(await output(testTool)).toEqual(['3 results are as they should be']);
});

test('14-test-a-policy', async () => {
  expect(await output(testPolicy)).toEqual(['strong: TROUPE_ERR_BACKEND_UNAVAILABLE', 'spare: answered']);
});

test('15-test-a-compression', async () => {
  // As a program: what is loaded at first use comes through the test runner's server, which the virtual clock knows nothing of.
  const example = `${distFolder()}/examples/15-test-a-compression.js`;
  const script = `await (await import(${JSON.stringify(example)})).main((text) => process.stdout.write(text));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  expect(await readAll(child.stdout)).toBe('5 compressions, 13 of 43 messages are sent, 21 minutes\n');
});

test('no example is left out', () => {
  const files = readdirSync(new URL('../examples', import.meta.url)).filter((name) => /^\d.*\.ts$/.test(name));
  expect(files.sort()).toEqual([
    ...['01-ask.ts', '02-tools.ts', '03-review.ts', '04-fallback.ts', '05-fastify.ts', '06-express.ts'],
    ...[
      '07-claude.ts',
      '08-cheap-model.ts',
      '09-local-model.ts',
      '10-dev-to-prod.ts',
      '11-data-gateway.ts',
      '12-experts.ts',
      '13-test-a-tool.ts',
      '14-test-a-policy.ts',
      '15-test-a-compression.ts',
    ],
  ]);
});
