import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelEvent, ModelRequest } from '../../../actors/backend.ts';
import { offline } from '../../../actors/backends/offline.ts';
import { checkSource } from '../../../actors/rules/check.ts';
import { codeTools } from '../../../actors/tools/code-tools.ts';
import type { Tool } from '../../../actors/tools/tool.ts';
import { Conversation } from '../../../src/core/conversation.ts';
import type { Message } from '../../../src/core/types.ts';

const sample = new URL('../../../examples/sample-project', import.meta.url).pathname;
const answerForm = 'Answer with one JSON object: {"findings": [], "summary": ""}';

interface Fault {
  readonly file: string;
  readonly line: number;
  readonly domain: string;
  readonly rule: string;
}

interface Answer {
  readonly findings: { readonly file: string; readonly line: number; readonly severity: string }[];
  readonly summary: string;
}

let home = '';
const faults: Fault[] = [];

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'troupe-offline-'));
  const key = new URL('../../fixtures/sample-project-faults.json', import.meta.url);
  faults.push(...JSON.parse(await readFile(key, 'utf8')));
});

afterAll(() => rm(home, { recursive: true, force: true }));

/** Calls the backend and runs the tools it asks for until it answers. */
async function converse(prompt: string, tools: readonly Tool[], more: { system?: string; maxFiles?: number } = {}) {
  const backend = offline(more.maxFiles === undefined ? {} : { maxFiles: more.maxFiles });
  const conversation = new Conversation(more.system);
  const events: ModelEvent[] = [];
  let pending: Message[] = [{ role: 'user', content: prompt }];
  for (let calls = 1; calls <= 40; calls += 1) {
    const response = await backend.call({
      ...requestOf(pending, tools),
      conversation,
      onEvent: (event) => events.push(event),
    });
    if (response.finishReason.unified === 'stop') return { ...response, calls, events };
    conversation.append([
      ...pending,
      { role: 'assistant', content: '', toolCalls: response.toolCalls },
      ...(await resultsOf(response.toolCalls, tools)),
    ]);
    pending = [];
  }
  throw new Error('It never answered.');
}

function requestOf(
  prompt: readonly Message[],
  tools: readonly Tool[],
  signal = new AbortController().signal,
): ModelRequest {
  return {
    agent: 'a',
    model: 'rules',
    conversation: new Conversation(),
    prompt,
    tools: tools.map(({ definition }) => definition),
    parameters: {},
    signal,
    onEvent: () => {},
  };
}

function resultsOf(
  calls: readonly { id: string; name: string; arguments: string }[],
  tools: readonly Tool[],
): Promise<Message[]> {
  const context = { agent: 'a', askId: 'ask-1', callId: 'call-1', signal: new AbortController().signal };
  return Promise.all(
    calls.map(async ({ id, name, arguments: text }): Promise<Message> => {
      const tool = tools.find(({ definition }) => definition.name === name)!;
      const base = { role: 'tool', callId: id, name } as const;
      try {
        const checked = await tool.check(JSON.parse(text));
        if ('problem' in checked) return { ...base, content: checked.problem, isError: true };
        const value = await tool.run(checked.value, context);
        return { ...base, content: typeof value === 'string' ? value : JSON.stringify(value) };
      } catch (error) {
        return { ...base, content: String(error), isError: true };
      }
    }),
  );
}

const answerOf = (text: string) => JSON.parse(text) as Answer;
const place = ({ file, line }: { file: string; line: number }) => `${file}:${line}`;

