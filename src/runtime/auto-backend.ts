/** `backend: 'auto'`: an agent's backend is chosen by its `task` when it is spawned, and stays. Its forks have the same. */
import type { Backend } from '../../actors/backend.ts';
import { type Candidate, candidateOf, type Need } from '../core/candidate.ts';
import type { BackendKind } from '../core/catalog.ts';
import { type BackendChoice, type ChoicePolicy, chooseBackend } from '../core/choice.ts';
import { TroupeError, toTroupeError } from '../core/errors.ts';
import type { PriceTable } from '../core/prices.ts';
import type { AgentSpec } from './agent-spec.ts';
import type { Backends } from './backends.ts';

/** What the choice is made of, beside the spec. */
export interface AutoFacts {
  readonly backends: Backends;
  /** Names of the troupe's own backends; when there are none, all are looked at that this machine may have. */
  readonly configured: readonly string[];
  readonly prices: PriceTable;
  readonly policy: ChoicePolicy | undefined;
  /** USD that are left to the agent; undefined when there is no limit. */
  readonly budgetUsd: number | undefined;
  /** Why a backend is not to be called now, such as that its breaker is open; undefined when it may be. */
  readonly shut: (name: string) => string | undefined;
}

/** A spec with a backend in place of `auto`, and why it is that. Throws `TROUPE_ERR_BACKEND_NONE_FITS`. */
export async function chosenSpec(name: string, spec: AgentSpec, facts: AutoFacts): Promise<[AgentSpec, BackendChoice]> {
  const { task, privacy, tools = [], mcp, model, ...rest } = spec;
  if (task === undefined || model !== undefined) {
    const problem = task === undefined ? 'needs a `task` to choose by' : 'chooses the `model`, too; leave it out';
    throw new TroupeError('TROUPE_ERR_OPTION_INVALID', `spawn("${name}"): \`backend\` "auto" ${problem}.`);
  }
  const needs: Need[] = tools.length > 0 || mcp !== undefined ? ['tools'] : [];
  const { budgetUsd } = facts;
  const request = { task, needs, ...(privacy && { privacy }), ...(budgetUsd === undefined ? {} : { budgetUsd }) };
  const candidates = facts.configured.length > 0 ? candidatesOf(facts.configured, facts) : await found(facts);
  const choice = chooseBackend(request, candidates, facts.policy);
  const { backend } = choice;
  const own = facts.backends.get(backend).model === choice.model ? {} : { model: choice.model };
  return [{ ...rest, ...(mcp && { mcp }), tools, task, ...(privacy && { privacy }), backend, ...own }, choice];
}

function candidatesOf(names: readonly string[], facts: AutoFacts): Candidate[] {
  return names.map((name) => {
    const backend = facts.backends.get(name);
    return candidateOf({ name, backend, prices: facts.prices, unavailable: facts.shut(name) });
  });
}

/** Those with a key, Claude Code, and the servers that listen on this machine, each with its first model. */
async function found(facts: AutoFacts): Promise<Candidate[]> {
  const { chatModel, probeServers } = await import('../../actors/discover.ts');
  const cloud = (['claude', 'anthropic', 'openai'] as const).flatMap((kind) =>
    builtIn(kind, facts, undefined, undefined),
  );
  const probes = await probeServers();
  const local = probes.flatMap((probe) => builtIn(probe.backend, facts, probe.problem, chatModel(probe)));
  return [...cloud, ...local];
}

function builtIn(
  kind: BackendKind,
  facts: AutoFacts,
  problem: string | undefined,
  model: string | undefined,
): Candidate[] {
  const { backends, prices, shut } = facts;
  let backend: Backend;
  try {
    backend = backends.get(kind);
  } catch (thrown) {
    const { message } = toTroupeError(thrown, `Backend "${kind}"`);
    return [missing(kind, message)];
  }
  const given = { name: kind, backend, prices, unavailable: problem ?? shut(kind) };
  return [candidateOf({ ...given, ...(model === undefined ? {} : { model }) })];
}

function missing(kind: BackendKind, reason: string): Candidate {
  const nothing = { model: '', price: undefined, capabilities: [], contextTokens: undefined };
  return { name: kind, kind, inference: 'cloud', ...nothing, available: false, reason };
}
