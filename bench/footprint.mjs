/** How long the package takes to load, and how much of the disk. */
import { execFile } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { median } from './measure.mjs';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));

/** Median milliseconds of an import in a fresh process; the process's own start does not count. */
export async function measureImports(dist, quick) {
  const modules = {
    root: pathToFileURL(join(dist, 'src/index.js')).href,
    machines: pathToFileURL(join(dist, 'machines/index.js')).href,
    xstate: import.meta.resolve('xstate'),
  };
  const times = Object.fromEntries(Object.keys(modules).map((name) => [name, []]));
  for (let repeat = 0; repeat < (quick ? 3 : 11); repeat += 1)
    for (const [name, url] of Object.entries(modules)) times[name].push(await coldImport(url));
  return Object.fromEntries(
    Object.entries(times).map(([name, runs]) => [
      name,
      { wallMs: median(runs.map(({ wallMs }) => wallMs)), cpuMs: median(runs.map(({ cpuMs }) => cpuMs)) },
    ]),
  );
}

async function coldImport(url) {
  const code = `
    const cpu = process.cpuUsage(), at = performance.now();
    await import(${JSON.stringify(url)});
    const wallMs = performance.now() - at, { user, system } = process.cpuUsage(cpu);
    process.stdout.write(JSON.stringify({ wallMs, cpuMs: (user + system) / 1000 }));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', code], { timeout: 30_000 });
  return JSON.parse(stdout);
}

/** Bytes on disk of an install without development dependencies, by package. */
export async function measureInstall(dist) {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8'));
  const byPackage = {};
  for (const part of ['src', 'machines', 'actors'])
    byPackage['troupe'] = (byPackage['troupe'] ?? 0) + (await treeBytes(join(dist, part)));
  for (const [path, { dev }] of Object.entries(packages))
    if (path !== '' && dev !== true) byPackage[path.replace('node_modules/', '')] = await treeBytes(join(root, path));
  return { bytes: Object.values(byPackage).reduce((sum, bytes) => sum + bytes, 0), byPackage };
}

/** Sizes of the files below a directory; nested packages count for themselves, and what is not there for nothing. */
async function treeBytes(directory) {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) bytes += entry.name === 'node_modules' ? 0 : await treeBytes(path);
    else if (entry.isFile()) bytes += (await stat(path)).size;
  }
  return bytes;
}
