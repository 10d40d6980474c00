/**
 * Ends a process by SIGKILL at many points of a day, lets others finish it, and checks what came of it. On the built package:
 * `node test/recovery/crash-matrix.mjs [--dist ../../dist] [--random 200] [--seed 1] [--every 1] [--workers 2]`. Exits with 1
 * when a point was not survived. The points: before every turn in which the store is written, after every barrier, and random
 * instants, at half of which the process that comes next is ended too.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generator } from '../soak/random.mjs';
import { modulesOf, runDay } from './day.mjs';
import { modelServer } from './model-server.mjs';

const program = fileURLToPath(new URL('day-process.mjs', import.meta.url));
// SIGKILL leaves what was written, synced or not: memory is as good as a disk.
const root = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** Tries the points; gives how many, how many were survived, and of the others what was wrong. */
export async function crashMatrix({
  dist,
  seed,
  random,
  every = 1,
  workers = availableParallelism(),
  onPoint = () => {},
}) {
  const modules = await modulesOf(dist);
  const server = await modelServer();
  const startedAt = performance.now();
  const stage = { dist, modules, server };
  try {
    const whole = await uninterrupted(stage);
    const points = pointsOf(whole, { seed, random, every });
    const faults = [];
    const queue = points.values();
    const work = async () => {
      for (const point of queue) {
        const problems = await tried(stage, point);
        if (problems.length > 0) faults.push({ point, problems });
        onPoint(point, problems);
      }
    };
    await Promise.all(Array.from({ length: workers }, work));
    const ms = Math.round(performance.now() - startedAt);
    return { tried: points.length, survived: points.length - faults.length, faults, ms, ...whole };
  } finally {
    await server.close();
  }
}

/** A day without a crash: how many points it has, and how long it takes. */
async function uninterrupted(stage) {
  const folder = mkdtempSync(join(root, 'troupe-day-'));
  const { lines, stderr } = await oneProcess(stage, folder, {});
  rmSync(folder, { recursive: true });
  const counts = lines.find(({ type }) => type === 'counts');
  if (counts === undefined) throw new Error(`The day does not even end without a crash. ${stderr}`);
  const over = lines.find(({ type }) => type === 'over');
  return { turns: counts.turns, barriers: counts.barriers, dayMs: Math.round(over.at - lines[0].at) };
}

function pointsOf({ turns, barriers, dayMs }, { seed, random, every }) {
  const numbers = (count) => Array.from({ length: count }, (_, index) => index + 1).filter((n) => n % every === 0);
  const draw = generator(seed);
  const instants = Array.from({ length: random }, (_, index) => {
    const ms = () => Math.round(draw() * dayMs);
    return { afterMs: index % 2 === 0 ? [ms()] : [ms(), ms()] };
  });
  return [
    ...numbers(turns).map((number) => ({ crashAt: `${number}` })),
    ...numbers(barriers).map((number) => ({ crashAt: `${number}:after` })),
    ...instants,
  ];
}

/** What is wrong after a crash at this point and the rest of the day. */
async function tried(stage, { crashAt, afterMs = [undefined] }) {
  const { modules, server } = stage;
  const folder = mkdtempSync(join(root, 'troupe-day-'));
  const lines = [];
  const seen = [];
  const account = server.accountOf(folder.replaceAll('/', '_'));
  try {
    for (const ms of afterMs) {
      const run = await oneProcess(stage, folder, { crashAt, afterMs: ms });
      lines.push(...run.lines);
      if (run.signal !== 'SIGKILL' && run.code !== 0) return [`a process ended with ${run.code}: ${run.stderr}`];
      seen.push({ steps: new Map(account.steps), answered: answeredIn(lines) });
    }
    const endpoint = endpointOf(server, folder);
    await runDay(modules, { folder, endpoint, say: (line) => lines.push(line) });
    return problemsOf({ folder, lines, account, seen });
  } catch (thrown) {
    return [String(thrown?.stack ?? thrown)];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function endpointOf(server, folder) {
  return `${server.url}/${folder.replaceAll('/', '_')}`;
}

function answeredIn(lines) {
  return new Set(lines.filter(({ type }) => type === 'answered').map(({ askId }) => askId));
}

/** Runs a process until it ends, or is ended so long after it has opened the store. */
function oneProcess({ dist, server }, folder, { crashAt, afterMs }) {
  const env = { ...process.env, NODE_ENV: 'production', ...(crashAt && { CRASH_AT: crashAt }) };
  const child = spawn(process.execPath, [program, dist, folder, endpointOf(server, folder)], { env });
  const lines = [];
  let rest = '';
  let stderr = '';
  let timer;
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  child.stdout.on('data', (data) => {
    if (afterMs !== undefined) timer ??= setTimeout(() => child.kill('SIGKILL'), afterMs);
    const parts = `${rest}${data}`.split('\n');
    rest = parts.pop();
    for (const part of parts) lines.push({ ...JSON.parse(part), at: performance.now() });
  });
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ lines, code, signal, stderr });
    });
  });
}

