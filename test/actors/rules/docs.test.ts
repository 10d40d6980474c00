// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source texts
import { describe, expect, test } from 'vitest';
import { checkProject, type Project } from '../../../actors/rules/project.ts';
import { testRules } from './table.ts';

testRules({
  'undocumented-export': {
    hits: [
      'export function f() {}',
      '/** Does. */\nexport function f() {}\n→export class A {}',
      'const f = () => 1;\nexport { f };',
      'function f() {}\nmodule.exports = { f };',
      'export default function () {}',
      'export function f() {\n// inside\ng();\n}',
    ],
    nearMisses: [
      '/** Does. */\nexport function f() {}',
      '// Does.\nexport const f = () => 1;',
      'export class A {\n/** Does. */\nf() {}\n}',
      'function f() {}',
      'export const limit = 3;',
      '/** Does. */\nfunction f() {}\nmodule.exports = { f };',
      "export { f } from './f.js';",
    ],
  },
  'unknown-param': {
    hits: [
      '/**\n * Does.\n→ * @param {string} nmae\n */\nfunction f(name) { return name; }',
      '/**\n * @param name it\n→ * @param extra\n */\nexport const f = (name) => name;',
      'class A {\n/**\n→ * @param {Map<string, { a: 1 }>} b\n */\nf(a) { return a; }\n}',
    ],
    nearMisses: [
      '/** @param {string} name - the name */\nfunction f(name) { return name; }',
      '/** @param {{ a: string }} options\n * @param {string} options.a */\nfunction f(options) { return options; }',
      '/** @param {string} [name=x] */\nfunction f(name = "x") { return name; }',
      '/** @param {object} anything */\nfunction f({ a }) { return a; }',
      '/** @param {string} a */\nfunction f() { return arguments[0]; }',
      '/** @param {string} a */\nfunction f() { throw new Error("abstract"); }',
      '/** @param {string} a */\nfunction f() {}',
      '/** @param String name */\nfunction f(name) { return name; }',
      '/** @param ...rest */\nfunction f(...rest) { return rest; }',
      '/**\n * @callback F\n * @param {string} a\n */\n\nfunction f(b) { return b; }',
      '/** @param {string} type */\nfunction f(type3) { return type3; }',
    ],
  },
  'returns-nothing': {
    hits: ['/**\n→ * @returns {string} the name\n */\nfunction f(a) { use(a); }'],
    nearMisses: [
      '/** @returns {string} the name */\nfunction f(a) { return a; }',
      '/** @returns {void} */\nfunction f(a) { use(a); }',
      '/** @returns {asserts a is string} */\nfunction f(a) { if (!a) throw a; }',
      '/** @returns {Promise<void>} */\nasync function f(a) { await a; }',
      '/** @returns {Generator<string>} */\nfunction* f(a) { yield a; }',
      '/** @returns {string} */\nconst f = (a) => a;',
      '/** @returns {string} */\nfunction f() {}',
    ],
  },
});

describe('the project as a whole', () => {
  const manifest = { name: 'a', description: 'Does a.', license: 'MIT', scripts: { build: 'x' } };

  function rulesOf(readme: string | undefined, packageJson: object, more: Partial<Project> = {}): string[] {
    const files = [
      { path: 'package.json', text: JSON.stringify(packageJson) },
      ...(readme === undefined ? [] : [{ path: 'README.md', text: readme }]),
    ];
    const paths = [...files.map(({ path }) => path), 'docs/a.md', 'dist/'];
    return checkProject({ files, paths, isComplete: true, ...more }).map(({ rule, line }) => `${rule}:${line}`);
  }

  test.each([
    ['no README', undefined, manifest, ['no-readme:1']],
    ['a link to a missing file', '# A\n\n[b](docs/b.md)', manifest, ['dead-link:3']],
    ['an unknown script', '# A\n\n```sh\nnpm run serve\n```', manifest, ['unknown-script:4']],
    ['an open point', '# A\n\nTODO: say how.', manifest, ['todo-in-docs:3']],
    ['no description', '# A', { ...manifest, description: '' }, ['no-description:1']],
    ['no licence', '# A', { ...manifest, license: undefined }, ['no-license:1']],
  ])('%s is found', (_what, readme, packageJson, expected) => {
    expect(rulesOf(readme, packageJson)).toEqual(expected);
  });

  test.each([
    [
      'links to what exists, is elsewhere, is left out or is code',
      '[a](docs/a.md#b) [b](https://x.org/b.md) [c](dist/c.js) [d](../d.md) `[e](e.md)` [f](#f)\n\n```md\n[g](g.md)\n```',
    ],
    ['scripts that exist', 'npm run build, `npm run build -- --watch`'],
    ['scripts of somebody else', 'Add `"scripts": { "x": "a" }` and call npm run x'],
    ['scripts of another folder', 'cd web && npm run serve'],
    ['a heading', '## TODO'],
    ['a comment', '<!--\nTODO: later\n-->'],
  ])('%s are left alone', (_what, readme) => {
    expect(rulesOf(readme, manifest)).toEqual([]);
  });

  test('a private package needs no description and no licence', () => {
    expect(rulesOf('# A', { name: 'a', private: true })).toEqual([]);
  });

  test('nothing is called missing when not all paths are known', () => {
    expect(rulesOf('[b](docs/b.md)', manifest, { isComplete: false })).toEqual([]);
  });
});
