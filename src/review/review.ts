/**
 * A code review by a troupe: an orchestrator briefs four experts, they read the code in parallel with read-only tools,
 * the orchestrator sums up. A failed expert costs its own findings and no other's.
 */
import { codeFiles, type Walk } from '../../actors/tools/code-files.ts';
import { codeTools } from '../../actors/tools/code-tools.ts';
import { TroupeError, toTroupeError } from '../core/errors.ts';
import type { Usage } from '../core/types.ts';
import { totalTokens, unknownUsage } from '../core/usage.ts';
import type { Agent } from '../runtime/agent.ts';
import type { StreamEvent } from '../runtime/reply.ts';
import type { Troupe } from '../runtime/troupe.ts';
import { type Expert, expertSystem, experts, orchestratorSystem } from './experts.ts';
import { checkPlaces, type Finding, mergeFindings, parseAnswer } from './findings.ts';

/** Options of `review`. */
export interface ReviewOptions {
  /** The orchestrator's backend. Default: the troupe's. */
  readonly backend?: string;
  /** The experts' backend. Default: the orchestrator's. */
  readonly expertBackend?: string;
  /** The orchestrator's model. Default: its backend's. */
  readonly model?: string;
  /** The experts' model. Default: their backend's. */
  readonly expertModel?: string;
  /** Milliseconds that one ask may take. Default 600,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Takes what the agents do while they do it. */
  readonly onProgress?: (agent: string, event: StreamEvent) => void;
}

export interface ReviewReport {
  /** The reviewed path as it was given. */
  readonly path: string;
  /** Files that the experts could read. */
  readonly files: number;
  /** Files that they could not, and why; at most 200. */
  readonly skipped: Walk['skipped'];
  readonly findings: readonly Finding[];
  /** The orchestrator's words about the findings; empty when it failed. */
  readonly summary: string;
  readonly agents: readonly AgentReport[];
  readonly wallMs: number;
}

/** What one agent did. */
export interface AgentReport {
  readonly agent: string;
  readonly backend: string;
  readonly model: string;
  readonly steps: number;
  /** Prompt and answer tokens; undefined when the backend reported none. */
  readonly tokens: number | undefined;
  /** The same, told apart. */
  readonly usage: Usage;
  /** USD; undefined when no price is known. */
  readonly costUsd: number | undefined;
  readonly durationMs: number;
  /** The expert's own summary. */
  readonly summary: string;
  /** Findings that named a place that does not exist, and were left out. */
  readonly imagined: number;
  /** Why the agent failed; absent when it did not. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** Reviews the code at `path`, a folder or a file. Rejects when the path cannot be read; an agent's failure is in the report. */
export async function review(troupe: Troupe, path: string, options: ReviewOptions = {}): Promise<ReviewReport> {
  const { clock } = troupe;
  const startedAt = clock.now();
  const code = codeFiles(path);
  const walk = await code.walk('');
  const desk = new Desk(troupe, options);
  const empty = walk.files.length === 0;
  try {
    const orchestrator = await desk.hire('orchestrator', orchestratorSystem, options.backend, options.model, []);
    const brief = empty ? '' : await desk.ask(orchestrator, briefPrompt(code.name, walk));
    const answers = empty
      ? []
      : await Promise.all(experts.map((expert) => consult(desk, expert, path, brief, options)));
    const lineCount = await countLines(
      code,
      answers.flatMap(({ findings }) => findings),
    );
    const checked = answers.map(({ findings }) => checkPlaces(findings, (file) => lineCount.get(file)));
    const findings = mergeFindings(checked.flatMap(({ real }) => real));
    const summary = empty
      ? 'There is nothing to review.'
      : await desk.ask(orchestrator, summaryPrompt(findings, desk.failures));
    const reports = desk.reports(
      new Map(
        answers.map(({ expert, summary: words }, index) => [
          expert,
          { words, imagined: checked[index]?.imagined ?? 0 },
        ]),
      ),
    );
    const skipped = walk.skipped.slice(0, 200);
    return {
      path,
      files: walk.files.length,
      skipped,
      findings,
      summary,
      agents: reports,
      wallMs: clock.now() - startedAt,
    };
  } finally {
    await desk.dismiss();
  }
}

interface ExpertResult {
  readonly expert: string;
  readonly findings: readonly Finding[];
  readonly summary: string;
}

/** Lets one expert work. What goes wrong is noted at the desk. */
async function consult(
  desk: Desk,
  expert: Expert,
  path: string,
  brief: string,
  options: ReviewOptions,
): Promise<ExpertResult> {
  const { name } = expert;
  const {
    backend,
    expertBackend = backend,
    model,
    expertModel = expertBackend === backend ? model : undefined,
  } = options;
  const nothing = { expert: name, findings: [], summary: '' };
  const agent = await desk.hire(name, expertSystem(expert), expertBackend, expertModel, codeTools(path));
  const text = await desk.ask(agent, `${brief}\n\nReview this code base for ${name}. Answer with the JSON object.`);
  if (text === '') return nothing;
  const answer = parseAnswer(text, name);
  if (answer !== undefined) return { expert: name, ...answer };
  desk.fail(
    name,
    new TroupeError('TROUPE_ERR_BACKEND_PROTOCOL', `Its answer has no findings JSON: "${text.slice(0, 120)}"`),
  );
  return nothing;
}

/** Who works on the review, and the account of it. */
class Desk {
  readonly #troupe: Troupe;
  readonly #options: ReviewOptions;
  readonly #agents = new Map<string, { agent: Agent | undefined; backend: string; model: string }>();
  readonly #worked = new Map<string, { steps: number; durationMs: number }>();
  readonly #errors = new Map<string, TroupeError>();