/** What a day must not look like in the end. */
function problemsOf({ folder, lines, account, seen }) {
  const over = lines.findLast(({ type }) => type === 'over');
  return [
    ...account.faults,
    ...over.failed,
    ...over.open.map((askId) => `"${askId}" is open at the end of the day`),
    ...(over.openCalls === 0 ? [] : [`${over.openCalls} calls are open`]),
    ...answersOf(lines, over),
    ...repeatsOf(account, seen),
    ...Object.entries(over.agents).flatMap(([name, messages]) => brokenIn(name, messages)),
    ...toolFaults(folder, over, seen.length),
    ...ledgerFaults(lines, over, account),
  ];
}

/** Every accepted ask is in the log with one answer, and every ask of the day was answered with its own. */
function answersOf(lines, { agents }) {
  const faults = lines
    .filter(({ type, askId, text }) => type === 'answered' && text !== `answer to ${askId}`)
    .map(({ askId, text }) => `"${askId}" was answered with "${text}"`);
  const owners = new Map(lines.filter(({ type }) => type === 'accepted').map(({ askId, agent }) => [askId, agent]));
  if (owners.size !== 30) faults.push(`${owners.size} asks were accepted`);
  const answered = answeredIn(lines);
  for (const [askId, agent] of owners) {
    if (!answered.has(askId)) faults.push(`"${askId}" was accepted and not answered`);
    const prompts = agents[agent].filter(({ role, content }) => role === 'user' && content.split(' ')[0] === askId);
    const answers = agents[agent].filter(({ content }) => content === `answer to ${askId}`);
    if (prompts.length !== 1 || answers.length !== 1)
      faults.push(`the log of "${agent}" has ${prompts.length} prompts and ${answers.length} answers of "${askId}"`);
  }
  return faults;
}

/** A step behind which another one had begun, or whose ask was answered, is finished: nobody is asked for it again. */
function repeatsOf({ steps }, seen) {
  const faults = [];
  for (const before of seen) {
    for (const [key, count] of before.steps) {
      const [askId, step] = key.split(' ');
      const isFinished = before.steps.has(`${askId} ${Number(step) + 1} good`) || before.answered.has(askId);
      if (isFinished && steps.get(key) !== count) faults.push(`${key} was finished and is asked for again`);
    }
  }
  for (const [key, count] of steps)
    if (count > seen.length + 1) faults.push(`${key} was asked for ${count} times in ${seen.length + 1} processes`);
  return faults.filter((fault) => !fault.startsWith('victim'));
}

/** Every call has its result before the next message that is none. */
function brokenIn(name, messages) {
  const open = new Set();
  const faults = [];
  for (const { role, toolCalls = [], callId } of messages) {
    if (role === 'tool' ? !open.delete(callId) : open.size > 0) faults.push(`the log of "${name}" is broken`);
    for (const { id } of toolCalls) open.add(id);
  }
  return open.size === 0 ? faults : [...faults, `the log of "${name}" ends without results`];
}

/** What is not idempotent ran once at most, and what the model was told is so. */
function toolFaults(folder, { agents }, crashes) {
  const times = (name) => {
    const runs = new Map();
    const text = existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '';
    for (const callId of text.split('\n').slice(0, -1)) runs.set(callId, (runs.get(callId) ?? 0) + 1);
    return runs;
  };
  const paid = times('pay');
  const faults = [];
  for (const [callId, ran] of paid)
    if (ran > 1 && !callId.startsWith('victim')) faults.push(`the payment ${callId} was made ${ran} times`);
  for (const [callId, ran] of times('note'))
    if (ran > crashes + 1) faults.push(`the note ${callId} was made ${ran} times`);
  for (const message of Object.values(agents).flat()) {
    if (message.role !== 'tool' || message.name !== 'pay') continue;
    const isTold = message.content === 'pay done' || message.content.startsWith('This call was interrupted');
    const isTrue = message.content !== 'pay done' || paid.has(message.callId);
    if (!isTold || !isTrue) faults.push(`of ${message.callId} the model was told "${message.content}"`);
  }
  return faults;
}

/** Every call that the server has counted is in the ledger; what is there besides was begun and not made when a process ended. */
function ledgerFaults(lines, { ledger }, { calls }) {
  const cut = lines.filter(({ type }) => type === 'open').reduce((sum, one) => sum + one.calls, 0);
  if (ledger >= calls && ledger <= calls + cut) return [];
  return [`the ledger has ${ledger} calls, the server ${calls}; ${cut} were in flight when a process ended`];
}

async function main() {
  const text = (value) => ({ type: 'string', default: value });
  const { values } = parseArgs({
    options: {
      ...{ dist: text('../../dist'), random: text('200'), seed: text('1'), every: text('1') },
      workers: text(`${availableParallelism()}`),
    },
  });
  const { dist, ...numbers } = values;
  const options = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, Number(value)]));
  let done = 0;
  const onPoint = (point, problems) => {
    done += 1;
    if (problems.length > 0) process.stdout.write(`${JSON.stringify({ point, problems }, null, 1)}\n`);
    if (done % 100 === 0) process.stdout.write(`${done} points\n`);
  };
  const folder = fileURLToPath(new URL(dist, import.meta.url));
  const { faults, ...figures } = await crashMatrix({ dist: folder, ...options, onPoint });
  process.stdout.write(`seed ${options.seed}: ${JSON.stringify(figures)}\n`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
