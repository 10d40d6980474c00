/** Claude Code as a backend: what is particular about it, on the fake command that speaks as version 2.1.330 does. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from '../../../actors/backend.ts';
import { type ClaudeCliOptions, claudeCli } from '../../../actors/backends/claude-cli.ts';
import { scripted } from '../../../actors/backends/scripted.ts';
import { tool } from '../../../actors/tools/tool.ts';
import { Conversation } from '../../../src/core/conversation.ts';
import type { Agent } from '../../../src/runtime/agent.ts';
import type { AgentSpec } from '../../../src/runtime/agent-spec.ts';
import { createTroupe, type Troupe } from '../../../src/runtime/troupe.ts';
import { VirtualClock } from '../../../src/testing/virtual-clock.ts';
import type { Seen } from '../../contract/model.ts';
import { type ModelServer, modelServer } from '../../contract/server.ts';
import { claudeKey, type FakeClaude, fakeClaude } from '../../helpers/fake-claude.ts';
import { failure, modelRequest } from '../../helpers/model-request.ts';
import { argumentsOf, until } from '../../helpers/processes.ts';

let server: ModelServer;
let claude: FakeClaude;
const troupes: Troupe[] = [];

beforeAll(async () => {
  server = await modelServer();
  claude = await fakeClaude(server.url);
});
afterEach(async () => {
  await Promise.all(troupes.splice(0).map((troupe) => troupe.close()));
  expect(claude.alive()).toEqual([]);
});
afterAll(async () => {
  await server.close();
  await claude.remove();
});

interface Wish {
  readonly faults?: readonly string[];
  readonly options?: ClaudeCliOptions;
  readonly backends?: Readonly<Record<string, Backend>>;
}

function troupeWith({ faults, options, backends }: Wish = {}): Troupe {
  const backend = claudeCli({ ...claude.options(faults), ...options });
  const troupe = createTroupe({ backends: { claude: backend, ...backends } });
  troupes.push(troupe);
  return troupe;
}

function spawn(wish: Wish = {}, spec: AgentSpec = {}): Promise<Agent> {
  return troupeWith(wish).spawn('worker', { maxRetries: 0, ...spec });
}

/** What the model says it was sent. */
async function seen(agent: Agent): Promise<Seen['texts']> {
  return (JSON.parse((await agent.ask('count')).text) as Seen).texts;
}

const add = tool({
  name: 'add',
  description: 'Adds.',
  parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
  execute: ({ a, b }) => Number(a) + Number(b),
});

