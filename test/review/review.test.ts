/** The review: on the embedded rules, on a model server, and when experts fail. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openai } from '../../actors/backends/openai.ts';
import { scripted } from '../../actors/backends/scripted.ts';
import { TroupeError } from '../../src/core/errors.ts';
import { review } from '../../src/review/index.ts';
import { createTroupe } from '../../src/runtime/troupe.ts';
import { type Fault, type FaultServer, faultServer } from '../../src/testing/fault-server.ts';
import faults from '../fixtures/sample-project-faults.json' with { type: 'json' };
import { chunk, doneEvent } from '../helpers/openai-wire.ts';

const sample = new URL('../../examples/sample-project', import.meta.url).pathname;
const sse = { 'content-type': 'text/event-stream' };

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-review-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the embedded rules find what is planted in the sample project, and nothing else', async () => {
  const troupe = createTroupe();
  const report = await review(troupe, sample);
  const found = report.findings.map(({ file, line, experts }) => `${file}:${line} ${experts.join()}`);
  expect(found.sort()).toEqual(faults.map(({ file, line, domain }) => `${file}:${line} ${domain}`).sort());
  expect(report.agents.map(({ agent, backend, error }) => [agent, backend, error])).toEqual(
    ['orchestrator', 'security', 'performance', 'style', 'docs'].map((name) => [name, 'offline', undefined]),
  );
  expect(troupe.agents()).toEqual([]);
  await troupe.close();
});

describe('what there is to review', () => {
  async function reviewOf(path: string) {
    const troupe = createTroupe();
    try {
      return await review(troupe, path);
    } finally {
      await troupe.close();
    }
  }

  test('a path that does not exist', async () => {
    await expect(reviewOf(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'TROUPE_ERR_PATH_REFUSED' });
  });

  test('an empty folder', async () => {
    const report = await reviewOf(mkdtempSync(join(folder, 'empty-')));
    expect([report.files, report.findings, report.summary]).toEqual([0, [], 'There is nothing to review.']);
  });

  test('a single file', async () => {
    const path = join(folder, 'one.js');
    writeFileSync(path, 'export const run = (text) => eval(text);\n');
    const report = await reviewOf(path);
    expect(report.files).toBe(1);
    expect(report.findings.map(({ file, line }) => `${file}:${line}`)).toContain('one.js:1');
  });

  test('a large file, a binary one and a link out of the folder are not read, and the report says why', async () => {
    const path = mkdtempSync(join(folder, 'odd-'));
    writeFileSync(join(path, 'large.js'), 'x;\n'.repeat(1_700_000));
    writeFileSync(join(path, 'binary.js'), Buffer.from([1, 0, 2]));
    symlinkSync('/etc/passwd', join(path, 'link.js'));
    const report = await reviewOf(path);
    expect([report.files, report.skipped.map(({ path: name, reason }) => `${name}: ${reason}`)]).toEqual([
      0,
      ['binary.js: binary', 'large.js: larger than 1000000 bytes', 'link.js: symbolic link'],
    ]);
  });
});

describe('on a model server', () => {
  const finding = { severity: 'HIGH', file: './src/server.js:3', line: '3', title: 'It is so', description: 'why' };

  /** Looks at the listing, then answers in the fixed shape, more or less; the docs expert of this server is down. */
  const reviewer: Fault = ({ request, reply }) => {
    const messages = request.body?.['messages'] as { role: string; content: string }[];
    const system = messages[0]?.content ?? '';
    if (system.includes('documentation expert')) return reply(401, { error: { message: 'no' } });
    const say = (text: string) => reply(200, chunk({ content: text }, 'stop') + doneEvent, sse);
    if (request.body?.['tools'] === undefined) return say('In short.');
    if (messages.at(-1)?.role !== 'tool') {
      const call = { index: 0, id: 'c', function: { name: 'list_files', arguments: '{}' } };
      return reply(200, chunk({ tool_calls: [call] }, 'tool_calls') + doneEvent, sse);
    }
    if (system.includes('style expert')) return say('I found nothing worth a word.');
    const file = (JSON.parse(messages.at(-1)?.content ?? '{}') as { files: { path: string }[] }).files[0]?.path;
    const imagined = { ...finding, file: 'no/such/file.js' };
    const findings = [{ ...finding, file: `./${file}:1`, line: undefined }, imagined, { severity: 'low' }];
    say(
      `Here it is:\n\`\`\`json\n${JSON.stringify({ findings, summary: 'One.' }).slice(0, -1)},}\n\`\`\`\nThat is all.`,
    );
  };

  let server: FaultServer;
  beforeAll(async () => {
    server = await faultServer({ ok: reviewer });
  });
  afterAll(() => server.close());

  test('experts that fail lose only their own; imagined places are left out; equal findings become one', async () => {
    const troupe = createTroupe({ backends: { local: openai({ endpoint: server.url, model: 'small' }) } });
    const report = await review(troupe, sample);
    await troupe.close();
    expect(report.findings).toEqual([
      {
        severity: 'high',
        file: report.findings[0]?.file,
        line: 1,
        title: 'It is so',
        detail: 'why',
        suggestion: '',
        experts: ['security', 'performance'],
      },
    ]);
    expect(report.summary).toBe('In short.');
    expect(report.agents.map(({ agent, steps, imagined, error }) => [agent, steps, imagined, error?.code])).toEqual([
      ['orchestrator', 2, 0, undefined],
      ['security', 2, 1, undefined],
      ['performance', 2, 1, undefined],
      ['style', 2, 0, 'TROUPE_ERR_BACKEND_PROTOCOL'],
      ['docs', 0, 0, 'TROUPE_ERR_BACKEND_AUTH'],
    ]);
  });
});

test('each expert on a backend of its own, the orchestrator down', async () => {
  const answer = { text: '{"findings": []}' };
  const down = new TroupeError('TROUPE_ERR_BACKEND_AUTH', 'no');
  const backends = {
    chief: scripted([{ error: down }, { error: down }]),
    workers: scripted([answer, answer, answer, answer]),
  };
  const troupe = createTroupe({ backends });
  const report = await review(troupe, sample, { backend: 'chief', expertBackend: 'workers' });
  await troupe.close();
  expect([report.summary, report.agents.map(({ backend, error }) => [backend, error?.code])]).toEqual([
    '',
    [['chief', 'TROUPE_ERR_BACKEND_AUTH'], ...Array(4).fill(['workers', undefined])],
  ]);
});
