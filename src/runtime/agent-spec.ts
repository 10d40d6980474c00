/** What an agent is made from, checked and with its defaults. */
import type { Backend } from '../../actors/backend.ts';
import type { Tool } from '../../actors/tools/tool.ts';
import { checkOptions, type Rule, rules } from '../core/options.ts';
import type { ModelParameters } from '../core/types.ts';
import { type Backends, embeddedBackend } from './backends.ts';

/** Options of `spawn`. */
export interface AgentSpec {
  /** A configured or built-in backend's name, or a backend. Default: the troupe's `defaults.backend`. */
  readonly backend?: string | Backend;
  /** Default: the backend's own. */
  readonly model?: string;
  /** Backends to go on with, in this order, when the first one fails for good. Every ask begins at `backend` again. */
  readonly fallback?: readonly FallbackTarget[];
  /** The system message: first in every request. */
  readonly system?: string;
  readonly tools?: readonly Tool[];
  /** Temperature, token limit, stop texts and the like. */
  readonly parameters?: ModelParameters;
  /** Model calls that one ask may take. Default 20. */
  readonly maxSteps?: number;
  /** Repeats of a failed call on the same backend. Default 2. */
  readonly maxRetries?: number;
  /** Asks that may wait behind the one in hand. Default 100. */
  readonly mailboxLimit?: number;
  readonly timeouts?: Timeouts;
}

/** A backend, or one with the model to use there. Default: the backend's own model. */
export type FallbackTarget = string | Backend | { readonly backend: string | Backend; readonly model?: string };

/** Milliseconds. */
export interface Timeouts {
  /** From acceptance to reply, when the ask has no `timeoutMs`. Default 600,000. */
  readonly askMs?: number;
  /** Until the first content of a model call; a local server that is busy sends nothing until then. Default 120,000. */
  readonly firstEventMs?: number;
  /** Between two pieces of content. Default 60,000. */
  readonly idleMs?: number;
  /** One tool call. Default 120,000. */
  readonly toolMs?: number;
}

/** A spec with its defaults filled in. */
export interface ResolvedSpec {
  /** What it was resolved from, troupe defaults included. */
  readonly given: AgentSpec;
  /** Names of the backends in the order they are tried. */
  readonly chain: readonly [string, ...string[]];
  /** Models that the spec names, by backend. */
  readonly models: ReadonlyMap<string, string>;
  readonly system: string | undefined;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly parameters: ModelParameters;
  readonly maxSteps: number;
  readonly maxRetries: number;
  readonly mailboxLimit: number;
  readonly timeouts: Required<Timeouts>;
}

/** Where backends are looked up. */
export type BackendLookup = Pick<Backends, 'get' | 'nameOf'>;

/**
 * Checks a spec and fills in its defaults. Throws `TROUPE_ERR_OPTION_INVALID` with every problem, or what the look-up of
 * a backend throws.
 */
export function resolveSpec(what: string, spec: AgentSpec, backends: BackendLookup): ResolvedSpec {
  checkOptions(what, spec, specRules);
  checkOptions(`${what}, \`timeouts\``, spec.timeouts ?? {}, timeoutRules);
  const { system, tools = [], parameters = {}, maxSteps = 20, maxRetries = 2, mailboxLimit = 100 } = spec;
  checkOptions(`${what}, \`parameters\``, parameters, parameterRules);
  const timeouts = { askMs: 600_000, firstEventMs: 120_000, idleMs: 60_000, toolMs: 120_000, ...spec.timeouts };
  const route = resolveRoute(spec, backends);
  return {
    given: spec,
    ...route,
    system,
    tools: byName(what, tools),
    parameters,
    maxSteps,
    maxRetries,
    mailboxLimit,
    timeouts,
  };
}

/** A spec with some of it replaced. A model belongs to its backend: another backend without a model uses its own. */
export function overrideSpec(base: AgentSpec, overrides: AgentSpec): AgentSpec {
  const { model: _other, ...rest } = base;
  return overrides.backend === undefined ? { ...base, ...overrides } : { ...rest, ...overrides };
}

/** The model that an agent uses at a backend. */
export function modelAt(
  { models }: Pick<ResolvedSpec, 'models'>,
  backend: string,
  backends: Pick<Backends, 'get'>,
): string {
  return models.get(backend) ?? backends.get(backend).model;
}

function resolveRoute(spec: AgentSpec, backends: BackendLookup): Pick<ResolvedSpec, 'chain' | 'models'> {
  const { backend = embeddedBackend, model, fallback = [] } = spec;
  const models = new Map<string, string>();
  const resolve = (target: string | Backend, targetModel: string | undefined) => {
    const name = typeof target === 'string' ? target : backends.nameOf(target);
    backends.get(name);
    if (targetModel !== undefined && !models.has(name)) models.set(name, targetModel);
    return name;
  };
  const first = resolve(backend, model);
  const others = fallback.map((target) =>
    typeof target === 'object' && 'backend' in target
      ? resolve(target.backend, target.model)
      : resolve(target, undefined),
  );
  return { chain: [first, ...new Set(others.filter((name) => name !== first))], models };
}

function byName(what: string, tools: readonly Tool[]): ReadonlyMap<string, Tool> {
  const map = new Map(tools.map((tool) => [tool.definition.name, tool]));
  if (map.size !== tools.length) {
    checkOptions(what, { tools }, { tools: () => 'a list in which every tool has a name of its own' });
  }
  return map;
}

const isBackend: Rule = (value) =>
  typeof value === 'string' || (typeof value === 'object' && value !== null && 'call' in value)
    ? undefined
    : 'a name or a backend';

const toolList: Rule = (value) =>
  Array.isArray(value) && value.every((tool) => typeof tool?.run === 'function' && typeof tool?.check === 'function')
    ? undefined
    : 'an array of what tool() returns';

const specRules: Readonly<Record<keyof AgentSpec, Rule>> = {
  backend: isBackend,
  model: rules.text,
  fallback: rules.list,
  system: rules.anyText,
  tools: toolList,
  parameters: rules.object,
  maxSteps: rules.positiveCount,
  maxRetries: rules.count,
  mailboxLimit: rules.count,
  timeouts: rules.object,
};

const timeoutRules: Readonly<Record<keyof Timeouts, Rule>> = {
  askMs: rules.positiveMs,
  firstEventMs: rules.positiveMs,
  idleMs: rules.positiveMs,
  toolMs: rules.positiveMs,
};

const finite: Rule = (value) => (Number.isFinite(value) ? undefined : 'a number');

const parameterRules: Readonly<Record<keyof ModelParameters, Rule>> = {
  temperature: finite,
  topP: finite,
  maxTokens: rules.positiveCount,
  stop: rules.list,
  seed: finite,
  responseFormat: rules.object,
  extra: rules.object,
};
