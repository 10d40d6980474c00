/** The packed tarball, as somebody who installs it finds it. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const home = mkdtempSync(join(tmpdir(), 'troupe-package-'));
const installed = join(home, 'node_modules', 'troupe');

beforeAll(() => {
  const packed = execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', home], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { filename } = JSON.parse(packed)[0];
  writeFileSync(join(home, 'package.json'), '{ "type": "module" }');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(home, filename), '-C', installed, '--strip-components=1']);
  for (const name of [...Object.keys(manifest.dependencies), '@types/node', 'undici-types', 'vitest']) {
    const link = join(home, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    if (existsSync(join(root, 'node_modules', name))) symlinkSync(join(root, 'node_modules', name), link);
  }
}, 60_000);

afterAll(() => rmSync(home, { recursive: true, force: true }));

const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json');
const specifiers = entries.map((entry) => `troupe${entry.slice(1)}`);

function run(...args: string[]) {
  return spawnSync(process.execPath, args, { cwd: home, encoding: 'utf8' });
}

function typeCheck(...args: string[]) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  return run(tsc, '--noEmit', '--strict', '--skipLibCheck', '--target', 'es2023', '--types', 'node', ...args);
}

test('it holds what is published and nothing else', () => {
  const top = readdirSync(installed).sort();
  expect(top).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'dist', 'package.json']);
  expect(readdirSync(join(installed, 'dist')).sort()).toEqual(['actors', 'machines', 'src']);
});

test('publint has nothing to say', async () => {
  const { messages, pkg } = await publint({ pkgDir: installed, strict: true });
  expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
});

test.each(specifiers)('%s can be imported', (specifier) => {
  const { stderr, status } = run('--input-type=module', '-e', `await import('${specifier}')`);
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
});

test('the root import loads no heavy package', () => {
  const hook = join(root, 'test/fixtures/package/log-loads.mjs');
  const { stderr } = run('--import', hook, '--input-type=module', '-e', "await import('troupe')");
  const packages = [...stderr.matchAll(/loaded file:.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map(
    (match) => match[1],
  );
  expect([...new Set(packages)].filter((name) => name !== 'troupe').sort()).toEqual([
    'eventemitter3',
    'eventsource-parser',
    'xstate',
  ]);
});

describe('types', () => {
  test.each(['nodenext', 'bundler'])('resolve under %s', (resolution) => {
    const folder = join(home, resolution);
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(
      join(folder, 'use.ts'),
      [
        ...specifiers.map((specifier, index) => `import * as m${index} from '${specifier}';\nvoid m${index};`),
        "import { createTroupe, type Reply } from 'troupe';",
        "const agent = await createTroupe().spawn('a');",
        "export const reply: Reply = await agent.ask('hello');",
        '// @ts-expect-error the text of a reply is a string',
        'export const wrong: number = reply.text;',
      ].join('\n'),
    );
    const module = resolution === 'bundler' ? 'esnext' : resolution;
    const { stdout } = typeCheck('--module', module, '--moduleResolution', resolution, join(folder, 'use.ts'));
    expect(stdout).toBe('');
  });
});

test('the code in the README compiles against the package', () => {
  const folder = join(home, 'readme');
  mkdirSync(folder);
  const readme = readFileSync(join(installed, 'README.md'), 'utf8');
  const files = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = ''], index) => {
    const file = join(folder, `block-${index}.ts`);
    writeFileSync(file, `${code}\nexport {};\n`);
    return file;
  });
  expect(files.length).toBe(4);
  expect(typeCheck('--module', 'nodenext', ...files).stdout).toBe('');
});

test("the README's test of an agent passes in a folder of its own", () => {
  const folder = join(home, 'newcomer');
  mkdirSync(folder);
  const readme = readFileSync(join(installed, 'README.md'), 'utf8');
  const [, code = ''] = /```ts\n([^`]*?from 'vitest';[^`]*?)```/.exec(readme) ?? [];
  writeFileSync(join(folder, 'agent.test.ts'), code);
  const { stdout, status } = run(join(home, 'node_modules/vitest/vitest.mjs'), 'run', '--root', folder);
  expect({ status, passed: stdout.includes('1 passed') }).toEqual({ status: 0, passed: true });
}, 60_000);

test('the command runs', () => {
  const { stdout, status } = run(join(installed, manifest.bin.troupe), '--version');
  expect({ stdout, status }).toEqual({ stdout: `${manifest.version}\n`, status: 0 });
});