async function project(name: string, files: Record<string, string>): Promise<string> {
  const root = join(home, name);
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

describe('the sample project', () => {
  test.each(['security', 'performance', 'style', 'docs'])(
    '%s: every planted fault and nothing else',
    async (domain) => {
      const system = `You are the ${domain === 'docs' ? 'documentation' : domain} expert of a code review. ${answerForm}`;
      const { text } = await converse('Review this code base.', codeTools(sample), { system });
      const expected = faults.filter((fault) => fault.domain === domain).map(place);
      expect(answerOf(text).findings.map(place).sort()).toEqual(expected.sort());
    },
  );

  test('each fault is found by the rule it was planted for', async () => {
    for (const { file, line, rule } of faults.filter((fault) => fault.file.startsWith('src/'))) {
      const { findings } = await checkSource({ path: file, text: await readFile(join(sample, file), 'utf8') });
      expect(findings.filter((finding) => finding.line === line).map((finding) => finding.rule)).toEqual([rule]);
    }
  });

  test('the form is exactly the one that was asked for, and no model is pretended', async () => {
    const { text, events, usage, costUsd, calls } = await converse(
      `Review it for style. ${answerForm}`,
      codeTools(sample),
    );
    const answer = answerOf(text);
    expect(Object.keys(answer)).toEqual(['findings', 'summary']);
    expect(Object.keys(answer.findings[0]!)).toEqual(['severity', 'file', 'line', 'title', 'detail', 'suggestion']);
    expect(answer.summary).toMatch(
      /^Rule-based check by troupe's embedded backend; no language model was used\. 14 of 15 files/,
    );
    expect(events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('')).toBe(text);
    expect({ usage, costUsd, calls }).toMatchObject({
      usage: { inputTokens: 0, outputTokens: 0 },
      costUsd: 0,
      calls: 3,
    });
  });

  test('without a domain all four are looked at, and without a form the answer is text', async () => {
    const { text } = await converse('Have a look at this.', codeTools(sample));
    expect(text).toContain(`${faults.length} findings: `);
    for (const fault of faults) expect(text).toContain(place(fault));
  });
});

describe('what it cannot do is said', () => {
  test('files of unknown kinds, generated ones, broken ones and those beyond the limit', async () => {
    const root = await project('mixed', {
      'a.js': 'eval(process.argv[2]);\n',
      'b.zig': 'x',
      'c.js': '// @generated\neval(x);\n',
      'd.js': 'const = ;\n',
      'e.js': 'f();\n',
    });
    const { text } = await converse(`Review for security as JSON.`, codeTools(root), { maxFiles: 3 });
    const { findings, summary } = answerOf(text);
    expect(findings.map(place)).toEqual(['a.js:1']);
    expect(summary).toContain(
      '1 of 5 files examined (1 of kinds that these rules do not look at: .zig; 1 generated; 1 with a syntax error; 1 beyond the limits of one review).',
    );
  });

  test('a file that cannot be read is counted, the others are examined', async () => {
    const root = await project('unreadable', { 'a.js': 'debugger;\n', 'b.js': 'debugger;\n' });
    const tools = codeTools(root).map((tool) =>
      tool.definition.name === 'read_file'
        ? {
            ...tool,
            run: async (args: unknown, context: Parameters<Tool['run']>[1]) => {
              if ((args as { path: string }).path === 'a.js') throw new Error('denied');
              return tool.run(args, context);
            },
          }
        : tool,
    );
    const { findings, summary } = answerOf((await converse('Review for style as JSON.', tools)).text);
    expect(findings.map(place)).toEqual(['b.js:1']);
    expect(summary).toContain('1 of 2 files examined (1 could not be read)');
  });

  test('a root that does not exist', async () => {
    const { text } = await converse('Review for style.', codeTools(join(home, 'nowhere')));
    expect(text).toContain('The files could not be listed');
  });

  test('an empty folder', async () => {
    const root = join(home, 'empty');
    await mkdir(root);
    const { text } = await converse('Review for style.', codeTools(root));
    expect(text).toContain('0 of 0 files examined. Looked for: style. No finding');
  });

  test('many files are read in steps, a long file in parts', async () => {
    const files = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`f${index}.js`, 'f();\n']));
    const long = `${'f(); // a line of some length\n'.repeat(25_000)}debugger;\n`;
    const root = await project('many', { ...files, 'long.js': long });
    const { text, calls } = await converse('Review for style as JSON.', codeTools(root));
    expect(answerOf(text).findings.map(place)).toEqual(['long.js:25001']);
    expect(answerOf(text).summary).toContain('121 of 121 files examined.');
    expect(calls).toBe(16);
  });
});

