/** Where a key is seen that a backend was made with: everywhere that a host, its children and its errors show something. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type BackendRow, backendCatalog } from '../../src/core/catalog.ts';
import type { TroupeEvents } from '../../src/index.ts';
import { type Fault, faultServer } from '../../src/testing/fault-server.ts';
import { anthropicFaults } from '../helpers/anthropic-wire.ts';
import { ollamaFaults } from '../helpers/ollama-wire.ts';
import { openAiFaults } from '../helpers/openai-wire.ts';
import { argumentsOf, childrenOf, distFolder } from '../helpers/processes.ts';

/** What all keys begin with. */
const canary = 'canary-key-of-';
/** Every event of a troupe: the compiler knows when one is missing. */
const events: Readonly<Record<keyof TroupeEvents, true>> = {
  ...{ 'agent-spawned': true, 'agent-down': true, 'agent-dead': true, 'resume-failed': true, 'backend-chosen': true },
  ...{ 'dead-letter': true, 'approval-needed': true, 'ask-settled': true, 'call-failed': true, breaker: true },
  ...{ compressed: true, budget: true, fallback: true, 'mcp-failed': true, 'mcp-tool-changed': true },
  ...{ 'mcp-warning': true, warning: true, 'store-failed': true },
};
const program = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Kinds of backends that take a key, and the protocol that their server speaks. */
export const keyedKinds = {
  ...{
    openai: openAiFaults,
    llamaCpp: openAiFaults,
    vllm: openAiFaults,
    lmStudio: openAiFaults,
    localAi: openAiFaults,
  },
  ...{ subprocess: openAiFaults, anthropic: anthropicFaults, claude: anthropicFaults, ollama: ollamaFaults },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Fault>>>>;

export type KeyedKind = keyof typeof keyedKinds;

/** The one variable by which a child gets its key. */
export const keyVariables: Readonly<Partial<Record<KeyedKind, string>>> = {
  claude: 'ANTHROPIC_API_KEY',
  subprocess: 'OPENAI_API_KEY',
};

export interface Channel {
  /** Texts, or characters, that were looked through. */
  looks: number;
  /** Those in which a key was. */
  sightings: number;
}

export interface Sightings {
  readonly channels: Readonly<Record<string, Channel>>;
  /** Keys that the server was sent: there it must be. */
  readonly sent: readonly string[];
  /** Variables of children in which a key was. */
  readonly variables: readonly string[];
}

/** Runs a host with agents of this kind, keys of other kinds in its environment and every debug switch on. */
export async function sightingsOf(kind: KeyedKind, debug: Readonly<Record<string, string>>): Promise<Sightings> {
  const home = await mkdtemp(join(tmpdir(), 'troupe-canary-'));
  const sent = new Set<string>();
  const variables = new Set<string>();
  const channels: Record<string, Channel> = {
    argv: { looks: 0, sightings: 0 },
    'child env': { looks: 0, sightings: 0 },
  };
  let host = 0;
  const lookAtChildren = () => {
    for (const pid of [host, ...descendantsOf(host)]) {
      count(channels['argv'], argumentsOf(pid).join(' '));
      if (pid === host) continue;
      const found = environmentOf(pid).filter((variable) => variable.includes(canary));
      const named = found.map((variable) => variable.slice(0, variable.indexOf('=')));
      for (const name of named) variables.add(name);
      count(channels['child env'], named.some((name) => name !== keyVariables[kind]) ? canary : '');
    }
  };
  const watched = (fault: Fault): Fault => {
    return (exchange) => {
      const { authorization = '', 'x-api-key': apiKey = '' } = exchange.request.headers;
      sent.add(`${authorization}${apiKey}`.replace('Bearer ', ''));
      lookAtChildren();
      return fault(exchange);
    };
  };
  const crash: Fault = ({ socket }) => {
    for (const pid of descendantsOf(host)) if (argumentsOf(pid)[0] === process.execPath) process.kill(pid, 'SIGKILL');
    socket.destroy();
  };
  const faults = Object.entries({ ...keyedKinds[kind], crash }).map(([name, fault]) => [name, watched(fault)]);
  const server = await faultServer(Object.fromEntries(faults));
  const args = [
    program('canary-host.mjs'),
    distFolder(),
    kind,
    server.url,
    program('../fixtures/claude/fake-claude.mjs'),
  ];
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [...args, home, ...Object.keys(events)], {
    env: { PATH, HOME: home, TROUPE_STATE_DIR: home, ...environmentKeys, ...debug },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  host = child.pid ?? 0;
  const outputs = [child.stdout, child.stderr, child.stdio[3]].map((stream) => text(stream as NodeJS.ReadableStream));
  const [code] = await once(child, 'exit');
  const [stdout = '', stderr = '', counted = ''] = await Promise.all(outputs);
  await server.close();
  await rm(home, { recursive: true, force: true });
  if (code !== 0) throw new Error(`The host ended with ${code}: ${stderr.slice(-2000)}`);
  for (const [name, output] of Object.entries({ stdout, stderr })) {
    channels[`characters of ${name}`] = { looks: output.length, sightings: output.split(canary).length - 1 };
  }
  return { channels: { ...JSON.parse(counted), ...channels }, sent: [...sent], variables: [...variables] };
}

/** Keys that were not given to the backend: nobody may get them. */
const environmentKeys = Object.fromEntries(
  Object.values(backendCatalog)
    .flatMap(({ variables }: BackendRow) => [variables.apiKey, variables.authToken])
    .flatMap((name) => (name === undefined ? [] : [[name, `${canary}environment-${name}`]])),
);

function count(channel: Channel | undefined, seen: string): void {
  if (channel === undefined) return;
  channel.looks += 1;
  if (seen.includes(canary)) channel.sightings += 1;
}

function descendantsOf(pid: number): number[] {
  const children = childrenOf(pid);
  return [...children, ...children.flatMap(descendantsOf)];
}

function environmentOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
