/** Agents that the command keeps: each run is a process of its own over a real file. */
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { sqliteStore } from '../../actors/store/sqlite.ts';
import type { StoredAgent } from '../../actors/store/store.ts';
import { type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { chunk, doneEvent, openAiFaults, wholeText } from '../helpers/openai-wire.ts';
import { runTroupe, TroupeCommand } from '../helpers/troupe-command.ts';

vi.setConfig({ testTimeout: 30_000 });

const root = mkdtempSync(join(tmpdir(), 'troupe-kept-'));

/** Says how many messages it was sent, and what the last one was. */
const parrot: Fault = ({ request, reply }) => {
  const messages = request.body?.['messages'] as { content: string }[];
  const text = `${messages.length}: ${messages.at(-1)?.content}`;
  reply(200, chunk({ content: text }, 'stop') + doneEvent, { 'content-type': 'text/event-stream' });
};

/** `first` the first time, then `then`. */
const once =
  (first: string, then: string): Fault =>
  (exchange) =>
    (openAiFaults[exchange.times === 1 ? first : then] as Fault)(exchange);

let server: FaultServer;
beforeAll(async () => {
  const faults = { parrot, 'drip-once': once('drip-forever', 'ok'), 'drip-403': once('drip-forever', '403') };
  server = await faultServer({ ...openAiFaults, ...faults });
});
afterAll(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, 'work-'));
});

const file = () => join(folder, '.troupe/troupe.db');
const troupe = (words: readonly string[], input = '', env: Record<string, string> = {}) =>
  runTroupe(words, { cwd: folder, env }, input);
const at = (fault: string) => ['--endpoint', server.url, '--model', `fault:${fault}`];
const ask = (prompt: string, ...words: readonly string[]) => troupe(['ask', prompt, '--agent', 'bob', ...words]);
const sent = () => server.requests.at(-1)?.body;

/** Keeps `bob`, who has said one thing. */
const keep = (...words: readonly string[]) => ask('Hi', ...at('parrot'), ...words);

/** Puts agents into the store without a command. */
async function put(...agents: readonly Partial<StoredAgent>[]) {
  const store = sqliteStore(file());
  for (const agent of agents) store.putAgent({ name: 'bob', backend: server.url, createdAt: Date.now(), ...agent });
  return store;
}

