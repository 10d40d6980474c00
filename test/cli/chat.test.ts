/** `troupe chat`, as a process of its own, line by line. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import { chunk, doneEvent, openAiFaults, wholeText } from '../helpers/openai-wire.ts';
import { TroupeCommand } from '../helpers/troupe-command.ts';

const root = new URL('../..', import.meta.url).pathname;

/** Says how many messages it was sent, and what the last one was. */
const parrot: Fault = ({ request, reply }) => {
  const messages = request.body?.['messages'] as { content: string }[];
  const text = `${messages.length}: ${messages.at(-1)?.content}`;
  reply(200, chunk({ content: text }, 'stop') + doneEvent, { 'content-type': 'text/event-stream' });
};

const coloured: Fault = ({ reply }) =>
  reply(200, chunk({ content: 'a\u001b[31mred\u001b]0;title\u0007\u202e' }, 'stop') + doneEvent, {
    'content-type': 'text/event-stream',
  });

/** Wants to read the fixture, twice at once, then says what the results were. */
const curious: Fault = ({ request, reply }) => {
  const messages = request.body?.['messages'] as { role: string; content: string }[];
  const results = messages.flatMap(({ role, content }) => (role === 'tool' ? [content] : []));
  const call = (index: number) => ({
    ...{ index, id: `call_${index}`, type: 'function' },
    function: { name: 'search_code', arguments: `{"pattern":"no${index}such"}` },
  });
  const said = results.length > 0 ? results.join('; ') : 'Let me see.';
  const calls = results.length > 0 ? {} : { tool_calls: [call(0), call(1)] };
  const text = chunk({ content: said, ...calls }, results.length > 0 ? 'stop' : 'tool_calls') + doneEvent;
  reply(200, text, { 'content-type': 'text/event-stream' });
};

/** `first` the first time, then an answer that is whole. */
const onlyOnce =
  (first: string): Fault =>
  (exchange) =>
    (openAiFaults[exchange.times === 1 ? first : 'ok'] as Fault)(exchange);

const faults = {
  ...openAiFaults,
  ...{ parrot, coloured, curious },
  'drip-once': onlyOnce('drip-forever'),
  '403-once': onlyOnce('403'),
  'cut-once': onlyOnce('fin-mid-stream'),
};

let server: FaultServer;
beforeAll(async () => {
  server = await faultServer(faults);
});
afterAll(() => server.close());

/** A running chat. */
class Session extends TroupeCommand {
  constructor(...words: readonly string[]) {
    super(['chat', ...words], { cwd: root });
  }

  get code(): Promise<number | null> {
    return this.ended.then(({ code }) => code);
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.kill('SIGINT');
  }
}

const at = (fault: string) => ['--endpoint', server.url, '--model', `fault:${fault}`];

/** What a chat says to these lines. */
async function chat(words: readonly string[], ...lines: readonly string[]) {
  const session = new Session(...words);
  session.type(lines.map((line) => `${line}\n`).join(''));
  session.end();
  const code = await session.code;
  return { code, stdout: session.stdout, stderr: session.stderr };
}

