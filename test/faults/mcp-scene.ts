/** An agent with one MCP server that goes wrong, over its standard streams or over HTTP. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import { openai } from '../../actors/backends/openai.ts';
import type { McpServerConfig } from '../../actors/tools/mcp-config.ts';
import type { Agent } from '../../src/runtime/agent.ts';
import type { AgentSpec } from '../../src/runtime/agent-spec.ts';
import { createTroupe, type Troupe } from '../../src/runtime/troupe.ts';
import { VirtualClock } from '../../src/testing/virtual-clock.ts';
import { modelServer } from '../contract/server.ts';
import { pidsWith } from '../helpers/processes.ts';

const badServer = new URL('../fixtures/mcp/bad-server.mjs', import.meta.url).pathname;

/** How the server is spoken to. */
export type Way = 'stdio' | 'http';

export interface SceneOptions {
  /** What goes wrong at its start: see bad-server.mjs. Default `good`. */
  readonly start?: string | undefined;
  /** Of the server. Its calls have ten minutes by default: what does not end at once does not end in time. */
  readonly config?: McpServerConfig | undefined;
}

export interface Scene {
  readonly way: Way;
  readonly troupe: Troupe;
  readonly agent: Agent;
  /** The troupe's time. */
  readonly clock: VirtualClock;
  readonly folder: string;
  /** Of the server. */
  readonly config: McpServerConfig;
  /** What its MCP servers were in the news for, as `mcp-failed s`. */
  readonly events: readonly string[];
  spawn(name: string, spec?: AgentSpec): Promise<Agent>;
  /** What the model is told of one call of a tool of the server. */
  call(tool: string, args?: object): Promise<string>;
  /** What the server was sent, oldest first. */
  journal(): readonly { readonly id?: unknown; readonly method?: string; readonly params?: Record<string, unknown> }[];
  /** Its processes, and those that they started. */
  processes(): readonly number[];
}

/** Plays with such an agent. Afterwards no process is left. */
export async function onServer(way: Way, options: SceneOptions, play: (scene: Scene) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-mcp-'));
  const server = await modelServer();
  const clock = new VirtualClock();
  const troupe = createTroupe({ backends: { model: openai({ endpoint: server.url, apiKey: 'none' }) }, clock });
  const events: string[] = [];
  troupe.on('mcp-failed', ({ server: name }) => events.push(`mcp-failed ${name}`));
  troupe.on('mcp-warning', ({ message }) => events.push(`mcp-warning ${message}`));
  troupe.on('mcp-tool-changed', ({ tool }) => events.push(`mcp-tool-changed ${tool}`));
  const started = await configured(way, options, folder);
  const config = { callTimeoutMs: 600_000, ...started.config };
  const mcp = { s: config };
  const spawnAgent = (name: string, spec: AgentSpec = {}) => troupe.spawn(name, { mcp, maxRetries: 0, ...spec });
  try {
    const agent = await spawnAgent('worker');
    await play({
      ...{ way, troupe, agent, clock, folder, config, events, spawn: spawnAgent },
      call: async (tool, args = {}) => (await agent.ask(`call s__${tool} ${JSON.stringify(args)}`)).text,
      journal: () => {
        const lines = readFileSync(join(folder, 'journal'), 'utf8').trim().split('\n');
        return lines.map((line) => JSON.parse(line));
      },
      processes: () => pidsWith(folder),
    });
  } finally {
    await troupe.close();
    await server.close();
    await started.end();
  }
  expect(pidsWith(folder)).toEqual([]);
  rmSync(folder, { recursive: true });
}

/** A server to be started by the troupe, or one at a URL that runs already. */
async function configured(way: Way, { start = 'good', config = {} }: SceneOptions, folder: string) {
  const env = { JOURNAL: join(folder, 'journal'), STATE: join(folder, 'state'), ...config.env };
  const args = [badServer, ...start.split(' '), ...(config.args ?? [])];
  if (way === 'stdio')
    return { config: { command: process.execPath, ...config, args, env }, end: async () => undefined };
  const child: ChildProcess = spawn(process.execPath, args, { env: { ...env, OVER_HTTP: '1' } });
  const exited = once(child, 'exit');
  const [port] = await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line');
  const { env: _env, args: _args, ...rest } = config;
  const end = async () => {
    child.stdin?.end();
    await exited;
  };
  return { config: { url: `http://127.0.0.1:${port}/mcp`, type: 'http', ...rest } as McpServerConfig, end };
}