describe('without code tools', () => {
  test('it sums up findings that it is given', async () => {
    const findings = [
      { severity: 'low', file: 'a.js', line: 3, title: 'One' },
      { severity: 'high', file: 'b.js', line: 1, title: 'Two' },
      { severity: 'low', file: 'a.js', line: 9, title: 'Three' },
    ];
    const fence = `\`\`\`json\n${JSON.stringify({ findings })}\n\`\`\``;
    const { text } = await converse(`Sum up. The findings:\n${fence}`, []);
    expect(text).toBe(
      "This is troupe's embedded backend: rules, no language model. It counted 3 findings: 1 high, 2 low. " +
        'Files with the most: a.js (2), b.js (1). To look at first, as most severe: Two (b.js:1).',
    );
  });

  test('no findings are not praised', async () => {
    const { text } = await converse('Sum up:\n```json\n{"findings": []}\n```', []);
    expect(text).toContain('That does not mean that the code has no faults.');
  });

  test('it describes a listing', async () => {
    const listing = {
      root: 'shelf',
      total: 3,
      files: ['package.json', 'src/a.ts', 'src/b.ts'].map((path) => ({ path, bytes: 1 })),
    };
    const { text } = await converse(`Brief us:\n\`\`\`json\n${JSON.stringify(listing)}\n\`\`\``, []);
    expect(text).toContain(
      '`shelf` has 3 files. Kinds: .ts (2), .json (1). Folders: src/ (2), the top folder (1). It has a package.json.',
    );
  });

  test('otherwise it says what it is and how to get a model', async () => {
    const { text } = await converse('Write me a poem.', []);
    expect(text).toMatch(/no language model[\s\S]*Ollama[\s\S]*--backend/);
  });
});

describe('the call', () => {
  test('an aborted one fails as cancelled', async () => {
    const aborted = requestOf([{ role: 'user', content: 'x' }], [], AbortSignal.abort());
    await expect(offline().call(aborted)).rejects.toMatchObject({
      code: 'TROUPE_ERR_ASK_CANCELLED',
      class: 'cancelled',
    });
  });

  test('one that is aborted while files are examined ends between two of them', async () => {
    const tools = codeTools(sample);
    const controller = new AbortController();
    const prompt: Message[] = [{ role: 'user', content: 'Review.' }];
    for (let round = 0; round < 2; round += 1) {
      const { toolCalls } = await offline().call(requestOf(prompt, tools));
      prompt.push({ role: 'assistant', content: '', toolCalls }, ...(await resultsOf(toolCalls, tools)));
    }
    const running = offline().call(requestOf(prompt, tools, controller.signal));
    controller.abort();
    await expect(running).rejects.toMatchObject({ code: 'TROUPE_ERR_ASK_CANCELLED' });
  });

  test('only what came since the last prompt counts', async () => {
    const tools = codeTools(sample);
    const old: Message[] = [
      { role: 'user', content: 'Review.' },
      { role: 'assistant', content: '', toolCalls: [{ id: '1', name: 'list_files', arguments: '{}' }] },
      { role: 'tool', callId: '1', name: 'list_files', content: '{"files":[],"total":0}' },
      { role: 'assistant', content: 'Done.' },
      { role: 'user', content: 'Again.' },
    ];
    const { toolCalls } = await offline().call(requestOf(old, tools));
    expect(toolCalls.map(({ name }) => name)).toEqual(['list_files']);
  });

  test('a wrong option is refused', () => {
    expect(() => offline({ maxFiles: 0 })).toThrow('`maxFiles`');
  });
});
