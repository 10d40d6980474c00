import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeTools } from '../../../actors/tools/code-tools.ts';
import { numberLines, readNumbered } from '../../../actors/tools/numbered.ts';

const context = { agent: 'a', askId: 'ask-1', callId: 'call-1', signal: new AbortController().signal };

let home = '';
let root = '';

beforeAll(async () => {
  home = await realpath(await mkdtemp(join(tmpdir(), 'troupe-code-')));
  root = join(home, 'project');
  await mkdir(join(root, 'src/deep'), { recursive: true });
  await mkdir(join(root, 'node_modules/x'), { recursive: true });
  await mkdir(join(root, '.git'));
  await mkdir(join(root, 'empty'));
  await mkdir(join(home, 'outside'));
  await writeFile(join(home, 'outside/secret.txt'), 'outside\n');
  await writeFile(join(root, 'src/b.ts'), 'const b = 1;\nconst text = "a.c";\n');
  await writeFile(join(root, 'src/a.ts'), 'first\n\nthird (abc)\r\nlast');
  await writeFile(join(root, 'src/deep/c.ts'), '');
  await writeFile(join(root, 'node_modules/x/index.js'), 'x');
  await writeFile(join(root, '.git/config'), 'x');
  await writeFile(join(root, '.env'), 'A=1');
  await writeFile(join(root, 'app.min.js'), 'x');
  await writeFile(join(root, 'package-lock.json'), '{}');
  await writeFile(join(root, 'image.bin'), Buffer.from([1, 0, 2]));
  await writeFile(join(root, 'large.txt'), 'x'.repeat(5_000_000));
  await symlink(join(home, 'outside/secret.txt'), join(root, 'link.txt'));
  await symlink(join(home, 'outside'), join(root, 'folder-link'));
  await symlink('src/b.ts', join(root, 'inner-link.ts'));
  await symlink('loop', join(root, 'loop'));
  execFileSync('/usr/bin/env', ['mkfifo', join(root, 'pipe')]);
});

afterAll(() => rm(home, { recursive: true, force: true }));

async function run(name: string, args: object, at = root): Promise<unknown> {
  const found = codeTools(at).find(({ definition }) => definition.name === name)!;
  const checked = await found.check(args);
  if ('problem' in checked) throw new Error(checked.problem);
  return found.run(checked.value, context);
}

interface Listing {
  readonly files: { path: string; bytes: number }[];
  readonly skipped: { path: string; reason: string }[];
  readonly total: number;
  readonly next?: number;
}

const list = async (args: object, at?: string) => (await run('list_files', args, at)) as Listing;

describe('list_files', () => {
  test('gives all files sorted and says what it left out and why', async () => {
    const listing = await list({});
    expect(listing).toMatchObject({ root: 'project', total: 3, skippedTotal: listing.skipped.length });
    expect(listing.files).toEqual([
      { path: 'src/a.ts', bytes: 24 },
      { path: 'src/b.ts', bytes: 33 },
      { path: 'src/deep/c.ts', bytes: 0 },
    ]);
    expect(listing.skipped.map(({ path, reason }) => `${path}: ${reason}`)).toEqual([
      '.env: may hold secrets',
      '.git/: ignored directory',
      'app.min.js: minified',
      'folder-link: symbolic link',
      'image.bin: binary',
      'inner-link.ts: symbolic link',
      'large.txt: larger than 1000000 bytes',
      'link.txt: symbolic link',
      'loop: symbolic link',
      'node_modules/: ignored directory',
      'package-lock.json: lock file',
      'pipe: no regular file',
    ]);
  });

  test('pages', async () => {
    const first = await list({ limit: 2 });
    expect([first.files.length, first.next]).toEqual([2, 2]);
    const second = await list({ limit: 2, offset: first.next });
    expect([second.files.map(({ path }) => path), second.next, second.total]).toEqual([
      ['src/deep/c.ts'],
      undefined,
      3,
    ]);
  });

  test('lists below a folder, an empty one too', async () => {
    expect((await list({ path: 'src/deep' })).files).toEqual([{ path: 'src/deep/c.ts', bytes: 0 }]);
    expect(await list({ path: 'empty' })).toMatchObject({ files: [], total: 0 });
  });

  test('a root inside node_modules is a root like any other', async () => {
    expect((await list({}, join(root, 'node_modules/x'))).files).toEqual([{ path: 'index.js', bytes: 1 }]);
  });

  test('stops after a number of entries and says so', async () => {
    const [tool] = codeTools(root, { maxEntries: 3 });
    const { skipped } = (await tool!.run({}, context)) as Listing;
    expect(skipped.map(({ reason }) => reason)).toContain('beyond the first 3 entries');
  });
});

