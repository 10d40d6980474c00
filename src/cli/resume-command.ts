/** `troupe resume`: takes up the asks that a process which was killed has left open, and prints their replies. */
import type { SqliteStore } from '../../actors/store/sqlite.ts';
import type { StoredAsk } from '../../actors/store/store.ts';
import { loadMcpConfig } from '../../actors/tools/mcp-config-file.ts';
import { reasonOf } from '../core/errors.ts';
import type { Reply } from '../runtime/reply.ts';
import type { Troupe } from '../runtime/troupe.ts';
import { type InspectFlags, inspected } from './inspecting.ts';
import { onTroupe, type Stop } from './interrupt.ts';
import { endpointsAmong, specOf } from './kept-agent.ts';
import { keptLogger, openExistingStore, type StoreFlags } from './kept-store.ts';
import { jsonText, note, oneLine, plain } from './terminal.ts';

export interface ResumeFlags extends StoreFlags, InspectFlags {
  /** A file of MCP servers, for agents that had their tools. */
  readonly mcpConfig?: string;
  readonly json?: true;
}

/** An open ask, and what became of it. */
interface Resumed {
  readonly agent: string;
  readonly askId: string;
  readonly prompt: string;
  /** Absent when it failed. */
  readonly reply?: Reply<unknown>;
  /** Why it failed. */
  readonly error?: string;
}

/** Waits for every open ask and prints what came of it; the exit code is 1 when one failed. */
export async function resumeCommand(flags: ResumeFlags): Promise<number> {
  const mcp = flags.mcpConfig === undefined ? {} : await loadMcpConfig(flags.mcpConfig);
  const store = await openExistingStore(flags);
  const { open, backends } = await lookAt(store).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const names = new Set(open.map(({ agent }) => agent));
  const resume = (stored: Parameters<typeof specOf>[0]) => names.has(stored.name) && { ...specOf(stored), mcp };
  const work = async (troupe: Troupe, stop: Stop) => {
    troupe.on('approval-needed', ({ agent, call }) => {
      troupe.agent(agent)?.approve(call, { deny: 'nobody is there to allow it.' });
    });
    await troupe.resumed;
    const asks = open.map((ask) => waitFor(troupe, ask, stop.now));
    if (flags.json) process.stdout.write(`${jsonText(await Promise.all(asks), 2)}\n`);
    else for (const ask of asks) tell(await ask);
    if (open.length === 0) note('No ask is open.');
    return (await Promise.all(asks)).some(({ error }) => error !== undefined) ? 1 : 0;
  };
  return onTroupe({ store, backends, resume, logger: keptLogger }, inspected(flags, work));
}

/** The open asks, oldest first of each agent, and the servers that agents are kept with. */
async function lookAt(store: SqliteStore) {
  const agents = await store.agents();
  const open: StoredAsk[] = [];
  for (const { name } of agents) open.push(...(await store.asks(name)).filter(({ outcome }) => outcome === undefined));
  return { open, backends: endpointsAmong(agents.map(({ backend }) => backend)) };
}

async function waitFor(troupe: Troupe, { agent, askId, prompt }: StoredAsk, now: AbortSignal): Promise<Resumed> {
  const ask = { agent, askId, prompt };
  const handle = troupe.handle(askId);
  const cancel = () => void handle.cancel().catch(() => {});
  now.addEventListener('abort', cancel, { once: true });
  try {
    return { ...ask, reply: await handle.wait() };
  } catch (error) {
    return { ...ask, error: reasonOf(error) };
  } finally {
    now.removeEventListener('abort', cancel);
  }
}

function tell({ agent, prompt, reply, error }: Resumed): void {
  note(`${oneLine(agent)}: ${oneLine(prompt).slice(0, 80)}`);
  if (reply !== undefined) process.stdout.write(`${plain(reply.text).replace(/\n?$/, '\n')}`);
  else note(`troupe: ${oneLine(error ?? '')}`);
}
