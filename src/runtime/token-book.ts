/**
 * What is known of models' tokens: counters, what their own reports have taught, and the size of their windows.
 *
 * W1  No vocabulary is loaded before something must be counted exactly: it takes a few tenths of a second and 50 MB.
 * W2  A window is what the server says that it has loaded, once that was asked; until then what the catalog knows.
 */
import type { Backend } from '../../actors/backend.ts';
import { knownFacts } from '../../actors/backends/backend-info.ts';
import type { TokenCounter } from '../../actors/compression/token-counter.ts';
import { untilAborted } from '../../actors/until-aborted.ts';
import { type Calibration, isTruncated, learn, uncalibrated } from '../core/calibration.ts';
import type { BackendKind } from '../core/catalog.ts';
import { TroupeError } from '../core/errors.ts';
import type { Clock } from '../core/seams.ts';
import type { Message, ToolDefinition } from '../core/types.ts';

/** A model at a backend. */
export interface ModelPlace {
  /** The name by which agents know the backend. */
  readonly name: string;
  readonly backend: Backend;
  readonly model: string;
}

/** One answered request. */
export interface Reported {
  readonly messages: () => readonly Message[];
  readonly tools: readonly ToolDefinition[];
  /** The most tokens that the prompt can have. */
  readonly boundTokens: () => number;
  /** Tokens of the prompt as the server reports them; undefined when it does not. */
  readonly inputTokens: number | undefined;
  readonly patience: Patience;
}

/** How long a server may take that is asked for its window. */
export interface Patience {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What is known of the tokens of a model. */
export interface KnownModel {
  readonly backend: string;
  readonly model: string;
  /** Tokens that its server has loaded it for; undefined when it was not asked, or does not say. */
  readonly windowTokens: number | undefined;
  /** How far our counts were off lately, in the median, as a fraction of what it reported; undefined before the first report. */
  readonly countError: number | undefined;
  /** Recent reports that the counts have learnt from. */
  readonly reports: number;
}

interface Entry {
  readonly backend: string;
  readonly model: string;
  /** What the catalog says of its window; undefined when it says nothing that holds. */
  readonly catalogTokens: number | undefined;
  counter?: TokenCounter;
  calibration: Calibration;
  /** Undefined: not asked yet; null: asked, and not known. */
  window?: number | null;
  /** When a server that gave no answer may be asked again. */
  askAgainAt?: number;
}

export class TokenBook {
  readonly #entries = new Map<string, Entry>();

  /** Tokens of prompt and answer together that a model takes, as far as known without asking. */
  window(place: ModelPlace): number | undefined {
    const { window, catalogTokens } = this.#entry(place);
    return window ?? catalogTokens;
  }

  /** The same, once the server was asked: five seconds at most, and once a minute. Never rejects but for an abort. */
  async askWindow(place: ModelPlace, { clock, signal }: Patience): Promise<number | undefined> {
    const entry = this.#entry(place);
    const { backend, model } = place;
    if (entry.window !== undefined || backend.describeModel === undefined) return this.window(place);
    if (clock.now() < (entry.askAgainAt ?? 0)) return this.window(place);
    const late = new AbortController();
    const timer = clock.setTimeout(() => late.abort(noAnswer), longestAnswerMs);
    const either = AbortSignal.any([signal, late.signal]);
    try {
      entry.window = (await untilAborted(backend.describeModel(model, either), either)).contextTokens ?? null;
    } catch {
      signal.throwIfAborted();
      entry.askAgainAt = clock.now() + askAgainMs;
    } finally {
      clock.clearTimeout(timer);
    }
    return this.window(place);
  }

  /** The counter of a model, with what was learnt so far. */
  async counter(place: ModelPlace): Promise<TokenCounter> {
    const entry = this.#entry(place);
    entry.counter ??= await counterFor(place.model, entry.calibration);
    return entry.counter;
  }

  /** What is known of each model that was asked or counted for. */
  known(): KnownModel[] {
    return [...this.#entries.values()].flatMap(({ backend, model, window, calibration }) => {
      const { error: countError, samples } = calibration;
      if (window === undefined && samples.length === 0) return [];
      return [{ backend, model, windowTokens: window ?? undefined, countError, reports: samples.length }];
    });
  }

  /**
   * Learns from a report, where something was counted for this model before, and says whether the server must have cut the
   * prompt. What is far from suspicious is not counted for that.
   */
  async read(place: ModelPlace, reported: Reported): Promise<boolean> {
    const { inputTokens, messages, tools, boundTokens, patience } = reported;
    if (inputTokens === undefined || inputTokens <= 0) return false;
    const entry = this.#entry(place);
    if (entry.counter === undefined && boundTokens() < inputTokens * suspiciousBytesPerToken + suspiciousGap)
      return false;
    const counter = await this.counter(place);
    const contextTokens = isCloud(place) ? undefined : await this.askWindow(place, patience);
    const report = {
      count: counter.count({ messages: messages(), tools }),
      reportedTokens: inputTokens,
      contextTokens,
    };
    const isCut = isTruncated(entry.calibration, report);
    const calibration = learn(entry.calibration, report);
    if (calibration !== entry.calibration) {
      entry.calibration = calibration;
      entry.counter = await counterFor(place.model, calibration);
    }
    return isCut;
  }

  #entry(place: ModelPlace): Entry {
    const { name: backend, model } = place;
    const key = `${backend}\n${model}`;
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const entry = { backend, model, catalogTokens: catalogWindow(place), calibration: uncalibrated };
    this.#entries.set(key, entry);
    return entry;
  }
}

async function counterFor(model: string, calibration: Calibration): Promise<TokenCounter> {
  const { openTokenCounter } = await import('../../actors/compression/token-counter.ts');
  return openTokenCounter(model, calibration);
}

/** Tokens below which no server has cut a prompt, and none is asked how much it takes. */
export const worthCounting = 1000;

const longestAnswerMs = 5000;
const askAgainMs = 60_000;
const noAnswer = new TroupeError('TROUPE_ERR_BACKEND_TIMEOUT', 'The server did not say what its model takes.');

/** Bytes for each reported token, and beyond them, from which a report is looked into: English has 4 to 5, nothing more than 8. */
const suspiciousBytesPerToken = 8;
const suspiciousGap = 2000;

/** What the catalog knows is what a model was trained for. A machine of your own has mostly loaded it with less. */
function catalogWindow(place: ModelPlace): number | undefined {
  return isCloud(place) ? knownFacts(place.backend.kind as BackendKind, place.model).contextTokens : undefined;
}

function isCloud({ backend }: ModelPlace): boolean {
  return backend.info.inference === 'cloud';
}
