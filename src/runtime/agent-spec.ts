/** What an agent is made from, checked and with its defaults. */
import type { Backend } from '../../actors/backend.ts';
import { type McpServers, type McpSettings, resolveMcp } from '../../actors/tools/mcp-config.ts';
import type { Tool } from '../../actors/tools/tool.ts';
import { checkOptions, oneOf, type Rule, rules } from '../core/options.ts';
import type { ModelParameters, ToolDefinition } from '../core/types.ts';
import { type Backends, embeddedBackend, isBackend } from './backends.ts';
import { type CompressionSetting, type ResolvedCompression, resolveCompression } from './compression-options.ts';
import { type ResolvedRestart, type RestartOptions, type RestartPolicy, resolveRestart } from './restart.ts';

/** Options of `spawn`. */
export interface AgentSpec {
  /** A role of the troupe's `roles`: what this spec leaves out comes from there. */
  readonly role?: string;
  /** Joins the group of this name: see `troupe.group`. */
  readonly group?: string;
  /**
   * A configured or built-in backend's name, or a backend; `auto`: the one that fits the `task` best, among the troupe's own,
   * or among what this machine has when it has none. Default: the troupe's `defaults.backend`.
   */
  readonly backend?: string | Backend;
  /** What the agent is for: `backend: 'auto'` chooses by it. */
  readonly task?: string;
  /** `local`: `auto` chooses nothing that lets a prompt leave this machine. Default `any`. */
  readonly privacy?: 'local' | 'any';
  /** Default: the backend's own. */
  readonly model?: string;
  /** Backends to go on with, in this order, when the first one fails for good. */
  readonly fallback?: readonly FallbackTarget[];
  /** Whether an agent that has fallen back stays there: else every ask begins at `backend` again. Default false. */
  readonly stickyFallback?: boolean;
  /** What happens to an answer that broke off when a listener has seen some of it; see `Replay`. Default false. */
  readonly replay?: Replay;
  /** When it comes back after a crash. Default `transient`. */
  readonly restart?: RestartPolicy | RestartOptions;
  /** What becomes of it when the agent whose tool spawned it is dead: `stop` kills it, `adopt` lets it live. Default `stop`. */
  readonly whenOrphaned?: 'stop' | 'adopt';
  /** The system message: first in every request. */
  readonly system?: string;
  readonly tools?: readonly Tool[];
  /** MCP servers by name: their tools are the agent's, as `server__tool`. They are started at its first model call. */
  readonly mcp?: McpServers;
  /** Tool calls of one step that run at the same time; the others wait for their turn. Default 8. */
  readonly maxParallelTools?: number;
  /** Characters of a tool's result that the model is shown; a longer one ends in a line that says what was cut. Default 100,000. */
  readonly maxToolResultChars?: number;
  /**
   * How often in a row one ask may run the same call: same tool, same arguments. The model is told so instead of a result
   * from then on, and the ask fails when it has been told as often as it was run. Default 5.
   */
  readonly maxSameCalls?: number;
  /** What happens to a tool call that somebody must allow and nobody decides on. */
  readonly approval?: ApprovalPolicy;
  /**
   * What happens when the model prints calls of these tools as its whole answer, or in a block of their own, instead of making
   * them: `repair` makes them, `warn` leaves the text and gives the troupe's event `warning`, as `repair` does too, `ignore`
   * does nothing. What a stream has given out of such a text stays given. Default `repair`.
   */
  readonly printedToolCalls?: PrintedToolCalls;
  /** How its conversation is made to fit: a strategy, or options. Default: a window or a summary, from ¾ of the model's window on. */
  readonly compression?: CompressionSetting;
  /** USD that it may spend in its life. Default: no limit but those of its group and the troupe. */
  readonly budgetUsd?: number;
  /** Temperature, token limit, stop texts and the like. */
  readonly parameters?: ModelParameters;
  /** Model calls that one ask may take. Default 20. */
  readonly maxSteps?: number;
  /** Repeats of a failed call on the same backend. Default 2. */
  readonly maxRetries?: number;
  /** Asks that may wait behind the one in hand. Default 100. */
  readonly mailboxLimit?: number;
  /**
   * What a full mailbox does with a new ask: `reject` it, `drop-oldest` to make room, or let it `wait` outside until there
   * is room (its deadline runs, and at most 10,000 may wait). Default `reject`.
   */
  readonly mailboxPolicy?: MailboxPolicy;
  /** Each ask begins at the system message and leaves nothing behind. Default false. */
  readonly stateless?: boolean;
  readonly timeouts?: Timeouts;
}