describe('one process for an agent', () => {
  test('answers one ask after the other in the same session', async () => {
    const agent = await spawn();
    expect((await agent.ask('say Grüße')).text).toBe('Grüße');
    expect((await agent.ask('say again')).text).toBe('again');
    expect(claude.alive().length).toBe(1);
    const marks = agent.messages().flatMap((message) => (message.role === 'assistant' ? [message.session] : []));
    expect(new Set(marks.map((mark) => mark?.id)).size).toBe(1);
    expect(marks.map((mark) => mark?.backend)).toEqual(['claude', 'claude']);
  });

  test('shows no key and none of our variables', async () => {
    process.env['OPENAI_API_KEY'] = 'canary-openai-key';
    const agent = await spawn();
    await agent.ask('say Hi');
    const [pid = 0] = claude.alive();
    const environ = readFileSync(`/proc/${pid}/environ`, 'utf8');
    delete process.env['OPENAI_API_KEY'];
    expect(argumentsOf(pid).join(' ')).not.toContain(claudeKey);
    expect(environ).toContain(`ANTHROPIC_API_KEY=${claudeKey}`);
    expect(environ).not.toContain('canary-openai-key');
  });

  test('is ended when the agent is killed, with the children of its tools', async () => {
    const agent = await spawn({ options: { builtInTools: ['Bash'], allowedTools: ['Bash'] } });
    const asked = failure(agent.ask('call Bash {"command":"sleep 60"}'));
    await until(() => claude.alive().length === 2, 'the command of the tool runs');
    expect(agent.state).toBe('tool-loop');
    await agent.kill();
    expect((await asked).code).toBe('TROUPE_ERR_AGENT_DEAD');
    expect(claude.alive()).toEqual([]);
  });

  test('is ended when it has been idle, and comes back where it was', async () => {
    const clock = new VirtualClock();
    const agent = await spawn({ options: { idleMs: 60_000, clock } });
    await agent.ask('say one');
    await clock.advance(60_001);
    await until(() => claude.alive().length === 0, 'the idle process has ended');
    expect(await seen(agent)).toEqual([
      ['user', 'say one'],
      ['assistant', 'one'],
      ['user', 'count'],
    ]);
  });

  test('is replaced when it died between two asks', async () => {
    const agent = await spawn();
    await agent.ask('say one');
    process.kill(claude.alive()[0] ?? 0, 'SIGKILL');
    // Gone for the system; whether we have heard of it yet is chance.
    await until(() => claude.alive().length === 0, 'the process is gone');
    expect((await agent.ask('say two')).text).toBe('two');
  });

  test('there are at most so many', async () => {
    const troupe = troupeWith({ options: { maxProcesses: 2 } });
    const agents = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => troupe.spawn(name)));
    const counts: number[] = [];
    const replies = await Promise.all(
      agents.map(async (agent) => {
        const { text } = await agent.ask(`say ${agent.name}`);
        counts.push(claude.alive().length);
        return text;
      }),
    );
    expect(replies).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(Math.max(...counts)).toBeLessThanOrEqual(2);
  });

  test('a wait for a process ends with the ask', async () => {
    const troupe = troupeWith({ options: { maxProcesses: 1 } });
    const [busy, waiting] = await Promise.all(['a', 'b'].map((name) => troupe.spawn(name)));
    const held = busy?.askAsync('hang');
    await server.waiting(1);
    const abort = new AbortController();
    const asked = failure(waiting?.ask('say Hi', { signal: abort.signal }) ?? Promise.resolve());
    abort.abort();
    expect((await asked).code).toBe('TROUPE_ERR_ASK_CANCELLED');
    held?.cancel();
  });
});

