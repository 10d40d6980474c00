/**
 * Which backend a task goes to. What is needed decides first, how hard the task is decides second.
 *
 * D1  What is chosen meets every requirement: it is available, can what is needed, is private enough, has the window, and
 *     its dearest call is within the budget. What is not known counts as not met where it could cost or leak, else as met.
 * D2  The same facts give the same choice.
 * D3  An agent stays where it was while that meets the requirements: a move costs the provider's cache.
 * D4  Where the tier of the task has nothing that fits, the next better tier is taken, then the next worse.
 */
import type { Candidate, Need } from './candidate.ts';
import { analyzeComplexity, type ComplexityReason } from './complexity.ts';
import { TroupeError } from './errors.ts';
import { usdText } from './money.ts';
import { checkOptions, type Rule, rules } from './options.ts';
import { worstCaseUsd } from './worst-case.ts';

/** What is to be done, and what that takes. */
export interface ChoiceRequest {
  readonly task: string;
  /** What the backend must be able to do. Default: nothing special. */
  readonly needs?: readonly Need[];
  /** Tokens of one prompt, with the conversation and the tools. Default: a quarter of the characters of the task. */
  readonly inputTokens?: number;
  /** Most tokens of one answer. Default 4,096. */
  readonly outputTokens?: number;
  /** `local`: nothing leaves this machine. Default `any`. */
  readonly privacy?: 'local' | 'any';
  /** USD that are left. Default: no limit. */
  readonly budgetUsd?: number;
  /** The backend that was chosen for the same agent before. */
  readonly previous?: string;
}

/** Backends for tasks of more than a score. */
export interface Tier {
  /** The score that a task must be above. The lowest tier also takes what is above none. */
  readonly above: number;
  /** Names or kinds of backends, the preferred one first. */
  readonly backends: readonly string[];
}

/** How it is chosen. */
export interface ChoicePolicy {
  /** Default `defaultTiers`. A backend that no tier names is never chosen. */
  readonly tiers?: readonly Tier[];
  /** Within a tier: in the order that it names them, or the cheapest first. Default `named`. */
  readonly prefer?: 'named' | 'cheapest';
  /** Whether an agent stays where it was while that fits. Default true. */
  readonly sticky?: boolean;
  /** A requirement of your own: why a candidate does not fit, or undefined. */
  readonly refuse?: (candidate: Candidate, request: ChoiceRequest) => string | undefined;
}

/** What was chosen, and why. */
export interface BackendChoice {
  readonly backend: string;
  readonly model: string;
  /** How hard the task is, 0 to 1. */
  readonly score: number;
  readonly reasons: readonly string[];
  /** What does not fit. What fits and was not preferred is not here. */
  readonly rejected: readonly RejectedBackend[];
}

/** A candidate that does not fit. */
export interface RejectedBackend {
  readonly backend: string;
  readonly model: string;
  readonly why: string;
}

export const defaultTiers: readonly Tier[] = [
  { above: 0.8, backends: ['claude', 'anthropic'] },
  { above: 0.5, backends: ['openai'] },
  { above: 0, backends: ['ollama', 'llamaCpp', 'vllm', 'lmStudio', 'localAi'] },
];

/** Chooses. Throws `TROUPE_ERR_BACKEND_NONE_FITS` that says what is wrong with each, or `TROUPE_ERR_OPTION_INVALID`. */
export function chooseBackend(
  request: ChoiceRequest,
  candidates: readonly Candidate[],
  policy: ChoicePolicy = {},
): BackendChoice {
  checkOptions('The choice of a backend', request, requestRules);
  checkOptions('The policy of the choice', policy, policyRules);
  const { tiers: given = defaultTiers, prefer = 'named', sticky = true } = policy;
  const tiers = given.toSorted((a, b) => b.above - a.above);
  const judged = candidates.map((candidate) => judge(candidate, request, { ...policy, tiers }));
  const fitting = judged.filter(({ why }) => why === '');
  const rejected = judged
    .filter(({ why }) => why !== '')
    .map(({ candidate: { name, model }, why }) => ({ backend: name, model, why }));
  const { score, reasons } = analyzeComplexity(request.task);
  const chosen = (sticky ? staying(fitting, request) : undefined) ?? byTier(fitting, { score, tiers, prefer });
  if (chosen === undefined) throw noneFits(rejected);
  const { name, model } = chosen.candidate;
  return { backend: name, model, score, reasons: [...reasons.map(weightText), ...chosen.reasons], rejected };
}

const privacies: readonly unknown[] = ['local', 'any'];
const preferences: readonly unknown[] = ['named', 'cheapest'];

const requestRules = {
  task: rules.anyText,
  needs: rules.list,
  inputTokens: rules.count,
  outputTokens: rules.count,
  privacy: (value) => (privacies.includes(value) ? undefined : '`local` or `any`'),
  budgetUsd: (value) => (typeof value === 'number' && value >= 0 ? undefined : 'a number of USD, 0 or more'),
  previous: rules.anyText,
} satisfies Record<keyof ChoiceRequest, Rule>;