export type PrintedToolCalls = 'repair' | 'warn' | 'ignore';

/**
 * What happens to an answer that broke off when a listener has seen some of it. `false`: the ask fails with that text in
 * `partialText`. `true`: the call is made again, here or at the next backend, and a `restarted` event says which text no longer
 * counts. `continue`: what was seen stays, and the model is asked for the rest.
 */
export type Replay = boolean | 'continue';

export type MailboxPolicy = 'reject' | 'drop-oldest' | 'wait';

/** A backend, or one with the model to use there. Default: the backend's own model. */
export type FallbackTarget = string | Backend | { readonly backend: string | Backend; readonly model?: string };

/** How long a tool call waits for `agent.approve`. */
export interface ApprovalPolicy {
  /** Milliseconds. Default 600,000, and never longer than the ask has time. */
  readonly timeoutMs?: number;
  /** Then `deny` it, so that the model goes on without it, or `fail` the ask. Default `deny`. */
  readonly onTimeout?: 'deny' | 'fail';
}

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
  readonly group: string | undefined;
  readonly tools: ToolSet;
  readonly mcp: readonly McpSettings[];
  readonly maxParallelTools: number;
  readonly maxToolResultChars: number;
  readonly maxSameCalls: number;
  readonly approval: Required<ApprovalPolicy>;
  readonly printedToolCalls: PrintedToolCalls;
  readonly compression: ResolvedCompression;
  readonly budgetUsd: number | undefined;
  readonly parameters: ModelParameters;
  readonly stickyFallback: boolean;
  readonly replay: Replay;
  readonly restart: ResolvedRestart;
  readonly whenOrphaned: 'stop' | 'adopt';
  readonly maxSteps: number;
  readonly maxRetries: number;
  readonly mailboxLimit: number;
  readonly mailboxPolicy: MailboxPolicy;
  readonly stateless: boolean;
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
  const { system, group, tools = [], parameters = {}, mailboxPolicy = 'reject', stateless = false } = spec;
  checkOptions(`${what}, \`approval\``, spec.approval ?? {}, approvalRules);
  const { stickyFallback = false, replay = false, whenOrphaned = 'stop' } = spec;
  const { maxSteps = 20, maxRetries = 2, mailboxLimit = 100 } = spec;
  const { maxParallelTools = 8, maxToolResultChars = 100_000, maxSameCalls = 5, printedToolCalls = 'repair' } = spec;
  checkOptions(`${what}, \`parameters\``, parameters, parameterRules);
  const timeouts = spec.timeouts === undefined ? defaultTimeouts : { ...defaultTimeouts, ...spec.timeouts };
  return {
    ...{
      given: spec,
      system,
      group,
      parameters,
      stickyFallback,
      replay,
      whenOrphaned,
      maxSteps,
      maxParallelTools,
      maxToolResultChars,
      maxSameCalls,
      printedToolCalls,
      maxRetries,
      mailboxLimit,
      mailboxPolicy,
      stateless,
      timeouts,
    },
    ...resolveRoute(spec, backends),
    budgetUsd: spec.budgetUsd,
    compression: resolveCompression(what, spec.compression, (target) => nameAt(target, backends)),
    restart: resolveRestart(what, spec.restart),
    tools: toolSet(what, tools),
    mcp: spec.mcp === undefined ? noMcp : resolveMcp(what, spec.mcp),
    approval: spec.approval === undefined ? defaultApproval : { ...defaultApproval, ...spec.approval },
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
    const name = nameAt(target, backends);
    if (targetModel !== undefined && !models.has(name)) models.set(name, targetModel);
    return name;
  };
  const first = resolve(backend, model);
  const others = fallback.map((target) =>
    typeof target === 'object' && 'backend' in target
      ? resolve(target.backend, target.model)
      : resolve(target, undefined),
  );
  const chain: [string, ...string[]] = [first, ...new Set(others.filter((name) => name !== first))];
  return { chain, models: models.size === 0 ? noModels : models };
}