  constructor(troupe: Troupe, options: ReviewOptions) {
    this.#troupe = troupe;
    this.#options = options;
  }

  /** Spawns an agent; undefined, with the failure noted, when that fails. */
  async hire(
    name: string,
    system: string,
    backend: string | undefined,
    model: string | undefined,
    tools: ReturnType<typeof codeTools>,
  ) {
    try {
      const spec = { system, tools, maxSteps: 40, ...(backend && { backend }), ...(model && { model }) };
      const agent = await this.#troupe.spawn(name, spec);
      const info = this.#troupe.agents().find((row) => row.name === name);
      this.#agents.set(name, { agent, backend: info?.backend ?? '', model: info?.model ?? '' });
      return agent;
    } catch (thrown) {
      this.#agents.set(name, { agent: undefined, backend: backend ?? '', model: model ?? '' });
      this.fail(name, toTroupeError(thrown, name));
      return undefined;
    }
  }

  /** The text of the agent's reply; empty, with the failure noted, when the ask fails. */
  async ask(agent: Agent | undefined, prompt: string): Promise<string> {
    if (agent === undefined) return '';
    const { timeoutMs = 600_000, signal, onProgress } = this.#options;
    const worked = this.#worked.get(agent.name) ?? { steps: 0, durationMs: 0 };
    this.#worked.set(agent.name, worked);
    const startedAt = this.#troupe.clock.now();
    try {
      const stream = agent.stream(prompt, { timeoutMs, ...(signal && { signal }) });
      for await (const event of stream) {
        if (event.type === 'step-end') worked.steps += 1;
        onProgress?.(agent.name, event);
      }
      return (await stream.reply).text;
    } catch (thrown) {
      this.fail(agent.name, toTroupeError(thrown, agent.name));
      return '';
    } finally {
      worked.durationMs += this.#troupe.clock.now() - startedAt;
    }
  }

  fail(name: string, error: TroupeError): void {
    this.#errors.set(name, error);
  }

  get failures(): ReadonlyMap<string, TroupeError> {
    return this.#errors;
  }

  reports(answers: ReadonlyMap<string, { readonly words: string; readonly imagined: number }>): AgentReport[] {
    return [...this.#agents].map(([name, { agent, backend, model }]) => {
      const error = this.#errors.get(name);
      const usage = agent?.usage() ?? unknownUsage;
      const { steps, durationMs } = this.#worked.get(name) ?? { steps: 0, durationMs: 0 };
      return {
        ...{ agent: name, backend, model, steps },
        tokens: totalTokens(usage),
        usage,
        costUsd: agent?.costUsd,
        durationMs,
        summary: answers.get(name)?.words ?? '',
        imagined: answers.get(name)?.imagined ?? 0,
        ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
      };
    });
  }

  async dismiss(): Promise<void> {
    await Promise.all([...this.#agents.values()].map(({ agent }) => agent?.kill('the review is over')));
  }
}

const mostFilesShown = 300;

function briefPrompt(name: string, { files, skipped }: Walk): string {
  const listing = { root: name, total: files.length, files: files.slice(0, mostFilesShown), skipped: skipped.length };
  return (
    `Brief the experts about this code base in at most 100 words: what it seems to be, and where its main parts are. ` +
    `All that is known is its file listing:\n\`\`\`json\n${JSON.stringify(listing)}\n\`\`\``
  );
}

function summaryPrompt(findings: readonly Finding[], failures: ReadonlyMap<string, TroupeError>): string {
  const shown = findings.map(({ severity, file, line, title }) => ({ severity, file, line, title }));
  const missing = [...failures.keys()].filter((name) => name !== 'orchestrator');
  const gap = missing.length === 0 ? '' : ` These experts failed, so their part is missing: ${missing.join(', ')}.`;
  return (
    `Sum up the review in at most 120 words: what matters most, and what to do first.${gap} ` +
    `The findings:\n\`\`\`json\n${JSON.stringify({ findings: shown })}\n\`\`\``
  );
}

/** How many lines each named file has; a file that cannot be read is left out. */
async function countLines(
  code: ReturnType<typeof codeFiles>,
  findings: readonly Finding[],
): Promise<Map<string, number>> {
  const files = [...new Set(findings.map(({ file }) => file))];
  const counts = await Promise.all(
    files.map(async (file): Promise<[string, number] | undefined> => {
      const read = await code.read(file).catch(() => undefined);
      return read === undefined ? undefined : [file, read.text.split('\n').length];
    }),
  );
  return new Map(counts.filter((count) => count !== undefined));
}
