/** What a damaged store on disk is met with: a refusal that leaves it as it is. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { sqliteStore } from '../../../actors/store/sqlite.ts';
import { code, files, fill, folder, look, path, random, start } from './store-files.ts';

vi.setConfig({ testTimeout: 120_000 });

describe('damage', () => {
  const damages: [string, (file: Buffer) => Buffer][] = [
    ['0 bytes', () => Buffer.alloc(0)],
    ['1 byte', (file) => file.subarray(0, 1)],
    ['cut within its header', (file) => file.subarray(0, 50)],
    ['cut in half', (file) => file.subarray(0, file.length / 2)],
    ['the last byte missing', (file) => file.subarray(0, -1)],
    ['filled with zeros', (file) => Buffer.alloc(file.length)],
    ['a text', () => Buffer.from('hello '.repeat(1_000))],
  ];

  test.each(damages)('%s is refused and stays as it is', async (_what, damage) => {
    await fill(20);
    const bytes = damage(readFileSync(path));
    writeFileSync(path, bytes);
    for (let time = 0; time < 2; time += 1) {
      expect(() => sqliteStore(path)).toThrow(
        expect.objectContaining({ code: 'TROUPE_ERR_STORE_DAMAGED', message: expect.stringContaining('.recover') }),
      );
      expect(readFileSync(path)).toEqual(bytes);
      expect(files()).toEqual(['troupe.db']);
    }
  });

  test('a log whose file is missing is not thrown away', async () => {
    const writer = start('writer', '3');
    while ((await writer.line()) !== 'done');
    await writer.kill();
    rmSync(path);
    const wal = readFileSync(`${path}-wal`);
    expect(code(() => sqliteStore(path))).toBe('TROUPE_ERR_STORE_DAMAGED');
    expect([existsSync(path), readFileSync(`${path}-wal`)]).toEqual([false, wal]);
  });

  test('a log of another file is not applied', async () => {
    const writer = start('writer', '3');
    while ((await writer.line()) !== 'done');
    await writer.kill();
    const wal = readFileSync(`${path}-wal`);
    rmSync(path);
    rmSync(`${path}-wal`);
    await fill(1);
    writeFileSync(`${path}-wal`, wal);
    expect(code(() => sqliteStore(path))).toBe('TROUPE_ERR_STORE_DAMAGED');
    expect(readFileSync(`${path}-wal`)).toEqual(wal);
  });

  test('a page that was overwritten is found at open when the store was not closed, with file and log untouched', async () => {
    await fill(60);
    const writer = start('writer', '3');
    while ((await writer.line()) !== 'done');
    await writer.kill();
    const bytes = readFileSync(path);
    bytes.fill(0x55, 4096 * 20, 4096 * 21);
    writeFileSync(path, bytes);
    const wal = readFileSync(`${path}-wal`);
    expect(code(() => sqliteStore(path))).toBe('TROUPE_ERR_STORE_DAMAGED');
    expect(readFileSync(path)).toEqual(bytes);
    expect(readFileSync(`${path}-wal`)).toEqual(wal);
  });

  test('one flipped bit anywhere: what comes is a typed error or data, never anything else', async () => {
    await fill(30);
    const good = readFileSync(path);
    const seed = Number(process.env['MODEL_SEED'] ?? 65_249);
    const next = random(seed);
    const outcomes = new Set<string>();
    for (let time = 0; time < 150; time += 1) {
      const bytes = Buffer.from(good);
      const at = Math.floor(next() * bytes.length);
      bytes[at] = bytes[at]! ^ (1 << Math.floor(next() * 8));
      // Every second file as if it had not been closed.
      if (time % 2 === 0) bytes[18] = bytes[19] = 2;
      const file = join(folder, `${time}.db`);
      writeFileSync(file, bytes);
      const outcome = await look(file).then(
        () => 'data',
        (error) => error.code ?? String(error),
      );
      outcomes.add(outcome);
      expect(['data', ...damageCodes], `seed ${seed}, bit at ${at}`).toContain(outcome);
      if (outcome === 'TROUPE_ERR_STORE_DAMAGED' && time % 2 === 0) expect(readFileSync(file)).toEqual(bytes);
    }
    expect(outcomes).toContain('data');
  });

  test('a column whose name was changed in the file is damage', async () => {
    await fill(1);
    const bytes = readFileSync(path);
    const at = bytes.indexOf('outcome');
    expect(at).toBeGreaterThan(0);
    bytes[at] = 'O'.charCodeAt(0) + 1;
    writeFileSync(path, bytes);
    expect(await look(path).catch((error) => error.code)).toBe('TROUPE_ERR_STORE_DAMAGED');
    // But for the mark that it was open, all is as it was.
    expect(readFileSync(path).subarray(100)).toEqual(bytes.subarray(100));
  });

  const damageCodes = ['TROUPE_ERR_STORE_DAMAGED', 'TROUPE_ERR_STORE_NEWER', 'TROUPE_ERR_OPTION_INVALID'];

  test.each([
    ['', 'TROUPE_ERR_OPTION_INVALID'],
    [':memory:', 'TROUPE_ERR_OPTION_INVALID'],
    ['a\0b', 'TROUPE_ERR_OPTION_INVALID'],
  ])('path %j is refused', (wrong, expected) => {
    expect(code(() => sqliteStore(wrong))).toBe(expected);
  });

  test('a folder, or a file in the place of a folder, is refused', () => {
    writeFileSync(path, 'a file');
    expect(code(() => sqliteStore(join(path, 'troupe.db')))).toBe('TROUPE_ERR_STORE_FAILED');
    expect(code(() => sqliteStore(folder))).toBe('TROUPE_ERR_STORE_FAILED');
    expect(readFileSync(path, 'utf8')).toBe('a file');
  });

  test('a database of something else is refused and stays as it is', async () => {
    await fill(1);
    const bytes = readFileSync(path);
    bytes.writeInt32BE(7, 68);
    writeFileSync(path, bytes);
    expect(code(() => sqliteStore(path))).toBe('TROUPE_ERR_OPTION_INVALID');
    expect([readFileSync(path), files()]).toEqual([bytes, ['troupe.db']]);
  });
});
