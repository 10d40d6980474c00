/** Real MCP servers of the protocol's authors. */
import { type ChildProcess, spawn } from 'node:child_process';
import { type AddressInfo, createServer as createSocketServer } from 'node:net';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** Where they are installed. */
export const mcpModules = new URL('../../node_modules/@modelcontextprotocol', import.meta.url).pathname;
const everythingScript = join(mcpModules, 'server-everything/dist/index.js');
const servers: ChildProcess[] = [];
afterAll(() => {
  for (const server of servers) server.kill('SIGKILL');
});

/** `server-everything` on standard streams. */
export const everything = { command: process.execPath, args: [everythingScript, 'stdio'] };

/** `server-everything` over HTTP, at a port of its own. */
export async function webEverything(mode: 'streamableHttp' | 'sse') {
  const port = await freePort();
  const child = spawn(process.execPath, [everythingScript, mode], {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  servers.push(child);
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (text: Buffer) => /port \d+/.test(String(text)) && resolve());
    child.once('exit', (code) => reject(new Error(`it ended: ${code}`)));
  });
  return { url: `http://127.0.0.1:${port}/${mode === 'sse' ? 'sse' : 'mcp'}`, child };
}

/** A port that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createSocketServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
