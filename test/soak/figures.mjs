/** What a soak measures of its process, and how figures are made of it. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { getHeapSnapshot } from 'node:v8';

/** Bytes an ask, by a least-squares line. */
export function slopeOf(samples) {
  const mean = (of) => samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [x, y] = [mean(({ asks }) => asks), mean(({ heap }) => heap)];
  const above = samples.reduce((sum, { asks, heap }) => sum + (asks - x) * (heap - y), 0);
  const below = samples.reduce((sum, { asks }) => sum + (asks - x) ** 2, 0);
  return below === 0 ? 0 : Math.round((above / below) * 10) / 10;
}

/** How many, and the middle, the 99th of 100 and the largest of some milliseconds. */
export function spreadOf(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => rounded(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** To one digit behind the point. */
export function rounded(value) {
  return Math.round(value * 10) / 10;
}

/**
 * Bytes on the heap when everything that can go is gone: all of it, and what of it is data. The rest is what the engine
 * notes of the code that runs: it grows with what was run, not with what was asked, and takes minutes to settle.
 */
export async function heapAfter(gc) {
  if (gc === undefined) return { heap: 0, data: 0 };
  for (let round = 0; round < 3; round += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    gc();
  }
  return { heap: process.memoryUsage().heapUsed, data: dataIn(JSON.parse(await text(getHeapSnapshot()))) };
}

const kindsOfData = [
  'object',
  'string',
  'concatenated string',
  'sliced string',
  'array',
  'closure',
  'native',
  'regexp',
];

/** Bytes of the nodes of a heap snapshot that are data: neither code nor shapes of objects. */
function dataIn({ nodes, snapshot }) {
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [kind, size] = [fields.indexOf('type'), fields.indexOf('self_size')];
  const isData = types[kind].map((name) => kindsOfData.includes(name));
  let bytes = 0;
  for (let at = 0; at < nodes.length; at += fields.length) if (isData[nodes[at + kind]]) bytes += nodes[at + size];
  return bytes;
}

/** Opens and closes a socket: the event loop keeps a file for itself from its first one on. */
export async function touchSockets() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

/** What this process holds: open files, handles and requests of its event loop, living children. */
export function held() {
  return {
    fds: countIn('/proc/self/fd'),
    resources: process.getActiveResourcesInfo().filter((kind) => kind !== 'Immediate').length,
    processes: childrenOf(process.pid),
  };
}

/** What is held more than `before`, once sockets have had 5 s to close. */
export async function leftSince(before) {
  const more = () => {
    const now = held();
    return Object.fromEntries(Object.keys(before).map((name) => [name, Math.max(0, now[name] - before[name])]));
  };
  for (let tries = 0; tries < 100 && Object.values(more()).some((count) => count > 0); tries += 1) await sleep(50);
  return more();
}

function countIn(folder) {
  try {
    return readdirSync(folder).length;
  } catch {
    return 0;
  }
}

/** Where there is no /proc, none are seen. */
function childrenOf(pid) {
  const isChild = (entry) => {
    try {
      return new RegExp(`\\) [^ZX] ${pid} `).test(readFileSync(`/proc/${entry}/stat`, 'latin1'));
    } catch {
      return false;
    }
  };
  try {
    return readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && isChild(entry)).length;
  } catch {
    return 0;
  }
}