describe('the conversation is the truth', () => {
  test('a fork goes on from its place, whatever its parent said since, and neither sees the other', async () => {
    const agent = await spawn({}, { system: 'Be brief.' });
    await agent.ask('say one');
    await agent.ask('say two');
    const early = await agent.fork('early', { at: 3 });
    const late = await agent.fork('late');
    await agent.ask('say three');
    expect(await seen(early)).toEqual([
      ['user', 'say one'],
      ['assistant', 'one'],
      ['user', 'count'],
    ]);
    expect((await seen(late)).map(([, text]) => text)).toEqual(['say one', 'one', 'say two', 'two', 'count']);
    expect((await seen(agent)).map(([, text]) => text)).toEqual([
      ...['say one', 'one', 'say two', 'two', 'say three', 'three', 'count'],
    ]);
  });

  test('a cancelled ask leaves nothing behind, but what it cost', async () => {
    const agent = await spawn();
    await agent.ask('say one');
    const before = agent.usage().inputTokens ?? 0;
    const stream = agent.stream('hang after Well');
    for await (const event of stream) if (event.type === 'text-delta') break;
    expect((await failure(stream.reply)).partialText).toBe('Well');
    expect(await seen(agent)).toEqual([
      ['user', 'say one'],
      ['assistant', 'one'],
      ['user', 'count'],
    ]);
    const [counted] = server.heard.slice(-1).map(({ messages }) => messages.length);
    expect(counted).toBe(3);
    expect(agent.usage().inputTokens ?? 0).toBeGreaterThan(before + 20);
  });

  test('what another backend said meanwhile is told as text', async () => {
    const other = scripted([{ text: 'from elsewhere' }]);
    const agent = await spawn({ backends: { other } }, { fallback: ['other'] });
    await agent.ask('say one');
    expect((await agent.ask('error 401')).text).toBe('from elsewhere');
    const texts = await seen(agent);
    expect(texts.slice(0, 2)).toEqual([
      ['user', 'say one'],
      ['assistant', 'one'],
    ]);
    expect(texts.at(-1)).toEqual([
      'user',
      'This is what was said in our conversation meanwhile, oldest first.\n\n<user>\nerror 401\n</user>\n<assistant>\nfrom elsewhere\n</assistant>\n\nGo on from here. The user now says:\n\ncount',
    ]);
  });

  test('a session that is lost is begun anew', async () => {
    const conversation = new Conversation();
    const session = { backend: 'claude', id: '00000000-0000-4000-8000-000000000000', entry: 'gone' };
    conversation.append([
      { role: 'user', content: 'Who are you?' },
      { role: 'assistant', content: 'Claude.', session },
    ]);
    const backend = claudeCli(claude.options());
    const response = await backend.call(
      modelRequest({ conversation, model: 'sonnet', prompt: [{ role: 'user', content: 'count' }] }),
    );
    await backend.close?.();
    const [[, text] = []] = (JSON.parse(response.text) as Seen).texts;
    expect(text).toContain('<user>\nWho are you?\n</user>\n<assistant>\nClaude.\n</assistant>');
  });

  test('a new backend goes on in the session of a dead one', async () => {
    const first = claudeCli(claude.options());
    const prompt = { role: 'user', content: 'say one' } as const;
    const conversation = new Conversation();
    const { text, session } = await first.call(modelRequest({ conversation, model: 'sonnet', prompt: [prompt] }));
    await first.close?.();
    conversation.append([prompt, { role: 'assistant', content: text, ...(session && { session }) }]);
    const second = claudeCli(claude.options());
    const again = await second.call(
      modelRequest({ conversation, model: 'sonnet', prompt: [{ role: 'user', content: 'count' }] }),
    );
    await second.close?.();
    expect((JSON.parse(again.text) as Seen).texts).toEqual([
      ['user', 'say one'],
      ['assistant', 'one'],
      ['user', 'count'],
    ]);
  });

  test('a process that died amid its tools is replaced by one that is told what they gave', async () => {
    let calls = 0;
    const kill = tool({
      name: 'add',
      description: 'Adds, and ends the process that asked.',
      parameters: { type: 'object' },
      execute: async () => {
        calls += 1;
        if (calls === 1) process.kill(claude.alive()[0] ?? 0, 'SIGKILL');
        return calls;
      },
    });
    const agent = await spawn({}, { tools: [kill] });
    expect((await agent.ask('call add {"a":2}')).text).toBe('2');
    const told = server.heard.at(-1)?.messages.map(({ text }) => text);
    expect(told?.[0]).toContain('name="add">\n1\n</tool-result>');
    expect(told?.at(-1)).toBe('2');
  });
});

describe('its tool loop is the agent’s', () => {
  test('our tools run here, its own run there, and both show as tool-loop', async () => {
    const agent = await spawn({ options: { builtInTools: ['Bash'], allowedTools: ['Bash'] } }, { tools: [add] });
    const states: string[] = [];
    agent.ref.subscribe(({ value }) => states.push(JSON.stringify(value)));
    const reply = await agent.ask('call add {"a":1,"b":2} and call Bash {"command":"echo four"}');
    expect([reply.text, reply.steps]).toEqual(['3; four', 2]);
    expect(states).toEqual(['{"awaiting":"calling"}', '{"tool-loop":"running"}', '{"awaiting":"calling"}', '"idle"']);
    expect(agent.messages().slice(1, 4)).toEqual([
      {
        role: 'assistant',
        content: 'Let me see.',
        toolCalls: [
          { id: expect.any(String), name: 'add', arguments: '{"a":1,"b":2}' },
          { id: expect.any(String), name: 'Bash', arguments: '{"command":"echo four"}' },
        ],
      },
      { role: 'tool', callId: expect.any(String), name: 'add', content: '3' },
      { role: 'tool', callId: expect.any(String), name: 'Bash', content: 'four' },
    ]);
  });

  test('what is not allowed is denied, and the model is told so', async () => {
    const agent = await spawn({ options: { builtInTools: ['Bash'] } });
    expect((await agent.ask('call Bash {"command":"echo four"}')).text).toMatch(/permission|denied|allow/i);
  });

  test('a step limit ends its turn and its process', async () => {
    const agent = await spawn({}, { tools: [add], maxSteps: 1 });
    expect((await failure(agent.ask('call add {"a":1}'))).code).toBe('TROUPE_ERR_ASK_STEPS_EXCEEDED');
    await until(() => claude.alive().length === 0, 'the process is gone');
  });
});