/** The name of a backend that can be had. Throws what its look-up throws. */
function nameAt(target: string | Backend, backends: BackendLookup): string {
  const name = typeof target === 'string' ? target : backends.nameOf(target);
  backends.get(name);
  return name;
}

// What most specs have in common is one object: there may be 100,000 agents.
const defaultTimeouts = { askMs: 600_000, firstEventMs: 120_000, idleMs: 60_000, toolMs: 120_000 };
const defaultApproval = { timeoutMs: 600_000, onTimeout: 'deny' } as const;
const noModels: ReadonlyMap<string, string> = new Map();
const noMcp: readonly McpSettings[] = [];
/** No tools at all. */
export const noTools: ToolSet = { byName: new Map(), definitions: [] };

/** The tools of an agent, by name and as a model is told of them. Made anew when they change. */
export interface ToolSet {
  readonly byName: ReadonlyMap<string, Tool>;
  readonly definitions: readonly ToolDefinition[];
}

/** Checks a list of tools. Throws `TROUPE_ERR_OPTION_INVALID` when it holds something else, or two of one name. */
export function toolSet(what: string, tools: readonly Tool[]): ToolSet {
  if (tools.length === 0) return noTools;
  checkOptions(what, { tools }, { tools: toolList });
  const byName = new Map(tools.map((tool) => [tool.definition.name, tool]));
  if (byName.size !== tools.length) {
    checkOptions(what, { tools }, { tools: () => 'a list in which every tool has a name of its own' });
  }
  return { byName, definitions: tools.map(({ definition }) => definition) };
}

const toolList: Rule = (value) =>
  Array.isArray(value) && value.every((tool) => typeof tool?.run === 'function' && typeof tool?.check === 'function')
    ? undefined
    : 'an array of what tool() returns';

/** The rule of `replay`. */
export const isReplay: Rule = (value) =>
  typeof value === 'boolean' || value === 'continue' ? undefined : 'true, false or "continue"';

const isPolicy = oneOf('permanent', 'transient', 'temporary');

const specRules: Readonly<Record<keyof AgentSpec, Rule>> = {
  role: rules.text,
  group: rules.text,
  backend: isBackend,
  task: rules.text,
  privacy: oneOf('local', 'any'),
  model: rules.text,
  fallback: rules.list,
  stickyFallback: rules.flag,
  replay: isReplay,
  restart: (value) => (typeof value === 'string' ? isPolicy(value) : rules.object(value)),
  whenOrphaned: oneOf('stop', 'adopt'),
  system: rules.anyText,
  tools: toolList,
  mcp: rules.object,
  maxParallelTools: rules.positiveCount,
  maxToolResultChars: rules.positiveCount,
  maxSameCalls: rules.positiveCount,
  approval: rules.object,
  printedToolCalls: oneOf('repair', 'warn', 'ignore'),
  compression: rules.object,
  budgetUsd: rules.amount,
  parameters: rules.object,
  maxSteps: rules.positiveCount,
  maxRetries: rules.count,
  mailboxLimit: rules.count,
  mailboxPolicy: oneOf('reject', 'drop-oldest', 'wait'),
  stateless: rules.flag,
  timeouts: rules.object,
};

const approvalRules: Readonly<Record<keyof ApprovalPolicy, Rule>> = {
  timeoutMs: rules.positiveMs,
  onTimeout: oneOf('deny', 'fail'),
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