const policyRules = {
  tiers: (value) => (Array.isArray(value) && value.length > 0 ? undefined : 'an array with a tier in it'),
  prefer: (value) => (preferences.includes(value) ? undefined : '`named` or `cheapest`'),
  sticky: rules.flag,
  refuse: rules.callback,
} satisfies Record<keyof ChoicePolicy, Rule>;

interface Judged {
  readonly candidate: Candidate;
  /** What one call costs at most; undefined when its price is not known. */
  readonly costUsd: number | undefined;
  /** Empty when it fits. */
  readonly why: string;
}

const outputTokensUnasked = 4096;
const charactersPerToken = 4;

/** Holds a candidate against every requirement. */
function judge(
  candidate: Candidate,
  request: ChoiceRequest,
  { tiers, refuse }: Pick<ChoicePolicy, 'refuse'> & Pick<Ladder, 'tiers'>,
): Judged {
  const { inputTokens = Math.ceil(request.task.length / charactersPerToken) } = request;
  const { needs = [], privacy = 'any', budgetUsd, outputTokens = outputTokensUnasked } = request;
  const { available, reason, capabilities, inference, contextTokens } = candidate;
  const lacking = needs.filter((need) => !capabilities.includes(need));
  const tokens = inputTokens + outputTokens;
  const costUsd = worstCaseUsd({ promptTokens: inputTokens, maxOutputTokens: outputTokens }, candidate);
  const problems = [
    tiers.every((tier) => placeIn(tier, candidate) < 0) && 'no tier names it',
    !available && (reason ?? 'it is not available'),
    lacking.length > 0 && `it cannot do ${lacking.join(', ')}`,
    privacy === 'local' && inference === 'cloud' && 'data would leave this machine',
    contextTokens !== undefined && tokens > contextTokens && `it takes ${contextTokens} tokens of ${tokens}`,
    budgetUsd !== undefined && budgetProblem(costUsd, budgetUsd),
    refuse?.(candidate, request),
  ];
  return { candidate, costUsd, why: problems.filter((problem) => typeof problem === 'string').join('; ') };
}

function budgetProblem(costUsd: number | undefined, budgetUsd: number): string | undefined {
  if (costUsd === undefined) return 'its price is not known, and there is a budget';
  return costUsd <= budgetUsd
    ? undefined
    : `a call may cost ${usdText(costUsd)} of ${usdText(budgetUsd)} that are left`;
}

/** Where a tier names a candidate, from 0; -1 when it does not. */
function placeIn({ backends }: Tier, { name, kind }: Candidate): number {
  return backends.findIndex((wanted) => wanted === name || wanted === kind);
}

interface Chosen {
  readonly candidate: Candidate;
  readonly reasons: readonly string[];
}

/** The choice of before, while it fits. */
function staying(fitting: readonly Judged[], { previous }: ChoiceRequest): Chosen | undefined {
  const found = fitting.find(({ candidate }) => candidate.name === previous);
  return found && { candidate: found.candidate, reasons: [`${previous} was chosen before and still fits`] };
}

interface Ladder {
  readonly score: number;
  /** The best first. */
  readonly tiers: readonly Tier[];
  readonly prefer: 'named' | 'cheapest';
}

/** Takes what the tier of the score has; else goes up to the best tier, then down to the worst. */
function byTier(fitting: readonly Judged[], { score, tiers, prefer }: Ladder): Chosen | undefined {
  const firstBelow = tiers.findIndex(({ above }) => score > above);
  const own = firstBelow < 0 ? tiers.length - 1 : firstBelow;
  const reasons: string[] = [];
  for (const tier of [...tiers.slice(0, own + 1).toReversed(), ...tiers.slice(own + 1)]) {
    const names = tier.backends.join(', ');
    const step = tiers.indexOf(tier) < own ? 'next better' : 'next worse';
    const [best] = inTier(fitting, tier, prefer);
    reasons.push(`${tier === tiers[own] ? `a score of ${score} asks for` : `${step} are`} ${names}`);
    if (best !== undefined) return { candidate: best.candidate, reasons: [...reasons, `${best.candidate.name} fits`] };
    reasons.push('none of them fits');
  }
  return undefined;
}

/** What fits of a tier, the preferred one first. */
function inTier(fitting: readonly Judged[], tier: Tier, prefer: Ladder['prefer']): Judged[] {
  const named = fitting
    .filter(({ candidate }) => placeIn(tier, candidate) >= 0)
    .toSorted((a, b) => placeIn(tier, a.candidate) - placeIn(tier, b.candidate));
  const { MAX_VALUE: unknown } = Number;
  return prefer === 'named' ? named : named.toSorted((a, b) => (a.costUsd ?? unknown) - (b.costUsd ?? unknown));
}

function weightText({ what, weight }: ComplexityReason): string {
  return `${weight < 0 ? '-' : '+'}${Math.abs(weight).toFixed(2)} ${what}`;
}

function noneFits(rejected: readonly RejectedBackend[]): TroupeError {
  const each = rejected.map(({ backend, model, why }) => `${backend} (${model}): ${why}`);
  const seen = each.length === 0 ? 'there is none to choose from' : each.join('. ');
  const message = `No backend fits the task: ${seen}. Set one up, ask for less, or name one yourself as \`backend\`.`;
  return new TroupeError('TROUPE_ERR_BACKEND_NONE_FITS', message);
}