describe('messages', () => {
  test('each line is an ask of the same conversation; nothing but the answers is printed', async () => {
    expect(await chat([...at('parrot'), '--system', 'Be brief.'], 'Hi', '', 'And you?')).toEqual({
      code: 0,
      stdout: '2: Hi\n4: And you?\n',
      stderr: '',
    });
    expect(server.requests.at(-1)?.body?.['messages']).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: '2: Hi' },
      { role: 'user', content: 'And you?' },
    ]);
  });

  test.each([
    ['lines that end in \\', ['one\\', ' two\\', '/three'], 'one\n two\n/three'],
    ['a block', ['"""', '/one', '', 'two\\', '"""'], '/one\n\ntwo\\'],
    ['a block with text beside its marks', ['"""one', 'two"""  '], 'one\ntwo'],
    ['a block in one line', ['"""/one"""'], '/one'],
    ['marks inside a line', ['say """ twice'], 'say """ twice'],
  ])('several lines: %s', async (_name, lines, sent) => {
    expect(await chat(at('parrot'), ...lines)).toEqual({ code: 0, stdout: `1: ${sent}\n`, stderr: '' });
  });

  test.each([
    ['a line that goes on', ['Hi\\']],
    ['an open block', ['"""', 'Hi']],
  ])('what is not finished is not sent: %s', async (_name, lines) => {
    expect(await chat(at('parrot'), ...lines)).toEqual({
      code: 0,
      stdout: '',
      stderr: 'The last message was not finished, so it was not sent.\n',
    });
  });

  test('control codes of a model do not reach the terminal, nor by /history', async () => {
    expect((await chat(at('coloured'), 'Hi', '/history')).stdout).toBe('ared\nuser: Hi\nchat: ared\n');
  });

  test('an answer that was cut says so', async () => {
    const { stdout, stderr } = await chat(at('finish-length'), 'Hi');
    expect([stdout, stderr]).toEqual(['Grüße\n', 'The answer was cut at the token limit.\n']);
  });

  test('the next backend takes over', async () => {
    const { code, stdout, stderr } = await chat([...at('403'), '--fallback', 'offline'], 'Hi');
    expect([code, stdout]).toEqual([0, expect.stringContaining('embedded backend')]);
    expect(stderr).toMatch(/^Going on with offline: openai refused the key/);
  });
});

describe('a tool that must be allowed', () => {
  const code = () => [...at('curious'), '--code', 'test/fixtures/package'];
  const question = (index: number) => `allow search_code {"pattern":"no${index}such"}? [y]es / [n]o / [a]lways\n`;

  test('is asked for, call by call, until the answer is one', async () => {
    const { code: exitCode, stdout, stderr } = await chat(code(), 'Look.', 'what?', 'y', 'No');
    expect([exitCode, stderr]).toEqual([0, question(0) + question(0) + question(1)]);
    expect(stdout).toBe('Let me see.\n[0 matches in 1 files]; The call was denied: the user said no.\n');
  });

  test('may be allowed once and for all', async () => {
    const { stdout, stderr } = await chat(code(), 'Look.', 'a', 'Again.');
    expect(stderr).toBe(question(0));
    expect(stdout).not.toContain('denied');
  });

  test('is denied when the input ends', async () => {
    const { code: exitCode, stdout } = await chat(code(), 'Look.');
    expect(exitCode).toBe(0);
    expect(stdout.match(/The call was denied: nobody is there to allow it\./g)).toHaveLength(2);
  });

  test('is forgotten with its ask by Ctrl-C, and the next line is a message again', async () => {
    const session = new Session(...code());
    session.type('Look.\n');
    await session.says('stderr', question(0));
    session.interrupt();
    await session.says('stderr', 'cancelled\n');
    session.type('y\n');
    await session.says(
      'stdout',
      'This call was interrupted before it ran.; This call was interrupted before it ran.\n',
    );
    expect(session.stderr).toBe(`${question(0)}cancelled\n`);
    session.end();
    expect(await session.code).toBe(0);
  });
});

describe('a failure is one line, and the chat goes on', () => {
  test('before any text', async () => {
    const { code, stdout, stderr } = await chat(at('403-once'), 'Hi', 'Again');
    expect([code, stdout]).toEqual([0, `${wholeText}\n`]);
    expect(stderr).toMatch(/^troupe: openai refused the key .*\n$/);
  });

  test('in the midst of it: the text stays, the conversation has nothing of it', async () => {
    const { code, stdout, stderr } = await chat(at('cut-once'), 'Hi', 'Again');
    expect([code, stdout]).toEqual([0, `Grüße\n${wholeText}\n`]);
    expect(stderr).toMatch(/^troupe: .*\n$/);
    expect(server.requests.at(-1)?.body?.['messages']).toEqual([{ role: 'user', content: 'Again' }]);
  });

  test('but without a backend there is no chat', async () => {
    expect((await chat(['--backend', 'olama'], 'Hi')).code).toBe(2);
  });
});

