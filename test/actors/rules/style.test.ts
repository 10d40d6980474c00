// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source texts
import { testRules } from './table.ts';

const long = (count: number) => `function f() {\n${'use(1);\n'.repeat(count)}}`;
const nested = (depth: number) => `function f() {\n${'if (a) {\n'.repeat(depth)}${'}'.repeat(depth)}}`;

testRules({
  'empty-catch': {
    hits: ['try {\ng();\n→} catch (error) {}', 'try { g(); } catch {}'],
    nearMisses: [
      'try { g(); } catch (error) { log(error); }',
      'try { g(); } catch { /* it may be gone already */ }',
      'try { g(); } catch {} // it may be gone already',
      'try {\n// it may be gone already\ng();\n} catch {}',
      '// it may be gone already\nlet a;\ntry { a = g(); } catch {}',
    ],
  },
  'mixed-var': {
    hits: ['const a = 1;\nlet b = 2;\n→var c = 3;'],
    nearMisses: [
      'var a = 1;\nvar b = 2;',
      'const a = 1;',
      "const a = 1; const b = 2; var c = require('c');",
      'var __assign = 1; const a = 1; const b = 2;',
    ],
  },
  'loose-equality': {
    hits: ['if (a == 1) b();', 'if (a != b) c();'],
    nearMisses: [
      'if (a === 1) b();',
      'if (a == null) b();',
      'if (a != undefined) b();',
      "if (typeof a == 'string') b();",
      "const text = 'a == b';",
      '// both may be text\nif (a == b) c();',
    ],
  },
  debugger: { hits: ['debugger;'], nearMisses: ['const text = "debugger;";', 'object.debugger = 1;'] },
  'console-log': {
    hits: ['export function f() { console.log(1); }', 'module.exports = { f };\n→function f() { console.debug(1); }'],
    nearMisses: [
      'console.log(1);',
      'function f() { console.log(1); }',
      'export function f() { console.error(1); }',
      'export function f() { console.log(1); console.log(2); console.log(3); }',
      'export function f() { console.log(1); process.exit(1); }',
      'export function printAll() { console.log(1); }',
      'export function f(verbose) { if (verbose) console.log(1); }',
      'export function f(console) { console.log(1); }',
      '#!/usr/bin/env node\nexport function f() { console.log(1); }',
    ],
  },
  'duplicate-key': {
    hits: ["export const a = { b: 1, c: 2, 'b': 3 };"],
    nearMisses: [
      'export const a = { b: 1, c: 2 };',
      'export const a = { b: 1, ...c, b: 2 };',
      'export const a = { get b() { return 1; }, set b(x) {} };',
      'export const a = { [b]: 1, [b]: 2 };',
      'export const a = { b: { c: 1 }, c: 2 };',
    ],
  },
  'assignment-in-condition': {
    hits: ['if (a = b) c();', 'if (a = 1) b();'],
    nearMisses: [
      'if (a === b) c();',
      'if ((a = b)) c();',
      'let m; while (m = re.exec(s)) use(m);',
      'let m; if (m = re.exec(s)) use(m);',
    ],
  },
  todo: {
    hits: ['// TODO: write this', '/**\n * Does it.\n→ * FIXME it does not\n */\nfunction f() {}'],
    nearMisses: ["const text = 'TODO: x';", '// see the list of todos', '// nothing TODO here'],
  },
  'long-function': {
    hits: [long(79)],
    nearMisses: [
      long(78),
      `function f() {\n${'// a\n\n'.repeat(100)}}`,
      `function f() { return {\ng() {\n${'use(1);\n'.repeat(50)}},\nh() {\n${'use(1);\n'.repeat(50)}} }; }`,
    ],
  },
  'deep-nesting': {
    hits: [nested(6).replace('{\n}', '{\nb();\n}').replace('if (a) {\nb', '→if (a) {\nb')],
    nearMisses: [
      nested(5),
      `function f() {\n${'if (a) { b(); } else '.repeat(8)}{}\n}`,
      'if (a) for (;;) while (b) if (c) try { d(() => { if (e) f(); }); } finally { g(); }',
    ],
  },
  'many-parameters': {
    hits: ['function f(a, b, c, d, e, g, h) {}', 'const f = (a, b, c, d, e, g, h) => 1;'],
    nearMisses: [
      'function f(a, b, c, d, e, g) {}',
      'use(function (a, b, c, d, e, g, h) {});',
      'function f({ a, b, c, d, e, g, h }) {}',
    ],
  },
  fallthrough: {
    hits: ['switch (a) {\ncase 1:\nb();\n→case 2:\nc();\n}'],
    nearMisses: [
      'switch (a) { case 1: b(); break; case 2: c(); }',
      'switch (a) { case 1: case 2: c(); }',
      'switch (a) {\ncase 1:\nb();\n// falls through\ncase 2: c(); }',
      'function f() { switch (a) { case 1: if (b) return 1; else throw c; case 2: c(); } }',
      'switch (a) { case 1: { b(); break; } case 2: c(); }',
      'switch (a) { case 1: process.exit(1); case 2: c(); }',
      'switch (a) { case 1: while (true) b(); case 2: c(); }',
    ],
  },
  unreachable: {
    hits: ['function f() {\nreturn 1;\n→use(2);\n}', 'function f() {\nthrow a;\n→const b = 1;\n}'],
    nearMisses: [
      'function f() { return g(); function g() {} }',
      'function f() { if (a) return 1; use(2); }',
      'switch (a) { case 1: return1(); break; case 2: }',
      'function f() { return 1; var a; }',
    ],
  },
});

testRules({
  'exported-any': {
    path: 'src/file.ts',
    hits: ['export function f(a: any) {}', 'export const f = (): any => 1;'],
    nearMisses: [
      'function f(a: any) {}',
      'export function f(a: unknown) {}',
      'export function f(...a: any[]) {}',
      'export function f(a: string): void;\nexport function f(a: any) {}',
      'export const any = (any: string) => any;',
    ],
  },
  'merge-conflict': {
    path: 'src/file.go',
    hits: ['package a\n→<<<<<<< ours\nx\n=======\ny\n>>>>>>> theirs\n'],
    nearMisses: ['package a\n=======\n', '// <<<<<<< HEAD\n', '<<<<<<< HEAD\n'],
  },
  'mutable-default': {
    path: 'src/file.py',
    hits: ['def f(a, b=[]):\n    pass', 'async def f(a: dict = {}):\n    pass'],
    nearMisses: [
      'def f(a, b=None):\n    pass',
      'def f(a, b=()):\n    pass',
      'def f(_cache=[]):\n    pass',
      'text = "def f(a=[]):"',
      'def f(a=["x"]):\n    pass',
    ],
  },
  'bare-except': {
    path: 'src/file.py',
    hits: ['try:\n    f()\n→except:\n    pass', 'try: f()\n→except: pass'],
    nearMisses: [
      'try:\n    f()\nexcept OSError:\n    pass',
      'try:\n    f()\nexcept:\n    raise',
      'try:\n    f()\nexcept:  # gone already\n    pass',
    ],
  },
  'none-equality': {
    path: 'src/file.py',
    hits: ['if a == None:\n    pass', 'if a != None: pass'],
    nearMisses: ['if a is None:\n    pass', 'query.filter(User.name == None)', '# a == None', 'text = "a == None"'],
  },
});
