/** Recordings: what was written is read again, also when its writer was stopped in the middle of a line. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { inspectTroupe } from '../../src/inspect/inspect-troupe.ts';
import { memorySink } from '../../src/inspect/memory-sink.ts';
import { jsonlSink, readRecording, replay } from '../../src/inspect/recording.ts';
import { stage } from './stage.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-recording-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function record(name: string, maxBytes?: number) {
  const path = join(folder, name);
  const { troupe } = stage([{ text: 'one' }, { text: 'two' }]);
  const memory = memorySink();
  const file = jsonlSink(path, maxBytes === undefined ? {} : { maxBytes });
  const inspection = inspectTroupe(troupe, { sinks: [file, memory] });
  const agent = await troupe.spawn('a', { backend: 'one' });
  await agent.ask('hi');
  await agent.ask('again');
  await inspection.stop();
  return { path, messages: memory.messages };
}

test('what was recorded is read and replayed', async () => {
  const { path, messages } = await record('whole.jsonl');
  const recording = await readRecording(path);
  const again = memorySink();
  replay(recording, again);
  expect(recording.snapshot.agents).toEqual([]);
  expect(again.messages).toEqual(messages);
  expect({ damaged: recording.damagedLines, missing: recording.missing }).toEqual({ damaged: 0, missing: 0 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a recording may end anywhere', async () => {
  const { path, messages } = await record('cut.jsonl');
  const text = readFileSync(path, 'utf8');
  const first = text.indexOf('\n');
  for (let end = first + 1; end < text.length; end += 37) {
    writeFileSync(path, text.slice(0, end));
    const recording = await readRecording(path);
    const whole = text.slice(0, end + 1).split('\n').length - 2;
    expect(recording.messages).toEqual(messages.slice(0, whole));
  }
  const lines = text.split('\n');
  writeFileSync(path, [...lines.slice(0, 3), ...lines.slice(5)].join('\n'));
  expect((await readRecording(path)).missing).toBe(2);
  writeFileSync(path, text);
  appendFileSync(path, 'no json\n{"kind":"state"}\n');
  expect((await readRecording(path)).damagedLines).toBe(2);
});

test('a file that is none is refused', async () => {
  const path = join(folder, 'other.jsonl');
  writeFileSync(path, '{"kind":"state"}\n');
  await expect(readRecording(path)).rejects.toMatchObject({ code: 'TROUPE_ERR_PATH_REFUSED' });
  await expect(readRecording(join(folder, 'none'))).rejects.toMatchObject({ code: 'TROUPE_ERR_PATH_REFUSED' });
  expect(() => jsonlSink(join(folder, 'no', 'such', 'folder'))).toThrow('cannot be written');
});

test('a recording has a largest size', async () => {
  const { path } = await record('small.jsonl', 6_000);
  const whole = await record('large.jsonl');
  expect(statSync(path).size).toBeLessThanOrEqual(6_000);
  expect(statSync(whole.path).size).toBeGreaterThan(statSync(path).size);
  expect((await readRecording(path)).damagedLines).toBe(0);
});