describe('paths', () => {
  test.each([
    ['../outside/secret.txt', 'it leads out of the root'],
    ['src/../../outside/secret.txt', 'it leads out of the root'],
    ['/etc/passwd', 'it leads out of the root'],
    ['link.txt', 'it is a symbolic link that leads out of the root'],
    ['folder-link/secret.txt', 'it is a symbolic link that leads out of the root'],
    ['loop', 'its symbolic links go in a circle'],
    ['src/missing.ts', 'it does not exist'],
    ['src/a.ts/b', 'a part of it is no directory'],
    ['src', 'it is a directory'],
    ['pipe', 'it is no regular file'],
    ['/dev/zero', 'it leads out of the root'],
    ['image.bin', 'it is a binary file'],
    ['large.txt', 'it has 5000000 bytes, more than 1000000'],
    ['.git/config', '.git is never shown'],
    ['.env', 'files like it hold secrets'],
    ['a\0b', 'it contains a NUL byte'],
  ])('%j is refused: %s', async (path, why) => {
    const failure = { code: 'TROUPE_ERR_PATH_REFUSED', message: `${JSON.stringify(path)} is refused: ${why}.` };
    await expect(run('read_file', { path })).rejects.toMatchObject(failure);
  });

  test('a link that stays inside, and an absolute path inside, are followed', async () => {
    expect(await run('read_file', { path: 'inner-link.ts' })).toContain('const b = 1;');
    expect(await run('read_file', { path: join(root, 'src/b.ts') })).toContain('const b = 1;');
  });

  test.each(['list_files', 'search_code'])('%s refuses to leave the root too', async (name) => {
    for (const path of ['..', 'folder-link', '/']) {
      await expect(run(name, { path, pattern: 'x' })).rejects.toMatchObject({ code: 'TROUPE_ERR_PATH_REFUSED' });
    }
  });

  test('a root that is one file shows that file only', async () => {
    const file = join(root, 'src/b.ts');
    expect((await list({}, file)).files).toEqual([{ path: 'b.ts', bytes: 33 }]);
    expect(await run('read_file', { path: 'b.ts' }, file)).toContain('1| const b = 1;');
    await expect(run('read_file', { path: 'a.ts' }, file)).rejects.toThrow('the root is the single file b.ts');
  });

  test('a missing root is said when it is used, a wrong one at once', async () => {
    await expect(list({}, join(home, 'nowhere'))).rejects.toThrow('it does not exist');
    expect(() => codeTools('')).toThrow('`root` must be');
  });
});

describe('read_file', () => {
  test('numbers the lines and says where the file ends', async () => {
    expect(await run('read_file', { path: 'src/a.ts' })).toBe(
      '1| first\n2| \n3| third (abc)\r\n4| last\n[end of file, no newline at its end]',
    );
    expect(await run('read_file', { path: 'src/deep/c.ts' })).toBe('[end of file]');
  });

  test('gives a part and says how to go on', async () => {
    expect(await run('read_file', { path: 'src/a.ts', from: 2, to: 3 })).toBe(
      '2| \n3| third (abc)\r\n[lines 2 to 3 of 4; go on with from: 4]',
    );
  });

  const wide = { from: 1, to: 1_000, lineLength: 100, length: 10_000 };

  test.each(['', 'a', 'a\n', '\n', '\n\n', 'a\r\nb\r\n', '12| x\n[end of file]\n', 'a\n\n\nb'])(
    '%j is read back exactly',
    (text) => {
      expect(readNumbered(numberLines(text, wide).text)).toMatchObject({ text, exact: true });
    },
  );

  test('a cut line is no exact text, a cut result no text at all', () => {
    const cut = numberLines(`a\n${'b'.repeat(101)}\n`, wide).text;
    expect(cut).toContain('[line 2 goes on for 1 characters]');
    expect(readNumbered(cut)).toMatchObject({ exact: false });
    expect(readNumbered('1| a\n2| b')).toBeUndefined();
  });
});

describe('search_code', () => {
  test('takes the pattern literally unless told otherwise', async () => {
    expect(await run('search_code', { pattern: 'a.c' })).toBe(
      'src/b.ts:2: const text = "a.c";\n[1 matches in 3 files]',
    );
    expect(await run('search_code', { pattern: 'a.c', regex: true })).toBe(
      'src/a.ts:3: third (abc)\nsrc/b.ts:2: const text = "a.c";\n[2 matches in 3 files]',
    );
  });

  test('stops at the limit', async () => {
    expect(await run('search_code', { pattern: 'const', limit: 1 })).toBe(
      'src/b.ts:1: const b = 1;\n[the first 1 matches; narrow the pattern]',
    );
  });

  test('gives up on a pattern that takes too long', async () => {
    await writeFile(join(root, 'empty/slow.txt'), `${'a'.repeat(60)}!\n`);
    await expect(run('search_code', { pattern: '(a+)+$', regex: true, path: 'empty' })).rejects.toThrow(
      'took longer than',
    );
    await rm(join(root, 'empty/slow.txt'));
  });

  test('says what is wrong with a pattern', async () => {
    await expect(run('search_code', { pattern: '(', regex: true })).rejects.toThrow('no regular expression');
    await expect(run('search_code', { pattern: 'x'.repeat(201) })).rejects.toThrow('pattern');
  });
});

test('nothing was written', async () => {
  expect((await readdir(root)).length).toBe(14);
});
