/** A review report as text for a terminal. */
import { whatIf } from '../core/what-if.ts';
import { type AgentReport, type ReviewReport, severities } from '../review/index.ts';
import { count, duration, oneLine, plain, table, wrap } from './terminal.ts';
import { whatIfText } from './usage-text.ts';

/** The whole report. */
export function reviewText(report: ReviewReport): string {
  const sections = [
    `Review of ${plain(report.path)}: ${count(report.files, 'file')}, ${count(report.findings.length, 'finding')}`,
    report.summary === '' ? undefined : wrap(report.summary, ''),
    ...severities.map((severity) => severityText(report, severity)),
    failuresText(report.agents),
    notesText(report),
    agentsText(report),
    claudeText(report.agents),
  ];
  return `${sections.filter((section) => section !== undefined).join('\n\n')}\n`;
}

function severityText({ findings }: ReviewReport, severity: (typeof severities)[number]): string | undefined {
  const mine = findings.filter((finding) => finding.severity === severity);
  if (mine.length === 0) return undefined;
  const items = mine.map(({ file, line, title, detail, suggestion, experts }) =>
    [
      `  ${plain(file)}:${line}  ${oneLine(title)}  [${experts.join(', ')}]`,
      detail === '' ? undefined : wrap(detail, '      '),
      suggestion === '' ? undefined : wrap(`Do: ${suggestion}`, '      '),
    ]
      .filter((line) => line !== undefined)
      .join('\n'),
  );
  return [`${severity.toUpperCase()} (${mine.length})`, ...items].join('\n');
}

function failuresText(agents: readonly AgentReport[]): string | undefined {
  const failed = agents.filter(({ error }) => error !== undefined);
  if (failed.length === 0) return undefined;
  return failed
    .map(({ agent, error }) => `${agent} FAILED, its findings are missing: ${oneLine(error?.message ?? '')}`)
    .join('\n');
}

function notesText({ agents, skipped }: ReviewReport): string | undefined {
  const notes = agents.flatMap(({ agent, summary, imagined }) => [
    ...(summary === '' ? [] : [`${agent}: ${oneLine(summary)}`]),
    ...(imagined === 0 ? [] : [`${agent}: ${count(imagined, 'finding')} left out, for places that do not exist`]),
  ]);
  const reasons = skipped.map(({ path, reason }) => `  ${plain(path)} (${reason})`);
  const shown = reasons.slice(0, 10);
  if (reasons.length > shown.length) shown.push(`  … and ${reasons.length - shown.length} more`);
  const lines = [...notes, ...(reasons.length === 0 ? [] : ['Not read:', ...shown])];
  return lines.length === 0 ? undefined : lines.join('\n');
}

function agentsText({ agents, wallMs }: ReviewReport): string {
  const rows = agents.map(({ agent, backend, model, steps, tokens, costUsd, durationMs }) => [
    agent,
    `${plain(backend)}/${plain(model)}`,
    String(steps),
    tokens === undefined ? '?' : String(tokens),
    costUsd === undefined ? '?' : costUsd.toFixed(4),
    (durationMs / 1000).toFixed(2),
  ]);
  const header = ['agent', 'backend', 'steps', 'tokens', 'USD', 'seconds'];
  const sumMs = agents.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return `${table([header, ...rows], [2, 3, 4, 5])}\nwall time ${duration(wallMs)}, the agents' times add up to ${duration(sumMs)}`;
}

/** What Claude alone would have cost for the same tokens; nothing where no model took any. */
function claudeText(agents: readonly AgentReport[]): string | undefined {
  const rows = agents.map(({ agent, backend, model, steps: calls, usage, costUsd }) => {
    const unpriced = costUsd === undefined ? calls : 0;
    return { agent, backend, model, day: '', calls, unpriced, usage, costUsd };
  });
  const alone = whatIf(rows, 'sonnet');
  return alone === undefined || alone.costUsd === 0 ? undefined : whatIfText(alone);
}
