/** What is left of the processes of a host that is killed by SIGKILL: counted in the table of processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { modelServer } from '../contract/server.ts';
import { distFolder, killAll, pidsWith } from '../helpers/processes.ts';

/** What is promised. */
const limitMs = 5_000;

export interface KilledHost {
  /** Processes of its agents, grandchildren included, before it was killed. */
  readonly before: number;
  /** Those that are there after 5 s. */
  readonly left: number;
  /** When the last was gone; 5,000 when it was not. */
  readonly ms: number;
}

/** Starts a host with such agents, kills it and waits until nobody is left, 5 s at most. */
export async function killHost(kinds: readonly ('claude' | 'mcp')[]): Promise<KilledHost> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-killed-host-'));
  const server = await modelServer();
  const mark = `MARK=${folder}`;
  const program = fileURLToPath(new URL('host.mjs', import.meta.url));
  const args = [program, distFolder(), server.url, folder, ...kinds];
  const env = { ...process.env, TROUPE_STATE_DIR: folder };
  const host = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env });
  try {
    await once(host.stdout, 'data');
    const before = pidsWith(mark).length;
    host.kill('SIGKILL');
    const startedAt = performance.now();
    let ms = 0;
    while (pidsWith(mark).length > 0 && ms < limitMs) {
      await sleep(20);
      ms = performance.now() - startedAt;
    }
    return { before, left: pidsWith(mark).length, ms: Math.min(Math.round(ms), limitMs) };
  } finally {
    killAll(pidsWith(mark));
    await server.close();
    rmSync(folder, { recursive: true });
  }
}
