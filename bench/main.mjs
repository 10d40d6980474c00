/**
 * The benchmark: `npm run bench -- [--quick] [--only ask,chat] [--json FILE] [--profile NAME] [--dist DIRECTORY]`.
 * README.md beside this file says what each row means.
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Bare } from './bare.mjs';
import { measureImports, measureInstall } from './footprint.mjs';
import { compare } from './measure.mjs';
import { profiled } from './profile.mjs';
import { flatness, lifetime, measureScale } from './scale.mjs';
import { startServer } from './server.mjs';
import { comparisonRow, header, importRow, installRow, scaleTable, table, windowRows } from './table.mjs';
import { measureWindow } from './window.mjs';
import { workloads } from './workloads.mjs';

const compared = ['ask', 'fan-out', 'tools', 'stream', 'chat', 'claude', 'sse', 'ndjson'];
const parts = [...compared, 'window', 'scale', 'import', 'size'];
/** Nothing here waits for ever. */
const longestRunMs = 20 * 60_000;

const options = readOptions();
setTimeout(() => fail('The benchmark took too long and was ended.'), longestRunMs).unref();
await main().catch((error) => fail(error?.stack ?? String(error)));

async function main() {
  const library = await import(pathToFileURL(join(options.dist, 'src/index.js')).href);
  if (options.profile !== undefined) await profile(library, options.profile);
  else await measure(library);
}

async function measure(library) {
  const results = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length, quick: options.quick };
  const rows = [];
  if (options.only.some((name) => compared.includes(name))) {
    results.compared = {};
    await withServer(library, async (all, count) => {
      for (const workload of all.filter(({ name }) => options.only.includes(name))) {
        const sides = await workload.open();
        const result = await compare(sides, { ...workload, count });
        await sides.close();
        results.compared[workload.name] = { ...result, target: sides.target };
        rows.push(comparisonRow(sides.title, sides.target, result));
        progress(workload.name);
      }
    });
  }
  if (options.only.includes('window')) {
    results.window = await windowed(library);
    rows.push(...windowRows(results.window));
    progress('window');
  }
  if (options.only.includes('scale')) {
    results.scale = await measureScale(library, options.quick);
    rows.push(...scaleTable(results.scale, flatness));
    progress('scale');
  }
  if (options.only.includes('import')) {
    results.imports = await measureImports(options.dist, options.quick);
    for (const [name, times] of Object.entries(results.imports)) rows.push(importRow(name, times));
  }
  if (options.only.includes('size')) {
    results.install = await measureInstall(options.dist);
    rows.push(installRow(results.install));
  }
  console.log(`Node ${results.node}, ${results.cores} x ${results.cpu}. Times are CPU time per ask or agent.\n`);
  console.log(table(header, rows));
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(results, null, 2)}\n`);
}

async function windowed(library) {
  const strategies = await import(pathToFileURL(join(options.dist, 'actors/compression/index.js')).href);
  const { url, stop } = await startServer();
  try {
    return await measureWindow({ library, strategies, url, quick: options.quick });
  } finally {
    await stop();
  }
}

async function withServer(library, work) {
  const server = await startServer();
  const bare = new Bare(server.url);
  try {
    await work(workloads({ library, bare, url: server.url, dist: options.dist, quick: options.quick }), server.count);
  } finally {
    await bare.close();
    await server.stop();
  }
}

/** Profiles the troupe's side of a workload, or one of `spawn`, `fork` … as a whole lifetime of agents. */
async function profile(library, name) {
  if (name === 'scale') {
    await lifetime(library, 1_000);
    return printProfile(await profiled(() => lifetime(library, options.quick ? 5_000 : 20_000)));
  }
  await withServer(library, async (all) => {
    const workload = all.find((candidate) => candidate.name === name);
    const sides = await workload.open();
    const side = options.bare ? sides.bare : sides.troupe;
    const runAll = async (started) => {
      for (const { run } of started) await run();
    };
    const rounds = name === 'chat' ? 2 : 10;
    for (const wrap of [runAll, async (started) => printProfile(await profiled(() => runAll(started)))]) {
      const started = [];
      for (let round = 0; round < rounds; round += 1) started.push(await side(`profile-${round}`));
      await wrap(started);
      for (const { clean } of started) await clean?.();
    }
    await sides.close();
  });
}

function printProfile({ totalUs, functions, packages, inclusive }) {
  const share = (value) => `${((100 * value) / totalUs).toFixed(1)} %`;
  const line = ({ key, selfUs, totalUs: total }) => [key, share(selfUs), share(total)];
  console.log(`${Math.round(totalUs / 1000)} ms of work\n`);
  const byPackage = packages.slice(0, 10).map((row) => [row.key, share(row.selfUs)]);
  console.log(table(['by package', 'self'], byPackage));
  console.log(`\n${table(['hottest functions', 'self', 'with callees'], functions.slice(0, options.top).map(line))}`);
  console.log(
    `\n${table(['largest with callees', 'self', 'with callees'], inclusive.slice(0, options.top).map(line))}`,
  );
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      profile: { type: 'string' },
      bare: { type: 'boolean', default: false },
      top: { type: 'string', default: '15' },
      dist: { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) },
    },
  });
  const only = values.only?.split(',') ?? parts;
  const unknown = only.filter((name) => !parts.includes(name));
  if (unknown.length > 0) fail(`There is no "${unknown.join('", "')}"; there are ${parts.join(', ')}.`);
  const profilable = [...compared, 'scale'];
  if (values.profile !== undefined && !profilable.includes(values.profile))
    fail(`"${values.profile}" cannot be profiled; there are ${profilable.join(', ')}.`);
  return { ...values, only, top: Number(values.top), dist: resolve(values.dist) };
}

function progress(name) {
  if (process.stderr.isTTY) process.stderr.write(`${name} done\n`);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
