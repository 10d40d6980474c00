/** Where the time of one workload goes: V8's sampling profiler, by function and by package. */
import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { SourceMap } from 'node:module';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const samplingUs = 100;
/** V8's names for waiting, and for the profiler's own start. */
const notWork = new Set(['(idle)', 'dispatch']);

/**
 * Runs `work` under the profiler: `functions` by self time, `inclusive` by time with callees, `packages`.
 * @param {() => Promise<void>} work
 */
export async function profiled(work) {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: samplingUs });
  await session.post('Profiler.start');
  await work();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  return summarise(profile);
}

/** Shares by function and by package; idle time is left out. */
function summarise({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const places = new Map(nodes.map((node) => [node.id, placeOf(node.callFrame)]));
  const functions = new Map();
  const packages = new Map();
  let total = 0;
  for (const [index, id] of samples.entries()) {
    const us = Math.max(0, timeDeltas[index]);
    if (notWork.has(byId.get(id).callFrame.functionName)) continue;
    total += us;
    const place = places.get(id);
    add(functions, place.key, place, 'selfUs', us);
    add(packages, place.package, { key: place.package }, 'selfUs', us);
    const seen = new Set();
    for (let at = id; at !== undefined; at = parents.get(at)) {
      const above = places.get(at);
      if (seen.has(above.key)) continue;
      seen.add(above.key);
      add(functions, above.key, above, 'totalUs', us);
    }
  }
  const ranked = (map, key) => [...map.values()].filter((row) => row[key] > 0).sort((a, b) => b[key] - a[key]);
  const named = [...functions.values()].filter((row) => row.package !== 'V8' && row.package !== 'node');
  const inclusive = new Map(named.map((row) => [row.key, row]));
  return {
    totalUs: total,
    functions: ranked(functions, 'selfUs'),
    packages: ranked(packages, 'selfUs'),
    inclusive: ranked(inclusive, 'totalUs'),
  };
}

function add(map, key, place, field, us) {
  let row = map.get(key);
  if (row === undefined) {
    row = { ...place, selfUs: 0, totalUs: 0 };
    map.set(key, row);
  }
  row[field] += us;
}

function placeOf({ functionName, url, lineNumber, columnNumber }) {
  const name = functionName || '(anonymous)';
  if (url === '') return { key: name, package: 'V8' };
  if (url.startsWith('node:')) return { key: `${name} ${url}:${lineNumber + 1}`, package: 'node' };
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  const inside = path.lastIndexOf('node_modules/');
  if (inside === -1) {
    const where = original(path, lineNumber, columnNumber);
    return { key: `${name} ${where}`, package: where.startsWith('bench/') ? 'bench' : 'troupe' };
  }
  const local = path.slice(inside + 'node_modules/'.length);
  const owner = local.split('/', local.startsWith('@') ? 2 : 1).join('/');
  return { key: `${name} ${local}:${lineNumber + 1}`, package: owner };
}

const maps = new Map();

/** The place in the TypeScript source, if the built file has a map. */
function original(path, line, column) {
  if (!maps.has(path)) maps.set(path, sourceMap(path));
  const entry = maps.get(path)?.findEntry(line, column);
  if (entry?.originalSource === undefined) return `${shortened(path)}:${line + 1}`;
  return `${shortened(resolve(dirname(path), entry.originalSource))}:${entry.originalLine + 1}`;
}

function sourceMap(path) {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')));
  } catch {
    return undefined;
  }
}

function shortened(path) {
  return relative(fileURLToPath(new URL('..', import.meta.url)), path);
}