test('three asks, a fork and two more asks cost what the server counted, to the cent', async () => {
  const before = server.ledger.usd;
  const agent = await spawn({}, { model: 'claude-sonnet-5-5', tools: [add] });
  await agent.ask('say one');
  await agent.ask('call add {"a":1,"b":2}');
  await agent.ask('say three');
  const twin = await agent.fork('twin');
  await twin.ask('say four');
  await agent.ask('say five');
  const usd = server.ledger.usd - before;
  expect(usd).toBeGreaterThan(0);
  expect((agent.costUsd ?? 0) + (twin.costUsd ?? 0)).toBeCloseTo(usd, 10);
  expect(troupes.at(-1)?.usage().costUsd).toBeCloseTo(usd, 10);
});

test('a turn that failed is paid for like any other', async () => {
  const before = server.ledger.usd;
  const agent = await spawn({ faults: ['empty-success'] }, { model: 'claude-sonnet-5-5' });
  await failure(agent.ask('say Hello'));
  expect(agent.costUsd).toBeGreaterThan(0);
  expect(agent.costUsd).toBeCloseTo(server.ledger.usd - before, 10);
});

test('a structured answer comes as JSON, with no tool of the agent’s', async () => {
  const schema = { type: 'object', properties: { name: { type: 'string' } } } as const;
  const agent = await spawn({}, { parameters: { responseFormat: { type: 'schema', name: 'person', schema } } });
  const { text, steps } = await agent.ask('json');
  expect([JSON.parse(text), steps]).toEqual([{ name: 'text' }, 1]);
});

test('external servers are in a file that only its owner can read, and are gone from disk at the end', async () => {
  const options = { mcpServers: { shop: { command: 'shop', env: { TOKEN: 'canary-shop-token' } } } };
  const agent = await spawn({ options });
  const asked = agent.ask('say Hi').catch(() => undefined);
  await until(() => claude.alive().length > 0, 'the process has started');
  const config = argumentsOf(claude.alive()[0] ?? 0).find((argument) => argument.startsWith('--mcp-config='));
  const path = config?.slice('--mcp-config='.length) ?? '';
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ mcpServers: options.mcpServers });
  expect(argumentsOf(claude.alive()[0] ?? 0).join(' ')).not.toContain('canary-shop-token');
  await asked;
  await troupes[0]?.close();
  expect(() => readFileSync(path)).toThrow();
});

describe('what goes wrong', () => {
  test('a command that is not there', async () => {
    const agent = await spawn({ options: { command: 'no-such-claude' } });
    expect(await failure(agent.ask('say Hi'))).toMatchObject({
      code: 'TROUPE_ERR_PROCESS_START_FAILED',
      class: 'invalid',
      message: expect.stringContaining('no-such-claude'),
    });
  });

  test('an empty prompt is refused, since a call would be paid for', async () => {
    const agent = await spawn();
    expect(await failure(agent.ask(' '))).toMatchObject({ code: 'TROUPE_ERR_OPTION_INVALID' });
  });
});

test('sessions are kept where the command keeps them', () => {
  expect(readdirSync(join(claude.home, '.claude', 'projects')).length).toBeGreaterThan(0);
});