describe('commands', () => {
  test('fork, switch and kill', async () => {
    const lines = [
      'Hi',
      '/fork',
      'A',
      '/switch chat',
      'B',
      '/fork my twin',
      '/agents',
      '/kill',
      '/kill chat-2',
      '/kill',
    ];
    const { code, stdout, stderr } = await chat(at('parrot'), ...lines);
    expect(stdout.split('\n')).toEqual([
      '1: Hi',
      'chat-2 knows 2 messages of chat. Back: /switch chat',
      '3: A',
      'You speak to chat.',
      '3: B',
      'my twin knows 4 messages of chat. Back: /switch chat',
      '   chat     idle  openai/fault:parrot  4 messages',
      '   chat-2   idle  openai/fault:parrot  4 messages',
      '*  my twin  idle  openai/fault:parrot  4 messages',
      'my twin is gone. You speak to chat.',
      'chat-2 is gone.',
      '',
    ]);
    expect([code, stderr]).toEqual([0, 'troupe: chat is the only agent: /clear makes it forget, /exit leaves.\n']);
  });

  test('history, clear and usage', async () => {
    const { stdout } = await chat(at('ok'), '/history', 'Hi', '/history', '/clear', '/history', '/usage');
    expect(stdout.split('\n')).toEqual([
      'Nothing was said yet.',
      wholeText,
      'user: Hi',
      `chat: ${wholeText}`,
      'chat has forgotten what was said.',
      'Nothing was said yet.',
      'agent               tokens in  tokens out     USD',
      'chat                        ?           ?       ?',
      'all, dead ones too         12           5  0.0000',
      '',
    ]);
  });

  test('help names every command', async () => {
    const { stdout } = await chat(at('ok'), '/help');
    expect(stdout.match(/^\/\w+/gm)).toEqual([
      ...['/help', '/fork', '/agents', '/usage', '/switch', '/kill', '/history', '/clear', '/exit'],
    ]);
  });

  test.each([
    ['/foo', 'There is no /foo; there are /help, /fork, '],
    ['/constructor', 'There is no /constructor; there are '],
    ['/', 'There is no /; there are '],
    ['/switch twin', 'There is no agent "twin"; there are chat.'],
    ['/fork chat', 'chat'],
    ['/fork \u0007!', 'fork'],
  ])('%j is told what is wrong with it', async (line, says) => {
    const { code, stdout, stderr } = await chat(at('parrot'), line, 'Hi');
    expect([code, stdout, stderr.split('\n').length]).toEqual([0, '1: Hi\n', 2]);
    expect(stderr).toMatch(/^troupe: /);
    expect(stderr).toContain(says);
  });

  test('/exit leaves, though more is there to read', async () => {
    const session = new Session(...at('parrot'));
    session.type('Hi\n/exit\nNever\n');
    expect([await session.code, session.stdout]).toEqual([0, '1: Hi\n']);
  });
});

describe('Ctrl-C', () => {
  test('cancels the answer that is running; the next line is answered', async () => {
    const { aborted } = server.counts;
    const session = new Session(...at('drip-once'));
    session.type('Hi\n');
    await session.says('stdout', 'Grüße');
    session.interrupt();
    await server.when((counts) => counts.aborted > aborted);
    await session.says('stderr', 'cancelled\n');
    session.type('Again\n');
    session.end();
    expect(await session.code).toBe(0);
    expect([session.stdout, session.stderr]).toEqual([`Grüße\n${wholeText}\n`, 'cancelled\n']);
    expect(server.requests.at(-1)?.body?.['messages']).toEqual([{ role: 'user', content: 'Again' }]);
  });

  test('leaves when no answer is running and there is no terminal to say how', async () => {
    const session = new Session(...at('ok'));
    session.type('/history\n');
    await session.says('stdout', 'Nothing was said yet.\n');
    session.interrupt();
    expect([await session.code, session.stderr]).toEqual([130, '']);
  });
});