describe('ask --agent', () => {
  test('goes on where the process before was, at the same server', async () => {
    expect(await keep('--system', 'Be brief.')).toEqual({ code: 0, stdout: '2: Hi\n', stderr: '' });
    expect(await ask('And you?')).toEqual({ code: 0, stdout: '4: And you?\n', stderr: '' });
    expect(sent()).toMatchObject({
      model: 'fault:parrot',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: '2: Hi' },
        { role: 'user', content: 'And you?' },
      ],
    });
  });

  test('keeps it for this user alone, and out of the repository', async () => {
    await keep();
    const modes = [join(folder, '.troupe'), file()].map((path) => statSync(path).mode & 0o777);
    expect(modes).toEqual([0o700, 0o600]);
    expect(existsSync(join(folder, '.troupe/.gitignore'))).toBe(true);
  });

  test('parameters are kept; a model that is named counts once', async () => {
    await keep('--temperature', '0.5');
    expect((await ask('Hi', '--model', 'fault:ok')).stdout).toBe(`${wholeText}\n`);
    await ask('Hi');
    expect(sent()).toMatchObject({ model: 'fault:parrot', temperature: 0.5 });
  });

  test('its system message stays', async () => {
    await keep('--system', 'Be brief.');
    expect(await ask('Hi', '--system', 'Be brief.')).toMatchObject({ code: 0 });
    expect(await ask('Hi', '--system', 'Be long.')).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^troupe: `--system`: "bob" has its system message for good\..*\n$/),
    });
  });

  test('the store is where the flag says, else where the variable does', async () => {
    const env = { TROUPE_STORE: 'mine/variable.db' };
    await troupe(['ask', 'Hi', '--agent', 'bob', ...at('ok')], '', env);
    await troupe(['ask', 'Hi', '--agent', 'bob', '--store', 'flag.db', ...at('ok')], '', env);
    expect(['mine/variable.db', 'flag.db', '.troupe'].map((path) => existsSync(join(folder, path)))).toEqual([
      ...[true, true, false],
    ]);
    expect((await troupe(['usage'], '', env)).stdout).toContain('bob ');
  });

  test('without a name nothing is written', async () => {
    await troupe(['ask', 'Hi', ...at('ok')]);
    await troupe(['chat', ...at('ok')], 'Hi\n');
    expect(existsSync(join(folder, '.troupe'))).toBe(false);
  });

  test('one that cannot be brought back stays as it is', async () => {
    await (await put({ backend: 'gone' })).close();
    const { code, stdout, stderr } = await ask('Hi');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^Agent "bob" could not be brought back: There is no backend "gone".*\ntroupe: .*\n$/);
    expect((await ask('Hi', ...at('ok'))).stdout).toBe(`${wholeText}\n`);
  });

  test('a name that is none is refused', async () => {
    expect(await troupe(['ask', 'Hi', '--agent', '../bob', ...at('ok')])).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('chat --agent', () => {
  test('goes on, and so does its fork', async () => {
    await keep();
    expect((await troupe(['chat', '--agent', 'bob'], 'In a chat\n/fork twin\nAs twin\n')).stdout).toBe(
      '3: In a chat\ntwin knows 4 messages of bob. Back: /switch bob\n5: As twin\n',
    );
    expect((await troupe(['ask', 'Again', '--agent', 'twin'])).stdout).toBe('7: Again\n');
    expect((await ask('Again')).stdout).toBe('5: Again\n');
  });

  test('a fork does not take the place of one that is kept', async () => {
    await keep();
    await troupe(['ask', 'Hi', '--agent', 'bob-2', ...at('parrot')]);
    const { stdout, stderr } = await troupe(['chat', '--agent', 'bob'], '/fork bob-2\n/fork\n');
    expect(stderr).toBe('troupe: "bob-2" is kept from before: give another name.\n');
    expect(stdout).toBe('bob-3 knows 2 messages of bob. Back: /switch bob\n');
  });
});

describe('resume', () => {
  /** Kills the command in the middle of an answer. */
  async function killed(fault: string) {
    const command = new TroupeCommand(['ask', 'Hi', '--agent', 'bob', ...at(fault)], { cwd: folder });
    command.end();
    await command.says('stdout', 'Grüße');
    command.kill('SIGKILL');
    await command.ended;
  }

  test('answers what a killed process was asked, once', async () => {
    await killed('drip-once');
    expect((await troupe(['agents'])).stdout).toMatch(/^bob .* 0 +1 {2}/m);
    expect(await troupe(['resume'])).toEqual({ code: 0, stdout: `${wholeText}\n`, stderr: 'bob: Hi\n' });
    expect(await troupe(['resume'])).toEqual({ code: 0, stdout: '', stderr: 'No ask is open.\n' });
    expect((await troupe(['history', 'bob'])).stdout).toBe(`user: Hi\nbob: ${wholeText}\n`);
  });

  test('says what fails, with the code 1', async () => {
    await killed('drip-403');
    const { code, stdout } = await troupe(['resume', '--json']);
    expect([code, JSON.parse(stdout)]).toEqual([
      1,
      [
        {
          ...{ agent: 'bob', askId: expect.any(String), prompt: 'Hi' },
          error: expect.stringContaining('refused the key'),
        },
      ],
    ]);
  });

  test('an ask of the same agent comes behind it', async () => {
    await killed('drip-once');
    expect(await ask('And you?', '--model', 'fault:parrot')).toEqual({
      ...{ code: 0, stdout: '3: And you?\n', stderr: 'bob first answers what it was asked before: Hi\n' },
    });
  });

  test('SIGTERM leaves it to the next one', async () => {
    const store = await put({ model: 'fault:drip-forever' });
    store.putAsk({ agent: 'bob', askId: 'a', prompt: 'Hi', acceptedAt: Date.now(), deadlineAt: Date.now() + 600_000 });
    await store.close();
    const { requests } = server.counts;
    const command = new TroupeCommand(['resume'], { cwd: folder });
    await server.when((counts) => counts.requests > requests);
    command.kill('SIGTERM');
    await command.says('stderr', 'a second signal');
    command.kill('SIGTERM');
    expect(await command.ended).toMatchObject({ code: 143 });
    expect(JSON.parse((await troupe(['agents', '--json'])).stdout)).toMatchObject([{ openAsks: 1 }]);
  });
});

describe('agents and history', () => {
  test('tell what is kept', async () => {
    await ask('Hi', ...at('ok'));
    const { code, stdout, stderr } = await troupe(['agents']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.replace(/ +/g, ' ').split('\n')).toEqual([
      'agent backend messages open asks last used tokens in tokens out USD',
      expect.stringMatching(`^bob ${server.url}/fault:ok 2 0 \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d 12 5 0.0000$`),
      '',
    ]);
    expect(JSON.parse((await troupe(['agents', '--json'])).stdout)).toEqual([
      {
        ...{ name: 'bob', backend: server.url, model: 'fault:ok', messages: 2, openAsks: 0, costUsd: 0 },
        usage: { inputTokens: 12, outputTokens: 5, cacheReadTokens: 4 },
        ...{ createdAt: expect.any(Number), usedAt: expect.any(Number) },
      },
    ]);
  });

  test('the log has system message, calls and results, and no control codes', async () => {
    const store = await put({ system: 'Be\u001b[31m brief.' });
    const call = { id: 'c', name: 'read\u0007', arguments: '{"path":"\u202ea"}' };
    const said = 'a\u001b]0;title\u0007\u202e\u009b31m\nb';
    store.appendGroup('bob', [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: '', toolCalls: [call] },
      { role: 'tool', callId: 'c', name: 'read', content: 'no', isError: true },
    ]);
    store.appendGroup('bob', [{ role: 'assistant', content: said }]);
    await store.close();
    expect((await troupe(['history', 'bob'])).stdout).toBe(
      'system: Be brief.\nuser: Hi\nbob calls read {"path":"a"}\ntool read failed: no\nbob: a\nb\n',
    );
    const { stdout } = await troupe(['history', 'bob', '--last', '1', '--json']);
    expect(JSON.parse(stdout)).toEqual([{ role: 'assistant', content: said }]);
    for (const mark of ['\u001b', '\u0007', '\u009b', '\u202e']) expect(stdout).not.toContain(mark);
  });

  test.each([
    [['history', 'bot'], /^troupe: No agent "bot" is kept\. There are bob\.\n$/],
    [['export', 'bot'], /^troupe: No agent "bot" is kept\. There are bob\.\n$/],
    [['history', 'bob', '--last', '-1'], /whole number, 0 or more/],
    [['history', 'bob', '--store', 'none.db'], /^troupe: There is no store at none\.db\..*`--store`/],
    [['gc', '--older-than', '-1'], /`--older-than` must be a number of days/],
  ])('%j is wrong usage', async (words, says) => {
    await (await put({})).close();
    const { code, stdout, stderr } = await troupe(words);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(says);
  });
});

describe('gc', () => {
  const day = 86_400_000;

  test('removes who was not used lately, after it was allowed to, and frees the space', async () => {
    const store = await put({ createdAt: Date.now() - 40 * day }, { name: 'young' }, { name: 'old but asked' });
    store.putAgent({ name: 'old but asked', backend: 'offline', createdAt: Date.now() - 40 * day });
    const times = { acceptedAt: Date.now() - day, deadlineAt: Date.now() };
    store.putAsk({ agent: 'old but asked', askId: 'a', prompt: 'Hi', ...times });
    store.appendGroup('bob', [{ role: 'user', content: 'x'.repeat(1_000_000) }]);
    await store.close();
    const before = statSync(file()).size;
    const asked = await troupe(['gc']);
    expect(asked).toMatchObject({ code: 1, stderr: 'To remove what is listed: --yes.\nNothing was removed.\n' });
    expect(asked.stdout.split('\n').map((line) => line.split(' ')[0])).toEqual(['agent', 'bob', '']);
    expect(statSync(file()).size).toBe(before);
    const { code, stdout, stderr } = await troupe(['gc', '--yes']);
    expect([code, stdout, stderr]).toEqual([
      0,
      asked.stdout,
      expect.stringMatching(/^1 agent removed, \d+ KiB freed\.\n$/),
    ]);
    expect(statSync(file()).size).toBeLessThan(before - 900_000);
    const left = JSON.parse((await troupe(['agents', '--json'])).stdout).map(({ name }: StoredAgent) => name);
    expect(left).toEqual(['young', 'old but asked']);
    expect(await troupe(['gc', '--older-than', '10'])).toMatchObject({ code: 0, stdout: '' });
  });

  test('a fork keeps what its parent said', async () => {
    await keep();
    const store = sqliteStore(file());
    const parent = { name: 'bob', groupCount: 1 };
    store.putAgent({ name: 'twin', backend: 'offline', createdAt: Date.now() + day, parent });
    await store.close();
    await troupe(['gc', '--older-than', '0', '--yes']);
    expect((await troupe(['history', 'twin'])).stdout).toBe('user: Hi\ntwin: 1: Hi\n');
  });
});

describe('export and import', () => {
  const header = { record: 'header', format: 'troupe-agent', version: 1, groups: 1 };
  const agent = { record: 'agent', name: 'bob', backend: 'offline', createdAt: 1 };
  const group = (...messages: readonly object[]) => ({ record: 'group', messages });
  const said = group({ role: 'user', content: 'Hi' }, { role: 'assistant', content: 'Ho' });
  const call = { id: 'c', name: 'read', arguments: '{}' };

  function write(...records: readonly unknown[]): string {
    const lines = records.map((record) => (typeof record === 'string' ? record : JSON.stringify(record)));
    writeFileSync(join(folder, 'agent.jsonl'), `${lines.join('\n')}\n`);
    return 'agent.jsonl';
  }

  test('what was exported is imported as it was, and goes on', async () => {
    await keep('--system', 'Be\u009b brief.', '--temperature', '0.5');
    await ask('Again');
    const store = sqliteStore(file());
    const head = [[{ role: 'user' as const, content: 'All so far.' }]];
    store.putView('bob', { groupCount: 2, head, kept: [1] });
    await store.close();
    const { stdout } = await troupe(['export', 'bob']);
    expect(stdout).not.toContain('\u009b');
    const path = write(stdout.trimEnd());
    expect(await troupe(['import', path])).toMatchObject({
      ...{ code: 1, stderr: expect.stringContaining('"bob" is kept already. Give another name by `--as`.') },
    });
    expect(await troupe(['import', path, '--as', 'rob', '--store', 'other.db'])).toEqual({
      ...{ code: 0, stdout: '', stderr: `rob is kept, with 4 messages. It asks ${server.url}/fault:parrot.\n` },
    });
    const again = (await troupe(['export', 'rob', '--store', 'other.db'])).stdout;
    const records = (text: string) =>
      text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    const renamed = { name: 'rob', createdAt: expect.any(Number) };
    expect(records(again)).toEqual(
      records(stdout).map((one) => (one.record === 'agent' ? { ...one, ...renamed } : one)),
    );
    expect((await troupe(['ask', 'Hi', '--agent', 'rob', '--store', 'other.db'])).stdout).toBe('5: Hi\n');
    expect(sent()).toMatchObject({
      temperature: 0.5,
      messages: [{ role: 'system' }, { content: 'All so far.' }, {}, {}, {}],
    });
  });

  test.each([
    ['no JSON', [header, '{"record":'], 'line 2: it is no JSON.'],
    ['another format', [{ ...header, format: 'x' }], 'line 1: `format`: Invalid input: expected "troupe-agent".'],
    ['a newer version', [{ ...header, version: 2 }], 'line 1: `version`: Invalid input: expected 1.'],
    ['a file that was cut', [header, agent], 'line 3: the file ends before it: it was cut.'],
    ['no agent', [header, said], 'line 2: `record`: Invalid input: expected "agent".'],
    ['an odd role', [header, agent, group({ role: 'system', content: '' })], 'line 3: `messages.0.role`: Invalid '],
    ['no text', [header, agent, group({ role: 'user', content: 1 })], 'line 3: `messages.0.content`: '],
    ['an empty group', [header, agent, group()], 'line 3: `messages`: '],
    [
      'a call without a result',
      [header, agent, group({ role: 'assistant', content: '', toolCalls: [call] })],
      'line 3: `messages`: The messages end without a result for "c".',
    ],
    [
      'a view of what is not there',
      [header, agent, said, { record: 'view', groupCount: 2, head: [], kept: [] }],
      'line 4: `kept` and `groupCount` do not fit the groups.',
    ],
    ['too much', [{ ...header, groups: 0 }, agent, said], 'line 3: `record`: Invalid input: expected "view".'],
  ])('%s is refused by its line, and nothing is kept', async (_name, records, says) => {
    const { code, stderr } = await troupe(['import', write(...records)]);
    expect([code, stderr.split('\n').length, existsSync(file())]).toEqual([2, 2, false]);
    expect(stderr).toContain(`agent.jsonl, ${says}`);
  });

  test('a name that is none is refused', async () => {
    const { code, stderr } = await troupe(['import', write(header, { ...agent, name: 'a\u001b[31m' }, said)]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('import: `name` must be a name')]);
    expect(await troupe(['import', 'none.jsonl'])).toMatchObject({ code: 2, stderr: /^troupe: Cannot read none/ });
  });

  test('what would start a program, or go on in a session, is not taken', async () => {
    const touched = join(folder, 'touched');
    const mcp = { evil: { command: 'touch', args: [touched] } };
    const answer = { role: 'assistant', content: 'Ho', session: { backend: 'claude', id: '--help', entry: 'e' } };
    const hostile = { ...agent, spec: { mcp, tools: [1], parameters: { seed: 7 } } };
    await troupe(['import', write(header, hostile, group({ role: 'user', content: 'Hi' }, answer))]);
    const { stdout } = await troupe(['export', 'bob']);
    expect(stdout).not.toMatch(/evil|session|tools/);
    expect(stdout).toContain('"seed":7');
    // The same in a store that somebody else has made.
    const store = await put({ name: 'eve', model: 'fault:ok', spec: { mcp } });
    await store.close();
    expect(await troupe(['ask', 'Hi', '--agent', 'eve'])).toEqual({ code: 0, stdout: `${wholeText}\n`, stderr: '' });
    expect(existsSync(touched)).toBe(false);
  });
});

