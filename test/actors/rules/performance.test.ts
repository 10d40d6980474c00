// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source texts
import { testRules } from './table.ts';

const fs = "import { readFileSync, existsSync } from 'node:fs';\n";

testRules({
  'await-in-loop': {
    hits: [
      'export async function f(ids) {\nconst out = [];\n→for (const id of ids) out.push(await fetchUser(id));\nreturn out;\n}',
      'export async function f(paths) {\nfor (const path of paths) {\n→const text = await readFile(path);\nshow(text);\n}\n}',
    ],
    nearMisses: [
      'export async function f(ids) { for (const id of ids) { if (await findUser(id)) return id; } }',
      'export async function f(ids) { let last; for (const id of ids) last = await loadAfter(id, last); return last; }',
      'export async function f(ids) { for await (const id of ids) await getUser(id); }',
      'export async function f(ids) { for (const id of ids) await saveUser(id); }',
      'export async function f(ids) { for (const id of ids) await sleep(id); }',
      'export async function f(ids) { const seen = new Set(); for (const id of ids) { const x = await getUser(id); if (!seen.has(x)) seen.add(x); } }',
      'export async function f(queue) { for (const id of queue) queue.push(await loadNext(id)); }',
      '// one by one, to keep memory low\nexport async function f(ids) { for (const id of ids) await readFile(id); }',
      'export async function f(pages) { for (const page of pages) await page.load(); }',
      'export const f = (ids) => Promise.all(ids.map(async (id) => await getUser(id)));',
    ],
  },
  'sync-in-async': {
    hits: [
      `${fs}→export async function read(path) { return readFileSync(path); }`,
      `${fs}→server.on('request', (req, res) => { res.end(readFileSync('x')); });`,
    ],
    nearMisses: [
      `${fs}export function read(path) { return readFileSync(path); }`,
      `${fs}export async function read(path) { return existsSync(path); }`,
      `${fs}export async function main() { return readFileSync('x'); }`,
      'export async function read(files, path) { return files.readFileSync(path); }',
      `${fs}const text = readFileSync('x'); export async function f() { return text; }`,
    ],
  },
  'search-in-loop': {
    path: 'src/file.ts',
    hits: [
      'export const f = (a: string[], b: string[]) => a.filter((x) => b.includes(x));',
      'export function f(a: T[], b: readonly T[]) {\nfor (const x of a) {\n→use(b.find((y) => y.id === x.id));\n}\n}',
      'export function f(a: string[]) {\nconst seen = [];\n→for (const x of a) if (!seen.includes(x)) seen.push(x);\n}',
    ],
    nearMisses: [
      'export const f = (a: string[], b: Set<string>) => a.filter((x) => b.has(x));',
      'export const f = (a: string[], b: string) => a.filter((x) => b.includes(x));',
      "const kinds = ['a', 'b']; export const f = (a: string[]) => a.filter((x) => kinds.includes(x));",
      "export const f = (b: string[]) => ['x', 'y'].filter((x) => b.includes(x));",
      'export const f = (a: T[]) => a.filter((x) => { const list = x.name.split(","); return list.includes(x.id); });',
      'export const f = (a: string[], b) => a.filter((x) => b.includes(x));',
      'export const f = (a: string[], b: string[]) => a.map(() => b.includes("x"));',
      "import { kinds } from './kinds.ts'; export const f = (b: string[]) => kinds.filter((x) => b.includes(x));",
    ],
  },
  'growing-copy': {
    hits: [
      'export const f = (a) => a.reduce((all, x) => ({ ...all, [x.id]: x }), {});',
      'export const f = (a) => a.reduce((all, x) => [...all, x.id], []);',
      'export function f(a) {\nlet all = [];\n→for (const x of a) all = [...all, x];\nreturn all;\n}',
    ],
    nearMisses: [
      'export const f = (a) => a.reduce((all, x) => { all[x.id] = x; return all; }, {});',
      'export const f = (a) => a.reduce((sum, x) => sum + x, 0);',
      'export const f = (a) => a.map((x) => ({ ...x, done: true }));',
      'export function f(a) { let state = {}; for (const x of a) state = { ...state, last: 1 }; return state; }',
      'export function f(a) { let all = []; all = [...all, a]; return all; }',
      'export const f = (a) => a.reduce((all, x) => ({ ...x, id: all.id }), {});',
    ],
  },
  'json-clone': {
    hits: ['export const f = (x) => JSON.parse(JSON.stringify(x));'],
    nearMisses: [
      'export const f = (x) => JSON.parse(x);',
      'export const f = (x) => JSON.parse(JSON.stringify(x, keep));',
      'export const f = (x) => JSON.parse(JSON.stringify(x), revive);',
      'export function f(x) {\n// only what JSON can hold\nreturn JSON.parse(JSON.stringify(x));\n}',
    ],
  },
  'shift-in-loop': {
    hits: ['export function f(a) {\nconst queue = [...a];\nwhile (queue.length > 0) {\n→use(queue.shift());\n}\n}'],
    nearMisses: [
      'export function f(a) { const queue = [...a]; while (queue.length > 0) use(queue.pop()); }',
      'export function f(queue) { while (queue.length > 0) use(queue.shift()); }',
      'export function f(a) { const queue = [...a]; if (queue.length > 0) use(queue.shift()); }',
    ],
  },
  'regexp-in-loop': {
    hits: ["export function f(a) {\nfor (const x of a) {\n→if (new RegExp('^a+$').test(x)) use(x);\n}\n}"],
    nearMisses: [
      "const re = new RegExp('^a+$'); export const f = (a) => a.filter((x) => re.test(x));",
      'export const f = (a, b) => a.filter((x) => new RegExp(`^${x}`).test(b));',
      "export const f = (a) => a.filter((x) => new RegExp('a', 'g').test(x));",
      'export const f = (a) => a.filter((x) => /^a/.test(x));',
      "let re; export const f = (a) => a.filter((x) => { if (!re) re = new RegExp('a'); return re.test(x); });",
    ],
  },
  'list-in-loop-test': {
    hits: ['export function f(o) { for (let i = 0; i < Object.keys(o).length; i++) use(i); }'],
    nearMisses: [
      'export function f(o) { for (let i = 0, n = Object.keys(o).length; i < n; i++) use(i); }',
      'export function f(o) { for (const key of Object.keys(o)) use(key); }',
    ],
  },
});
