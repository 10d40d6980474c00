// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the strings are source texts
import { testRules } from './table.ts';

const exec = "import { exec, execFile, spawn } from 'node:child_process';\n";
const crypto = "import { createHash } from 'node:crypto';\n";
const fs = "import { readFile, createReadStream } from 'node:fs';\nimport { join, basename } from 'node:path';\n";

testRules({
  'dynamic-code': {
    hits: ['function f(text) { return eval(text); }', 'export const f = (a) => new Function("x", `return ${a}`);'],
    nearMisses: [
      'eval("1 + 1");',
      'const code = "1"; eval(code);',
      'function f(eval, x) { eval(x); }',
      '// eval(x)\nconst text = "eval(x)";',
      'object.eval(text);',
      'new Function("return this")();',
      'function f(x) { /* eslint-disable-next-line no-eval */\n eval(x); }',
    ],
  },
  'shell-command': {
    hits: [
      `${exec}→export function f(name) { exec(\`rm \${name}\`); }`,
      `${exec}export function f(name) {\nconst line = 'rm ' + name;\n→exec(line);\n}`,
      `const cp = require('child_process');\n→function f(name) { cp.execSync('ls ' + name); }`,
      `${exec}→export function f(name) { spawn(\`ls \${name}\`, { shell: true }); }`,
      `const run = require('util').promisify(require('child_process').exec);\n→async function f(name) { await run(\`ls \${name}\`); }`,
    ],
    nearMisses: [
      `${exec}exec('git status');`,
      `${exec}export function f(name) { execFile('rm', [name]); }`,
      `${exec}const dir = 'x'; exec(\`ls \${dir}\`);`,
      `${exec}export function f(name) { exec(\`ls \${shellQuote(name)}\`); }`,
      `${exec}exec(\`kill \${process.pid}\`);`,
      'export function f(db, name) { db.exec(`x ${name}`); }',
      `${exec}export function f(exec, name) { exec(\`rm \${name}\`); }`,
      `${exec}export function f(command) { exec(command); }`,
    ],
  },
  'sql-text': {
    hits: [
      'export const f = (db, id) => db.query(`SELECT * FROM t WHERE id = ${id}`);',
      'export const f = (db, user) => db.run("DELETE FROM t WHERE name = \'" + user.name + "\'");',
      'function f(db, id) {\nconst sql = `UPDATE t SET a = ${id}`;\n→return db.execute(sql);\n}',
      "export const f = (db, a, b) => db.run(`INSERT INTO t (a, b) VALUES ('x', ${a})`);",
    ],
    nearMisses: [
      "db.query('SELECT * FROM t WHERE id = ?', [id]);",
      'export const f = (db, columns) => db.query(`SELECT ${columns} FROM t`);',
      'export const f = (db, ids) => { const marks = ids.map(() => "?").join(); return db.all(`SELECT * FROM t WHERE id IN (${marks})`); };',
      'export const f = (db, i) => db.query(`SELECT * FROM t WHERE id = $${i}`);',
      'export const f = (sql, id) => sql`SELECT * FROM t WHERE id = ${id}`;',
      'export const f = (db, id) => db.query(`SELECT * FROM t WHERE id = ${db.escape(id)}`);',
      'const TABLE = "t"; db.query(`SELECT * FROM ${TABLE} WHERE a = ${LIMIT}`);',
      'export const f = (menu, x) => menu.get(`Choose one = ${x}`) || menu.all(`Pick = ${x}`);',
      'const since = hourOffset(); export const f = (db) => db.run(`DELETE FROM t WHERE time < ${since}`);',
      'export const f = (db, n) => db.all(`SELECT * FROM t LIMIT ${Number(n)}`);',
    ],
  },
  'unescaped-html': {
    hits: [
      'export const f = (node, user) => { node.innerHTML = `<b>${user.name}</b>`; };',
      'export const f = (node, text) => { node.insertAdjacentHTML("beforeend", "<i>" + text); };',
      'export const f = (text) => document.write(text);',
    ],
    nearMisses: [
      'node.innerHTML = "";',
      'export const f = (node, text) => { node.textContent = text; };',
      'export const f = (node, text) => { node.innerHTML = escapeHtml(text); };',
      'export const f = (node, list) => { node.innerHTML = `<b>${list.length}</b>`; };',
      'export const f = (node, other) => { node.innerHTML = other.innerHTML; };',
      'const icon = "<svg/>"; node.innerHTML = `${icon}!`;',
      'export const f = (node, x) => { node.innerHTML = DOMPurify.sanitize(x); };',
    ],
  },
  'tls-check-off': {
    hits: [
      'export const options = { rejectUnauthorized: false };',
      "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';",
      "process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = 0;",
    ],
    nearMisses: [
      'export const options = { rejectUnauthorized: true };',
      'export const f = (check) => ({ rejectUnauthorized: check });',
      "process.env.NODE_TLS_REJECT_UNAUTHORIZED = '1';",
      'const text = "rejectUnauthorized: false";',
      'export function f(unsafe) { if (unsafe) use({ rejectUnauthorized: false }); }',
    ],
  },
  'request-path': {
    hits: [
      `${fs}→export const f = (req, res) => createReadStream(join('files', req.params.name)).pipe(res);`,
      `${fs}export function f(req, res) {\nconst { name } = req.query;\n→readFile(\`files/\${name}\`, () => res.end());\n}`,
      'export const f = (req, res) => res.sendFile("/files/" + req.query.name);',
    ],
    nearMisses: [
      `${fs}export const f = (req, res) => createReadStream(join('files', basename(req.params.name))).pipe(res);`,
      `${fs}export function f(req) {\nconst path = join('files', req.params.name);\nif (!path.startsWith('files/')) return;\nreadFile(path, g);\n}`,
      "export const f = (req, res) => res.sendFile(req.params.name, { root: 'files' });",
      `${fs}export const f = (name) => readFile(name, g);`,
      'export const f = (req) => cache.readFile(req.query.name);',
    ],
  },
  'open-redirect': {
    hits: [
      'export const f = (req, res) => res.redirect(req.query.next);',
      'export const f = (req, res) => res.redirect(302, req.body.to);',
    ],
    nearMisses: [
      "export const f = (req, res) => res.redirect('/home');",
      'export const f = (req, res) => res.redirect(`/users/${req.params.id}`);',
    ],
  },
  'unsigned-jwt': {
    hits: ["export const f = (t, k) => jwt.verify(t, k, { algorithms: ['HS256', 'none'] });"],
    nearMisses: [
      "export const f = (t, k) => jwt.verify(t, k, { algorithms: ['HS256'] });",
      "export const style = { algorithm: 'none' };",
    ],
  },
  'hard-coded-secret': {
    hits: [
      "const apiKey = 'q7Zk29vXw4LmT8sRb1Yc';",
      "export const options = { client_secret: '8f14e45fceea167a5a36dedd4bea2543' };",
      "const token = process.env.TOKEN ?? 'q7Zk29vXw4LmT8sRb1Yc';",
      "export const login = { user: 'a', password: 'Tr0ub4dor&3x' };",
    ],
    nearMisses: [
      'const apiKey = process.env.API_KEY;',
      "const apiKey = '';",
      "const apiKey = 'YOUR_API_KEY_123456789';",
      "const token = 'access-token-version-2';",
      "const secretName = 'q7Zk29vXw4LmT8sRb1Yc';",
      "const hash = 'q7Zk29vXw4LmT8sRb1Yc';",
      "const passwordPattern = '^(?=.*[a-z])(?=.*[A-Z])(?=.*\\\\d).{8,}$';",
      "const token = 'https://example.org/a1b2c3d4e5f6';",
      "const labels = { password: 'Password' };",
      "const password = 'Enter your Password 1';",
      "const key = 'q7Zk29vXw4LmT8sRb1Yc';",
    ],
  },
  'password-hash': {
    hits: [`${crypto}→export const f = (password) => createHash('sha256').update(password).digest('hex');`],
    nearMisses: [`${crypto}export const f = (text) => createHash('sha256').update(text).digest('hex');`],
  },
  'weak-hash': {
    hits: [
      `${crypto}→export const f = (text) => createHash('md5').update(text).digest('hex');`,
      `const crypto = require('crypto');\n→const f = (token) => crypto.createHash('sha1').update(token).digest();`,
    ],
    nearMisses: [
      `${crypto}export const f = (text) => createHash('sha256').update(text);`,
      `${crypto}export const f = (key) => createHash('sha1').update(key + GUID).digest('base64');`,
      "export const f = (lib) => lib.createHash('md5');",
      `${crypto}export const f = (password) => createHash('md5').update(password);`,
    ],
  },
  'guessable-secret': {
    hits: [
      'const resetToken = Math.random().toString(36).slice(2);',
      'export function makePassword() { return `${Math.random()}`; }',
      'export const f = () => ({ sessionId: Math.random().toString(16) });',
    ],
    nearMisses: [
      'const id = Math.random().toString(36);',
      'const token = tokens[Math.floor(Math.random() * tokens.length)];',
      'const tokenCount = Math.random().toString(36);',
      'export function makeToken(Math) { return Math.random().toString(36); }',
    ],
  },
  'private-key': {
    path: 'deploy/key.txt.yml',
    hits: [`key: a\n→-----BEGIN PRIVATE KEY-----\n${'QUJD'.repeat(16)}\n`],
    nearMisses: [
      "if (text.startsWith('-----BEGIN PRIVATE KEY-----')) go();",
      '-----BEGIN PUBLIC KEY-----\n'.concat('QUJD'.repeat(16)),
    ],
  },
  'access-key': {
    path: 'settings.yml',
    hits: [`id: AKI${'AQ7ZK27VXW4LMT3SR'}`],
    nearMisses: ['id: AKIAIOSFODNN7EXAMPLE', 'id: AKIA', 'name: NAKIAQ7ZK27VXW4LMT3SR'],
  },
});