describe('a store that cannot be had', () => {
  test('is open elsewhere: one line with the pid', async () => {
    const command = new TroupeCommand(['ask', 'Hi', '--agent', 'bob', ...at('drip-forever')], { cwd: folder });
    command.end();
    await command.says('stdout', 'Grüße');
    const locked = expect.stringMatching(`^troupe: The store .*troupe.db is open in process ${command.pid}\\..*\n$`);
    for (const words of [['agents'], ['usage'], ['resume'], ['ask', 'Hi', '--agent', 'bob']])
      expect(await troupe(words)).toEqual({ code: 1, stdout: '', stderr: locked });
    command.kill('SIGINT');
    await command.ended;
    expect(await troupe(['agents'])).toMatchObject({ code: 0 });
  });

  test('is damaged: one line with how to export', async () => {
    await keep();
    truncateSync(file(), 10_000);
    expect(await troupe(['agents'])).toEqual({
      ...{ code: 1, stdout: '' },
      stderr: expect.stringMatching(/^troupe: The store .* is damaged: .* \.recover > readable\.sql; .*\n$/),
    });
  });

  test('is open to others, as one that came with a repository', async () => {
    await keep();
    chmodSync(file(), 0o644);
    expect(await troupe(['ask', 'Hi', '--agent', 'bob'])).toEqual({
      ...{ code: 2, stdout: '' },
      stderr: expect.stringMatching(/^troupe: The store .* is open to others \(mode 644\).*chmod 600 it\.\n$/),
    });
  });
});

test('only who needs the store loads its driver', async () => {
  const script = 'process.on("exit",()=>console.error(process.report.getReport().sharedObjects.join()))';
  const options = { cwd: folder, nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(script)}`] };
  await keep();
  const loads = async (...words: readonly string[]) => (await runTroupe(words, options)).stderr.includes('libsql');
  expect([await loads('--help'), await loads('ask', 'Hi', ...at('ok')), await loads('agents')]).toEqual([
    ...[false, false, true],
  ]);
});
