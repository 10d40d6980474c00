/**
 * The agent that a command speaks to: one of its own, or one that a store keeps under a name.
 *
 * K1  What a store says of an agent is data: no tool and no server of it is started. They come from the command line each time.
 * K2  Where a kept agent goes is what it was made with; `--backend`, `--model`, `--endpoint` count for one use.
 */
import { openai } from '../../actors/backends/openai.ts';
import type { SqliteStore } from '../../actors/store/sqlite.ts';
import type { StoredAgent } from '../../actors/store/store.ts';
import { isLocalHost } from '../../actors/wire/endpoint.ts';
import { TroupeError } from '../core/errors.ts';
import type { Agent } from '../runtime/agent.ts';
import type { AgentSpec } from '../runtime/agent-spec.ts';
import type { Troupe } from '../runtime/troupe.ts';
import type { TroupeOptions } from '../runtime/troupe-options.ts';
import type { Choice } from './choose-backend.ts';
import { keptLogger, openStore, type StoreFlags } from './kept-store.ts';
import { note, oneLine } from './terminal.ts';

export interface AgentFlags extends StoreFlags {
  /** Name under which the agent is kept; undefined when it is not. */
  readonly agent?: string;
  readonly backend?: string;
  readonly model?: string;
  readonly endpoint?: string;
  readonly auto?: true;
}

/** What a command needs to speak to its agent. */
export interface Engagement {
  /** Of the troupe that the agent comes up in, and that closes the store. */
  readonly options: TroupeOptions;
  /** Of the agent. */
  readonly spec: AgentSpec;
  /** Names of kept agents that are not in the troupe. */
  readonly others: ReadonlySet<string>;
  /** Brings it up. */
  bringUp(troupe: Troupe): Promise<Agent>;
}

/** What an agent is made from besides its route. */
export type Extras = Omit<AgentSpec, 'backend' | 'model'>;

/** Engages the agent that the flags name, or one called `name`. `choose` says where a new one goes. */
export async function engage(
  flags: AgentFlags,
  { name, extras, choose }: { readonly name: string; readonly extras: Extras; readonly choose: () => Promise<Choice> },
): Promise<Engagement> {
  if (flags.agent === undefined) {
    const { backends, ...route } = await choose();
    const spec = { ...route, ...extras };
    return { options: { backends }, spec, others: new Set(), bringUp: (troupe) => troupe.spawn(name, spec) };
  }
  const store = await openStore(flags);
  try {
    return await engageKept(store, flags.agent, { flags, extras, choose });
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Wanted {
  readonly flags: AgentFlags;
  readonly extras: Extras;
  readonly choose: () => Promise<Choice>;
}

async function engageKept(store: SqliteStore, name: string, { flags, extras, choose }: Wanted): Promise<Engagement> {
  const agents = await store.agents();
  const stored = agents.find((agent) => agent.name === name);
  const { backends, ...route } = await routeOf(stored, flags, choose);
  if (stored !== undefined) refuseOtherSystem(stored, extras.system);
  const { model: _kept, ...data } = stored === undefined ? {} : specOf(stored);
  const spec = { ...data, ...route, ...extras };
  const open = (await store.asks(name)).filter(({ outcome }) => outcome === undefined);
  const others = new Set(agents.map((agent) => agent.name).filter((other) => other !== name));
  const resume = (agent: StoredAgent) => agent.name === name && spec;
  const bringUp = async (troupe: Troupe) => {
    if (stored === undefined) return troupe.spawn(name, spec);
    for (const { prompt } of open)
      note(`${name} first answers what it was asked before: ${oneLine(prompt).slice(0, 80)}`);
    await troupe.resumed;
    const agent = troupe.agent(name);
    if (agent !== undefined) return agent;
    throw new TroupeError('TROUPE_ERR_AGENT_DEAD', `"${name}" stays in the store as it was.`);
  };
  return { options: { backends, store, resume, logger: keptLogger }, spec, others, bringUp };
}

/** The spec of a kept agent, as far as a store may say it. */
export function specOf({ name: _, createdAt: _at, parent: _of, spec = {}, ...route }: StoredAgent): AgentSpec {
  const { tools: _code, mcp: _programs, ...data } = spec as AgentSpec;
  return { ...data, ...route };
}

/** The servers among backends: a kept agent's backend is called by its endpoint, so that it goes there again. */
export function endpointsAmong(names: readonly string[]): Record<string, ReturnType<typeof openai>> {
  const endpoints = names.filter((name) => /^https?:\/\//.test(name));
  return Object.fromEntries(endpoints.map((endpoint) => [endpoint, openai({ endpoint })]));
}

/** Where a kept agent goes this time. */
async function routeOf(
  stored: StoredAgent | undefined,
  flags: AgentFlags,
  choose: () => Promise<Choice>,
): Promise<Choice> {
  const { backend, model, endpoint, auto } = flags;
  if (endpoint !== undefined) {
    return { backend: endpoint, backends: endpointsAmong([endpoint]), ...(model !== undefined && { model }) };
  }
  if (stored === undefined || backend !== undefined || auto) return choose();
  const kept = model ?? stored.model;
  tellWhereTo(stored);
  return {
    backend: stored.backend,
    backends: endpointsAmong([stored.backend]),
    ...(kept !== undefined && { model: kept }),
  };
}

/** What leaves this machine for a place that this command line does not name is said. */
function tellWhereTo({ name, backend }: StoredAgent): void {
  const isElsewhere = URL.canParse(backend) && !isLocalHost(new URL(backend).hostname);
  if (isElsewhere) note(`${oneLine(name)} asks ${oneLine(backend)}.`);
}

function refuseOtherSystem({ name, system = '' }: StoredAgent, wanted: string | undefined): void {
  if (wanted === undefined || wanted === system) return;
  const has = system === '' ? 'was made without a system message' : 'has its system message';
  const message = `\`--system\`: "${name}" ${has} for good. Leave it out, or give another name as \`--agent\`.`;
  throw new TroupeError('TROUPE_ERR_OPTION_INVALID', message);
}
